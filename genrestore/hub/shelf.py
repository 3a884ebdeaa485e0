"""What lies on this computer: looked through, and taken away again."""

import shutil
from pathlib import Path

from genrestore import weights
from genrestore.card import Card
from genrestore.errors import ModelError
from genrestore.hub import pull
from genrestore.paths import home, pulled
from genrestore.references import Reference


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
