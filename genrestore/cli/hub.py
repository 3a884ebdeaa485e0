"""What is asked before anything comes from the Hub or goes there."""

import sys
from collections.abc import Callable
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import genrestore
from genrestore.cli.bar import bar
from genrestore.errors import Cancelled, ModelError, SettingError
from genrestore.references import SCHEME

Progress = Callable[[float, str], None]

if TYPE_CHECKING:
    from genrestore.card import Card
    from genrestore.hub.pull import Offer
    from genrestore.hub.push import Parcel


def offered(model: str) -> str:
    """A model that a command was given; one of the Hub that is not here yet may be fetched, where there is somebody to ask."""
    if model.startswith(SCHEME) and sys.stdin.isatty() and sys.stderr.isatty():
        from genrestore import weights

        try:
            weights.resolve(model)
        except ModelError:
            brought(model, yes=False)
    return model


def brought(reference: str, *, yes: bool) -> "Card":
    """Pull a model: size and licence are told first, and asked about unless `yes`."""

    def confirm(offer: "Offer") -> bool:
        _told(told(offer))
        return yes or agreed("Fetch it?")

    with ExitStack() as stack:
        shown: list[Progress | None] = []

        def progress(share: float, what: str) -> None:
            if not shown:  # a bar that began before the question would count the time of the answer
                shown.append(stack.enter_context(bar()))
            if shown[0] is not None:
                shown[0](share, what)

        return genrestore.pull(reference, confirm=confirm, progress=progress)


def told(offer: "Offer") -> str:
    """Size, licence and commit of what lies on the Hub, in one line."""
    from genrestore.hub.pull import megabytes

    licence = f"licence {offer.licence}" if offer.licence else "no licence stated"
    which = "" if offer.weight == offer.wanted.file else f"{offer.weight}, "
    return f"{offer.wanted}: {which}{megabytes(offer.bytes)}, {licence}, commit {offer.commit[:12]}"


def sent(name: str, repository: str, *, private: bool, yes: bool) -> str:
    """Push a model: all that would leave is told first, and asked about unless `yes`. Returns its reference."""

    def confirm(parcel: "Parcel") -> bool:
        _told(leaving(parcel))
        return yes or agreed(f"Send this to {parcel.repository}?")

    return genrestore.push(name, repository, private=private, confirm=confirm)


def leaving(parcel: "Parcel") -> str:
    """Every file and every field that a push would send, and what it would not."""
    import json

    from genrestore.hub import client
    from genrestore.hub.pull import megabytes

    there = "a repository that is there already"
    if parcel.replaced is None:
        there = "a new repository for you alone" if parcel.private else "a new repository for everybody"
    lines = [f"To {client.endpoint()}/{parcel.repository}, {there}:"]
    for name in parcel.files:
        again = " (replaces the one that is there)" if name in (parcel.replaced or ()) else ""
        lines.append(f"  {name}  {megabytes(parcel.size(name))}{again}")
    lines.append("Fields of card.json, from which README.md and config.json are made:")
    lines += [f"  {name}: {json.dumps(value, ensure_ascii=False)}" for name, value in parcel.fields.items()]
    if parcel.left_out:
        lines.append(f"Left out or made shorter, for paths and names in it: {', '.join(parcel.left_out)}")
    return "\n".join(lines)


def agreed(question: str) -> bool:
    """Whether the person at the terminal, or what is piped in, says yes.

    Raises:
        SettingError: nobody answers.
    """
    print(f"{question} [y/N] ", end="", file=sys.stderr, flush=True)  # and nothing among the results
    answer = sys.stdin.readline()
    if not answer:
        print(file=sys.stderr)
        raise SettingError("There is nobody to ask here; say --yes to agree beforehand.")
    return answer.strip().lower() in ("y", "yes")


def sure(question: str, yes: bool) -> None:
    """Raises:
    Cancelled: the answer is no.
    """
    if not (yes or agreed(question)):
        raise Cancelled("Nothing was done.")


def _told(text: Any) -> None:
    print(text, file=sys.stderr)
