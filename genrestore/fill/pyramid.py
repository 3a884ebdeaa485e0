"""A picture in halves, with what is known of it, and where one may copy from."""

from dataclasses import dataclass
from functools import cached_property

import torch
import torch.nn.functional as F
from torch import Tensor

RADIUS = 3  # of a patch: 7×7 pixels
PATCH = 2 * RADIUS + 1
AROUND = 2  # pixels round one whose mean and deviation are looked at
CELLS = 2000  # hole pixels up to which labels are found at once, the coarsest level
SHORTEST = 64  # pixels of a side below which nothing is halved
LEAST_SOURCES = 300  # that a level must have


def grown(mask: Tensor, radius: int) -> Tensor:
    """(H, W) bool, each True pixel a square of 2·radius + 1."""
    size = 2 * radius + 1
    plane = F.pad(mask, (radius,) * 4)
    for axis in (0, 1):
        reach = 1  # pixels that each already stands for: doubled until they are `size`
        while reach < size:
            step = min(reach, size - reach)
            length = plane.shape[axis] - step
            plane = plane.narrow(axis, 0, length) | plane.narrow(axis, step, length)
            reach += step
    return plane


def box(planes: Tensor, radius: int) -> Tensor:
    """Mean of (C, H, W) over (2·radius + 1)², the edges repeated."""
    padded = F.pad(planes[None], (radius,) * 4, mode="replicate")
    return F.avg_pool2d(F.avg_pool2d(padded, (1, 2 * radius + 1), 1), (2 * radius + 1, 1), 1)[0]


def depth(known: Tensor) -> Tensor:
    """(H, W): how many pixels each lies inside the hole, 0 where it is known."""
    found = torch.zeros(known.shape)
    while not known.all():
        found += ~known
        known = grown(known, 1)
    return found


@dataclass(frozen=True)
class Level:
    """One size of a picture.

    Attributes:
        image: (C, H, W) in [0, 1]; what is not known is 0.
        known: (H, W) bool.
        usable: (H, W) bool: known, and not forbidden to be copied.
        other: (H, W) bool: not known either, but not to be filled here, such as other holes.
    """

    image: Tensor
    known: Tensor
    usable: Tensor
    other: Tensor | None = None

    @property
    def height(self) -> int:
        return self.known.shape[0]

    @property
    def width(self) -> int:
        return self.known.shape[1]

    @cached_property
    def rows(self) -> Tensor:
        """(H·W, C): the picture as a table, which is quicker to gather from."""
        return self.image.flatten(1).T.contiguous()

    @cached_property
    def wanted(self) -> Tensor:
        """(H, W) bool: what is to be filled."""
        return ~self.known if self.other is None else ~self.known & ~self.other

    @cached_property
    def hole(self) -> Tensor:
        """(N,) flat indices y·W + x of what is to be filled."""
        return self.wanted.flatten().nonzero()[:, 0]

    @cached_property
    def source(self) -> Tensor:
        """(H·W,) bool: the centres of patches that lie inside and are usable as a whole."""
        inside = torch.zeros_like(self.known)
        inside[RADIUS : self.height - RADIUS, RADIUS : self.width - RADIUS] = True
        return (inside & ~grown(~self.usable, RADIUS)).flatten()

    @cached_property
    def sources(self) -> Tensor:
        """(S,) their flat indices."""
        return self.source.nonzero()[:, 0]

    @cached_property
    def deviation(self) -> Tensor:
        """(1, H, W): by how much the known pixels round each deviate from their mean."""
        share = box(self.known[None].float(), AROUND).clamp(min=1e-3)
        image = self.image * self.known
        variance = box(image.square(), AROUND) / share - (box(image, AROUND) / share).square()
        return variance.clamp(min=0).sum(0, keepdim=True).sqrt()

    def yx(self, flat: Tensor) -> tuple[Tensor, Tensor]:
        return flat // self.width, flat % self.width

    def halved(self) -> "Level":
        """Half the size, by the mean of what is known; a pixel is unknown where any of its four is, and to be filled likewise."""
        known = _all(self.known)
        other = None if self.other is None else ~known & _all(~self.wanted)
        return Level(_mean(self.image, self.known), known, _all(self.usable), other)


def pyramid(level: Level) -> list[Level]:
    """Levels from the finest to the one where labels are found."""
    levels = [level]
    while len(levels[-1].hole) > CELLS and min(levels[-1].known.shape) > SHORTEST:
        half = levels[-1].halved()
        if len(half.sources) < LEAST_SOURCES:
            break
        levels.append(half)
    return levels


def _even(planes: Tensor) -> Tensor:
    height, width = planes.shape[-2:]
    return F.pad(planes[None], (0, width % 2, 0, height % 2), mode="replicate")


def _mean(image: Tensor, known: Tensor) -> Tensor:
    weight = F.avg_pool2d(_even(known[None].float()), 2)
    return (F.avg_pool2d(_even(image * known), 2) / weight.clamp(min=1e-6))[0]


def _all(mask: Tensor) -> Tensor:
    return F.avg_pool2d(_even(mask[None].float()), 2)[0, 0] > 0.999
