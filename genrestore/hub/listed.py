"""Public models that are worth having, as `models.toml` lists them: what may be fetched by whoever sees a page."""

import functools
import tomllib
from dataclasses import dataclass
from pathlib import Path

from genrestore import weights
from genrestore.card import Card
from genrestore.errors import ModelError
from genrestore.references import Reference

FILE = Path(__file__).with_name("models.toml")


@dataclass(frozen=True)
class Listed:
    """A model of the list.

    Attributes:
        reference: what names it, as `genrestore.pull` takes it.
        net: its architecture, as spandrel calls it.
        licence: as its makers state it.
        bytes: about how large its file is.
        about: one line on when to take it.
        sha256: of the file; "" where it is not known.
        tested: the day on which it was last fetched from the Hub itself; "" is never.
    """

    name: str
    task: str
    reference: str
    net: str
    licence: str
    bytes: int
    about: str
    sha256: str = ""
    tested: str = ""

    @property
    def here(self) -> Card | None:
        """Its card, if it was pulled."""
        try:
            return weights.resolve(self.reference)
        except ModelError:
            return None


def models(task: str | None = None) -> list[Listed]:
    """The models of the list for one task, or all."""
    return [one for one in _read()[1] if task in (None, one.task)]


def dated() -> str:
    """The day of the list."""
    return _read()[0]


def find(wanted: Reference) -> Listed | None:
    """The model of the list that a reference names; another revision or file of its repository is another model."""
    return next((one for one in models() if Reference.parse(one.reference) == wanted), None)


def check(wanted: Reference, sha256: str) -> None:
    """Hold what the Hub offers under a reference against the list, if it stands there.

    Raises:
        ModelError: it is another file than the one that was listed.
    """
    known = find(wanted)
    if known is not None and known.sha256 and sha256 and sha256 != known.sha256:
        raise ModelError(
            f"What the Hub now has as {wanted} is not the file that was listed (its sha256 differs); nothing was fetched."
        )


@functools.lru_cache(maxsize=1)
def _read() -> tuple[str, list[Listed]]:
    data = tomllib.loads(FILE.read_text("utf-8"))
    return str(data["dated"]), [Listed(**one) for one in data["model"]]
