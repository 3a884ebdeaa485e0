"""What a weight is and what its net accepts: plain data for people and pickers, read without torch."""

import json
import math
import os
import re
import stat
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields, is_dataclass, replace
from pathlib import Path
from typing import Any

from genrestore import paths
from genrestore.errors import ModelError
from genrestore.setting import Option

SCHEMA = 1  # version of card.json


@dataclass(frozen=True)
class SizeRule:
    """Which picture sizes a net takes and how far one of its pixels sees; the runtime pads, tiles and crops by it."""

    multiple_of: int = 1
    minimum: int = 1  # shortest side
    receptive: int = 0  # pixels to each side that can change an output pixel
    grid: int = 1  # pixels of which a tile's corner must be a multiple, where the net cuts its picture into windows
    tile: int = 0  # pixels a side that a tile of a net has which looks at all of its picture; 0 = as the runtime likes
    memory: int = 0  # bytes that a pixel of a tile takes while it is computed; 0 = little

    @classmethod
    def of(cls, net: Any, conditions: Mapping[str, Any]) -> "SizeRule":
        """A net's `size_rule`, or what that gives for the conditions of a call."""
        rule: Any = net.size_rule
        return rule if isinstance(rule, cls) else rule(**conditions)


@dataclass(frozen=True)
class DataSource:
    """One data set a weight was trained on."""

    name: str
    count: int
    sha256: str
    licence: str
    extra: dict[str, Any] = field(
        default_factory=dict[str, Any], compare=False
    )  # what a later version wrote beside these


@dataclass(frozen=True)
class Metric:
    """One measured number and the command that makes it again."""

    set: str
    protocol: str
    name: str
    value: float
    n: int
    command: str
    extra: dict[str, Any] = field(
        default_factory=dict[str, Any], compare=False
    )  # what a later version wrote beside these

    @property
    def told(self) -> str:
        """The value with its unit."""
        return f"{self.value:.2f} dB" if self.name == "PSNR" else f"{self.value:g}"


@dataclass(frozen=True)
class Card:
    """The facts of one weight; `card.json` beside its `model.safetensors`.

    A card may come from anywhere. What `read` gives has fields of these types, a name that is no path, and single lines
    where one line is shown.
    """

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
    scale: int = 1  # how many times wider and higher its pictures become
    size_rule: SizeRule = SizeRule()
    inputs: tuple[Option, ...] = ()  # what a call of the net takes beside its picture or latent vector
    revision: str = ""  # of the repository that it was pulled from: a commit
    origin: dict[str, Any] = field(
        default_factory=dict[str, Any]
    )  # of a net that others made: its architecture, and the file it came in
    first: int = 0  # of a generator: the seed whose picture is shown first
    schema: int = SCHEMA
    extra: dict[str, Any] = field(
        default_factory=dict[str, Any], compare=False
    )  # what a later version wrote beside these
    folder: Path | None = field(default=None, compare=False)  # where it lies; not part of the file

    @classmethod
    def read(cls, folder: Path) -> "Card":
        """The card in `folder`; read once, and again when its file has changed.

        One of a later schema is read as far as this version understands it, and what it does not is kept.

        Raises:
            ModelError: the file is missing, is no card, or means something else in its later schema.
        """
        path = os.path.join(folder, "card.json")
        try:
            found = os.stat(path)
        except (OSError, ValueError):
            raise ModelError(
                f"There is no card.json in {folder}; a weight is a folder with card.json and model.safetensors."
            ) from None
        state = found.st_mtime_ns, found.st_size, found.st_ino
        known = _read.get(path)
        if known is None or known[0] != state:
            if len(_read) >= MOST_READ:
                _read.clear()
            known = _read[path] = state, _checked(Path(folder), found)
        if isinstance(known[1], str):
            raise ModelError(known[1])
        return known[1]

    def to_json(self) -> dict[str, Any]:
        """What `card.json` holds."""
        data = _plain(self)
        del data["folder"]
        return data

    def write(self, folder: Path) -> None:
        paths.replace(folder / "card.json", self.text())

    def text(self) -> str:
        """`card.json` as it is written."""
        return json.dumps(self.to_json(), indent=2, ensure_ascii=False, allow_nan=False) + "\n"

    @property
    def weights(self) -> Path:
        assert self.folder is not None, "a card that was not read from a folder has no weights"
        return self.folder / "model.safetensors"


# --- cards from anywhere ---------------------------------------------------------------------------------------------

MOST_BYTES = 1 << 20  # of a card.json
MOST_READ = 4096  # cards that are remembered
_read: dict[
    str, tuple[tuple[int, int, int], Card | str]
] = {}  # path → state of the file; the card, or what is wrong with it


def name_of(text: str) -> bool:
    """Whether a weight may bear that name: printable, at most 100 letters, nothing that means something in a path."""
    return (
        0 < len(text) <= 100
        and text.isprintable()
        and not set(text) & set('/\\:*?"<>|')
        and text.strip(" .") == text
        and text != "auto"  # which stands for the best one
    )


def _checked(folder: Path, found: os.stat_result) -> Card | str:
    """The card, or one sentence on what is wrong with it."""
    path = folder / "card.json"
    try:
        if not stat.S_ISREG(found.st_mode) or found.st_size > MOST_BYTES:
            raise ValueError(f"it is no file of at most {MOST_BYTES >> 20} MB")
        data = json.loads(path.read_text("utf-8"))
        if not isinstance(data, dict):
            raise ValueError("it is no JSON object")
        json.dumps(data, ensure_ascii=False).encode()  # halves of letters can't be written anywhere
        given = data.get("schema")
        if type(given) is not int or given < SCHEMA:
            raise ValueError(f"it has schema {str(given)[:20]}")
        try:
            return _card(data, folder)
        except ValueError:
            if given == SCHEMA:
                raise
            return f"{path} has card schema {str(given)[:20]}; this version reads {SCHEMA}. Update genrestore."
    except (ValueError, OSError, RecursionError) as problem:
        reason = " ".join(str(problem).split())[:200]
        return f"{path} is not a genrestore card ({reason}); train or download the weight again."


def _card(data: dict[str, Any], folder: Path) -> Card:
    """Raises:
    ValueError: a field is missing or is not what it should be.
    """
    values = _fields(Card, data, "")
    values["data"] = tuple(DataSource(**_fields(DataSource, entry, "data: ")) for entry in values["data"])
    measured = [Metric(**_fields(Metric, entry, "metrics: ")) for entry in values.get("metrics", ())]
    values["metrics"] = tuple(metric for metric in measured if math.isfinite(metric.value))
    values["inputs"] = tuple(map(Option.from_json, values.get("inputs", ())))
    card = Card(**values, folder=folder)
    if not re.fullmatch("[0-9a-f]{64}", card.sha256):
        raise ValueError("sha256 must be 64 hexadecimal digits")
    if card.parameters < 0 or not 0 <= card.hours < math.inf or any(source.count < 0 for source in card.data):
        raise ValueError("its numbers must be finite and not negative")
    if name_of(card.name):
        return card
    own = "".join(letter if name_of(f"a{letter}a") else "_" for letter in folder.absolute().name[:100]).strip(" .")
    return replace(card, name=own if name_of(own) else "unnamed")


def _fields(kind: type[Any], data: Any, where: str) -> dict[str, Any]:
    """The values of a dataclass's fields, of the right types; what it does not know under "extra".

    Raises:
        ValueError: one is missing or has another type.
    """
    if not isinstance(data, dict):
        raise ValueError(f"{where}an entry is no JSON object")
    known = {each.name: each for each in fields(kind) if each.name not in ("extra", "folder")}
    values: dict[str, Any] = {"extra": {str(key): value for key, value in data.items() if key not in known}}
    for name, each in known.items():
        if name not in data:
            if each.default is MISSING and each.default_factory is MISSING:
                raise ValueError(f"{where}{name} is missing")
            continue
        values[name] = _typed(data[name], getattr(each.type, "__name__", ""), where + name)
    return values


def _typed(value: Any, kind: str, name: str) -> Any:
    if kind == "str" and isinstance(value, str):
        # shown on one line and in terminals, which obey control characters
        return value if value.isprintable() else "".join(c if c.isprintable() else " " for c in value)
    if kind == "int" and type(value) is int and abs(value) < 1 << 63:
        return value
    if kind == "float" and type(value) in (int, float) and (type(value) is float or abs(value) < 1 << 63):
        return float(value)
    if (kind == "dict" and isinstance(value, dict)) or (kind == "tuple" and isinstance(value, list)):
        return value
    if kind == "SizeRule" and isinstance(value, dict):
        numbers = {one.name: value.get(one.name, one.default) for one in fields(SizeRule)}
        whole = all(type(number) is int and 0 <= number < 1 << 20 for number in numbers.values())
        if whole and numbers["multiple_of"] and numbers["grid"]:
            return SizeRule(**numbers)
    words = {
        "str": "text", "int": "a whole number", "float": "a number", "dict": "an object", "tuple": "a list",
        "SizeRule": "whole numbers",
    }  # fmt: skip
    raise ValueError(f"{name} must be {words[kind]}, not {json.dumps(value)[:40]}")


LATER = {
    "origin": {},
    "grid": 1,
    "tile": 0,
    "memory": 0,
}  # fields that older cards lack: left out while they say nothing


def _plain(value: Any) -> Any:
    """As `dataclasses.asdict`, but what a later version wrote stands where it stood."""
    if isinstance(value, Option):
        return value.to_json()
    if is_dataclass(value) and not isinstance(value, type):
        told = {each.name: getattr(value, each.name) for each in fields(value)}
        own = {name: _plain(one) for name, one in told.items() if name not in LATER or one != LATER[name]}
        return own.pop("extra", {}) | own
    return [_plain(item) for item in value] if isinstance(value, tuple) else value
