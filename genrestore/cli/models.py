"""What lies on this computer: weights and decoded pictures."""

import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

import genrestore
from genrestore import tasks
from genrestore.cli.options import app

if TYPE_CHECKING:
    from genrestore.card import Card


group = typer.Typer()
app.add_typer(group, name="models")


@group.callback(invoke_without_command=True)
def models(
    context: typer.Context,
    task: Annotated[
        str | None, typer.Option(help=f"Only those for one task: {', '.join(tasks.names())}.", show_default=False)
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="The whole cards, for programs.")] = False,
) -> None:
    """List the installed nets, what they score and where they lie.

    Example: genrestore models --task upscale
    """
    if context.invoked_subcommand is not None:
        return
    cards = genrestore.list_models(task)
    if as_json:
        print(json.dumps([dataclasses.asdict(card) for card in cards], indent=2, ensure_ascii=False, default=str))
        return
    rows = [("name", "task", "parameters", "score", "title"), *map(_row, cards)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


@group.command()
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
    card = genrestore.add_model(file, name=name, licence=licence, source=source)
    what = card.title.removeprefix(f"{card.name} ")
    print(f"{card.name} {what}, {card.parameters:,} parameters, can {card.task} pictures now: --model {card.name!r}")


@app.command()
def cache(
    empty: Annotated[
        bool, typer.Option("--empty", help="Remove them all but those that a training is reading.")
    ] = False,
) -> None:
    """Tell where training keeps the pictures it has decoded and how much they take, or remove them: they can be made again.

    Example: genrestore cache --empty
    """
    from genrestore.data import cache

    freed = cache.empty() if empty else 0
    removed = f"{freed / 1e9:.2f} GB were removed; " if empty else ""
    print(
        f"{cache.cache()}: {removed}{cache.taken() / 1e9:.2f} GB are taken, {cache.cache_limit() / 1e9:g} GB at most "
        "(GENRESTORE_CACHE_GB)."
    )


def _row(card: "Card") -> tuple[str, ...]:
    best = card.metrics[0] if card.metrics else None
    score = f"{best.set} {best.name} {best.value:g}" if best else "not measured"
    return card.name, card.task, f"{card.parameters:,}", score, card.title
