"""Where things lie: the package, the weights, and what this user trained, pulled and decoded."""

import os
import secrets
from pathlib import Path

PACKAGE = Path(__file__).parent
DATA = Path("/data")  # where a Hugging Face Space has its lasting disk, if its owner gave it one


def home() -> Path:
    """Where this user's trained weights and decoded pictures are kept: $GENRESTORE_HOME, a Space's disk or ~/.genrestore."""
    if named := os.environ.get("GENRESTORE_HOME"):
        return Path(named)
    disk = lasting()
    return expanded("~/.genrestore") if disk is None else disk / "genrestore"


def space() -> str:
    """The Hugging Face Space in which this process runs, as "owner/name"; "" elsewhere."""
    return os.environ.get("SPACE_ID", "")


def lasting() -> Path | None:
    """The disk of a Space that outlives its restarts, where there is one that can be written."""
    return DATA if space() and DATA.is_dir() and os.access(DATA, os.W_OK | os.X_OK) else None


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
