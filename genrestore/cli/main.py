"""The command `genrestore`: one file a group of commands. A command parses, calls the task, writes; torch is imported inside."""

import importlib
import sys
from typing import Annotated, NoReturn

import typer

import genrestore
from genrestore import console
from genrestore.cli import pictures
from genrestore.cli.options import app
from genrestore.console import BAD_INPUT

for _part in ("inpaint", "upscale", "sample", "damage"):  # in the order of the help
    importlib.import_module(f"genrestore.cli.{_part}")
pictures.enter_all()
for _part in ("replay", "train", "models", "community", "space"):
    importlib.import_module(f"genrestore.cli.{_part}")


@app.callback(invoke_without_command=True)
def _root(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version and end.")] = False,
) -> None:
    if version:
        print(f"genrestore {genrestore.__version__}")
        raise typer.Exit
    if context.invoked_subcommand is None:
        print(context.get_help())


def main(arguments: list[str] | None = None) -> NoReturn:
    """Run the command line and end the process.

    Exit code: 0 if all went well, 1 if a file of a folder failed, 2 on bad input, 130 after Ctrl-C.
    """
    console.run(lambda: _called(arguments))


def _called(arguments: list[str] | None) -> int:
    """The exit code of a command line that parses; one that does not is told with the way to its help."""
    pictures.enter_all()  # of tasks that came later
    try:
        return app(arguments, prog_name="genrestore", standalone_mode=False) or 0
    except typer.Abort:
        raise KeyboardInterrupt from None
    except typer.TyperException as problem:  # the command line itself is wrong
        context = getattr(problem, "ctx", None)
        command = context.command_path if context else "genrestore"
        sentence = " ".join(problem.format_message().split())
        stop = "" if sentence.endswith((".", "?")) else "."
        print(f"{sentence}{stop} `{command} --help` shows what it takes.", file=sys.stderr)
        return BAD_INPUT
