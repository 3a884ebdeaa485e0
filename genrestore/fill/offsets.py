"""By which moves a picture repeats itself: the candidates that labels are chosen from.

He & Sun, "Statistics of patch offsets for image completion", ECCV 2012: similar patches of a picture lie at few offsets from each
other. Beside those of the whole picture stand the moves that continue the hole's rim best, and moves that mirror or turn.

A move takes a pixel p to the source A·p + b, where A is one of TURNS and b two whole numbers: (turn, b_y, b_x).
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from genrestore.fill.pyramid import PATCH, RADIUS, Level, grown

# Rows of A for (y, x): as it is, mirrored left to right, upside down, both, and these four with the axes exchanged.
TURNS = torch.tensor(
    [[[a, 0], [0, b]] for a in (1, -1) for b in (1, -1)] + [[[0, a], [b, 0]] for a in (1, -1) for b in (1, -1)]
)
ALONG = torch.tensor([[y, x] for y in range(-RADIUS, RADIUS + 1) for x in range(-RADIUS, RADIUS + 1)])  # of a patch

DOMINANT = 50  # moves of the whole picture
RIM = 30  # moves that continue the rim
RIM_PIXELS = 400  # that are asked for them
FEATURES = 24  # numbers by which patches are compared
DISTANCES = 2e7  # that are computed at most
AT_ONCE = 5e5
NEAREST = 1 / 15  # of the longer side: a smaller offset finds the patch itself


def moves(level: Level, turns: int, generator: torch.Generator) -> Tensor:
    """(K, 3) moves worth trying, each once.

    Args:
        turns: how many of TURNS may be used; 1 only shifts.
    """
    found = [dominant(level, generator), rim(level, turns, generator)]
    return torch.unique(torch.cat(found), dim=0)


def dominant(level: Level, generator: torch.Generator) -> Tensor:
    """(≤ DOMINANT, 3) shifts by which patches find their like, the most frequent first."""
    sources = _near(level)
    y, x = level.yx(sources)
    described = features(level.image, basis(level, generator))[sources]
    asked = torch.arange(len(sources))
    if len(sources) ** 2 > DISTANCES:
        asked = torch.randperm(len(sources), generator=generator)[: int(DISTANCES / len(sources))]
    squares = described.square().sum(1)
    places = torch.stack([y, x], 1).float()
    lengths = places.square().sum(1)
    least = max(level.height, level.width) * NEAREST
    seen = torch.zeros(2 * level.height + 1, 2 * level.width + 1)
    for some in asked.split(max(1, int(AT_ONCE // len(sources)))):
        distance = torch.addmm(squares, described[some], described.T, alpha=-2)
        apart = torch.addmm(lengths, places[some], places.T, alpha=-2)
        close = apart < least * least - lengths[some, None]
        best = distance.masked_fill_(close, torch.inf).argmin(1)
        seen.index_put_(
            (y[best] - y[some] + level.height, x[best] - x[some] + level.width), torch.ones(len(some)), accumulate=True
        )
    seen = _blurred(seen + seen.flip(0, 1))  # an offset and its reverse count alike
    peak = (seen == F.max_pool2d(seen[None, None], 5, 1, 2)[0, 0]) & (seen > 0)
    where = peak.flatten().nonzero()[:, 0]
    where = where[seen.flatten()[where].argsort(descending=True, stable=True)[:DOMINANT]]
    shift = torch.stack([where // seen.shape[1] - level.height, where % seen.shape[1] - level.width], 1)
    return F.pad(shift, (1, 0))


def rim(level: Level, turns: int, generator: torch.Generator) -> Tensor:
    """(≤ RIM, 3) moves to the sources that agree best with what is known round pixels just inside the hole."""
    asked = (grown(level.known, 2) & level.wanted).flatten().nonzero()[:, 0]
    asked = asked[torch.randperm(len(asked), generator=generator)[:RIM_PIXELS]]
    y, x = level.yx(asked)
    ys, xs = y[:, None] + ALONG[:, 0], x[:, None] + ALONG[:, 1]
    inside = (ys >= 0) & (ys < level.height) & (xs >= 0) & (xs < level.width)
    flat = (ys * level.width + xs) * inside
    weight = (level.known.flatten()[flat] & inside).float()  # (Q, 49)
    wanted = level.rows[flat] * weight[..., None]  # (Q, 49, C)
    weights = weight[..., None].expand_as(wanted).flatten(1)
    found: list[Tensor] = []
    for turn in range(turns):
        step = (ALONG @ TURNS[turn].T) @ torch.tensor([level.width, 1])
        least = torch.full((len(asked),), torch.inf)
        best = torch.zeros(len(asked), dtype=torch.long)
        for some in level.sources.split(4000):
            patches = level.rows[some[:, None] + step].flatten(1)  # (S, 49·C)
            distance = weights @ patches.square().T - 2 * (wanted.flatten(1) @ patches.T)
            lower, which = distance.min(1)
            best = torch.where(lower < least, some[which], best)
            least = torch.minimum(lower, least)
        b = torch.stack(level.yx(best), 1) - torch.stack([y, x], 1) @ TURNS[turn].T
        move, count = torch.unique(b, dim=0, return_counts=True)
        move = move[count.argsort(descending=True, stable=True)[:RIM]]
        found.append(F.pad(move, (1, 0), value=turn))
    return torch.cat(found)


def _near(level: Level) -> Tensor:
    """The sources inside three times the hole's box, or all where those are few."""
    y, x = level.yx(level.sources)
    hole_y, hole_x = level.yx(level.hole)
    (top, bottom), (left, right) = hole_y.aminmax(), hole_x.aminmax()
    height, width = bottom - top + 1, right - left + 1
    near = (y >= top - height) & (y <= bottom + height) & (x >= left - width) & (x <= right + width)
    return level.sources[near] if near.sum() > 200 else level.sources


def basis(level: Level, generator: torch.Generator) -> Tensor:
    """(FEATURES, C, 7, 7): principal components of the patches that may be copied (Pearson 1901)."""
    sources = level.sources
    some = sources[torch.randint(len(sources), (min(8000, 2 * len(sources)),), generator=generator)]
    patches = level.rows[some[:, None] + ALONG @ torch.tensor([level.width, 1])].transpose(1, 2).flatten(1)  # C·49
    centred = patches - patches.mean(0)
    _, vectors = torch.linalg.eigh((centred.T @ centred).double())
    return vectors[:, -FEATURES:].float().T.reshape(-1, level.image.shape[0], PATCH, PATCH)


def features(image: Tensor, basis: Tensor) -> Tensor:
    """(H·W, FEATURES): the patches of (C, H, W) by their components; at the edges they are mirrored."""
    padded = F.pad(image[None], (RADIUS,) * 4, mode="reflect")
    return F.conv2d(padded, basis)[0].flatten(1).T


def _blurred(seen: Tensor) -> Tensor:
    bell = torch.exp(-(torch.arange(-4, 5).float() ** 2) / 4)
    return F.conv2d(seen[None, None], (bell[:, None] * bell)[None, None], padding=4)[0, 0]
