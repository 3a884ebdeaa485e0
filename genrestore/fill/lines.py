"""Lines that run into a hole go on in the smooth fill that pieces are compared with.

A smooth fill fades a pole or the edge of a wall, and pieces that show it are then refused. Here the directions in which the
strongest edges round the hole run are found by the structure tensor (Bigün & Granlund, "Optimal orientation detection of linear
symmetry", ICCV 1987), and along them the colours of the two sides are joined where they are alike.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from genrestore.fill.pyramid import Level, box, depth, grown

DIRECTIONS = 3  # that are looked along
BLUR, NEAR = 1, 6  # pixels that edges are looked for through, and round the hole
ANGLES = 180  # directions that are told apart
SHARP = 300.0  # concentration of one of them, in doubled angles: 3 degrees
APART = 0.94  # cosine of the doubled angle between two directions: 10 degrees
ALIKE = 0.1  # distance of two colours that may belong to one line
SMOOTH = 0.05  # weight of the smooth fill, beside the share of all edges that run in a direction
DEEP = 8  # pixels from the rim; nearer to it the smooth fill is the surer one
COMPACT = 0.3  # half a hole's width beside the root of its area; of a rectangle that is 3 times as long as wide
LONGEST = 128  # pixels to the end of a line


class Direction(NamedTuple):
    y: float
    x: float
    share: float  # of the edges round the hole that run along it, by their strength


def directions(level: Level) -> list[Direction]:
    """Unit vectors along the strongest edges round the hole, the strongest first."""
    near = torch.zeros_like(level.known)
    near[1:-1, 1:-1] = (grown(level.wanted, NEAR) & ~grown(~level.known, BLUR + 1))[1:-1, 1:-1]
    image = box(level.image, BLUR)
    dy, dx = torch.zeros_like(image), torch.zeros_like(image)
    dy[:, 1:-1], dx[..., 1:-1] = image[:, 2:] - image[:, :-2], image[..., 2:] - image[..., :-2]
    tensor = torch.stack([dx.square() - dy.square(), 2 * dx * dy]).sum(1) * near  # as vectors of the doubled angle
    vectors = box(tensor, BLUR)[:, near].T  # (N, 2)
    strength = vectors.norm(dim=1)
    angles = torch.arange(ANGLES) * (2 * math.pi / ANGLES)
    like = torch.exp(SHARP * (torch.cos(angles[:, None] - torch.atan2(vectors[:, 1], vectors[:, 0])) - 1))
    seen = like @ strength / strength.sum().clamp(min=1e-9)
    found: list[Direction] = []
    for _ in range(DIRECTIONS):
        best = int(seen.argmax())
        x, y = (like[best] @ vectors).tolist()
        across = math.atan2(y, x) / 2
        found.append(Direction(math.cos(across), -math.sin(across), float(seen[best])))
        seen = seen * (torch.cos(angles - angles[best]) < APART)
    return found


def drawn(level: Level, smooth: Tensor) -> Tensor:
    """(C, H, W): a smooth fill of the level with lines drawn across its hole; in a stroke the smooth fill is the surer one."""
    inner = depth(level.known).flatten()[level.hole]
    if inner.max() < COMPACT * math.sqrt(len(inner)):
        return smooth
    y, x = level.yx(level.hole)
    colours = (box(level.image, BLUR) / box(level.known[None].float(), BLUR).clamp(min=1e-3)).flatten(1)
    sure = (level.known & ~grown(~level.known, BLUR)).flatten()
    deep = (inner / DEEP).square().clamp(max=1)
    steps = torch.arange(1, LONGEST + 1)

    def end(dy: float, dx: float) -> tuple[Tensor, Tensor, Tensor]:
        """What is seen from each pixel of the hole that way: its colour (C, N), how far away it is, and whether it is there."""
        ys, xs = (y[:, None] + dy * steps).round().long(), (x[:, None] + dx * steps).round().long()
        inside = (ys >= 0) & (ys < level.height) & (xs >= 0) & (xs < level.width)
        flat = (ys * level.width + xs) * inside
        there = sure[flat] & inside
        first = there.float().argmax(1, keepdim=True)
        return colours[:, flat.gather(1, first)[:, 0]], first[:, 0] + 1.0, there.any(1)

    total = SMOOTH * smooth.flatten(1)[:, level.hole]
    weights = torch.full((len(y),), SMOOTH)
    for way in directions(level):
        one, near, seen = end(way.y, way.x)
        other, far, also = end(-way.y, -way.x)
        alike = torch.exp(-(one - other).square().sum(0) / (2 * ALIKE**2))
        weight = way.share * deep * alike * (seen & also)
        total += weight * (one * far + other * near) / (near + far)
        weights += weight
    result = smooth.flatten(1).clone()
    result[:, level.hole] = total / weights
    return result.reshape(smooth.shape)
