"""What lies on this computer: weights and decoded pictures."""

import dataclasses
import json
from typing import TYPE_CHECKING, Annotated

import typer

import genrestore
from genrestore import tasks
from genrestore.cli.options import app

if TYPE_CHECKING:
    from genrestore.card import Card


shelf = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False, add_completion=False)
app.add_typer(shelf, name="models")


@shelf.callback(invoke_without_command=True)
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
