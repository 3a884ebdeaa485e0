"""What lies on this computer: told, looked through, and taken away again."""

import os
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

from genrestore import machine, weights
from genrestore.card import Card, Metric
from genrestore.errors import ModelError
from genrestore.hub import pull
from genrestore.licences import licence_told
from genrestore.paths import home, pulled
from genrestore.references import Reference

Whose = Literal["shipped", "own", "trained", "pulled"]


def facts(card: Card) -> list[tuple[str, str]]:
    """What people want to know of a weight: (name of the fact, text), the most important first; nothing that is not known."""
    found = [
        ("good for", card.intended), ("limits", card.limits), ("reference", weights.reference_of(card)),
        *(("trained on", _source(source.name, source.count, source.licence)) for source in card.data),
        ("net", card.architecture), ("architecture", _origin(card, "architecture")),
        ("scale", f"×{card.scale}" if card.scale > 1 else ""), ("parameters", f"{card.parameters:,}"),
        ("size", pull.megabytes(weights.size(card))), ("licence", licence_told(card.license) or "not stated"),
        ("origin", _origin(card, "source")), ("file", _origin(card, "file")),
        ("sha256 of the file", _origin(card, "sha256")), ("taken in by", _origin(card, "converter")),
        ("time", _spent(card)), ("on this computer", _here(card)), ("paper", card.paper),
        *(("score", score(metric)) for metric in card.metrics),
        ("commit", card.revision), ("sha256", card.sha256),
    ]  # fmt: skip
    return [(name, text) for name, text in found if text]


def score(metric: Metric) -> str:
    """A measured number with what it was measured on, such as "Set5 PSNR 31.65 dB"."""
    return f"{metric.set} {metric.name} {metric.told}"


def whose(card: Card) -> Whose:
    """Where a weight came from: with genrestore, from this user, out of a training here, or from the Hub."""
    assert card.folder is not None, "a card of a shelf was read from a folder"
    places: dict[Path, Whose] = {home() / "weights": "own", home() / "runs": "trained", pulled(): "pulled"}
    return places.get(card.folder.parent, "shipped")


def taken() -> int:
    """Bytes of all that lies here beside what came with genrestore."""
    found: dict[tuple[int, int], int] = {}  # by the number of the file, for one may have two names
    for shelf in (home() / "weights", home() / "runs", pulled()):
        for folder, _, names in os.walk(shelf):
            for name in names:
                with suppress(OSError):
                    state = os.stat(os.path.join(folder, name))
                    found[state.st_dev, state.st_ino] = state.st_size
    return sum(found.values())


def _source(name: str, count: int, licence: str) -> str:
    return f"{name}: {count:,} pictures under {licence_told(licence) or 'no stated licence'}"


def _origin(card: Card, key: str) -> str:
    """Of a net that others made."""
    value: Any = card.origin.get(key, "")
    text = str(value)[:300]
    return "".join(letter if letter.isprintable() else " " for letter in text)


def _spent(card: Card) -> str:
    if card.hours <= 0:
        return card.hardware
    time = f"{card.hours:.1f} hours" if card.hours >= 1 else f"{max(1, round(60 * card.hours))} minutes"
    return f"{time} of training on {card.hardware}" if card.hardware else f"{time} of training"


def _here(card: Card) -> str:
    """What runs a net here and what that changes, where it has been measured; by itself it is when the net gets work."""
    choice = machine.recall(card.sha256)
    exact, own = (choice.speeds.get(way) for way in ("torch fp32", choice.backend)) if choice else (None, None)
    if choice is None or not exact or not own:
        return ""
    return (
        f"{choice.backend}: {own / exact:.1f} times as fast as exact arithmetic; no sample further than "
        f"{choice.difference:.1f} of 255 levels from it, as measured here"
    )


def verify_model(name: str) -> Card:
    """Hold a weight against its card: sha256, header, tensors, net.

    Args:
        name: of a model, or a reference as `genrestore.load` takes it.

    Returns:
        Its card, if all is as that says.

    Raises:
        ModelError: there is no such model, or it is damaged.
    """
    card = weights.resolve(name)
    weights.check(card)
    return card


def remove_model(name: str) -> Path:
    """Delete a model that was pulled, or one of your own in the folder of weights; what ships and what trains stays.

    What the Hub's client keeps of a pulled one in its cache goes, too.

    Returns:
        The folder that is gone.

    Raises:
        ModelError: there is no such model, or it is none that may be deleted.
    """
    folder = place_of(name)
    with pull.held(folder.name):
        card = weights.resolve(f"file:{folder}")  # another one may have removed it, or brought a newer
        gone = home() / "incoming" / f"{folder.name}.gone"
        try:
            _rid(gone)
            folder.replace(gone)  # at once, for whoever looks
            _rid(gone)
        except OSError as problem:
            raise ModelError(f"{folder} cannot be deleted ({problem.strerror}); see to your rights.") from problem
        wanted = Reference.of_folder(folder.name) if folder.parent == pulled() else None
        if wanted is not None:
            pull.forget(wanted, card)
    return folder


def _rid(place: Path) -> None:
    """Delete a folder with what is in it; of a link to one, the link."""
    if place.is_symlink():
        place.unlink()
    else:
        shutil.rmtree(place, ignore_errors=True)


def place_of(name: str) -> Path:
    """The folder of a model that may be deleted.

    Raises:
        ModelError: there is no such model, or it is none that may be deleted.
    """
    folder = weights.resolve(name).folder
    assert folder is not None, "a card that was resolved was read from a folder"
    if folder.parent == home() / "runs":
        raise ModelError(f"{name} is the result of a training; delete that on the page, or its folder {folder}.")
    if folder.parent not in (pulled(), home() / "weights"):
        raise ModelError(f"{name} lies in {folder} and was not pulled; only your own models can be deleted.")
    return folder
