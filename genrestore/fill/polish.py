"""Drawing the patches of a filled hole towards patches of the picture, so that pieces meet more quietly.

Wexler, Shechtman & Irani, "Space-time completion of video", PAMI 2007: each patch that touches the hole looks for its like
among the known ones, these vote for the colours of the hole, and so on. As there, votes count by likeness and by nearness to the
rim. Changed: patches from afar cost more, and at the end nothing is averaged: each pixel comes from the best of the patches
that lie over it.
"""

import torch
from torch import Tensor

from genrestore.fill import offsets
from genrestore.fill.labels import Labels
from genrestore.fill.offsets import ALONG
from genrestore.fill.pyramid import PATCH, RADIUS, Level, depth, grown

AT_ONCE = 5e5  # distances that are computed at once
FADING = 1.3  # by which a patch's vote falls a pixel into the hole
FAR = 0.05  # what it costs to come from the other end of the picture, as the squares of a patch's colours differ
CENTRE = 0.02  # by what share a patch counts as worse for a pixel that is one off its middle
QUIET = 0.002  # mean change of a colour that ends the rounds


def polished(level: Level, labels: Labels, rounds: int, generator: torch.Generator) -> Labels:
    """Labels of shifts only, found by patches; those that are given say where to begin."""
    hole, sources = level.hole, level.sources
    targets = grown(level.wanted, RADIUS).flatten().nonzero()[:, 0]
    over = _over(level, targets)
    covered, over = over >= 0, over.clamp(min=0)
    step = ALONG @ torch.tensor([level.width, 1])
    confidence = FADING ** -depth(level.known).flatten()[targets]
    basis = offsets.basis(level, generator)
    table = _described(level, level.rows, basis, sources)
    rows = level.rows.clone()
    rows[hole] = level.rows[labels.source[hole]]
    found, distance = _nearest(_described(level, rows, basis, targets), table)
    for _ in range(rounds - 1):
        spread = distance.quantile(0.75).clamp(min=1e-6)
        likeness = confidence * torch.exp(-distance / (2 * spread))
        votes = torch.where(covered, likeness[over].clamp(min=1e-12), 0.0)
        shown = level.rows[sources[found][over] + step]  # (N, 49, C)
        colours = (votes[..., None] * shown).sum(1) / votes.sum(1, keepdim=True)
        change = (colours - rows[hole]).abs().mean()
        rows[hole] = colours
        found, distance = _nearest(_described(level, rows, basis, targets), table)
        if change < QUIET:
            break
    offered = sources[found][over] + step
    worse = distance[over] * (1 + CENTRE * ALONG.square().sum(1))
    best = torch.where(covered & level.source[offered], worse, torch.inf).argmin(1, keepdim=True)
    source = labels.source.clone()
    source[hole] = offered.gather(1, best)[:, 0]
    return Labels(source, torch.zeros_like(labels.turn))


def _over(level: Level, targets: Tensor) -> Tensor:
    """(N, 49): which of the patches with these centres shows each pixel of the hole at each of its places; -1 where none does."""
    place = torch.full((level.height * level.width,), -1)
    place[targets] = torch.arange(len(targets))
    y, x = level.yx(level.hole)
    ys, xs = y[:, None] - ALONG[:, 0], x[:, None] - ALONG[:, 1]
    inside = (ys >= 0) & (ys < level.height) & (xs >= 0) & (xs < level.width)
    return torch.where(inside, place[(ys * level.width + xs) * inside], -1)


def _nearest(asked: Tensor, table: Tensor) -> tuple[Tensor, Tensor]:
    """For each row of (T, D) the nearest of (S, D), and its squared distance."""
    squares = table.square().sum(1)
    found: list[Tensor] = []
    distance: list[Tensor] = []
    for some in asked.split(max(1, int(AT_ONCE // len(table)))):
        least, which = torch.addmm(squares, some, table.T, alpha=-2).min(1)
        found.append(which)
        distance.append((least + some.square().sum(1)).clamp(min=0))
    return torch.cat(found), torch.cat(distance)


def _described(level: Level, rows: Tensor, basis: Tensor, centres: Tensor) -> Tensor:
    """(T, D): numbers by which patches of a picture (H·W, C) and their places are compared."""
    image = rows.T.reshape(level.image.shape)
    features = offsets.features(image, basis)[centres] / PATCH
    where = torch.stack(level.yx(centres), 1) * (FAR**0.5 / max(level.height, level.width))
    return torch.cat([features, where], 1)
