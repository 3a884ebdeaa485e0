"""The one pass over a set of pictures: each is decoded once, looked at, and kept as plain samples among the user's files."""

import errno
import io
import math
import os
import re
import secrets
import shutil
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

from genrestore.data import augment, degrade, sources
from genrestore.data.facts import Facts, Look, look, unreadable
from genrestore.data.sources import Progress, Raw, Source, gigabytes
from genrestore.errors import ImageError, TrainingError, stop_if
from genrestore.locks import PATIENCE, Lock
from genrestore.paths import home
from genrestore.pictures import image
from genrestore.recipe import TrainRecipe

USED = "used"  # a file in each set: when it was changed, the set was used; who reads from the set holds its lock
CACHE, CACHE_PUBLIC = 64_000_000_000, 4_000_000_000  # bytes of all sets, where GENRESTORE_CACHE_GB tells nothing else
# Pictures have this many times the bytes of their files at most, if it is more than `TRIVIAL`; photographs have 10 to 30.
UNPACKING, TRIVIAL = 1000, 1 << 30
ABANDONED = 24 * 3600.0  # seconds after which a half-written folder belongs to no living process
HASHING = 0.2  # share of the pass that looks at the files' content
LOOKS = 1024  # pictures whose facts are computed together


# --- what a recipe asks of its pictures ------------------------------------------------------------------------------


def side(recipe: TrainRecipe) -> int:
    """Pixels a side that a picture is resized to, or that are cut out of it."""
    return recipe.size + 2 * degrade.find(recipe.degrade).margin


def need(recipe: TrainRecipe) -> int:
    """Pixels that the shorter side of a picture must have; a whole one may be enlarged twice."""
    return side(recipe) if recipe.frame == "crop" else (recipe.size + 1) // 2


def check(recipe: TrainRecipe) -> None:
    """Raises:
    TrainingError: the recipe names an augmentation or a degradation that is not there, or they do not fit its size.
    """
    for name in recipe.augment:
        augment.find(name)
    scale = degrade.find(recipe.degrade).scale
    if recipe.size % scale:
        raise TrainingError(f"size must be a multiple of {scale} for {recipe.degrade}, not {recipe.size}.")


# --- where they are kept ---------------------------------------------------------------------------------------------


def cache() -> Path:
    """The folder of decoded pictures, among the user's files."""
    return home() / "decoded"


def cache_limit() -> int:
    """Bytes that decoded pictures may take: $GENRESTORE_CACHE_GB, or else as `image.Limits` is, generous or strict.

    Raises:
        TrainingError: the setting is no number.
    """
    told = os.environ.get("GENRESTORE_CACHE_GB", "").strip()
    if not told:
        return CACHE if image.limits() == image.Limits.local() else CACHE_PUBLIC
    try:
        gigabytes = float(told)
    except ValueError:
        gigabytes = math.nan
    if not 0 <= gigabytes < 1e6:
        raise TrainingError(f"GENRESTORE_CACHE_GB must be a number of gigabytes such as 20, not {told!r}.")
    return int(gigabytes * 1e9)


def empty(keep: int = 0) -> int:
    """Remove decoded pictures, those first that were not used for the longest time, until they take `keep` bytes or fewer.

    What a training, here or in another process, still reads from stays. The pictures themselves are elsewhere: what is
    removed will be decoded anew when it is needed.

    Returns: the bytes that were freed.
    """
    _sweep()
    sizes = {shapes.parent: _size(shapes.parent) for shapes in cache().glob("*/shapes.npy")}
    left = sum(sizes.values())
    before = left
    for folder in sorted(sizes, key=_last_use):
        if left > keep and _removed(folder):
            left -= sizes[folder]
    return before - left


def taken() -> int:
    """Bytes that decoded pictures take now."""
    return sum(_size(shapes.parent) for shapes in cache().glob("*/shapes.npy"))


def _last_use(folder: Path) -> float:
    """When a set was last used, in seconds since 1970."""
    with suppress(OSError):  # removed meanwhile
        return (folder / USED).stat().st_mtime
    return 0.0


def _removed(folder: Path) -> bool:
    """Whether a set could be removed: not where somebody reads from it."""
    lock = Lock(folder / USED)
    part = folder.with_name(f"{folder.name}.{secrets.token_hex(4)}.part")
    try:
        if not lock.take():
            return False
        folder.rename(part)  # in one move, so that nobody finds a part of it
    except OSError:  # gone, or in use where open files cannot be moved
        return False
    finally:
        lock.leave()
    shutil.rmtree(part, ignore_errors=True)
    return True


def _size(folder: Path) -> int:
    with suppress(OSError):
        return sum(file.stat().st_size for file in folder.iterdir())
    return 0


def _sweep() -> None:
    """Remove what a killed process left half-written."""
    for part in cache().glob("*.part"):
        with suppress(OSError):
            newest = max((file.stat().st_mtime for file in part.glob("*")), default=part.stat().st_mtime)
            if time.time() - newest > ABANDONED:
                shutil.rmtree(part, ignore_errors=True)


# --- the pass ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Decoded:
    """A set after its one pass: all that decode lie in `folder`, facts are known of every one."""

    source: Source
    folder: Path
    facts: Facts
    shapes: np.ndarray  # (M, 3) of those that decode
    use: Lock  # as long as it is held, nobody removes the folder

    @property
    def name(self) -> str:
        return self.source.name


def decode(
    reference: str | Path,
    recipe: TrainRecipe,
    *,
    progress: Progress | None = None,
    cancel: threading.Event | None = None,
) -> Decoded:
    """Every picture of a set decoded and looked at, once for all runs and checks.

    What comes of it lies in `decoded` among the user's files, in a folder named after the content; it appears there in one
    move, so that a crash leaves nothing or all of it. All sets together take `cache_limit` bytes at most: those go first
    that were not used for the longest time.

    Raises: as `read`, but no single picture is an error.
    """
    check(recipe)
    hashing = (lambda share, text: progress(share * HASHING, text)) if progress else None
    try:
        source = sources.find(reference, hashing, cancel)
        whole = side(recipe) if recipe.frame == "whole" else None
        name = re.sub(r"[^A-Za-z0-9._-]+", "-", source.name)[-40:]
        folder = cache() / f"{name}-{source.sha256[:16]}-{whole or 'full'}"
        if (kept := _kept(source, folder)) is not None:
            return kept
        cache().mkdir(parents=True, exist_ok=True)
        samples = source.samples()
        _make_room(source, samples, whole)
        part = cache() / f"{folder.name}.{secrets.token_hex(4)}.part"
        try:
            part.mkdir()
            _decode_into(part, source, whole, samples, progress, cancel)
            (part / USED).touch()
            kept = _kept(source, folder)  # another process was quicker
            if kept is None:
                shutil.rmtree(folder, ignore_errors=True)
                part.rename(folder)
                kept = _kept(source, folder)
        finally:
            shutil.rmtree(part, ignore_errors=True)
    except OSError as problem:
        full = problem.errno in (errno.ENOSPC, errno.EDQUOT)
        reason = "the disk is full" if full else problem.strerror or str(problem)
        raise TrainingError(
            f"Decoded pictures cannot be kept in {cache()} ({reason}); free some room, or set GENRESTORE_HOME to another folder."
        ) from problem
    if kept is None:
        raise TrainingError(f"The decoded pictures in {folder} were removed at once; start again to decode them anew.")
    return kept


def _kept(source: Source, folder: Path) -> Decoded | None:
    """What an earlier pass left, if it is whole."""
    used = Lock(folder / USED, shared=True)
    try:
        if (folder / "shapes.npy").exists():
            (folder / USED).touch()
        if not used.take(PATIENCE):
            return None
        shapes = np.load(folder / "shapes.npy")
        facts = Facts.read(folder / "facts.npz")
        length = (folder / "pixels.bin").stat().st_size
        sound = sum(not problem for problem in facts.problems)
        whole = shapes.shape == (sound, 3) and length == shapes.prod(1).sum() and len(facts) == len(source.files)
    except Exception:  # readers of arrays raise nearly everything at damaged files; what they hold is decoded anew
        return None
    return Decoded(source, folder, facts, shapes, used) if whole else None


def _make_room(source: Source, samples: np.ndarray, whole: int | None) -> None:
    """Raises:
    TrainingError: the pictures are larger than their files can honestly make them, or would fill cache or disk.
    """
    total = int(samples.sum())
    if total > max(TRIVIAL, UNPACKING * source.bytes):
        raise TrainingError(
            f"{source.name} decodes to {gigabytes(total)}, more than {UNPACKING} times its size, which no photographs do; "
            "scale its pictures down, or take the empty ones out."
        )
    needed = len(source.files) * whole * whole * 3 if whole else total
    if needed > (limit := cache_limit()):
        raise TrainingError(
            f"Decoding {source.name} needs {gigabytes(needed)}, more than the {gigabytes(limit)} that decoded pictures may take; "
            f"give fewer or smaller pictures, or set GENRESTORE_CACHE_GB to {math.ceil(needed / 1e9)}."
        )
    empty(limit - needed)
    free = shutil.disk_usage(cache()).free
    if needed > free:
        raise TrainingError(
            f"Decoding {source.name} needs {gigabytes(needed)} in {cache()}, where {gigabytes(free)} are free; free some "
            "room, or set GENRESTORE_HOME to a folder on a larger disk."
        )


def _decode_into(
    folder: Path, source: Source, whole: int | None, samples: np.ndarray, progress: Progress | None,
    cancel: threading.Event | None,
) -> None:  # fmt: skip
    """Write pixels.bin, facts.npz and shapes.npy."""
    shapes: list[tuple[int, ...]] = []
    facts: list[Facts] = []
    looks: list[Look] = []
    count = len(source.files)
    passed = sources.ordered(
        lambda raw, file: _decoded(raw, file, whole), source.read(), source.files, weights=samples.tolist()
    )
    with (folder / "pixels.bin").open("wb") as sink:
        for done, (looked, pixels) in enumerate(passed, 1):
            stop_if(cancel, sources.UNREAD)
            if pixels is not None:
                sink.write(np.ascontiguousarray(pixels).data)
                shapes.append(pixels.shape)
            looks.append(looked)
            if len(looks) == LOOKS or done == count:
                facts.append(Facts.of(looks))
                looks.clear()
            if progress and (done % 64 == 0 or done == count):
                progress(HASHING + (1 - HASHING) * done / count, f"Reading the pictures: {done} of {count}")
    Facts.joined(facts).write(folder / "facts.npz")
    np.save(folder / "shapes.npy", np.array(shapes, dtype=np.int64).reshape(-1, 3))


def _decoded(raw: Raw, file: str, whole: int | None) -> tuple[Look, np.ndarray | None]:
    """A look at a picture, and its pixels (H, W, 1 or 3) uint8 at full size or as a square of `whole` pixels."""
    try:
        if isinstance(raw, ImageError):
            raise raw
        if isinstance(raw, np.ndarray):
            pixels, mode = raw, "grey" if raw.shape[2] == 1 else "RGB"
        else:
            picture = image.load(raw)
            pixels, mode = picture.rgb8(), _mode(picture, raw)
    except ImageError as problem:
        called = raw.name if isinstance(raw, Path) else "The picture"
        return unreadable(str(problem).replace(called, file, 1)), None
    return look(pixels, mode), pixels if whole is None or pixels.shape[:2] == (whole, whole) else square(pixels, whole)


def _mode(picture: image.Picture, raw: Path | bytes) -> str:
    """What the file held. CMYK is RGB once it is read; only TIFF, and JPEG whose coding was not kept, may have been it."""
    if picture.format == "TIFF" or (picture.format == "JPEG" and picture.jpeg is None):
        with Image.open(raw if isinstance(raw, Path) else io.BytesIO(raw)) as header:
            if header.mode == "CMYK":
                return "CMYK"
    if picture.pixels.dtype == np.uint16:
        return "16 bit"
    if picture.alpha is not None:
        return "alpha"
    return "grey" if picture.channels == 1 else "RGB"


def square(picture: np.ndarray, size: int) -> np.ndarray:
    """The middle square, resized."""
    squeezed = picture[..., 0] if picture.shape[2] == 1 else picture
    drawing = Image.fromarray(squeezed)
    short = min(drawing.size)
    left, top = (drawing.width - short) // 2, (drawing.height - short) // 2
    small = drawing.resize((size, size), Image.Resampling.LANCZOS, box=(left, top, left + short, top + short))
    return np.asarray(small).reshape(size, size, picture.shape[2])


@dataclass(frozen=True)
class Stored:
    """Samples in a file, read as they are asked for.

    Not a memory map: its pages count as this process's memory, and a file that was cut off would kill it. While it is in
    use, the folder is not removed.
    """

    path: Path
    use: Lock = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "use", Lock(self.path.with_name(USED), shared=True))
        with suppress(OSError):  # gone: reading tells it
            self.use.take(PATIENCE)

    def __getitem__(self, span: slice) -> np.ndarray:
        count = span.stop - span.start
        try:
            found = np.fromfile(self.path, np.uint8, count, offset=span.start)
        except OSError as problem:
            raise TrainingError(
                f"The pictures in {self.path} are gone ({problem.strerror}); start again to decode them anew."
            ) from problem
        if len(found) != count:
            raise TrainingError(f"The pictures in {self.path} end too early; start again to decode them anew.")
        return found
