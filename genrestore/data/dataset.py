"""Pictures to train on: decoded once into samples on disk, then batches that depend on nothing but seed and step."""

import dataclasses
import math
import threading
from collections import deque
from collections.abc import Callable, Generator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from genrestore.card import DataSource
from genrestore.data import augment, degrade
from genrestore.data.cache import Stored, decode, side, square
from genrestore.data.checks import usable
from genrestore.data.sources import Progress
from genrestore.data.text import letters
from genrestore.errors import TrainingError
from genrestore.recipe import TrainRecipe

MEMORY = 1 << 30  # samples; a larger set stays in its file, of which each batch reads what it needs
AHEAD = 3  # batches that are prepared while one is used
STALLED = 300.0  # seconds after which a batch that does not come will not come

T = TypeVar("T")


# --- pictures --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Pictures:
    """N pictures of any sizes lying end to end in one row of samples."""

    source: DataSource
    pixels: np.ndarray | Stored  # uint8
    shapes: np.ndarray  # (N, 3): height, width, channels
    starts: np.ndarray  # (N,)
    labels: np.ndarray | None = None  # (N,) int64
    classes: tuple[str, ...] = ()  # names of the labels
    captions: tuple[str, ...] = ()  # one per picture, or none at all
    wanted: int = 0  # channels of the batches' pictures; 0 = as they lie here

    def __len__(self) -> int:
        return len(self.shapes)

    def __getitem__(self, index: int) -> np.ndarray:
        """(H, W, C) uint8, a view where the samples lie in memory."""
        return self.rows(index, 0, int(self.shapes[index, 0]))

    def rows(self, index: int, top: int, height: int) -> np.ndarray:
        """(height, W, C) uint8: the rows of a picture from `top` on. Grey pictures in a colour set are repeated to RGB."""
        _, width, channels = self.shapes[index].tolist()
        start = int(self.starts[index]) + top * width * channels
        found = self.pixels[start : start + height * width * channels].reshape(height, width, channels)
        return found if channels == self.channels else np.broadcast_to(found, (height, width, self.channels))

    @cached_property
    def channels(self) -> int:
        """3, or 1 where all pictures of an array are grey."""
        return int(self.shapes[:, 2].max())

    def of(self, channels: int) -> "Pictures":
        """The same for a net of so many channels: 1 grey, 3 RGB."""
        return dataclasses.replace(self, wanted=channels)

    def coloured(self, images: Tensor) -> Tensor:
        """(B, C, S, S) in [0, 1] with the channels that are wanted: grey ones repeated, or the luma of Rec. BT.601."""
        if self.wanted in (0, images.shape[1]):
            return images
        if self.wanted == 3:
            return images.expand(-1, 3, -1, -1)
        red, green, blue = images.split(1, 1)
        return 0.299 * red + 0.587 * green + 0.114 * blue

    def tensor(self, indices: np.ndarray) -> Tensor:
        """(N, C, H, W) in [0, 1]: whole pictures, which have one size, with the channels that are wanted."""
        return self.coloured(tensor(np.stack([self[index] for index in indices.tolist()])))

    def only(self, indices: np.ndarray) -> "Pictures":
        """Some of the pictures, in this order; their samples are not copied."""
        return dataclasses.replace(
            self,
            shapes=self.shapes[indices],
            starts=self.starts[indices],
            labels=None if self.labels is None else self.labels[indices],
            captions=tuple(self.captions[k] for k in indices) if self.captions else (),
        )


# --- reading ---------------------------------------------------------------------------------------------------------


def read(
    reference: str | Path,
    recipe: TrainRecipe,
    *,
    progress: Progress | None = None,
    cancel: threading.Event | None = None,
) -> Pictures:
    """The pictures as the recipe can use them: whole ones of its size, or large enough for its crops.

    Args:
        reference: a folder (searched to its depth), a .zip, .npy or .npz, or `torchvision:NAME`; see `genrestore.data.sources`.
        progress: called with a share from 0 to 1 and a few words.
        cancel: set it to stop.

    Raises:
        TrainingError: there is nothing to read, a picture cannot be used and `recipe.leave_out` does not name its flaw,
            too few are left, the disk is full, or the recipe's augmentation or degradation does not exist.
        Cancelled: `cancel` was set.
    """
    decoded = decode(reference, recipe, progress=progress, cancel=cancel)
    kept = usable(decoded, recipe)
    source, pixels = decoded.source, Stored(decoded.folder / "pixels.bin")
    sizes = decoded.shapes.prod(1)
    total = int(sizes.sum())
    places = np.cumsum([not problem for problem in decoded.facts.problems])[kept] - 1  # among those that decode
    captions = tuple(source.captions[k] for k in kept) if source.captions else ()
    return Pictures(
        DataSource(source.name, len(kept), source.sha256, recipe.licence),
        pixels[0:total] if total <= MEMORY else pixels,
        decoded.shapes[places],
        (np.cumsum(sizes) - sizes)[places],
        None if source.labels is None else source.labels[kept],
        source.classes,
        captions,
    )


# --- what is kept aside ----------------------------------------------------------------------------------------------


def split(pictures: Pictures, recipe: TrainRecipe) -> tuple[Pictures, Pictures | None]:
    """The part to train on, and the part kept aside to measure with, if the recipe asks for one.

    Both have the same share of every class. The folds of one seed are disjoint and make up the whole.

    Raises:
        TrainingError: one of the parts would be empty.
    """
    if not recipe.holdout and not recipe.folds:
        return pictures, None
    count = len(pictures)
    order = np.random.default_rng([recipe.seed % 2**64, 2]).permutation(count)
    if pictures.labels is not None:
        order = order[np.argsort(pictures.labels[order], kind="stable")]
    places = np.arange(count)
    if recipe.folds:
        aside = places % recipe.folds == recipe.fold
        wish = f"folds={recipe.folds}"
    else:
        aside = np.floor((places + 1) * recipe.holdout + 1e-9) > np.floor(places * recipe.holdout + 1e-9)
        wish = f"holdout={recipe.holdout:g}"
    if aside.all() or not aside.any() or recipe.folds > count:  # said by the first fold, not after as many as there are
        empty = "trains on none" if aside.all() else "keeps none aside"
        raise TrainingError(f"{wish} of {count} pictures {empty}; choose another, or give more pictures.")
    return pictures.only(np.sort(order[~aside])), pictures.only(np.sort(order[aside]))


# --- batches ---------------------------------------------------------------------------------------------------------


@lru_cache(maxsize=2)
def _shuffle(seed: int, epoch: int, count: int) -> np.ndarray:
    return np.random.default_rng([seed, epoch]).permutation(count)


def generator(seed: int, position: int) -> np.random.Generator:
    """The randomness of one place in the endless row of pictures; such streams are independent by construction."""
    return np.random.Generator(np.random.Philox(key=np.array([seed % 2**64, position % 2**64], np.uint64)))


@dataclass(frozen=True)
class Plan:
    """What is decided for the rows of a batch before a sample is read. K places are drawn in each picture.

    Attributes:
        positions: (B,) in the endless row.
        indices: (B,) of the pictures.
        corners: (B, K, 2): y and x.
        moves: (B, M): the ways of those augmentations that only move pixels.
        drawn: (B, …): what the degradation drew.
    """

    positions: np.ndarray
    indices: np.ndarray
    corners: np.ndarray
    moves: np.ndarray
    drawn: np.ndarray


def plan(pictures: Pictures, recipe: TrainRecipe, step: int, rows: range | None = None) -> Plan:
    """What the rows of a step's batch will be; drawn for all at once, so that some of the rows are those of the whole."""
    some = slice(None) if rows is None else slice(rows.start, rows.stop)
    positions = step * recipe.batch + np.arange(recipe.batch)
    epochs, places = np.divmod(positions, len(pictures))
    indices = np.empty(recipe.batch, np.int64)
    for epoch in np.unique(epochs).tolist():
        here = epochs == epoch
        indices[here] = _shuffle(recipe.seed % 2**64, epoch, len(pictures))[places[here]]
    rng = generator(recipe.seed, -1 - step)  # counted from the other end, where no picture stands
    corners, moves = _drawn(pictures, recipe, indices, rng)
    spoil, length = degrade.find(recipe.degrade), side(recipe)
    if spoil.drawn_together:
        drawn = spoil.draw(rng, recipe.batch, length)[some]
    else:
        each = (generator(recipe.seed, position) for position in positions[some].tolist())
        drawn = np.concatenate([spoil.draw(own, 1, length) for own in each])
    return Plan(positions[some], indices[some], corners[some], moves[some], drawn)


def _drawn(
    pictures: Pictures, recipe: TrainRecipe, indices: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Corners (B, K, 2) and ways (B, M)."""
    room = pictures.shapes[indices, None, :2] - side(recipe) + 1
    corners = (rng.random((len(indices), recipe.crops, 2)) * room).astype(np.int64)
    ways = [
        rng.integers(augment.MOVES[name].ways, size=len(indices)) for name in recipe.augment if name in augment.MOVES
    ]
    return corners, np.stack(ways, 1) if ways else np.empty((len(indices), 0), np.int64)


def batch(pictures: Pictures, recipe: TrainRecipe, step: int, rows: range | None = None) -> dict[str, Tensor]:
    """The batch of one step, or only some of its rows: "image" (B, C, S, S) float32 in [0, 1], and what `degrade` adds.

    "label" (B,) int64 where there are labels; "text" (B, 128) uint8 where there are captions: UTF-8, zeros behind.

    A pure function of its arguments, and each row of its own place in the endless shuffle: a resumed run sees what an
    uninterrupted one would have seen, and processes that share a batch what one alone would have.
    """
    made = plan(pictures, recipe, step, rows)
    rngs = [generator(recipe.seed, position) for position in made.positions.tolist()]
    crops = [
        _seen(pictures, recipe, index, corners, ways, rng)
        for index, corners, ways, rng in zip(made.indices.tolist(), made.corners, made.moves, rngs, strict=True)
    ]
    images = pictures.coloured(tensor(np.stack(crops)))
    out = degrade.find(recipe.degrade).one_by_one(images, made.drawn, rngs)
    return out | extras(pictures, made.indices)


def extras(pictures: Pictures, indices: np.ndarray) -> dict[str, Tensor]:
    """What a batch holds beside its pictures: "label" and "text", where there are any."""
    out: dict[str, Tensor] = {}
    if pictures.labels is not None:
        out["label"] = torch.from_numpy(pictures.labels[indices].astype(np.int64))
    if pictures.captions:
        out["text"] = torch.from_numpy(np.stack([letters(pictures.captions[index]) for index in indices]))
    return out


def tensor(images: np.ndarray) -> Tensor:
    """(B, S, S, C) uint8 → (B, C, S, S) float32. By numpy, for torch's threads belong to the training step."""
    planes = np.empty((len(images), images.shape[3], *images.shape[1:3]), np.float32)
    np.divide(images.transpose(0, 3, 1, 2), np.float32(255), out=planes)
    return torch.from_numpy(planes)


def _seen(
    pictures: Pictures, recipe: TrainRecipe, index: int, corners: np.ndarray, ways: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """(S, S, C): a crop, augmented; of several corners (K, 2) the one with the most detail, for flat sky teaches little."""
    length = side(recipe)
    crops = [pictures.rows(index, y, length)[:, x : x + length] for y, x in corners.tolist()]
    crop, way = crops[0] if len(crops) == 1 else max(crops, key=detail), iter(ways.tolist())
    for name in recipe.augment:
        move = augment.MOVES.get(name)
        crop = move.apply(crop, next(way)) if move else augment.find(name)(crop, rng)
    return crop


def detail(crop: np.ndarray) -> float:
    """Mean contrast over two pixels, along every third row and column of one channel: 0 to 255."""
    channel = crop[..., crop.shape[2] // 2].astype(np.int16)
    along, down = channel[::3], channel[:, ::3]
    return float(np.abs(along[:, 2:] - along[:, :-2]).mean() + np.abs(down[2:] - down[:-2]).mean()) / 2


def batches(
    pictures: Pictures, recipe: TrainRecipe, start: int = 0, rows: range | None = None, threads: int = 1
) -> Generator[dict[str, Tensor], None, None]:
    """The batches from step `start` to the recipe's last one; worker threads prepare the next ones while one is used."""
    return ahead(lambda step: batch(pictures, recipe, step, rows), range(start, recipe.last), threads)


def ahead(make: Callable[[int], T], steps: range, threads: int = 1) -> Generator[T, None, None]:
    """make(step) for each step, in order, prepared by threads while an earlier one is used.

    Threads and no processes: one that is forked while other threads hold locks may never wake up, and one that is begun anew
    runs the program that began the training once more.

    Raises:
        TrainingError: none came for STALLED seconds, and whatever `make` raises.
    """
    workers = ThreadPoolExecutor(threads, "batches")
    pending: deque[Future[T]] = deque()
    stalled = False
    try:
        for step in steps:
            pending.append(workers.submit(make, step))
            if len(pending) > AHEAD + threads - 1:
                yield pending.popleft().result(STALLED)
        while pending:
            yield pending.popleft().result(STALLED)
    except TimeoutError:
        stalled = True
        raise TrainingError(
            f"No pictures came for {STALLED:g} seconds; see whether the disk that holds them still answers, then resume."
        ) from None
    finally:
        workers.shutdown(wait=not stalled, cancel_futures=True)


# --- a look at them --------------------------------------------------------------------------------------------------

CELL = 64  # pixels a side of the smallest cell of a sheet
GAP = 2  # pixels between two cells
HOLE = 0.5  # grey of a hole


def preview(pictures: Pictures, recipe: TrainRecipe, rows: int = 4, columns: int = 8) -> Image.Image:
    """For people: in each row a picture, then how training sees it: augmented, and spoilt where the recipe spoils."""
    rows = min(rows, len(pictures))
    spoil = degrade.find(recipe.degrade)
    cells: list[Tensor] = []
    for row, index in enumerate(np.linspace(0, len(pictures) - 1, rows).round().astype(int).tolist()):
        rngs = [generator(recipe.seed, row * columns + column) for column in range(1, columns)]
        cells.append(pictures.coloured(tensor(square(pictures[index], recipe.size)[None])))
        if rngs:
            corners, ways = _drawn(pictures, recipe, np.full(len(rngs), index), generator(recipe.seed, -1 - row))
            crops = [_seen(pictures, recipe, index, *own) for own in zip(corners, ways, rngs, strict=True)]
            seen = degrade.spoilt(spoil, pictures.coloured(tensor(np.stack(crops))), rngs)
            shown = seen.get("low", seen["image"])
            if "mask" in seen:
                shown = torch.where(seen["mask"] > 0, torch.tensor(HOLE), shown)
            cells.append(F.interpolate(shown, (recipe.size, recipe.size), mode="nearest"))
    return sheet(torch.cat(cells), columns)


def sheet(pictures: Tensor, columns: int) -> Image.Image:
    """(N, C, H, W) in [0, 1] side by side, row after row; small ones are enlarged pixel by pixel."""
    bigger = math.ceil(CELL / pictures.shape[-1])
    cells = (pictures.float().cpu().clamp(0, 1) * 255).round().byte()
    cells = cells.repeat_interleave(bigger, 2).repeat_interleave(bigger, 3).expand(-1, 3, -1, -1)
    count, _, height, width = cells.shape
    rows = math.ceil(count / columns)
    canvas = np.full((rows * (height + GAP) - GAP, columns * (width + GAP) - GAP, 3), 255, np.uint8)
    for k, cell in enumerate(cells.permute(0, 2, 3, 1).numpy()):
        top, left = k // columns * (height + GAP), k % columns * (width + GAP)
        canvas[top : top + height, left : left + width] = cell
    return Image.fromarray(canvas)
