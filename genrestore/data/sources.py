"""Where training pictures come from: a folder, a zip, arrays, a data set of torchvision; read one at a time, in order.

A reference is a path, or `torchvision:NAME` for a class of `torchvision.datasets`:

    torchvision:CIFAR10                      its files lie in $GENRESTORE_HOME/datasets
    torchvision:CIFAR10@/data                its files lie in /data
    torchvision:CIFAR10?download             fetches them where they are missing; nothing else here uses the network
    torchvision:EMNIST@/data?split=letters   further settings of the class, as it names them
"""

import ast
import csv
import hashlib
import inspect
import io
import itertools
import json
import math
import os
import re
import threading
import zipfile
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any, overload

import numpy as np
from PIL import Image

from genrestore.errors import GenrestoreError, ImageError, TrainingError, stop_if, unknown
from genrestore.paths import expanded, home, replace
from genrestore.pictures import codec, image

# What may be a picture, by its name; HEIC and GIF too, so that people are told what to do with them.
SUFFIXES = {
    ".avif", ".bmp", ".gif", ".heic", ".heif", ".jfif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp",
}  # fmt: skip
CAPTION_TABLES = ("captions.csv", "metadata.csv", "metadata.jsonl")  # columns file_name and text
MEMBERS = 500_000  # of a zip
UNPACKED = 64 << 30  # bytes of all pictures in a zip
# What is packed unpacks to this many times its size at most, if it is more than `TRIVIAL` bytes: pictures are far from it,
# while a few kilobytes that unpack to gigabytes are made to exhaust a machine.
PACKING, TRIVIAL = 200, 16 << 20
PICTURES = 2_000_000  # of one array, archive or data set
LABELS = 100_000  # classes that numbers without names may mean
NAMES = 16 << 20  # bytes of the names of classes
# Bytes of a caption's file, of a table of them, of all together.
CAPTION, TABLE, CAPTIONS = 64 << 10, 64 << 20, 256 << 20
HELD = 256 << 20  # bytes of pictures that are at work at the same time
HEADER = 10_000  # bytes of an array's header, as numpy allows
BLOCK = 1 << 20  # bytes that are passed over at once
THREADS = min(8, os.cpu_count() or 1)  # that hash and decode; Pillow and hashlib release the interpreter
UNREAD = "Cancelled; no picture was kept."

Raw = Path | bytes | np.ndarray | ImageError  # a file, its bytes, pixels (H, W, C) uint8, or why there is none
Progress = Callable[[float, str], None]


@dataclass(frozen=True)
class Source:
    """A set of N pictures that can be read one after the other, more than once."""

    name: str
    sha256: str  # of the content
    files: Sequence[str]  # what to call each picture
    read: Callable[[], Iterator[Raw]]  # in the order of `files`
    bytes: int  # that it takes as it lies there
    samples: Callable[[], np.ndarray]  # (N,) of each picture at full size, as its header says; 0 where it says nothing
    labels: np.ndarray | None = None  # (N,) int64
    classes: tuple[str, ...] = ()
    captions: tuple[str, ...] = ()  # one per picture, or none at all


def find(reference: str | Path, progress: Progress | None = None, cancel: threading.Event | None = None) -> Source:
    """The pictures that a reference names; none of them is decoded yet.

    Raises:
        TrainingError: there is nothing of that name, it holds no picture, or it is in none of these forms.
        Cancelled: `cancel` was set.
    """
    if str(reference).startswith("torchvision:"):
        return _torchvision(str(reference).removeprefix("torchvision:"))
    path = expanded(reference)
    if path.is_dir():
        return _folder(path, progress, cancel)
    readers = {".zip": _zip, ".npy": _npy, ".npz": _npz}
    if not path.is_file() or path.suffix.lower() not in readers:
        raise TrainingError(f"{path} is neither a folder of pictures nor a .zip, .npy or .npz file; check the name.")
    digest = _digests([path], path, progress, cancel)[0]
    with _unpacking(path):
        return readers[path.suffix.lower()](path, digest)


@contextmanager
def _unpacking(path: Path) -> Generator[None, None, None]:
    """Turn whatever the unpacking of a damaged file raises into one sentence: decompressors raise nearly everything.

    Raises:
        TrainingError: the file cannot be read.
    """
    try:
        yield
    except GenrestoreError:
        raise
    except Exception as problem:
        reason = shortened(str(problem)).rstrip(".") or type(problem).__name__
        raise TrainingError(f"{path} cannot be read ({reason}); copy it again, or pack it anew.") from problem


def shortened(text: str, most: int = 120) -> str:
    """On one line, with the end left out where it is long: what decoders say may hold half a file, or where an object lies."""
    line = re.sub(r" at 0x[0-9a-f]+", "", " ".join(text.split()))
    return line if len(line) <= most else f"{line[: most - 1]}…"


# --- content hashes --------------------------------------------------------------------------------------------------


def _digests(paths: Sequence[Path], root: Path, progress: Progress | None, cancel: threading.Event | None) -> list[str]:
    """SHA-256 of files, remembered by path, size and time of the last change; "" of one that cannot be read."""
    key = hashlib.sha256(os.fsencode(root.absolute())).hexdigest()[:32]
    memory = home() / "decoded" / "digests" / f"{key}.json"
    known = _remembered(memory)

    def entry(path: Path) -> tuple[str, list[Any]]:
        name = os.fsencode(path.relative_to(root)).decode("utf-8", "backslashreplace")
        try:
            stat = path.stat()
            changed = [stat.st_size, stat.st_mtime_ns]
            if name in known and known[name][:2] == changed:
                return name, known[name]
            with path.open("rb") as file:
                return name, [*changed, hashlib.file_digest(file, "sha256").hexdigest()]
        except OSError:
            return name, [0, 0, ""]

    found: dict[str, list[Any]] = {}
    for k, (name, value) in enumerate(ordered(entry, paths)):
        found[name] = value
        stop_if(cancel, UNREAD)
        if progress and k % 64 == 0:
            progress(k / len(paths), f"Looking at the files: {k} of {len(paths)}")
    if found != known:
        memory.parent.mkdir(parents=True, exist_ok=True)
        replace(memory, json.dumps(found))
    return [value[2] for value in found.values()]


def _remembered(memory: Path) -> dict[str, list[Any]]:
    """(size, time of the last change, SHA-256) by name; nothing where the file is damaged."""
    try:
        found = json.loads(memory.read_text("utf-8"))
        whole = all(len(entry) == 3 and re.fullmatch("[0-9a-f]{64}|", entry[2]) for entry in found.values())
        return found if whole else {}
    except (OSError, ValueError, AttributeError, TypeError, KeyError, RecursionError):
        return {}


def ordered(function: Callable[..., Any], *items: Any, weights: Iterable[int] | None = None) -> Iterator[Any]:
    """`map` by THREADS threads that never holds more than a few results, for each may be a large picture.

    With `weights`, the bytes that each takes, as many are at work as take HELD together, and one in any case.
    """
    with ThreadPoolExecutor(THREADS) as pool:
        waiting: deque[tuple[Future[Any], int]] = deque()
        held = 0
        try:
            for weight, *arguments in zip(itertools.repeat(0) if weights is None else weights, *items, strict=False):
                while waiting and (held + weight > HELD or len(waiting) > 2 * THREADS):
                    done, freed = waiting.popleft()
                    held -= freed
                    yield done.result()
                waiting.append((pool.submit(function, *arguments), weight))
                held += weight
            while waiting:
                yield waiting.popleft()[0].result()
        finally:
            pool.shutdown(cancel_futures=True)


# --- labels and captions ---------------------------------------------------------------------------------------------


def picture_like(name: str) -> bool:
    """Whether a relative name may be a picture; files that systems leave behind are none."""
    path = PurePosixPath(name)
    hidden = any(part.startswith(".") or part == "__MACOSX" for part in path.parts)
    return not hidden and path.suffix.lower() in SUFFIXES


def _class_folders(files: Sequence[str]) -> tuple[np.ndarray | None, tuple[str, ...]]:
    """Labels by the first folder, where every picture lies in one and there are several."""
    folders = [name.partition("/")[0] if "/" in name else "" for name in files]
    classes = sorted(set(folders))
    if "" in classes or len(classes) < 2:
        return None, ()
    place = {name: k for k, name in enumerate(classes)}
    return np.array([place[folder] for folder in folders]), tuple(classes)


def _captions(files: Sequence[str], others: Mapping[str, int], content: Callable[[str], bytes]) -> tuple[str, ...]:
    """The text of each picture: from a table beside them all, or from a .txt of its own name; () where there is none.

    Args:
        others: the bytes of each file that lies there, by name.
        content: of one of them.

    Raises:
        TrainingError: a file is longer than a caption or a table of them can be, or a table lacks its columns.
    """
    table: dict[str, str] = {}
    for name in CAPTION_TABLES:
        if others.get(name, 0) > TABLE and name == "captions.csv":
            raise TrainingError(f"{name} has more than {_size(TABLE)}; shorten the captions.")
        if 0 < others.get(name, 0) <= TABLE:
            table.update(_caption_table(name, content(name).decode("utf-8-sig", "replace")))
    texts: list[str] = []
    total = 0
    for file in files:
        own = PurePosixPath(file).with_suffix(".txt").as_posix()
        text = table.get(file, "")
        if not text and own in others:
            if others[own] > CAPTION:
                raise TrainingError(
                    f"{own} has {_size(others[own])}, more than the {_size(CAPTION)} of a caption; shorten it, or take it away."
                )
            text = content(own).decode("utf-8-sig", "replace")
        text = " ".join(text.split())
        total += len(text)
        if total > CAPTIONS:
            raise TrainingError(f"The captions have more than {_size(CAPTIONS)} together; shorten them.")
        texts.append(text)
    return tuple(texts) if any(texts) else ()


def _caption_table(name: str, text: str) -> dict[str, str]:
    rows: list[dict[str, Any]]
    try:
        if name.endswith(".jsonl"):
            rows = [json.loads(line) for line in text.splitlines() if line.strip()]
        else:
            rows = list(csv.DictReader(io.StringIO(text, newline="")))
        return {str(row["file_name"]): str(row["text"] or "") for row in rows}
    except (ValueError, KeyError, TypeError, RecursionError, csv.Error) as problem:
        if name != "captions.csv":  # metadata may tell something else than captions
            return {}
        if isinstance(problem, csv.Error):  # such as a caption that is far too long
            raise TrainingError(
                f"{name} cannot be read ({problem}); shorten its captions, or write it anew."
            ) from problem
        raise TrainingError(f"{name} needs the columns file_name and text in its first line.") from problem


# --- folders and archives --------------------------------------------------------------------------------------------


def _content_hash(files: Sequence[str], digests: Sequence[str], captions: Sequence[str]) -> str:
    whole = hashlib.sha256()
    for name, digest in zip(files, digests, strict=True):
        whole.update(name.encode("utf-8", "surrogateescape") + bytes.fromhex(digest))
    for caption in captions:
        whole.update(caption.encode() + b"\0")
    return whole.hexdigest()


def _samples(read: Callable[[], Iterator[Raw]]) -> np.ndarray:
    """(N,) samples of each decoded picture, by its header; 0 where that cannot be told."""

    def of(raw: Raw) -> int:
        if isinstance(raw, np.ndarray):
            return raw.size
        try:
            if isinstance(raw, ImageError):
                return 0
            found = image.header(raw)
        except ImageError:
            return 0
        return 3 * found.width * found.height

    return np.fromiter(ordered(of, read()), np.int64)


def _folder(folder: Path, progress: Progress | None, cancel: threading.Event | None) -> Source:
    paths = {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*")) if path.is_file()}
    files = tuple(name for name in paths if picture_like(name))
    if not files:
        raise TrainingError(f"There is no picture in {folder}; training reads {', '.join(sorted(SUFFIXES))}.")
    pictures = [paths[name] for name in files]
    digests = _digests(pictures, folder, progress, cancel)
    sizes = {name: _file_size(path) for name, path in paths.items()}
    captions = _captions(files, sizes, lambda name: paths[name].read_bytes())
    return Source(
        "/".join(folder.absolute().parts[-2:]),
        _content_hash(files, digests, captions),
        files,
        lambda: iter(pictures),
        sum(sizes[name] for name in files),
        lambda: _samples(lambda: iter(pictures)),
        *_class_folders(files),
        captions,
    )


def _file_size(path: Path) -> int:
    """0 where it cannot be told."""
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _zip(path: Path, digest: str) -> Source:
    """Members are read into memory one at a time, so what they are called decides nothing; odd names are refused all the same."""
    with zipfile.ZipFile(path) as archive:
        members = {info.filename.replace("\\", "/"): info for info in archive.infolist() if not info.is_dir()}
        _check_members(path, members)
        members = _below_shared_folder(members)
        files = tuple(sorted(name for name in members if picture_like(name)))
        if not files:
            raise TrainingError(f"There is no picture in {path}; training reads {', '.join(sorted(SUFFIXES))}.")
        sizes = {name: info.file_size for name, info in members.items()}
        captions = _captions(files, sizes, lambda name: archive.read(members[name]))
    pictures = [members[name] for name in files]

    def read() -> Iterator[Raw]:
        with zipfile.ZipFile(path) as archive:
            for info in pictures:
                try:
                    yield archive.read(info)
                except Exception as problem:  # a damaged member; the decompressors raise what they like
                    yield ImageError(f"The picture is damaged in the archive ({problem}); pack it again.")

    size = path.stat().st_size
    return Source(path.stem, digest, files, read, size, lambda: _samples(read), *_class_folders(files), captions)


def _check_members(path: Path, members: dict[str, zipfile.ZipInfo]) -> None:
    """Refuse an archive before anything in it is unpacked.

    What a member declares is all that `zipfile` ever unpacks of it, so the declared sizes bound memory and time.
    """
    if len(members) > MEMBERS:
        raise TrainingError(f"{path.name} holds {len(members)} files, more than {MEMBERS}; split it.")
    largest = image.limits().bytes
    for name, info in members.items():
        if name.startswith("/") or any(part == ".." or part.endswith(":") for part in PurePosixPath(name).parts):
            raise TrainingError(f"{path.name} holds a file named {name}, outside of the archive; pack it again.")
        if info.flag_bits & 1:
            raise TrainingError(f"{path.name} is encrypted; pack it again without a password.")
        if info.file_size > largest:
            raise TrainingError(
                f"{name} in {path.name} unpacks to {_size(info.file_size)}, more than the {_size(largest)} "
                "that a picture may have; take it out."
            )
    if (total := sum(info.file_size for info in members.values())) > UNPACKED:
        raise TrainingError(
            f"{path.name} unpacks to {_size(total)}, more than {_size(UNPACKED)}; unpack it and name the folder."
        )
    _check_packing(path, total)


def _check_packing(path: Path, total: int) -> None:
    """Raises:
    TrainingError: the file claims to unpack to far more than pictures do.
    """
    if total > max(TRIVIAL, PACKING * path.stat().st_size):
        raise TrainingError(
            f"{path.name} unpacks to {_size(total)}, more than {PACKING} times its size, which no pictures do; pack it anew."
        )


def _below_shared_folder(members: dict[str, zipfile.ZipInfo]) -> dict[str, zipfile.ZipInfo]:
    """Without the one folder that holds everything in most archives, so that class folders come first."""
    tops = {name.partition("/")[0] if "/" in name else "" for name in members if picture_like(name)}
    if len(tops) != 1 or "" in tops:
        return members
    return {name.removeprefix(f"{next(iter(tops))}/"): info for name, info in members.items()}


def gigabytes(count: float) -> str:
    return f"{count / 1e9:.1f} GB"


def _size(count: int) -> str:
    unit = next((unit for unit in (("GB", 1e9), ("MB", 1e6)) if count >= unit[1]), ("kB", 1e3))
    return f"{count / unit[1]:.3g} {unit[0]}"


# --- arrays ----------------------------------------------------------------------------------------------------------


def _npy(path: Path, digest: str) -> Source:
    return _arrays(path, digest, lambda: path.open("rb"), path.stat().st_size, {})


def _npz(path: Path, digest: str) -> Source:
    """Arrays `images`, or encoded pictures end to end beside `offsets`; `labels`, `classes`, `captions`; `train_` may lead."""
    with zipfile.ZipFile(path) as archive:
        members = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
        _check_packing(path, sum(info.file_size for info in members.values()))
        keys = {key.removeprefix("train_"): key for key in members if not key.startswith("test_")}
        limits = {"labels": 8 * PICTURES, "offsets": 8 * (PICTURES + 1), "classes": NAMES, "captions": 4 * CAPTIONS}
        small = {
            name: _small(path, archive, members[keys[name]], limit) for name, limit in limits.items() if name in keys
        }
        packed = next((key for key in ("jpeg", "webp", "png") if key in keys), None)
        known = ", ".join(members) or "nothing"

    def member(name: str) -> IO[bytes]:
        return zipfile.ZipFile(path).open(members[keys[name]])

    if "images" in keys:
        return _arrays(path, digest, lambda: member("images"), members[keys["images"]].file_size, small)
    if packed and "offsets" in keys:
        return _packed(path, digest, lambda: member(packed), members[keys[packed]].file_size, small)
    raise TrainingError(f"{path} holds {known}; it needs an array named images, or encoded pictures with offsets.")


def _small(path: Path, archive: zipfile.ZipFile, member: zipfile.ZipInfo, limit: int) -> np.ndarray:
    """One row of numbers or names, not more than `limit` bytes."""
    with archive.open(member) as file:
        shape, kind = _header(file, path)
        if len(shape) != 1 or kind.kind not in "iufbUS" or shape[0] * kind.itemsize > limit:
            what = f"{kind} {shape}" if len(str(shape)) < 80 else "such an array"
            raise TrainingError(f"{path}: {member.filename} must be one row of numbers or names, not {what}.")
        return np.frombuffer(_exactly(file, shape[0] * kind.itemsize, path), kind)


def _header(file: IO[bytes], path: Path) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Shape and type of the array in an .npy; the file then stands at its first number."""
    version = np.lib.format.read_magic(file)
    if version not in ((1, 0), (2, 0)):
        raise TrainingError(f"{path} holds an array with named fields; save the plain array.")
    told = file.read(2 if version == (1, 0) else 4)
    length = int.from_bytes(told, "little")
    if length > HEADER:  # numpy would first ask for as much memory
        raise TrainingError(f"{path} has a header that makes no sense; save the array again.")
    head = io.BytesIO(told + file.read(length))
    one = version == (1, 0)
    shape, fortran, kind = (
        np.lib.format.read_array_header_1_0(head) if one else np.lib.format.read_array_header_2_0(head)
    )
    if any(length < 0 for length in shape):
        raise TrainingError(f"{path} holds an array of a negative size; save it again.")
    if fortran and len(shape) > 1:
        raise TrainingError(f"{path} is in Fortran order; save it with np.ascontiguousarray.")
    return shape, kind


def _exactly(file: IO[bytes], size: int, path: Path) -> bytes:
    try:
        data = file.read(size)
    except Exception:  # decompressors raise nearly everything at damaged files
        data = b""
    if len(data) != size:
        raise TrainingError(f"{path} is cut off before its end, or damaged; copy it again.")
    return data


def _skip(file: IO[bytes], size: int, path: Path) -> None:
    for start in range(0, size, BLOCK):
        _exactly(file, min(BLOCK, size - start), path)


def _arrays(
    path: Path, digest: str, opened: Callable[[], IO[bytes]], length: int, small: dict[str, np.ndarray]
) -> Source:
    """(N, H, W), (N, H, W, C) or (N, C, H, W) of uint8, uint16, bool, or floats in [0, 1], in a file of `length` bytes."""
    with opened() as file:
        shape, kind = _header(file, path)
    forms = "uint8, uint16, bool or floats in [0, 1], of shape (N, H, W), (N, H, W, C) or (N, C, H, W)"
    last = len(shape) in (3, 4) and shape[-1] <= 4  # channels stand last
    first = len(shape) == 4 and shape[1] <= 4 and not last
    if len(shape) not in (3, 4) or kind.str[1:] not in ("u1", "u2", "b1", "f2", "f4", "f8"):
        raise TrainingError(
            f"{path}: images must be {forms}, not {kind} {shape if len(shape) < 9 else ''}".rstrip() + "."
        )
    if (last if len(shape) == 3 else not (last or first)) or 0 in shape[1:]:
        raise TrainingError(f"{path}: images must be {forms}; {shape} could be anything.")
    if shape[0] == 0:
        raise TrainingError(f"{path} holds no picture.")
    count, each = shape[0], math.prod(shape[1:])
    size = each * kind.itemsize
    if count * size > length:
        raise TrainingError(
            f"{path} is cut off before its end: {count} pictures take {_size(count * size)}, and it holds {_size(length)}; "
            "copy it again."
        )
    if each > image.limits().megapixels * 4e6:
        raise TrainingError(f"{path}: pictures of {shape[1:]} are too large; scale them down first.")
    _check_count(path, count)

    def read() -> Iterator[Raw]:
        with opened() as file:
            _header(file, path)
            for k in range(count):
                row = np.frombuffer(_exactly(file, size, path), kind).reshape(shape[1:])
                picture = row[..., None] if row.ndim == 2 else row.transpose(1, 2, 0) if first else row
                yield _bytes(picture, f"Picture {k + 1} of {path}")

    channels = 1 if len(shape) == 3 else shape[1 if first else -1]
    samples = np.broadcast_to(np.int64(each // channels * (1 if channels < 3 else 3)), count)
    told = *_labels(path, count, small), _npz_captions(path, count, small)
    return Source(path.stem, digest, Numbered(count), read, path.stat().st_size, lambda: samples, *told)


def _check_count(path: Path | str, count: int) -> None:
    if count > PICTURES:
        raise TrainingError(f"{path} holds {count} pictures, more than {PICTURES}; split it.")


def _bytes(picture: np.ndarray, name: str) -> np.ndarray:
    """(H, W, 1 or 3) uint8; alpha is dropped."""
    colour = picture[..., :1] if picture.shape[2] < 3 else picture[..., :3]
    if colour.dtype == np.bool_:
        colour = colour * np.uint8(255)
    elif colour.dtype.kind == "f":
        if not (colour.min() >= 0 and colour.max() <= 1):  # NaN too
            raise TrainingError(
                f"{name} holds numbers from {colour.min():.4g} to {colour.max():.4g}; floats must lie in [0, 1]."
            )
        colour = np.rint(colour.astype(np.float32) * 255).astype(np.uint8)
    return np.ascontiguousarray(codec.eight(colour))


def _packed(
    path: Path, digest: str, opened: Callable[[], IO[bytes]], length: int, small: dict[str, np.ndarray]
) -> Source:
    """Encoded pictures end to end, in a file of `length` bytes."""
    offsets = small["offsets"]
    with opened() as file:
        shape, kind = _header(file, path)
    fitting = offsets.dtype.kind in "iu" and kind == np.uint8 and len(shape) == 1 and shape[0] <= length
    if fitting and len(offsets):
        rising = bool((offsets[1:] > offsets[:-1]).all())  # differences of unsigned numbers would never be negative
        fitting = rising and offsets[0] >= 0 and offsets[-1] <= shape[0]
    if not fitting:
        raise TrainingError(f"{path}: offsets must be N + 1 rising numbers, the last at most the count of bytes.")
    if len(offsets) < 2:
        raise TrainingError(f"{path} holds no picture.")
    count = len(offsets) - 1
    _check_count(path, count)

    def read() -> Iterator[Raw]:
        with opened() as file:
            _header(file, path)
            _skip(file, int(offsets[0]), path)
            for start, end in itertools.pairwise(offsets.tolist()):
                if end - start > image.limits().bytes:
                    _skip(file, end - start, path)
                    yield ImageError(
                        f"The picture has {_size(end - start)}, more than a picture may have; save it smaller."
                    )
                else:
                    yield _exactly(file, end - start, path)

    told = *_labels(path, count, small), _npz_captions(path, count, small)
    return Source(path.stem, digest, Numbered(count), read, path.stat().st_size, lambda: _samples(read), *told)


class Numbered(Sequence[str]):
    """What N pictures without names are called: "picture 1" and so on."""

    def __init__(self, count: int) -> None:
        self.total = count

    def __len__(self) -> int:
        return self.total

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> list[str]: ...
    def __getitem__(self, index: int | slice) -> str | list[str]:
        places = range(1, self.total + 1)[index]
        return f"picture {places}" if isinstance(places, int) else [f"picture {place}" for place in places]


def _labels(path: Path, count: int, small: dict[str, np.ndarray]) -> tuple[np.ndarray | None, tuple[str, ...]]:
    """What an .npz says about its pictures' classes; digits where it does not name them."""
    labels = small.get("labels")
    if labels is None:
        return None, ()
    if labels.shape != (count,) or labels.dtype.kind not in "iu" or labels.min() < 0:
        raise TrainingError(
            f"{path}: labels must be {count} whole numbers from 0 on, not {labels.dtype} {labels.shape}."
        )
    highest = int(labels.max())
    if "classes" not in small and highest >= LABELS:
        raise TrainingError(
            f"{path}: there is a label {highest}; labels count the classes, from 0 to {LABELS - 1} at most."
        )
    names = tuple(map(str, small["classes"])) if "classes" in small else tuple(map(str, range(highest + 1)))
    if highest >= len(names):
        raise TrainingError(f"{path}: there is a label {highest}, but only {len(names)} names in classes.")
    return labels.astype(np.int64), names


def _npz_captions(path: Path, count: int, small: dict[str, np.ndarray]) -> tuple[str, ...]:
    """What an .npz says in words of each picture, if it does."""
    if "captions" not in small:
        return ()
    captions = small["captions"]
    if captions.shape != (count,) or captions.dtype.kind != "U":
        raise TrainingError(f"{path}: captions must be {count} texts, not {captions.dtype} {captions.shape}.")
    texts = tuple(" ".join(str(text).split()) for text in captions)
    if sum(map(len, texts)) > CAPTIONS:
        raise TrainingError(f"{path}: its captions have more than {_size(CAPTIONS)} together; shorten them.")
    return texts if any(texts) else ()


# --- torchvision -----------------------------------------------------------------------------------------------------


def _torchvision(reference: str) -> Source:
    """NAME[@ROOT][?setting=value&download]; by torchvision's own settings this is the training part."""
    try:
        from torchvision import datasets
    except ImportError as problem:
        raise TrainingError("torchvision is not installed here; install it, or name a folder of pictures.") from problem
    path, _, options = reference.partition("?")
    name, _, root = path.partition("@")
    kinds = {kind: getattr(datasets, kind) for kind in datasets.__all__ if kind != "VisionDataset"}
    if name not in kinds:
        hint = "Names are spelt as in torchvision.datasets."
        raise unknown("data set of torchvision", name, kinds, hint, TrainingError)
    folder = expanded(root) if root else home() / "datasets"
    dataset = _constructed(name, kinds[name], folder, options)
    count = len(dataset)
    if count == 0:
        raise TrainingError(f"torchvision's {name} in {folder} holds no picture.")
    _check_count(f"torchvision's {name}", count)

    digest, total = hashlib.sha256(), 0
    array = getattr(dataset, "data", None)  # of sets that lie in memory
    targets = next((found for key in ("targets", "labels") if (found := getattr(dataset, key, None)) is not None), None)
    if hasattr(array, "__array__"):
        whole = np.ascontiguousarray(array)
        digest.update(str(whole.shape).encode() + whole.tobytes())
        total = whole.size
    else:
        targets = []
        for raw, target in _items(dataset, name):
            targets.append(target)
            if isinstance(raw, np.ndarray):
                digest.update(str(raw.shape).encode() + raw.tobytes())
                total += raw.size
    return Source(
        name,
        digest.hexdigest(),
        Numbered(count),
        lambda: (raw for raw, _ in _items(dataset, name)),
        total,
        lambda: np.full(count, -(-total // count)),
        *_labels(folder, count, _classes(dataset, count, targets)),
    )


def _items(dataset: Any, name: str) -> Iterator[tuple[Raw, Any]]:
    """Each picture and what stands beside it."""
    for k in range(len(dataset)):
        try:
            item = dataset[k]
        except (OSError, SyntaxError, ValueError) as problem:
            yield ImageError(f"The picture cannot be read ({problem}); fetch the data set again."), None
            continue
        drawing, target = item[:2] if isinstance(item, tuple) else (item, None)
        if not isinstance(drawing, Image.Image):
            raise TrainingError(f"torchvision's {name} does not give pictures; choose another data set.")
        picture = image.load(drawing)
        yield picture.rgb8() if picture.channels > 1 else codec.eight(picture.pixels), target


def _classes(dataset: Any, count: int, targets: Any) -> dict[str, np.ndarray]:
    """Labels and their names as an .npz would hold them, where each picture has one whole number beside it."""
    try:
        labels = np.asarray(targets)
    except ValueError:  # lists of unequal length
        return {}
    if labels.shape != (count,) or labels.dtype.kind not in "iu" or labels.min() < 0:
        return {}
    names = getattr(dataset, "classes", None)
    if isinstance(names, list | tuple) and len(names) > labels.max():
        return {"labels": labels, "classes": np.array([str(name) for name in names])}
    return {"labels": labels}


def _constructed(name: str, kind: Any, folder: Path, options: str) -> Any:
    parameters = inspect.signature(kind).parameters
    pairs = [option.partition("=") for option in options.split("&") if option]
    wishes = {key: value for key, _, value in pairs}
    if unknown := sorted(set(wishes) - set(parameters) - {"download"}):
        raise TrainingError(f"torchvision's {name} has no setting {unknown[0]!r}; it has {', '.join(parameters)}.")
    settings: dict[str, Any] = {"root": str(folder), "download": "download" in wishes}
    settings = {key: value for key, value in settings.items() if key in parameters}
    settings |= {key: _literal(value) for key, value in wishes.items() if key != "download"}
    try:
        return kind(**settings)
    except TypeError as problem:
        raise TrainingError(
            f"torchvision's {name} needs more settings ({problem}); name them behind it, as in ?split=train."
        ) from problem
    except Exception as problem:  # each set has its own words for missing files
        reason = (str(problem).splitlines() or [type(problem).__name__])[0].rstrip(".")
        raise TrainingError(
            f"torchvision cannot read {name} in {folder} ({reason}); put its files there, or add ?download to the name."
        ) from problem


def _literal(text: str) -> Any:
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text
