"""Pictures that lie on the GPU: each batch is cut out, moved and spoilt where the net computes; the CPU only draws the numbers.

What `data.batch` prepares for a processor, and for every recipe, this prepares as fast as a GPU trains, for recipes whose
augmentations only move pixels. Both draw the same places and numbers; only noise is another, for each device has its own.
"""

from collections.abc import Generator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from genrestore import augment, data, degrade
from genrestore.data import Pictures
from genrestore.decoded import side
from genrestore.recipe import TrainRecipe

SHARE = 0.4  # of the memory that is free, which the pictures may take
PART = 1 << 28  # bytes that are copied at a time
MOVES = 6  # numbers that say where an augmentation took the pixels; see `_moves`
KEPT, MIRRORED = (0, 0, 1, 0, 0, 1), (0, 1, 1, 0, 0, -1)


@dataclass(frozen=True)
class Plan:
    """What is decided for the rows of a batch.

    Attributes:
        places: (B, 1 + 2·K + MOVES) int64: the picture, K corners (y, x), and where its pixels go.
        drawn: (B, …), what the degradation drew.
        labels: (B,) int64, or None.
        text: (B, TEXT) uint8, or None.
    """

    places: Tensor
    drawn: Tensor
    labels: Tensor | None
    text: Tensor | None


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
        self.moves = [augment.find(name) for name in recipe.augment]
        sizes = pictures.shapes.prod(1)
        self.samples = torch.empty(int((pictures.starts + sizes).max()), dtype=torch.uint8, device=device)
        for start in range(0, len(self.samples), PART):
            part = slice(start, min(start + PART, len(self.samples)))
            self.samples[part] = torch.from_numpy(np.array(pictures.pixels[part])).to(device)
        self.starts = torch.from_numpy(pictures.starts.astype(np.int64)).to(device)
        self.shapes = torch.from_numpy(pictures.shapes.astype(np.int64)).to(device)
        self.generator = torch.Generator(device)
        self.grid = torch.arange(self.side, device=device)

    def batches(self, start: int) -> Generator[dict[str, Tensor], None, None]:
        """The batches from step `start` to the recipe's last one, on the device, as `data.batch` describes them."""
        steps = range(start, self.recipe.last)
        for step, plan in zip(steps, data.ahead(self.plan, steps), strict=True):
            yield self.batch(step, plan)

    def plan(self, step: int) -> Plan:
        """What the rows of a step draw; the numbers of `data.batch`, one for one."""
        recipe, pictures = self.recipe, self.pictures
        positions = [step * recipe.batch + row for row in self.rows]
        indices = data.indices(pictures, recipe, positions)
        if data.simple(recipe):
            mirrored = data.mirrored(recipe, step, self.rows)
            places = [[index, 0, 0, *(MIRRORED if way else KEPT)] for index, way in zip(indices, mirrored, strict=True)]
            drawn: list[np.ndarray] = [degrade.NOTHING] * len(places)
        else:
            places, drawn = [], []
            for index, position in zip(indices, positions, strict=True):
                rng = data.generator(recipe.seed, position)
                corners = data.corners(pictures, index, self.side, recipe.crops, rng)
                places.append([index, *(k for corner in corners for k in corner), *_moves(self.moves, rng)])
                drawn.append(self.spoil.draw(rng, self.side, self.side))
        extras = data.extras(pictures, indices)
        return Plan(
            *(self._sent(torch.from_numpy(part)) for part in (np.array(places, np.int64), np.stack(drawn))),
            *(self._sent(extras[key]) if key in extras else None for key in ("label", "text")),
        )

    def _sent(self, value: Tensor) -> Tensor:
        """In memory that a GPU reads by itself, so that no copy waits for what the GPU is doing."""
        return value.pin_memory() if self.device.type == "cuda" else value

    def batch(self, step: int, plan: Plan) -> dict[str, Tensor]:
        """The planned batch, on the device."""
        places = plan.places.to(self.device, non_blocking=True)
        drawn = plan.drawn.to(self.device, non_blocking=True)
        index, corners, moves = places[:, 0], places[:, 1:-MOVES].unflatten(1, (-1, 2)), places[:, -MOVES:]
        corner = corners[:, 0] if corners.shape[1] == 1 else self._busiest(index, corners)
        pixels = self._cut(index, corner, moves)
        self.generator.manual_seed((self.recipe.seed * 1_000_003 + step) * 4099 + self.rows.start)
        out = self.spoil.spoil(pixels.float() / 255, drawn, self.generator)
        for key, value in (("label", plan.labels), ("text", plan.text)):
            if value is not None:
                out[key] = value.to(self.device, non_blocking=True)
        return out

    def _cut(self, index: Tensor, corner: Tensor, moves: Tensor) -> Tensor:
        """(B, C, S, S) uint8: from corners (B, 2) on, moved as (B, MOVES) say."""
        down, across = self.grid[None, :, None], self.grid[None, None, :]
        y0, x0, y_down, x_down, y_across, x_across = (number[:, None, None] for number in moves.unbind(1))
        y = corner[:, 0, None, None] + y0 * (self.side - 1) + y_down * down + y_across * across
        x = corner[:, 1, None, None] + x0 * (self.side - 1) + x_down * down + x_across * across
        return self._samples(index, y, x, torch.arange(self.pictures.channels, device=self.device))

    def _samples(self, index: Tensor, y: Tensor, x: Tensor, channels: Tensor) -> Tensor:
        """(B, …) places in pictures (B,) → (B, channels, …) uint8; a grey picture has one channel for all."""
        rest = (1,) * (y.dim() - 1)
        width, own = (self.shapes[index, k].view(-1, *rest) for k in (1, 2))
        first = self.starts[index].view(-1, *rest) + (y * width + x) * own
        channel = torch.minimum(channels[None], own.view(-1, 1) - 1).view(len(index), -1, *rest)
        return self.samples[first[:, None] + channel]

    def _busiest(self, index: Tensor, corners: Tensor) -> Tensor:
        """Of the corners (B, K, 2) the one whose crop has the most detail, (B, 2); as `data.detail` measures."""
        y = corners[:, :, 0, None, None] + self.grid[:, None]
        x = corners[:, :, 1, None, None] + self.grid
        middle = torch.tensor([self.pictures.channels // 2], device=self.device)
        channel = self._samples(index, *torch.broadcast_tensors(y, x), middle)[:, 0].short()  # (B, K, S, S)
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


def _moves(steps: list[augment.Augment], rng: np.random.Generator) -> list[int]:
    """What steps that only move pixels do, read off two by two of them: the place in the picture, 0 or 1 for first or last,
    that comes first, then how it changes on the way down and across: y, x, y, x, y, x."""
    probe = np.arange(4, dtype=np.uint8).reshape(2, 2, 1)
    for step in steps:
        probe = step(probe, rng)
    first, right, below = (divmod(int(probe[place]), 2) for place in ((0, 0, 0), (0, 1, 0), (1, 0, 0)))
    return [*first, below[0] - first[0], below[1] - first[1], right[0] - first[0], right[1] - first[1]]
