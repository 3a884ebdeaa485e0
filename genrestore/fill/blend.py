"""Joining copied pixels without visible steps."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from genrestore.fill.labels import Labels, steps
from genrestore.fill.pyramid import Level

SCREEN = 0.001  # a correction fades over about 1/√SCREEN = 32 pixels
MOST, ENOUGH = 400, 2e-3  # conjugate-gradient steps, and the residual's share at which they end


def blended(level: Level, labels: Labels, image: Tensor, report: Callable[[float], None] = lambda done: None) -> Tensor:
    """(C, H, W), its hole copied by the labels and lightened or darkened so that seams and rim go.

    The gradients wanted are those of the sources, averaged where two meet; the values stay near the copy's. Screened Poisson
    equation: Bhat et al., "Fourier analysis of the 2D screened Poisson equation for gradient domain problems", ECCV 2008.

    Args:
        image: (C, H, W) that is copied, of the level's size, such as its colours or its transparency.
    """
    y, x = level.yx(level.hole)
    top, bottom = max(0, int(y.min()) - 1), min(level.height, int(y.max()) + 2)
    left, right = max(0, int(x.min()) - 1), min(level.width, int(x.max()) + 2)
    part = (slice(top, bottom), slice(left, right))
    rows = image.flatten(1)
    source, turn = (plane.reshape(level.known.shape)[part] for plane in (labels.source, labels.turn))
    hole = level.wanted[part]
    copy = rows[:, source]  # (C, h, w)
    stride = steps(level.width)

    def wanted(first: tuple[slice, slice], second: tuple[slice, slice], dy: int, dx: int) -> Tensor:
        """By how much more the copy should rise from each first pixel to its second; 0 where neither is in the hole."""
        a, b, ta, tb = source[first], source[second], turn[first], turn[second]
        in_a, in_b = hole[first], hole[second]
        last = rows.shape[1] - 1
        rise_a = rows[:, (a + stride[ta, dy + 4, dx + 4]).clamp(0, last)] - rows[:, a]
        rise_b = rows[:, b] - rows[:, (b - stride[tb, dy + 4, dx + 4]).clamp(0, last)]
        rise = torch.where(in_a & in_b, (rise_a + rise_b) / 2, torch.where(in_a, rise_a, rise_b))
        return (rise - (copy[:, second[0], second[1]] - copy[:, first[0], first[1]])) * (in_a | in_b)

    all_, to, from_ = slice(None), slice(None, -1), slice(1, None)
    across = wanted((all_, to), (all_, from_), 0, 1)
    down = wanted((to, all_), (from_, all_), 1, 0)

    right = torch.zeros_like(copy)
    right[..., to] -= across
    right[..., from_] += across
    right[..., to, :] -= down
    right[..., from_, :] += down
    correction = _solved(right * hole, hole, report)
    result = image.clone()
    result[:, part[0], part[1]] = torch.where(hole, copy + correction, image[:, part[0], part[1]])
    return result.clamp(0, 1)


def _solved(right: Tensor, hole: Tensor, report: Callable[[float], None]) -> Tensor:
    """u (C, H, W), 0 outside the hole (H, W), for which SCREEN·u − Δu = right: by conjugate gradients (Hestenes & Stiefel 1952).

    What lies beyond the picture's edge does not pull; all channels are one system.
    """
    inside = hole.float()
    degree = torch.full_like(inside, 4 + SCREEN)
    for edge in (degree[0], degree[-1], degree[:, 0], degree[:, -1]):
        edge -= 1
    degree *= inside
    result = torch.zeros_like(right)
    residual, direction, image = right.clone(), right.clone(), torch.empty_like(right)
    first = energy = float(residual.square().sum())
    for _ in range(MOST):
        if energy <= ENOUGH**2 * first:
            break
        # It falls by about the same share each time.
        report(min(1.0, max(0.0, math.log(energy / first) / math.log(ENOUGH**2))))
        torch.mul(direction, degree, out=image)
        image[..., 1:] -= direction[..., :-1]
        image[..., :-1] -= direction[..., 1:]
        image[..., 1:, :] -= direction[..., :-1, :]
        image[..., :-1, :] -= direction[..., 1:, :]
        image *= inside
        step = energy / max(float(torch.dot(direction.flatten(), image.flatten())), 1e-20)
        result.add_(direction, alpha=step)
        residual.sub_(image, alpha=step)
        lower = float(torch.dot(residual.flatten(), residual.flatten()))
        direction.mul_(lower / energy).add_(residual)
        energy = lower
    return result
