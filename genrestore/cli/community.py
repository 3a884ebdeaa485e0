"""Checkpoints of others, taken in."""

from pathlib import Path
from typing import Annotated

import typer

import genrestore
from genrestore.cli.bar import bar
from genrestore.cli.models import shelf


@shelf.command()
def add(
    file: Annotated[Path, typer.Argument(help="Checkpoint: .safetensors, .pth, .pt or .ckpt.")],
    name: Annotated[
        str | None, typer.Option(help="What to call it; by default as the file.", show_default=False)
    ] = None,
    licence: Annotated[str, typer.Option(help="Licence of the weights, as their makers say.")] = "unknown",
    source: Annotated[str, typer.Option(help="Where it is from, for its card.", show_default=False)] = "",
) -> None:
    """Take in a checkpoint that others trained, to enlarge, restore or inpaint. Nothing of the file is run.

    Example: genrestore models add 4x-UltraSharp.pth --licence CC-BY-NC-SA-4.0
    """
    with bar() as progress:
        card = genrestore.add_model(file, name=name, licence=licence, source=source, progress=progress)
    what = card.title.removeprefix(f"{card.name} ")
    print(f"{card.name} {what}, {card.parameters:,} parameters, can {card.task} pictures now: --model {card.name!r}")
