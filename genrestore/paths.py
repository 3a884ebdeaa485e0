"""Where things lie: the package, the weights, and what this user trained, pulled and decoded."""

import os
import secrets
from pathlib import Path

PACKAGE = Path(__file__).parent


def home() -> Path:
    """Where this user's trained weights and decoded pictures are kept: $GENRESTORE_HOME or ~/.genrestore."""
    return Path(os.environ.get("GENRESTORE_HOME") or expanded("~/.genrestore"))


def expanded(path: str | Path) -> Path:
    """A path whose ~ or ~user is put in full; where there is no such user it stays as it is, as in a shell."""
    return Path(os.path.expanduser(path))


def pulled() -> Path:
    """The folder that holds what came from the Hub, each in a folder named by its reference."""
    return home() / "pulled"


def shelves() -> list[Path]:
    """The folders that hold weights, each in a folder of its name: shipped ones, the user's own, in training, pulled."""
    shipped = PACKAGE / "shipped" if (PACKAGE / "shipped").is_dir() else PACKAGE.parent / "weights"  # wheel or checkout
    return [shipped, home() / "weights", home() / "runs", pulled()]


def replace(path: Path, text: str) -> None:
    """Write a small file in one move, so that a reader never sees half of it."""
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        part.write_text(text, "utf-8")
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
