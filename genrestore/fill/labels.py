"""Which pixel of the picture each pixel of a hole is copied from, so that few seams are seen.

The energy is that of Kwatra et al., "Graphcut textures", SIGGRAPH 2003: where neighbours p and q come from different moves a
and b, what a and b show at p, and at q, should agree, and a seam costs less in texture, where it is seen less: there by the
gradient, here by the deviation round it. Else a hole fills with what is smooth, where seams are cheap. It is lowered by belief
propagation in sweeps (Tappen & Freeman, ICCV 2003) on the coarsest level, and on every level by trying the neighbours' moves
(iterated conditional modes, Besag 1986). Added: near the rim a move should show what is known round there, not only beside it.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from genrestore.fill.offsets import ALONG, TURNS
from genrestore.fill.pyramid import Level, grown

ASIDE = ((0, 1), (0, -1), (1, 0), (-1, 0))
AROUND = (*ASIDE, (1, 1), (-1, -1), (1, -1), (-1, 1))
JUMPS = (1, 2, 1, 4, 1, 1, 3, 1)  # pixels to the neighbour whose move is tried, sweep after sweep
SEAM = 1.0  # what a difference of colours costs, beside the guide's squares
CALM = 3.0  # is added to the deviation round a pixel, 1 being usual, by which that is divided
BAND = 2  # pixels from the rim within which a move is to show what is known round there
ROUND = 2.0  # what it costs to differ from that, on the mean, beside a seam
UNKNOWN = 4.0  # what it costs to show something that is not known: more than any two colours differ
NO_SOURCE = 20.0
AT_ONCE = 100  # pixels whose costs between moves are found at once
ROUNDS = 4  # of belief propagation
SETTLED = 0.002  # of the hole's pixels: fewer changes end the sweeps


@dataclass
class Labels:
    """Where every pixel of a level comes from.

    Attributes:
        source: (H·W,) flat indices; a known pixel comes from itself.
        turn: (H·W,) which of TURNS its surroundings were copied by.
    """

    source: Tensor
    turn: Tensor


def steps(width: int) -> Tensor:
    """(turns, 9, 9): entry [t, dy + 4, dx + 4] is the flat step that a source makes when its pixel goes by (dy, dx)."""
    reach = torch.arange(-4, 5)
    grid = torch.stack(torch.meshgrid(reach, reach, indexing="ij"), -1)  # (9, 9, 2)
    moved = torch.einsum("tij,yxj->tyxi", TURNS, grid)
    return moved[..., 0] * width + moved[..., 1]


def propagate(
    messages: "Messages",
    guide: tuple[Tensor, Tensor] | None,
    weight: float,
    report: Callable[[float], None] = lambda done: None,
) -> Labels:
    """Choose one of the moves for each pixel of the hole.

    Args:
        guide: (C, H, W) twice, what a source shows from far and what a pixel should; preferred by `weight`.
    """
    level, moves = messages.level, messages.moves
    chosen = messages.best(guide, weight, report)
    y, x = level.yx(level.hole)
    sy, sx = _moved(y, x, moves[chosen])
    flat = sy.clamp(0, level.height - 1) * level.width + sx.clamp(0, level.width - 1)
    return _placed(level, flat, moves[chosen, 0])


class Messages:
    """Min-sum belief propagation: N pixels of the hole, K moves (K, 3)."""

    def __init__(self, level: Level, moves: Tensor) -> None:
        self.level, self.moves = level, moves
        y, x = level.yx(level.hole)
        known = level.known.flatten()
        deviation = level.deviation.flatten()
        usual = deviation[level.sources].mean().clamp(min=1e-4)
        self.seam = SEAM / (CALM + deviation / usual)
        self.here = {side: self._shown(y + side[0], x + side[1]) for side in ((0, 0), *ASIDE)}
        place = torch.full((level.height * level.width,), -1)
        place[level.hole] = torch.arange(len(level.hole))

        self.flat, inside = self._flat(*_moved(y[:, None], x[:, None], moves))
        allowed = level.source[self.flat] & inside
        # (N, K) each: of a source, of what is known round a pixel, and of the rim on each side
        self.costs = [torch.where(allowed, 0.0, NO_SOURCE), self._round(y, x)]
        self.next: dict[tuple[int, int], Tensor] = {}  # each pixel's neighbour in the hole, or -1
        for side in ASIDE:
            flat, inside = self._flat(y + side[0], x + side[1])
            colours, shown, seam = self.here[side]
            apart = torch.where(shown, seam * (colours - level.rows[flat][:, None]).norm(dim=-1), UNKNOWN)
            self.costs.append(torch.where((known[flat] & inside)[:, None], 2 * apart, 0.0))
            self.next[side] = torch.where(inside, place[flat], -1)
        self.between = {side: self._pairs(side) for side in ((0, 1), (1, 0))}
        self.lines = {
            side: [
                line
                for at in _walk(x if side[0] == 0 else y, forwards=sum(side) > 0)
                if len(line := ((x if side[0] == 0 else y).eq(at) & (self.next[side] >= 0)).nonzero()[:, 0])
            ]
            for side in ASIDE
        }

    def best(self, guide: tuple[Tensor, Tensor] | None, weight: float, report: Callable[[float], None]) -> Tensor:
        """(N,) the move of each pixel."""
        cost = self.costs[0].clone()
        if guide is not None:
            seen, wanted = (planes.flatten(1).T for planes in guide)
            cost += weight * (seen[self.flat] - wanted[self.level.hole][:, None]).square().sum(-1)
        for side in self.costs[1:]:
            cost += side
        told = {side: torch.zeros_like(cost) for side in ASIDE}  # by the neighbour on that side
        for k in range(ROUNDS):
            report(k / ROUNDS)
            for side in ASIDE:
                back = (-side[0], -side[1])
                for line in self.lines[side]:
                    there = self.next[side][line]
                    belief = cost[line] + sum(told[other][line] for other in ASIDE if other != side)
                    pair = self.between[side][line] if side in self.between else self.between[back][there]
                    message = (pair + belief[:, None, :]).amin(2)  # what holds for a pair holds for its exchange
                    told[back][there] = message - message.amin(1, keepdim=True)
        return (cost + sum(told.values())).argmin(1)

    def _flat(self, y: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        inside = (y >= 0) & (y < self.level.height) & (x >= 0) & (x < self.level.width)
        return (y * self.level.width + x) * inside, inside

    def _shown(self, y: Tensor, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """What each move shows at (N,) places: (N, K, C), where that is known, and how much a seam counts in it."""
        flat, inside = self._flat(*_moved(y[:, None], x[:, None], self.moves))
        return self.level.rows[flat], self.level.known.flatten()[flat] & inside, self.seam[flat]

    def _round(self, y: Tensor, x: Tensor) -> Tensor:
        """(N, K): by how much each move differs from what is known within BAND pixels of (N,) places.

        A source has its whole patch inside and known, so what a move shows there needs no test.
        """
        near = grown(self.level.known, BAND).flatten()[self.level.hole].nonzero()[:, 0]
        along = ALONG[ALONG.abs().amax(1) <= BAND]
        ys, xs = y[near, None] + along[:, 0], x[near, None] + along[:, 1]
        flat, inside = self._flat(ys, xs)
        known = self.level.known.flatten()[flat] & inside
        weight, colours = ROUND * known / known.sum(1, keepdim=True), self.level.rows[flat]
        total = torch.zeros(self.flat.shape)
        for k, move in enumerate(self.moves):
            source, _ = self._flat(*_moved(ys, xs, move))
            apart = (self.level.rows[source] - colours).norm(dim=-1) * self.seam[source]
            total[near, k] = (weight * apart).sum(1)
        return total

    def _pairs(self, side: tuple[int, int]) -> Tensor:
        """(N, K, K) what two moves cost at a pixel and its neighbour."""
        total = torch.zeros(*self.flat.shape, len(self.moves))
        for place in ((0, 0), side):
            for some in torch.arange(len(total)).split(AT_ONCE):
                colours, shown, seam = (plane[some] for plane in self.here[place])
                squares = colours.square().sum(-1)
                apart = squares[:, :, None] + squares[:, None] - 2 * colours @ colours.transpose(1, 2)
                apart = apart.clamp_(min=0).sqrt_() * ((seam[:, :, None] + seam[:, None]) / 2)
                total[some] += torch.where(shown[:, :, None] & shown[:, None], apart, UNKNOWN)
        total.diagonal(dim1=1, dim2=2).zero_()
        return total


def refine(level: Level, labels: Labels, sweeps: int, report: Callable[[float], None] = lambda done: None) -> Labels:
    """Let each pixel of the hole take a neighbour's move where that lowers the energy, until few do."""
    source, turn = labels.source.clone(), labels.turn.clone()
    found = Labels(source, turn)
    stride = steps(level.width)
    hole = level.wanted.flatten()
    for sweep in range(sweeps):
        report(sweep / sweeps)
        changed = 0
        jump = JUMPS[sweep % len(JUMPS)]
        open_ = _near_seams(level, found)
        y, x = level.yx(open_)
        even = (y + x) % 2 == 0
        for half in (even, ~even):
            here, hy, hx = open_[half], y[half], x[half]
            for dy, dx in AROUND:
                ny, nx = hy + dy * jump, hx + dx * jump
                inside = (ny >= 0) & (ny < level.height) & (nx >= 0) & (nx < level.width)
                there = torch.where(inside, here + (dy * level.width + dx) * jump, here)
                offered = source[there] - stride[turn[there], dy * jump + 4, dx * jump + 4]
                offered = offered.clamp(0, len(source) - 1)
                new = inside & hole[there] & (offered != source[here]) & level.source[offered]
                p = here[new]
                if not len(p):
                    continue
                a, ta = offered[new], turn[there[new]]
                new_cost, cost = _seams(level, found, p, (a, ta), (source[p], turn[p]))
                better = new_cost < cost - 1e-6
                p = p[better]
                source[p], turn[p] = a[better], ta[better]
                changed += len(p)
        if changed < SETTLED * len(level.hole):
            break
    return found


def _near_seams(level: Level, labels: Labels) -> Tensor:
    """The pixels of the hole with another move at hand than their own; the others have nothing to try."""
    y, x = level.yx(level.hole)
    part = slice(int(y.min()), int(y.max()) + 1), slice(int(x.min()), int(x.max()) + 1)
    sources, turns, hole = (
        plane.reshape(level.known.shape)[part] for plane in (labels.source, labels.turn, level.wanted)
    )
    stride = steps(level.width)
    seam = torch.zeros_like(hole)
    for axis, step in ((0, stride[:, 5, 4]), (1, stride[:, 4, 5])):
        length = hole.shape[axis] - 1
        (a, b), (ta, tb), (in_a, in_b) = (
            (plane.narrow(axis, 0, length), plane.narrow(axis, 1, length)) for plane in (sources, turns, hole)
        )
        differ = in_a & in_b & ((b - a != step[ta]) | (ta != tb))
        seam.narrow(axis, 0, length).logical_or_(differ)
        seam.narrow(axis, 1, length).logical_or_(differ)
    near = torch.zeros_like(level.known)
    near[part] = grown(seam, max(JUMPS)) & hole
    return near.flatten().nonzero()[:, 0]


def energy(level: Level, labels: Labels) -> float:
    """Σ over seams of what their two sides differ by: comparable between fills of one hole."""
    (found,) = _seams(level, labels, level.hole, (labels.source[level.hole], labels.turn[level.hole]))
    return float(found.sum())


def doubled(coarse: Level, labels: Labels, fine: Level) -> Labels:
    """The labels of a level on the next finer one; what has no source there takes one at hand."""
    y, x = fine.yx(fine.hole)
    parent = (y // 2).clamp(max=coarse.height - 1) * coarse.width + (x // 2).clamp(max=coarse.width - 1)
    turn = labels.turn[parent]
    sy, sx = coarse.yx(labels.source[parent])
    # The four pixels of one go with its centre: s' = A·(q − ½) + ½ for q in {0, 1}².
    quarter = 2 * torch.stack([y - 2 * (y // 2), x - 2 * (x // 2)], -1) - 1
    part = (torch.einsum("nij,nj->ni", TURNS[turn], quarter) + 1) // 2
    sy, sx = 2 * sy + part[:, 0], 2 * sx + part[:, 1]
    flat = sy.clamp(max=fine.height - 1) * fine.width + sx.clamp(max=fine.width - 1)
    return repaired(fine, _placed(fine, flat, turn))


def repaired(level: Level, labels: Labels) -> Labels:
    """Labels whose sources are all allowed: the others take the nearest that is, in reading order."""
    source, turn = labels.source.clone(), labels.turn.clone()
    at = source[level.hole]
    wrong = ~level.source[at]
    nearest = torch.searchsorted(level.sources, at[wrong]).clamp(max=len(level.sources) - 1)
    source[level.hole[wrong]] = level.sources[nearest]
    turn[level.hole[wrong]] = 0
    return Labels(source, turn)


def _placed(level: Level, source: Tensor, turn: Tensor) -> Labels:
    """Labels of a level whose hole's pixels (N,) come from these; a known pixel comes from itself."""
    sources = torch.arange(level.height * level.width)
    turns = torch.zeros_like(sources)
    sources[level.hole], turns[level.hole] = source, turn
    return Labels(sources, turns)


def _moved(y: Tensor, x: Tensor, moves: Tensor) -> tuple[Tensor, Tensor]:
    a = TURNS[moves[..., 0]]
    return (
        a[..., 0, 0] * y + a[..., 0, 1] * x + moves[..., 1],
        a[..., 1, 0] * y + a[..., 1, 1] * x + moves[..., 2],
    )


def _walk(line: Tensor, forwards: bool) -> Tensor:
    values = torch.unique(line)
    return values if forwards else values.flip(0)


def _seams(level: Level, labels: Labels, p: Tensor, *choices: tuple[Tensor, Tensor]) -> list[Tensor]:
    """For each choice (P,) what it costs that pixels p come from its sources by its turns, their neighbours staying as they are.

    A source has its whole patch inside and known, so what a move shows one pixel further needs no test.
    """
    y, x = level.yx(p)
    stride, known = steps(level.width), level.known.flatten()
    shown = [level.rows.index_select(0, a) for a, _ in choices]
    totals = [torch.zeros(len(p)) for _ in choices]
    for dy, dx in ASIDE:
        inside = (y >= -dy) & (y < level.height - dy) & (x >= -dx) & (x < level.width - dx)
        q = torch.where(inside, p + dy * level.width + dx, p)
        if level.other is not None:
            inside &= ~level.other.flatten().index_select(0, q)
        b, tb = labels.source.index_select(0, q), labels.turn.index_select(0, q)
        outside = known.index_select(0, q)
        there = level.rows.index_select(0, b)
        back = b - stride[:, dy + 4, dx + 4].index_select(0, tb)
        here = level.rows.index_select(0, back.clamp(0, len(known) - 1))
        for total, colours, (a, ta) in zip(totals, shown, choices, strict=True):
            next_a = a + stride[:, dy + 4, dx + 4].index_select(0, ta)
            ahead = (level.rows.index_select(0, next_a) - there).square().sum(1).sqrt()
            behind = torch.where(outside, ahead, (colours - here).square().sum(1).sqrt())
            apart = inside & (outside | (next_a != b) | (ta != tb))
            total += torch.where(apart, ahead + behind, 0.0)
    return totals
