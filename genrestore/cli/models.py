"""What lies on this computer, weights and decoded pictures, and how weights come from the Hub and go there."""

import dataclasses
import json
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

import genrestore
from genrestore import tasks
from genrestore.cli import hub
from genrestore.cli.options import app
from genrestore.console import FAILED

if TYPE_CHECKING:
    from genrestore.card import Card

shelf = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False, add_completion=False)
app.add_typer(shelf, name="models")

Named = Annotated[
    str, typer.Argument(metavar="MODEL", help="Name from `genrestore models`, hf:OWNER/REPO or file:PATH.")
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
Task = Annotated[
    str | None, typer.Option(help=f"Only those for one task: {', '.join(tasks.names())}.", show_default=False)
]


@shelf.callback(invoke_without_command=True)
def models(
    context: typer.Context,
    task: Task = None,
    as_json: Annotated[bool, typer.Option("--json", help="The whole cards, for programs.")] = False,
) -> None:
    """List the nets that are here, what they score and where they lie; fetch others from the Hub, or send yours there.

    Example: genrestore models --task upscale
    """
    if context.invoked_subcommand is not None:
        return
    cards = genrestore.list_models(task)
    if as_json:
        print(json.dumps([_plain(card) for card in cards], indent=2, ensure_ascii=False, default=str))
        return
    rows = [("name", "task", "parameters", "score", "title"), *map(_row, cards)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


@shelf.command()
def more(
    task: Task = None,
    as_json: Annotated[bool, typer.Option("--json", help="The whole list, for programs.")] = False,
) -> None:
    """List public models of the Hub that are worth having, and when to take which; nothing is asked of the Hub.

    Example: genrestore models more --task inpaint
    """
    from genrestore.hub import listed
    from genrestore.hub.pull import megabytes

    if task is not None:
        tasks.find(task)
    found = listed.models(task)
    if as_json:
        print(json.dumps([dataclasses.asdict(one) for one in found], indent=2, ensure_ascii=False))
        return
    print(f"As of {listed.dated()}; untested ones were never fetched from the Hub itself by us.")
    for one in found:
        tested = f"tested {one.tested}" if one.tested else "untested"
        here = "here" if one.here else f"genrestore models pull {one.reference}"
        print(f"\n{one.name}  {one.task}, {megabytes(one.bytes)}, {one.licence}, {tested}\n  {one.about}\n  {here}")
    if not found:
        print("None is listed for this task; `genrestore models pull hf:OWNER/REPO` fetches any other.")


@shelf.command()
def pull(
    model: Annotated[str, typer.Argument(help="hf:OWNER/REPO, hf:OWNER/REPO@REVISION or hf:OWNER/REPO@REVISION/FILE.")],
    yes: Yes = False,
) -> None:
    """Fetch a model from the Hub: its size and licence are shown first, and it is checked before it is kept.

    A checkpoint that others made is converted as it comes: hf:OWNER/REPO/FILE.pth.

    HF_TOKEN, HF_ENDPOINT, HF_HOME and HF_HUB_OFFLINE mean what they mean to every program that uses the Hub.

    Example: genrestore models pull hf:owner/photo-x4@v1.0
    """
    from genrestore.weights import reference_of

    card = hub.brought(model, yes=yes)
    print(f"{card.name} is here, pinned to commit {card.revision[:12]}: --model {reference_of(card)}")
    print(f"Licence: {card.license or 'not stated'}")


@shelf.command()
def push(
    model: Named,
    repository: Annotated[
        str, typer.Argument(metavar="OWNER/REPO", help="Repository on the Hub; it is made if there is none.")
    ],
    private: Annotated[bool, typer.Option("--private", help="Only you see the new repository.")] = False,
    yes: Yes = False,
) -> None:
    """Send a model to the Hub. Every file and field that would leave is shown first; training pictures never leave.

    Example: genrestore models push my-cats me/cats-64 --private
    """
    print(hub.sent(model, repository, private=private, yes=yes))


@shelf.command()
def show(
    model: Named,
    as_json: Annotated[bool, typer.Option("--json", help="The whole card, for programs.")] = False,
) -> None:
    """Tell what a model is, of this computer or of the Hub, without fetching it.

    Example: genrestore models show span-x4
    """
    from genrestore import weights
    from genrestore.errors import ModelError
    from genrestore.references import SCHEME, Reference

    try:
        card = weights.resolve(model)
    except ModelError:
        if not model.startswith(SCHEME):
            raise
        from genrestore.hub import kinds
        from genrestore.hub.pull import look, megabytes

        offer = look(Reference.parse(model))
        print(hub.told(offer))
        lines = [f"{file.name}  {megabytes(file.size or 0)}" for file in offer.files]
        if offer.weight not in offer.holds:
            lines += map(str, kinds.checkpoints(offer.wanted, offer.holds))
        for line in lines:
            print(f"  {line}")
        others = len(offer.holds) - len(lines)
        if others:
            print(f"  and {others} more, which a pull leaves there")
        return
    print(json.dumps(_plain(card), indent=2, ensure_ascii=False, default=str) if as_json else _told(card))


@shelf.command()
def verify(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="MODEL…", help="All that are here, if none is named.")
    ] = None,
) -> None:
    """Hold weights against their cards: sha256, tensors and net. Ends with code 1 if one is damaged.

    Example: genrestore models verify span-x4
    """
    from genrestore.errors import ModelError

    if names and len(names) == 1:
        print(f"{genrestore.verify_model(names[0]).name}: whole")
        return
    failed = False
    for name in names or [f"file:{card.folder}" for card in genrestore.list_models()]:
        try:
            print(f"{genrestore.verify_model(name).name}: whole")
        except ModelError as problem:
            failed = True
            print(problem, file=sys.stderr)
    if failed:
        raise typer.Exit(FAILED)


@shelf.command()
def remove(model: Named, yes: Yes = False) -> None:
    """Delete a model that was pulled, or one of your own; what ships with genrestore stays.

    Example: genrestore models remove hf:owner/photo-x4
    """
    from genrestore.hub.shelf import place_of

    hub.sure(f"Delete {place_of(model)}?", yes)
    print(f"{genrestore.remove_model(model)} is gone.")


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
    from genrestore.hub.shelf import score

    best = score(card.metrics[0]) if card.metrics else "not measured"
    return card.name, card.task, f"{card.parameters:,}", best, card.title


def _plain(card: "Card") -> dict[str, Any]:
    from genrestore.weights import reference_of

    return {"reference": reference_of(card), **dataclasses.asdict(card)}


def _told(card: "Card") -> str:
    """What people want to know of a weight, a line each."""
    from genrestore.hub.shelf import facts

    told = [("task", card.task), *facts(card), ("folder", str(card.folder))]
    return "\n".join([card.title or card.name, *(f"  {name}: {text}" for name, text in told)])
