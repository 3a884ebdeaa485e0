"""What a weight is and what its net accepts: plain data for people and pickers, read without torch."""

import dataclasses
import json
import os
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from genrestore.errors import ModelError

PACKAGE = Path(__file__).parent
SCHEMA = 1  # version of card.json
TASKS = ("sample", "inpaint", "upscale", "restore", "compress")


def home() -> Path:
    """Where this user's trained weights and decoded pictures are kept: $GENRESTORE_HOME or ~/.genrestore."""
    return Path(os.environ.get("GENRESTORE_HOME") or Path.home() / ".genrestore")


def shelves() -> list[Path]:
    """The folders that hold weights, each in a folder of its name: shipped ones, the user's own, and those in training."""
    shipped = PACKAGE / "shipped" if (PACKAGE / "shipped").is_dir() else PACKAGE.parent / "weights"  # wheel or checkout
    return [shipped, home() / "weights", home() / "runs"]


@dataclass(frozen=True)
class SizeRule:
    """Which picture sizes a net takes and how far one of its pixels sees; the runtime pads, tiles and crops by it."""

    multiple_of: int = 1
    minimum: int = 1  # shortest side
    receptive: int = 0  # pixels to each side that can change an output pixel


@dataclass(frozen=True)
class DataSource:
    """One data set a weight was trained on."""

    name: str
    count: int
    sha256: str
    licence: str


@dataclass(frozen=True)
class Metric:
    """One measured number and the command that makes it again."""

    set: str
    protocol: str
    name: str
    value: float
    n: int
    command: str


@dataclass(frozen=True)
class Card:
    """The facts of one weight; `card.json` beside its `model.safetensors`."""

    name: str
    task: str
    architecture: str
    config: dict[str, Any]
    parameters: int
    sha256: str
    license: str
    data: tuple[DataSource, ...]
    recipe: dict[str, Any]
    hardware: str = ""
    hours: float = 0.0
    metrics: tuple[Metric, ...] = ()
    title: str = ""  # what a picker shows
    intended: str = ""
    limits: str = ""
    paper: str = ""
    schema: int = SCHEMA
    folder: Path | None = field(default=None, compare=False)  # where it lies; not part of the file

    @classmethod
    def read(cls, folder: Path) -> "Card":
        """The card in `folder`.

        Raises:
            ModelError: the file is missing, is not JSON, or has another schema.
        """
        path = folder / "card.json"
        return cls._read(folder, path.stat().st_mtime_ns if path.is_file() else 0)

    @classmethod
    @lru_cache(maxsize=256)  # pickers and every call by name ask for all cards
    def _read(cls, folder: Path, changed: int) -> "Card":
        path = folder / "card.json"
        try:
            data = json.loads(path.read_text("utf-8"))
            if data.get("schema") != SCHEMA:
                raise ModelError(
                    f"{path} has card schema {data.get('schema')}; this version reads {SCHEMA}. Update genrestore."
                )
            data["data"] = tuple(DataSource(**entry) for entry in data["data"])
            data["metrics"] = tuple(Metric(**entry) for entry in data["metrics"])
            card = cls(**data, folder=folder)
        except FileNotFoundError:
            raise ModelError(
                f"There is no card.json in {folder}; a weight is a folder with card.json and model.safetensors."
            ) from None
        except (ValueError, TypeError, KeyError, AttributeError) as problem:
            raise ModelError(
                f"{path} is not a genrestore card ({problem}); train or download the weight again."
            ) from problem
        if card.task not in TASKS:
            raise ModelError(f"{path} names the task {card.task!r}; known are {', '.join(TASKS)}.")
        return card

    def write(self, folder: Path) -> None:
        data = dataclasses.asdict(self)
        del data["folder"]
        partial = folder / ".card.json.part"
        partial.write_text(json.dumps(data, indent=2, ensure_ascii=False, allow_nan=False) + "\n", "utf-8")
        partial.replace(folder / "card.json")

    @property
    def weights(self) -> Path:
        assert self.folder is not None, "a card that was not read from a folder has no weights"
        return self.folder / "model.safetensors"
