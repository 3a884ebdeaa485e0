"""Pictures that lie on the GPU: each batch is cut out, moved and spoilt where the net computes; the CPU only draws the numbers.

What `dataset.batch` prepares for a processor, and for every recipe, this prepares as fast as a GPU trains, for recipes whose
augmentations only move pixels. Both draw the same places and numbers; only noise is another, for each device has its own.
"""

import itertools
from collections.abc import Generator, Sequence

import numpy as np
import torch
from torch import Tensor

from genrestore.data import augment, dataset, degrade
from genrestore.data.cache import side
from genrestore.data.dataset import Pictures
from genrestore.recipe import TrainRecipe

SHARE = 0.4  # of the memory that is free, which the pictures may take
PART = 1 << 28  # bytes that are copied at a time
TURNS = 6  # numbers that say where the pixels of a square went, see `_turned`

# What goes to the device for a batch: "places" (B, 1 + 2·K + TURNS), "drawn" (B, …), labels and texts.
Sent = dict[str, Tensor]


class Resident:
    """Pictures on a device, and the batches of a recipe from them.

    Args:
        pictures: all of them are copied.
        recipe: one that `possible` allows.
        device: where they shall lie.
        rows: of each batch; all if None.
    """

    def __init__(
        self, pictures: Pictures, recipe: TrainRecipe, device: torch.device, rows: range | None = None
    ) -> None:
        self.pictures, self.recipe, self.device = pictures, recipe, device
        self.rows = range(recipe.batch) if rows is None else rows
        self.side, self.spoil = side(recipe), degrade.find(recipe.degrade)
        self.turns = _turns(recipe.augment)
        self.strides = np.cumprod([1, *(augment.MOVES[name].ways for name in recipe.augment)])[:-1]
        sizes = pictures.shapes.prod(1)
        self.samples = torch.empty(int((pictures.starts + sizes).max()), dtype=torch.uint8, device=device)
        for start in range(0, len(self.samples), PART):
            part = slice(start, min(start + PART, len(self.samples)))
            self.samples[part] = torch.from_numpy(np.array(pictures.pixels[part])).to(device)
        self.starts = torch.from_numpy(pictures.starts.astype(np.int64)).to(device)
        self.shapes = torch.from_numpy(pictures.shapes.astype(np.int64)).to(device)
        self.grid, self.channels = (torch.arange(count, device=device) for count in (self.side, pictures.channels))

    def batches(self, start: int) -> Generator[Sent, None, None]:
        """What `batch` needs for the steps from `start` to the recipe's last one."""
        yield from dataset.ahead(self.plan, range(start, self.recipe.last))

    def plan(self, step: int) -> Sent:
        """What the rows of a step draw, as in `dataset.batch`, to be sent to the device."""
        made = dataset.plan(self.pictures, self.recipe, step, self.rows)
        turns = self.turns[(made.moves * self.strides).sum(1)]
        places = np.concatenate([made.indices[:, None], made.corners.reshape(len(turns), -1), turns], 1)
        sent = {"places": torch.from_numpy(places), "drawn": torch.from_numpy(made.drawn)}
        sent |= dataset.extras(self.pictures, made.indices)
        if self.device.type != "cuda":
            return sent
        # in memory that the GPU reads by itself, so that no copy waits for what it is doing
        return {key: value.pin_memory() for key, value in sent.items()}

    def batch(self, sent: Sent) -> dict[str, Tensor]:
        """The planned batch, of tensors on the device; noise is drawn by its generator."""
        places = sent["places"]
        index, corners, turns = places[:, 0], places[:, 1:-TURNS].unflatten(1, (-1, 2)), places[:, -TURNS:]
        corner = corners[:, 0] if corners.shape[1] == 1 else self._busiest(index, corners)
        pixels = self._cut(index, corner, turns)
        made = self.spoil.together(self.pictures.coloured(pixels.float() / 255), sent["drawn"])
        return made | {key: sent[key] for key in ("label", "text") if key in sent}

    def _cut(self, index: Tensor, corner: Tensor, turns: Tensor) -> Tensor:
        """(B, C, S, S) uint8: from corners (B, 2) on, turned as (B, TURNS) say."""
        down, across = self.grid[None, :, None], self.grid[None, None, :]
        y0, x0, y_down, x_down, y_across, x_across = (number[:, None, None] for number in turns.unbind(1))
        y = corner[:, 0, None, None] + y0 * (self.side - 1) + y_down * down + y_across * across
        x = corner[:, 1, None, None] + x0 * (self.side - 1) + x_down * down + x_across * across
        return self._samples(index, y, x, self.channels)

    def _samples(self, index: Tensor, y: Tensor, x: Tensor, channels: Tensor) -> Tensor:
        """(B, …) places in pictures (B,) → (B, channels, …) uint8; a grey picture has one channel for all."""
        rest = (1,) * (y.dim() - 1)
        width, own = (self.shapes[index, k].view(-1, *rest) for k in (1, 2))
        first = self.starts[index].view(-1, *rest) + (y * width + x) * own
        channel = torch.minimum(channels[None], own.view(-1, 1) - 1).view(len(index), -1, *rest)
        return self.samples[first[:, None] + channel]

    def _busiest(self, index: Tensor, corners: Tensor) -> Tensor:
        """Of the corners (B, K, 2) the one whose crop has the most detail, (B, 2); as `dataset.detail` measures."""
        y = corners[:, :, 0, None, None] + self.grid[:, None]
        x = corners[:, :, 1, None, None] + self.grid
        y, x = torch.broadcast_tensors(y, x)
        middle = self.channels[len(self.channels) // 2 :][:1]
        channel = self._samples(index, y, x, middle)[:, 0].short()  # (B, K, S, S)
        along, down = channel[:, :, ::3], channel[..., ::3]
        detail = sum(
            difference.abs().double().mean((2, 3))
            for difference in (along[..., 2:] - along[..., :-2], down[:, :, 2:] - down[:, :, :-2])
        )
        assert isinstance(detail, Tensor)
        return corners[torch.arange(len(index), device=self.device), detail.argmax(1)]


def possible(pictures: Pictures, recipe: TrainRecipe, device: torch.device) -> bool:
    """Whether the pictures fit the device's memory, and the recipe's augmentations only move pixels."""
    if device.type != "cuda" or not augment.only_moves(recipe.augment):
        return False
    return float(pictures.shapes.prod(1).sum()) < SHARE * torch.cuda.mem_get_info(device)[0]


def _turns(names: Sequence[str]) -> np.ndarray:
    """(product of all ways, TURNS): what becomes of a square in each way, the first name's ways counting fastest."""
    ways = [range(augment.MOVES[name].ways) for name in names]
    return np.array([_turned(names, way[::-1]) for way in itertools.product(*ways[::-1])], np.int64)


def _turned(names: Sequence[str], ways: Sequence[int]) -> list[int]:
    """Read off two by two pixels: the place (y, x), 0 or 1 for first or last, that comes first, then how the place changes on
    the way down (y, x) and across (y, x)."""
    probe = np.arange(4).reshape(2, 2)
    for name, way in zip(names, ways, strict=True):
        probe = augment.MOVES[name].apply(probe, way)
    first, right, below = (divmod(int(probe[place]), 2) for place in ((0, 0), (0, 1), (1, 0)))
    return [*first, below[0] - first[0], below[1] - first[1], right[0] - first[0], right[1] - first[1]]
