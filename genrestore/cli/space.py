"""The page as a Hugging Face Space."""

import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from genrestore.cli import hub
from genrestore.cli.options import app

if TYPE_CHECKING:
    from genrestore.hub.space import Parcel

space = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False, add_completion=False, no_args_is_help=True)
app.add_typer(
    space, name="space", help="Host the page as a Hugging Face Space.\n\nExample: genrestore space push me/pictures"
)

Cpu = Annotated[
    bool,
    typer.Option(
        "--cpu", help="Have the Space install PyTorch's build for processors: a tenth as large, and no GPU helps it."
    ),
]
Linked = Annotated[
    list[str] | None,
    typer.Option(
        "--model", metavar="OWNER/REPO", help="A model of the Hub that the Space's page links to; repeatable."
    ),
]


@space.command()
def push(
    repository: Annotated[
        str,
        typer.Argument(metavar="OWNER/NAME", help="The Space; it is made if there is none, else brought up to date."),
    ],
    private: Annotated[bool, typer.Option("--private", help="Only you see the new Space.")] = False,
    cpu: Cpu = False,
    model: Linked = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Send the app and the weights that ship with it to a Space. What would leave is shown first; your own pictures and
    trainings never leave.

    Example: genrestore space push me/pictures --private
    """
    from genrestore.hub import space

    def confirm(parcel: "Parcel") -> bool:
        print(told(parcel), file=sys.stderr)
        return yes or hub.agreed(f"Send this to {parcel.repository}?")

    print(space.push(repository, private=private, cpu=cpu, models=tuple(model or ()), confirm=confirm))


@space.command()
def build(
    folder: Annotated[Path, typer.Argument(help="Folder to write into; new or empty.")],
    cpu: Cpu = False,
    model: Linked = None,
) -> None:
    """Write the Space's files into a folder, to look at them or to push them with git.

    Example: genrestore space build my-space
    """
    from genrestore.hub import space

    space.build(folder, cpu=cpu, models=tuple(model or ()))
    print(folder)


def told(parcel: "Parcel") -> str:
    """What a push would send, folder by folder, what it would replace and what it would remove."""
    from genrestore.hub.space import address

    there = "a Space that is there already"
    if parcel.there is None:
        there = "a new Space for you alone" if parcel.private else "a new Space for everybody"
    bytes_of: Counter[str] = Counter()
    count: Counter[str] = Counter()
    for name in parcel.files:
        *folders, last = name.split("/")
        group = "/".join(folders[:2]) + "/" if folders else last
        bytes_of[group] += parcel.size(name)
        count[group] += 1
    lines = [f"To {address(parcel.repository)}, {there}:"]
    for group in sorted(count, key=lambda one: (one.count("/"), one)):
        files = f"  {count[group]} files" if group.endswith("/") else ""
        lines.append(f"  {group}{files}  {bytes_of[group] / 1e6:.2f} MB")
    lines.append(f"  together {len(parcel.files)} files, {sum(bytes_of.values()) / 1e6:.1f} MB")
    replaced = [name for name in parcel.files if "/" not in name and name in (parcel.there or ())]
    if replaced:
        lines.append(f"Replaced there: {', '.join(replaced)}, and what it holds of genrestore.")
    if parcel.removed:
        lines.append(f"Removed there, no longer part of the app: {', '.join(parcel.removed)}")
    return "\n".join(lines)
