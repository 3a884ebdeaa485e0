"""The application that commands enter, and the options that several of them take."""

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from genrestore import tasks
from genrestore.cli import hub
from genrestore.setting import named, settings

app = typer.Typer(
    help="Generate, repair and enlarge pictures with small nets, on this computer.",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def declared(task: str, name: str, *flags: str, **shown: Any) -> Any:
    """The option of a command that is an option of a task's calls, as the task declares it."""
    return typer.Option(*flags, help=settings(tasks.find(task).options)[name].help, **shown)


Model = Annotated[
    str,
    typer.Option(
        help="Name from `genrestore models`, hf:OWNER/REPO of the Hub, or file:PATH; auto takes the best one shipped.",
        callback=hub.offered,
    ),
]
Out = Annotated[
    Path | None,
    typer.Option(
        "--out",
        "-o",
        help="File to write, whose suffix chooses the format; a folder for a folder; - for standard output.",
        show_default=False,
    ),
]
Frame = Annotated[
    int | None, typer.Option(help="Of an animation or a document of pages, the one to take.", show_default=False)
]
Force = Annotated[bool, typer.Option("--force", help="Replace the output if it exists.")]
Format = Annotated[
    str | None,
    typer.Option(help="Format to write, such as png, in place of the suffix's or the input's.", show_default=False),
]
Recipe = Annotated[
    bool, typer.Option("--recipe/--no-recipe", help="Say in the file how it was made, for `genrestore replay`.")
]
Strip = Annotated[
    bool,
    typer.Option("--strip", help="Leave out what the photo brought along: EXIF, its place, texts. Colours stay right."),
]
OtherFill = Annotated[int, declared("inpaint", "seed")]
Grow = Annotated[int, declared("inpaint", "grow")]
Scan = Annotated[Path, typer.Argument(help="Scanned photograph, or - for standard input.")]
Sensitivity = Annotated[float, declared("damage", "sensitivity")]
STREAM = Path("-")  # standard input or output in place of a file
Conditions = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="NAME=VALUE", help="What the model takes besides, such as steps=4; a wrong name lists it.",
        show_default=False,
    ),
]  # fmt: skip


def conditions_of(pairs: list[str] | None) -> dict[str, str]:
    """What was said of a model's conditions.

    Raises:
        SettingError: a pair has no equals sign.
    """
    return named(pairs or [], "steps=4")


def enter(name: str, command: Callable[..., None], parameters: dict[str, tuple[Any, Any]]) -> None:
    """Enter a command whose parameters, each a type and a default, follow from what is declared elsewhere."""
    made = [
        inspect.Parameter(each, inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=kind, default=usual)
        for each, (kind, usual) in parameters.items()
    ]
    command.__signature__ = inspect.Signature(made)  # pyright: ignore[reportFunctionMemberAccess] (typer reads it)
    command.__annotations__ = {each.name: each.annotation for each in made}
    app.command(name)(command)
