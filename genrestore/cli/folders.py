"""Folders of pictures: one task for each file, the tree kept; what is done is skipped, and one that fails stops no other.

Beside the results lies a journal, a line of JSON for each: what it was made of, and what the file looks like. A line is
written before its file gets its name, so that whenever the process ends, a result is whole and known, or not there.
"""

import hashlib
import json
import re
import secrets
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from genrestore import console, locks
from genrestore.errors import Cancelled, SettingError
from genrestore.pictures import image
from genrestore.pictures.image import Picture

JOURNAL = ".genrestore.jsonl"
LOCK = ".genrestore.lock"
PART = re.compile(r"\.[0-9a-f]{16}\.part")  # what an unfinished file is called
TOLD = 5  # names in a sentence


@dataclass(frozen=True)
class Item:
    """One file's work.

    Attributes:
        source: the file.
        name: its path below the folder, by which its result is named.
        mask: what belongs to it.
    """

    source: Path
    name: Path
    mask: Path | None = None

    @property
    def inputs(self) -> list[Path]:
        return [self.source] if self.mask is None else [self.source, self.mask]


class Failure(NamedTuple):
    name: Path
    reason: str  # a sentence


class Outcome(NamedTuple):
    written: int
    skipped: int
    failures: tuple[Failure, ...]


# --- which files ------------------------------------------------------------------------------------------------------


def items(folder: Path, *apart: Path) -> list[Item]:
    """The pictures below a folder, in the order of their names; nothing hidden, and nothing below the folders `apart`.

    Raises:
        SettingError: there is none, or a folder apart is the folder itself or holds it.
    """
    from genrestore.data.sources import picture_like

    kept_apart = [path.resolve() for path in apart]
    for path, there in zip(apart, kept_apart, strict=True):
        if folder.resolve().is_relative_to(there):
            raise SettingError(f"{path} is or holds the folder of the pictures; choose another one with -o.")
    found = [
        Item(path, path.relative_to(folder))
        for path in sorted(folder.rglob("*"))
        if picture_like(path.relative_to(folder).as_posix())
        and not any(path.resolve().is_relative_to(there) for there in kept_apart)
        and path.is_file()
    ]
    if not found:
        raise SettingError(f"There is no picture below {folder}; check the name.")
    return found


def masked(found: list[Item], masks: Path) -> list[Item]:
    """Each with its mask: one file for all, or the one of the same name, but for its suffix, below a folder.

    Raises:
        SettingError: a mask is missing, or there are two.
    """
    if not masks.is_dir():
        if not masks.is_file():
            raise SettingError(f"There is neither a mask nor a folder {masks}; check the name.")
        return [Item(item.source, item.name, masks) for item in found]
    known: dict[Path, list[Item]] = {}
    for mask in items(masks):
        known.setdefault(mask.name.with_suffix(""), []).append(mask)
    wanted = [known.get(item.name.with_suffix(""), []) for item in found]
    if missing := [item.name for item, there in zip(found, wanted, strict=True) if not there]:
        raise SettingError(
            f"{_listed(missing)} of {len(found)} pictures without a mask below {masks}; "
            "name each mask as its picture, or give one file for all."
        )
    if double := [item.name for item, there in zip(found, wanted, strict=True) if len(there) > 1]:
        raise SettingError(f"{_listed(double)} with two masks of the same name below {masks}; leave one.")
    return [Item(item.source, item.name, there[0].source) for item, there in zip(found, wanted, strict=True)]


def _listed(names: list[Path]) -> str:
    rest = f" and {len(names) - TOLD} more" if len(names) > TOLD else ""
    return ", ".join(str(name) for name in names[:TOLD]) + rest


# --- the work ---------------------------------------------------------------------------------------------------------


def run(
    todo: list[Item],
    out: Path,
    work: Callable[[Item], Picture],
    options: dict[str, Any],
    told: Mapping[str, bool] = MappingProxyType({}),
    *,
    force: bool = False,
    show: Callable[[int, Item], None] = lambda done, item: None,
) -> Outcome:
    """Do what is not done, and write each result below `out` in the format of its picture, else as PNG.

    Done is what this journal knows to be made of the same bytes with the same options, as long as the result is as it was
    left. After KeyboardInterrupt, or when the process is killed, another run goes on where this one was.

    Args:
        options: all that decides about a result beside the files; anything that JSON can hold.
        told: `recipe` and `strip` of `image.save`.
        force: whether a file may be replaced that is not known to the journal, or was made of something else.
        show: told how many are through, before each.

    Raises:
        SettingError: `out` is no folder, or another process writes there.
    """
    if out.exists() and not out.is_dir():
        raise SettingError(f"{out} is no folder; name one with -o.")
    with locks.alone(out / LOCK, locks.PATIENCE) as mine:
        if not mine:
            raise SettingError(f"Another genrestore is writing to {out}; wait for it, or choose another folder.")
        for place in {(out / item.name).parent for item in todo}:
            _swept(place)
        known = _read(out / JOURNAL)
        written, skipped = 0, 0
        failures: list[Failure] = []
        for done, item in enumerate(todo):
            show(done, item)
            try:
                key = _key(item, options)
                entry = known.get(item.name.as_posix(), {})
                if entry.get("key") == key and _is_there(out, entry):
                    skipped += 1
                    continue
                # Its result will most likely be called so, which is asked before the work.
                if item.name.suffix.lower() in image.SUFFIXES:
                    _refuse(out / item.name, force)
                _write(work(item), item, key, out, force, told)
                written += 1
            except Cancelled:
                raise
            except Exception as problem:
                reason = console.sentence(problem) or f"{type(problem).__name__}: {problem}"
                failures.append(Failure(item.name, reason))
    return Outcome(written, skipped, tuple(failures))


def digest(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _key(item: Item, options: dict[str, Any]) -> str:
    """A hash of all that decides about a result."""
    return hashlib.sha256(json.dumps([options, *map(digest, item.inputs)], sort_keys=True).encode()).hexdigest()


def _write(result: Picture, item: Item, key: str, out: Path, force: bool, told: Mapping[str, bool]) -> None:
    kind = image.output(result)
    suffix = item.name.suffix
    same = image.SUFFIXES.get(suffix.lower()) == kind
    # a.gif and a.png of one folder become a.gif.png and a.png
    name = item.name if same else item.name.with_name(item.name.name + image.suffix(result))
    path = out / name
    _refuse(path, force)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{secrets.token_hex(8)}.part")
    try:
        image.save(result, part, format=kind, **told)
        entry = {"source": item.name.as_posix(), "key": key, "result": name.as_posix(), **_looks(part)}
        with (out / JOURNAL).open("a", encoding="utf-8") as journal:
            journal.write("\n" + json.dumps(entry))  # a line that a kill cut short ends here
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _refuse(path: Path, force: bool) -> None:
    if path.exists() and not force:
        raise SettingError(f"{path} exists and is of something else; replace it with --force, or choose another -o.")


def _read(journal: Path) -> dict[str, dict[str, Any]]:
    """The last entry of each source."""
    known: dict[str, dict[str, Any]] = {}
    with suppress(FileNotFoundError):
        for line in journal.read_text("utf-8", errors="replace").splitlines():
            with suppress(ValueError, KeyError, TypeError):
                entry = json.loads(line)
                known[entry["source"]] = entry
    return known


def _looks(path: Path) -> dict[str, int]:
    """What changes whenever a file does, but for its name."""
    about = path.stat()
    return {"bytes": about.st_size, "changed": about.st_mtime_ns}


def _is_there(out: Path, entry: dict[str, Any]) -> bool:
    try:
        return _looks(out / entry["result"]).items() <= entry.items()
    except OSError:
        return False


def _swept(folder: Path) -> None:
    """What a process that was killed has left unfinished is removed."""
    with suppress(FileNotFoundError):
        for path in folder.iterdir():
            if PART.fullmatch(path.name):
                path.unlink()
