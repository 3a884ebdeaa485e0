"""Where training pictures come from: a folder, a zip, arrays, a data set of torchvision; read one at a time, in order.

A reference is a path, or `torchvision:NAME` for a class of `torchvision.datasets`:

    torchvision:CIFAR10                      its files lie in $GENRESTORE_HOME/datasets
    torchvision:CIFAR10@/data                its files lie in /data
    torchvision:CIFAR10?download             fetches them where they are missing; nothing else here uses the network
    torchvision:EMNIST@/data?split=letters   further settings of the class, as it names them
"""

import ast
import csv
import difflib
import hashlib
import inspect
import io
import itertools
import json
import os
import threading
import zipfile
import zlib
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any

import numpy as np
from PIL import Image

from genrestore import image, samples
from genrestore.card import home
from genrestore.errors import Cancelled, ImageError, TrainingError

# What may be a picture, by its name; HEIC and GIF too, so that people are told what to do with them.
SUFFIXES = {
    ".avif", ".bmp", ".gif", ".heic", ".heif", ".jfif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp",
}  # fmt: skip
CAPTION_TABLES = ("captions.csv", "metadata.csv", "metadata.jsonl")  # columns file_name and text
MEMBERS = 500_000  # of a zip
UNPACKED = 64 << 30  # bytes of all pictures in a zip
THREADS = min(8, os.cpu_count() or 1)  # that hash and decode; Pillow and hashlib release the interpreter

Raw = Path | bytes | np.ndarray | ImageError  # a file, its bytes, pixels (H, W, C) uint8, or why there is none
Progress = Callable[[float, str], None]


@dataclass(frozen=True)
class Source:
    """A set of N pictures that can be read one after the other, more than once."""

    name: str
    sha256: str  # of the content
    files: tuple[str, ...]  # what to call each picture
    read: Callable[[], Iterator[Raw]]  # in the order of `files`
    samples: Callable[[], int]  # of all pictures at full size, as their headers say
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
    path = Path(reference).expanduser()
    if path.is_dir():
        return _folder(path, progress, cancel)
    readers = {".zip": _zip, ".npy": _npy, ".npz": _npz}
    if not path.is_file() or path.suffix.lower() not in readers:
        raise TrainingError(
            f"{path} is neither a folder of pictures nor a .zip, .npy or .npz file; say where the data lie with --data."
        )
    try:
        return readers[path.suffix.lower()](path, _digests([path], path, progress, cancel)[0])
    except (zipfile.BadZipFile, EOFError, OSError, ValueError, KeyError, NotImplementedError) as problem:
        raise TrainingError(f"{path} cannot be read ({problem}); copy it again, or pack it anew.") from problem


# --- content hashes --------------------------------------------------------------------------------------------------


def _digests(paths: Sequence[Path], root: Path, progress: Progress | None, cancel: threading.Event | None) -> list[str]:
    """SHA-256 of files, remembered by path, size and time of the last change; "" of one that cannot be read."""
    key = hashlib.sha256(os.fsencode(root.absolute())).hexdigest()[:32]
    memory = home() / "decoded" / "digests" / f"{key}.json"
    try:
        known: dict[str, list[Any]] = json.loads(memory.read_text("utf-8"))
    except (OSError, ValueError):
        known = {}

    def entry(path: Path) -> tuple[str, list[Any]]:
        name = os.fsencode(path.relative_to(root)).decode("utf-8", "backslashreplace")
        try:
            stat = path.stat()
            changed = [stat.st_size, stat.st_mtime_ns]
            if known.get(name, [])[:2] == changed:
                return name, known[name]
            with path.open("rb") as file:
                return name, [*changed, hashlib.file_digest(file, "sha256").hexdigest()]
        except OSError:
            return name, [0, 0, ""]

    found: dict[str, list[Any]] = {}
    for k, (name, value) in enumerate(ordered(entry, paths)):
        found[name] = value
        stop_if(cancel)
        if progress and k % 64 == 0:
            progress(k / len(paths), f"Looking at the files: {k} of {len(paths)}")
    if found != known:
        memory.parent.mkdir(parents=True, exist_ok=True)
        part = memory.with_name(f"{memory.name}.{os.getpid()}")
        part.write_text(json.dumps(found), "utf-8")
        part.replace(memory)
    return [value[2] for value in found.values()]


def ordered(function: Callable[..., Any], *items: Any) -> Iterator[Any]:
    """`map` by THREADS threads that never holds more than a few results, for each may be a large picture."""
    with ThreadPoolExecutor(THREADS) as pool:
        waiting: list[Any] = []
        try:
            for arguments in zip(*items, strict=True):
                waiting.append(pool.submit(function, *arguments))
                if len(waiting) > 2 * THREADS:
                    yield waiting.pop(0).result()
            while waiting:
                yield waiting.pop(0).result()
        finally:
            pool.shutdown(cancel_futures=True)


def stop_if(cancel: threading.Event | None) -> None:
    if cancel is not None and cancel.is_set():
        raise Cancelled("Cancelled; no picture was kept.")


# --- labels and captions ---------------------------------------------------------------------------------------------


def _picture_like(name: str) -> bool:
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


def _captions(files: Sequence[str], others: Collection[str], content: Callable[[str], bytes]) -> tuple[str, ...]:
    """The text of each picture: from a table beside them all, or from a .txt of its own name; () where there is none."""
    table: dict[str, str] = {}
    for name in CAPTION_TABLES:
        if name in others:
            table.update(_caption_table(name, content(name).decode("utf-8-sig", "replace")))
    texts: list[str] = []
    for file in files:
        own = PurePosixPath(file).with_suffix(".txt").as_posix()
        text = table.get(file, "")
        if not text and own in others:
            text = content(own).decode("utf-8-sig", "replace")
        texts.append(" ".join(text.split()))
    return tuple(texts) if any(texts) else ()


def _caption_table(name: str, text: str) -> dict[str, str]:
    rows: list[dict[str, Any]]
    try:
        if name.endswith(".jsonl"):
            rows = [json.loads(line) for line in text.splitlines() if line.strip()]
        else:
            rows = list(csv.DictReader(io.StringIO(text, newline="")))
        return {str(row["file_name"]): str(row["text"] or "") for row in rows}
    except (ValueError, KeyError, TypeError, csv.Error) as problem:
        if name != "captions.csv":  # metadata may tell something else than captions
            return {}
        raise TrainingError(f"{name} needs the columns file_name and text in its first line.") from problem


# --- folders and archives --------------------------------------------------------------------------------------------


def _content_hash(files: Sequence[str], digests: Sequence[str], captions: Sequence[str]) -> str:
    whole = hashlib.sha256()
    for name, digest in zip(files, digests, strict=True):
        whole.update(name.encode("utf-8", "surrogateescape") + bytes.fromhex(digest))
    for caption in captions:
        whole.update(caption.encode() + b"\0")
    return whole.hexdigest()


def _samples(file: Path | IO[bytes]) -> int:
    """Samples of the decoded picture, by its header; 0 where that cannot be told."""
    try:
        with Image.open(file) as header:
            return 3 * header.width * header.height
    except Exception:  # decoders raise nearly everything at damaged files
        return 0


def _folder(folder: Path, progress: Progress | None, cancel: threading.Event | None) -> Source:
    paths = {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*")) if path.is_file()}
    files = tuple(name for name in paths if _picture_like(name))
    if not files:
        raise TrainingError(f"There is no picture in {folder}; training reads {', '.join(sorted(SUFFIXES))}.")
    pictures = [paths[name] for name in files]
    digests = _digests(pictures, folder, progress, cancel)
    captions = _captions(files, paths.keys(), lambda name: paths[name].read_bytes())
    return Source(
        "/".join(folder.absolute().parts[-2:]),
        _content_hash(files, digests, captions),
        files,
        lambda: iter(pictures),
        lambda: sum(map(_samples, pictures)),
        *_class_folders(files),
        captions,
    )


def _zip(path: Path, digest: str) -> Source:
    """Members are read into memory one at a time, so what they are called decides nothing; odd names are refused all the same."""
    with zipfile.ZipFile(path) as archive:
        members = {info.filename.replace("\\", "/"): info for info in archive.infolist() if not info.is_dir()}
        _check_members(path, members)
        members = _below_shared_folder(members)
        files = tuple(sorted(name for name in members if _picture_like(name)))
        if not files:
            raise TrainingError(f"There is no picture in {path}; training reads {', '.join(sorted(SUFFIXES))}.")
        captions = _captions(files, members.keys(), lambda name: archive.read(members[name]))
    pictures = [members[name] for name in files]

    def read() -> Iterator[Raw]:
        with zipfile.ZipFile(path) as archive:
            for info in pictures:
                try:
                    yield archive.read(info)
                except Exception as problem:  # a damaged member; the decompressors raise what they like
                    yield ImageError(f"The picture is damaged in the archive ({problem}); pack it again.")

    def samples() -> int:
        total = 0
        with zipfile.ZipFile(path) as archive:
            for info in pictures:
                with archive.open(info) as member:
                    total += _samples(member)
        return total

    return Source(path.stem, digest, files, read, samples, *_class_folders(files), captions)


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
                f"{name} in {path.name} unpacks to {_gigabytes(info.file_size)}, more than the {_gigabytes(largest)} "
                "that a picture may have; take it out."
            )
    if (total := sum(info.file_size for info in members.values())) > UNPACKED:
        raise TrainingError(
            f"{path.name} unpacks to {_gigabytes(total)}, more than {_gigabytes(UNPACKED)}; unpack it and name the folder."
        )


def _below_shared_folder(members: dict[str, zipfile.ZipInfo]) -> dict[str, zipfile.ZipInfo]:
    """Without the one folder that holds everything in most archives, so that class folders come first."""
    tops = {name.partition("/")[0] if "/" in name else "" for name in members if _picture_like(name)}
    if len(tops) != 1 or "" in tops:
        return members
    return {name.removeprefix(f"{next(iter(tops))}/"): info for name, info in members.items()}


def _gigabytes(size: int) -> str:
    return f"{size / 1e9:.3g} GB"


# --- arrays ----------------------------------------------------------------------------------------------------------


def _npy(path: Path, digest: str) -> Source:
    return _arrays(path, digest, lambda: path.open("rb"), {})


def _npz(path: Path, digest: str) -> Source:
    """Arrays `images`, or encoded pictures end to end beside `offsets`; `train_` may lead. Beside them `labels` and `classes`."""
    with np.load(path, allow_pickle=False) as archive:
        keys = {key.removeprefix("train_"): key for key in archive.files if not key.startswith("test_")}
        small = {name: archive[keys[name]] for name in ("labels", "classes", "offsets") if name in keys}
        packed = next((key for key in ("jpeg", "webp", "png") if key in keys), None)
        known = ", ".join(archive.files)

    def member(name: str) -> IO[bytes]:
        return zipfile.ZipFile(path).open(f"{keys[name]}.npy")

    if "images" in keys:
        return _arrays(path, digest, lambda: member("images"), small)
    if packed and "offsets" in keys:
        return _packed(path, digest, lambda: member(packed), small)
    raise TrainingError(f"{path} holds {known}; it needs an array named images, or encoded pictures with offsets.")


def _header(file: IO[bytes], path: Path) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Shape and type of the array in an .npy; the file then stands at its first number."""
    version = np.lib.format.read_magic(file)
    if version not in ((1, 0), (2, 0)):
        raise TrainingError(f"{path} holds an array with named fields; save the plain array.")
    one = version == (1, 0)
    shape, fortran, kind = (
        np.lib.format.read_array_header_1_0(file) if one else np.lib.format.read_array_header_2_0(file)
    )
    if fortran and len(shape) > 1:
        raise TrainingError(f"{path} is in Fortran order; save it with np.ascontiguousarray.")
    return shape, kind


def _exactly(file: IO[bytes], size: int, path: Path) -> bytes:
    try:
        data = file.read(size)
    except (zipfile.BadZipFile, zlib.error, EOFError):
        data = b""
    if len(data) != size:
        raise TrainingError(f"{path} is cut off before its end; copy it again.")
    return data


def _arrays(path: Path, digest: str, opened: Callable[[], IO[bytes]], small: dict[str, np.ndarray]) -> Source:
    """(N, H, W), (N, H, W, C) or (N, C, H, W) of uint8, uint16, bool, or floats in [0, 1]."""
    with opened() as file:
        shape, kind = _header(file, path)
    forms = "uint8, uint16, bool or floats in [0, 1], of shape (N, H, W), (N, H, W, C) or (N, C, H, W)"
    last = len(shape) in (3, 4) and shape[-1] <= 4  # channels stand last
    first = len(shape) == 4 and shape[1] <= 4 and not last
    if len(shape) not in (3, 4) or kind.str[1:] not in ("u1", "u2", "b1", "f2", "f4", "f8"):
        raise TrainingError(f"{path}: images must be {forms}, not {kind} {shape}.")
    if (last if len(shape) == 3 else not (last or first)) or 0 in shape[1:]:
        raise TrainingError(f"{path}: images must be {forms}; {shape} could be anything.")
    if shape[0] == 0:
        raise TrainingError(f"{path} holds no picture.")
    count, size = shape[0], int(np.prod(shape[1:])) * kind.itemsize
    if size > image.limits().megapixels * 4e6 * kind.itemsize:
        raise TrainingError(f"{path}: pictures of {shape[1:]} are too large; scale them down first.")

    def read() -> Iterator[Raw]:
        with opened() as file:
            _header(file, path)
            for k in range(count):
                row = np.frombuffer(_exactly(file, size, path), kind).reshape(shape[1:])
                picture = row[..., None] if row.ndim == 2 else row.transpose(1, 2, 0) if first else row
                yield _bytes(picture, f"Picture {k + 1} of {path}")

    channels = 1 if len(shape) == 3 else shape[1 if first else -1]
    total = count * int(np.prod(shape[1:])) // channels * (1 if channels < 3 else 3)
    return Source(path.stem, digest, _numbered(count), read, lambda: total, *_labels(path, count, small))


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
    return np.ascontiguousarray(samples.eight(colour))


def _packed(path: Path, digest: str, opened: Callable[[], IO[bytes]], small: dict[str, np.ndarray]) -> Source:
    """Encoded pictures end to end."""
    offsets = small["offsets"]
    with opened() as file:
        shape, kind = _header(file, path)
    fitting = offsets.ndim == 1 and offsets.dtype.kind in "iu" and kind == np.uint8 and len(shape) == 1
    if not fitting or (np.diff(offsets.astype(np.int64)) < 0).any() or offsets[0] < 0 or offsets[-1] > shape[0]:
        raise TrainingError(f"{path}: offsets must be N + 1 rising numbers, the last at most the count of bytes.")
    if len(offsets) < 2:
        raise TrainingError(f"{path} holds no picture.")

    def read() -> Iterator[Raw]:
        with opened() as file:
            _header(file, path)
            _exactly(file, int(offsets[0]), path)
            for start, end in itertools.pairwise(offsets.tolist()):
                yield _exactly(file, end - start, path)

    count = len(offsets) - 1
    return Source(
        path.stem,
        digest,
        _numbered(count),
        read,
        lambda: sum(_samples(io.BytesIO(raw)) for raw in read() if isinstance(raw, bytes)),
        *_labels(path, count, small),
    )


def _numbered(count: int) -> tuple[str, ...]:
    return tuple(f"picture {k + 1}" for k in range(count))


def _labels(path: Path, count: int, small: dict[str, np.ndarray]) -> tuple[np.ndarray | None, tuple[str, ...]]:
    """What an .npz says about its pictures' classes; digits where it does not name them."""
    labels = small.get("labels")
    if labels is None:
        return None, ()
    if labels.shape != (count,) or labels.dtype.kind not in "iu" or labels.min() < 0:
        raise TrainingError(
            f"{path}: labels must be {count} whole numbers from 0 on, not {labels.dtype} {labels.shape}."
        )
    names = tuple(map(str, small["classes"])) if "classes" in small else tuple(map(str, range(int(labels.max()) + 1)))
    if labels.max() >= len(names):
        raise TrainingError(f"{path}: there is a label {labels.max()}, but only {len(names)} names in classes.")
    return labels.astype(np.int64), names


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
        near = difflib.get_close_matches(name, kinds, n=1)
        hint = f"Did you mean {near[0]!r}?" if near else "Names are spelt as in torchvision.datasets."
        raise TrainingError(f"torchvision has no data set named {name!r}. {hint}")
    folder = Path(root).expanduser() if root else home() / "datasets"
    dataset = _constructed(name, kinds[name], folder, options)
    count = len(dataset)
    if count == 0:
        raise TrainingError(f"torchvision's {name} in {folder} holds no picture.")

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
        _numbered(count),
        lambda: (raw for raw, _ in _items(dataset, name)),
        lambda: total,
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
        yield picture.rgb8() if picture.channels > 1 else samples.eight(picture.pixels), target


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
