"""Pictures to train on: decoded once into uint8 arrays on disk, then batches that depend on nothing but seed and step."""

import hashlib
import io
import itertools
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from genrestore import degrade, image
from genrestore.card import DataSource, home
from genrestore.errors import ImageError, TrainingError
from genrestore.recipe import TrainRecipe

SUFFIXES = {".avif", ".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"}


# --- augmentation: (H, W, C) → (H, W, C); crops are square, so a turn keeps the shape --------------------------------


def mirror(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Left and right swapped, every second time."""
    return picture[:, ::-1] if rng.random() < 0.5 else picture


def turn(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Turned by a random number of right angles."""
    return np.rot90(picture, int(rng.integers(4)))


AUGMENT: dict[str, Callable[[np.ndarray, np.random.Generator], np.ndarray]] = {"mirror": mirror, "turn": turn}


# --- reading ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Pictures:
    """N pictures of any sizes lying end to end in one uint8 array, usually a memory-mapped file."""

    source: DataSource
    pixels: np.ndarray  # (total samples,)
    shapes: np.ndarray  # (N, 3): height, width, channels
    starts: np.ndarray  # (N,)
    labels: np.ndarray | None = None  # (N,)

    def __len__(self) -> int:
        return len(self.shapes)

    def __getitem__(self, index: int) -> np.ndarray:
        """(H, W, C) uint8 view."""
        height, width, channels = self.shapes[index]
        start = self.starts[index]
        return self.pixels[start : start + height * width * channels].reshape(height, width, channels)


def pack(source: DataSource, arrays: list[np.ndarray] | np.ndarray, labels: np.ndarray | None = None) -> Pictures:
    """Pictures (H, W, C) uint8 laid end to end in memory."""
    shapes = np.array([array.shape for array in arrays], dtype=np.int64)
    sizes = shapes.prod(1)
    flat = np.concatenate([array.reshape(-1) for array in arrays])
    return Pictures(source, flat, shapes, np.cumsum(sizes) - sizes, labels)


def _decodepack(buffer: np.ndarray, offsets: np.ndarray) -> list[np.ndarray]:
    data = buffer.tobytes()
    return [np.asarray(Image.open(io.BytesIO(data[a:b])).convert("RGB")) for a, b in itertools.pairwise(offsets)]


def _read_npz(path: Path, licence: str) -> Pictures:
    """Arrays `images` (N, H, W) or (N, H, W, C) uint8, or encoded pictures end to end beside `offsets`; `train_` may lead."""
    with np.load(path, allow_pickle=False) as archive:
        keys = {key.removeprefix("train_"): key for key in archive.files if not key.startswith("test_")}
        labels = archive[keys["labels"]] if "labels" in keys else None
        packed = next((key for key in ("jpeg", "webp", "png") if key in keys), None)
        if "images" in keys:
            pictures = archive[keys["images"]]
            if pictures.dtype != np.uint8 or pictures.ndim not in (3, 4):
                raise TrainingError(
                    f"{path}: images must be uint8 of shape (N, H, W) or (N, H, W, C), not {pictures.dtype} {pictures.shape}."
                )
            arrays = pictures[..., None] if pictures.ndim == 3 else pictures
        elif packed and "offsets" in keys:
            arrays = _decodepack(archive[keys[packed]], archive[keys["offsets"]])
        else:
            raise TrainingError(
                f"{path} holds {', '.join(archive.files)}; it needs an array named images, or encoded pictures with offsets."
            )
    if len(arrays) == 0:
        raise TrainingError(f"{path} holds no picture.")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return pack(DataSource(path.stem, len(arrays), digest, licence), arrays, labels)


def _read_folder(folder: Path, licence: str) -> Pictures:
    files = sorted(file for file in folder.rglob("*") if file.suffix.lower() in SUFFIXES)
    if not files:
        raise TrainingError(f"There is no picture in {folder}; training reads {', '.join(sorted(SUFFIXES))}.")
    digest = hashlib.sha256()
    for file in files:
        digest.update(file.relative_to(folder).as_posix().encode() + hashlib.sha256(file.read_bytes()).digest())
    source = DataSource("/".join(folder.parts[-2:]), len(files), digest.hexdigest(), licence)
    cache = home() / "decoded" / f"{folder.name}-{source.sha256[:16]}"
    if not (cache / "shapes.npy").exists():
        _decode_folder(files, cache)
    shapes = np.load(cache / "shapes.npy")
    sizes = shapes.prod(1)
    return Pictures(source, np.load(cache / "pixels.npy", mmap_mode="r"), shapes, np.cumsum(sizes) - sizes)


def _decode_folder(files: list[Path], cache: Path) -> None:
    """Write pixels.npy, then shapes.npy; the second file says that the first is whole."""
    cache.mkdir(parents=True, exist_ok=True)
    shapes: list[tuple[int, ...]] = []
    raw = cache / "pixels.raw"
    with raw.open("wb") as sink:
        for file in files:
            try:
                picture = image.load(file).rgb8()
            except ImageError as problem:
                raise TrainingError(f"{problem} Take the file out of the folder, or mend it.") from problem
            shapes.append(picture.shape)
            sink.write(picture.tobytes())
    flat = np.memmap(raw, dtype=np.uint8, mode="r")
    np.save(cache / "pixels.npy", flat)
    raw.unlink()
    np.save(cache / "shapes.npy", np.array(shapes, dtype=np.int64))


def read(path: Path, licence: str = "") -> Pictures:
    """The pictures of a folder (recursive) or of an .npz.

    Raises:
        TrainingError: there is nothing to read at `path`, or it is not in one of these forms.
    """
    if path.is_dir():
        return _read_folder(path, licence)
    if path.suffix == ".npz" and path.is_file():
        return _read_npz(path, licence)
    raise TrainingError(f"{path} is neither a folder of pictures nor an .npz file; say where the data lie with --data.")


# --- batches ---------------------------------------------------------------------------------------------------------


def _index(seed: int, position: int, count: int) -> int:
    """Which picture stands at `position` of an endless row of shuffles."""
    epoch, place = divmod(position, count)
    return int(_shuffle(seed, epoch, count)[place])


_shuffles: dict[tuple[int, int, int], np.ndarray] = {}


def _shuffle(seed: int, epoch: int, count: int) -> np.ndarray:
    key = (seed, epoch, count)
    if key not in _shuffles:
        while len(_shuffles) > 2:
            _shuffles.pop(next(iter(_shuffles)))
        _shuffles[key] = np.random.default_rng([seed, epoch]).permutation(count)
    return _shuffles[key]


def batch(pictures: Pictures, recipe: TrainRecipe, step: int) -> dict[str, Tensor]:
    """The batch of one step: "image" (B, C, S, S) in [0, 1], "label" (B,) where there are labels, and what `degrade` adds.

    A pure function of its arguments, so that a resumed run sees what an uninterrupted one would have seen.
    """
    spoil = degrade.find(recipe.degrade)
    side = recipe.size + 2 * spoil.margin
    rng = np.random.default_rng([recipe.seed, step, 1])
    indices = [_index(recipe.seed, step * recipe.batch + k, len(pictures)) for k in range(recipe.batch)]
    crops = []
    for index in indices:
        crop = _crop(pictures[index], side, recipe.crops, rng)
        for name in recipe.augment:
            crop = AUGMENT[name](crop, rng)
        crops.append(crop)
    images = torch.from_numpy(np.ascontiguousarray(np.stack(crops).transpose(0, 3, 1, 2))).float() / 255
    out = spoil(images, rng)
    if pictures.labels is not None:
        out["label"] = torch.from_numpy(pictures.labels[indices].astype(np.int64))
    return out


def _crop(picture: np.ndarray, side: int, places: int, rng: np.random.Generator) -> np.ndarray:
    """A square of `side` pixels: of `places` random ones the one with the most detail, for flat sky teaches little."""
    height, width = picture.shape[:2]
    corners = [(int(rng.integers(height - side + 1)), int(rng.integers(width - side + 1))) for _ in range(places)]
    crops = [picture[y : y + side, x : x + side] for y, x in corners]
    return crops[0] if places == 1 else max(crops, key=_detail)


def _detail(crop: np.ndarray) -> float:
    """Mean contrast over two pixels, along every third row and column of one channel: 0 to 255."""
    channel = crop[..., crop.shape[2] // 2].astype(np.int16)
    along, down = channel[::3], channel[:, ::3]
    return float(np.abs(along[:, 2:] - along[:, :-2]).mean() + np.abs(down[2:] - down[:-2]).mean()) / 2


def fit(pictures: Pictures, recipe: TrainRecipe) -> Pictures:
    """The pictures as the recipe can use them: small sets of one size are resized to it when they are not it.

    Raises:
        TrainingError: a picture is smaller than a training crop, or an augmentation is unknown.
    """
    if unknown := sorted(set(recipe.augment) - set(AUGMENT)):
        raise TrainingError(f"There is no augmentation named {unknown[0]!r}; known are {', '.join(AUGMENT)}.")
    side = recipe.size + 2 * degrade.find(recipe.degrade).margin
    heights, widths = pictures.shapes[:, 0], pictures.shapes[:, 1]
    whole = recipe.degrade == "none"  # such nets see whole pictures, not crops
    if whole and ((heights != side) | (widths != side)).any():
        return pack(pictures.source, [_resized(pictures[k], side) for k in range(len(pictures))], pictures.labels)
    if min(heights.min(), widths.min()) < side:
        small = int(np.argmin(np.minimum(heights, widths)))
        raise TrainingError(
            f"Picture {small + 1} of {len(pictures)} is {widths[small]}×{heights[small]}, smaller than the training crop "
            f"of {side}; remove it or lower the recipe's size."
        )
    return pictures


def _resized(picture: np.ndarray, side: int) -> np.ndarray:
    """The middle square, resized."""
    squeezed = picture[..., 0] if picture.shape[2] == 1 else picture
    drawing = Image.fromarray(squeezed)
    short = min(drawing.size)
    left, top = (drawing.width - short) // 2, (drawing.height - short) // 2
    small = drawing.resize((side, side), Image.Resampling.LANCZOS, box=(left, top, left + short, top + short))
    return np.asarray(small).reshape(side, side, picture.shape[2])


def batches(pictures: Pictures, recipe: TrainRecipe, start: int = 0) -> Iterator[dict[str, Tensor]]:
    """The batches from step `start` to the recipe's last; one worker thread prepares the next while this one is used."""
    with ThreadPoolExecutor(1, "batches") as worker:
        pending = worker.submit(batch, pictures, recipe, start)
        for step in range(start, recipe.steps):
            current = pending.result()
            if step + 1 < recipe.steps:
                pending = worker.submit(batch, pictures, recipe, step + 1)
            yield current
