"""The one pass over a set of pictures: each is decoded once, looked at, and kept as plain samples among the user's files."""

import io
import re
import secrets
import shutil
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from genrestore import augment, degrade, flaws, image, sources
from genrestore.card import home
from genrestore.errors import ImageError, TrainingError
from genrestore.flaws import Facts
from genrestore.recipe import TrainRecipe
from genrestore.sources import Progress, Raw, Source

ABANDONED = 24 * 3600.0  # seconds after which a half-written folder belongs to no living process
HASHING = 0.2  # share of the pass that looks at the files' content
LOOKS = 1024  # pictures whose facts are computed together


# --- what a recipe asks of its pictures ------------------------------------------------------------------------------


def use(recipe: TrainRecipe) -> str:
    """ "whole" pictures for nets that draw or encode them, "crops" for nets that mend what was spoilt."""
    return "whole" if recipe.degrade == "none" else "crops"


def side(recipe: TrainRecipe) -> int:
    """Pixels a side that a picture is resized to, or that are cut out of it."""
    return recipe.size + 2 * degrade.find(recipe.degrade).margin


def need(recipe: TrainRecipe) -> int:
    """Pixels that the shorter side of a picture must have; a whole one may be enlarged twice."""
    return side(recipe) if use(recipe) == "crops" else (recipe.size + 1) // 2


def check(recipe: TrainRecipe) -> None:
    """Raises:
    TrainingError: the recipe names an augmentation or a degradation that is not there, or they do not fit its size.
    """
    for name in recipe.augment:
        augment.find(name)
    scale = degrade.find(recipe.degrade).scale
    if recipe.size % scale:
        raise TrainingError(f"size must be a multiple of {scale} for {recipe.degrade}, not {recipe.size}.")


# --- the pass ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Decoded:
    """A set after its one pass: all that decode lie in `folder`, facts are known of every one."""

    source: Source
    folder: Path
    facts: Facts
    shapes: np.ndarray  # (M, 3) of those that decode

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
    """Every picture of a set decoded and looked at, once for all runs and for the data doctor.

    What comes of it lies in `decoded` among the user's files, in a folder named after the content; it appears there in one
    move, so that a crash leaves nothing or all of it.

    Raises: as `read`, but no single picture is an error.
    """
    check(recipe)
    hashing = (lambda share, text: progress(share * HASHING, text)) if progress else None
    cache = home() / "decoded"
    try:
        source = sources.find(reference, hashing, cancel)
        whole = side(recipe) if use(recipe) == "whole" else None
        name = re.sub(r"[^A-Za-z0-9._-]+", "-", source.name)[-40:]
        folder = cache / f"{name}-{source.sha256[:16]}-{whole or 'full'}"
        if (kept := _kept(source, folder)) is not None:
            return kept
        cache.mkdir(parents=True, exist_ok=True)
        _sweep(cache)
        _check_room(source, cache, whole)
        part = cache / f"{folder.name}.{secrets.token_hex(4)}.part"
        try:
            part.mkdir()
            _decode_into(part, source, whole, progress, cancel)
            if _kept(source, folder) is None:  # else another process was quicker
                shutil.rmtree(folder, ignore_errors=True)
                part.rename(folder)
        finally:
            shutil.rmtree(part, ignore_errors=True)
    except OSError as problem:
        reason = problem.strerror or str(problem)
        raise TrainingError(
            f"Decoded pictures cannot be kept in {cache} ({reason}); free some room, or set GENRESTORE_HOME to another folder."
        ) from problem
    kept = _kept(source, folder)
    assert kept is not None, "what was just written is whole"
    return kept


def _kept(source: Source, folder: Path) -> Decoded | None:
    """What an earlier pass left, if it is whole."""
    try:
        shapes = np.load(folder / "shapes.npy")
        facts = Facts.read(folder / "facts.npz")
        length = (folder / "pixels.bin").stat().st_size
    except (OSError, ValueError, KeyError, EOFError):
        return None
    return (
        Decoded(source, folder, facts, shapes)
        if length == shapes.prod(1).sum() and len(facts) == len(source.files)
        else None
    )


def _sweep(cache: Path) -> None:
    """Remove what a killed process left half-written."""
    for part in cache.glob("*.part"):
        if time.time() - max((file.stat().st_mtime for file in part.glob("*")), default=0.0) > ABANDONED:
            shutil.rmtree(part, ignore_errors=True)


def _check_room(source: Source, cache: Path, whole: int | None) -> None:
    needed = len(source.files) * whole * whole * 3 if whole else source.samples()
    free = shutil.disk_usage(cache).free
    if needed > free:
        raise TrainingError(
            f"Decoding {source.name} needs {needed / 1e9:.1f} GB in {cache}, where {free / 1e9:.1f} GB are free; free some "
            "room, or set GENRESTORE_HOME to a folder on a larger disk."
        )


def _decode_into(
    folder: Path, source: Source, whole: int | None, progress: Progress | None, cancel: threading.Event | None
) -> None:
    """Write pixels.bin, facts.npz and shapes.npy."""
    shapes: list[tuple[int, ...]] = []
    facts: list[Facts] = []
    looks: list[flaws.Look] = []
    count = len(source.files)
    passed = sources.ordered(lambda raw, file: _decoded(raw, file, whole), source.read(), source.files)
    with (folder / "pixels.bin").open("wb") as sink:
        for done, (look, pixels) in enumerate(passed, 1):
            sources.stop_if(cancel)
            if pixels is not None:
                sink.write(np.ascontiguousarray(pixels).data)
                shapes.append(pixels.shape)
            looks.append(look)
            if len(looks) == LOOKS or done == count:
                facts.append(Facts.of(looks))
                looks.clear()
            if progress and (done % 64 == 0 or done == count):
                progress(HASHING + (1 - HASHING) * done / count, f"Reading the pictures: {done} of {count}")
    Facts.joined(facts).write(folder / "facts.npz")
    np.save(folder / "shapes.npy", np.array(shapes, dtype=np.int64).reshape(-1, 3))


def _decoded(raw: Raw, file: str, whole: int | None) -> tuple[flaws.Look, np.ndarray | None]:
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
        return flaws.unreadable(str(problem).replace(called, file, 1)), None
    look = flaws.look(pixels, mode)
    return look, pixels if whole is None or pixels.shape[:2] == (whole, whole) else square(pixels, whole)


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

    Not a memory map: its pages count as this process's memory, and a file that was cut off would kill it.
    """

    path: Path

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
