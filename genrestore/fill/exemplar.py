"""Fill a hole with pieces of the same picture.

1. Halve the picture until the hole has some thousand pixels. 2. Find the moves by which the picture repeats itself
(`offsets`). 3. Give each pixel of the hole one of them, so that few seams are seen and the whole looks from far like a smooth
fill (`labels`) in which lines go on (`lines`). 4. Take the labels down to the full size, level by level. 5. Copy single pixels,
so that texture stays sharp, and join them (`blend`).
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from genrestore.errors import MaskError, stop_if
from genrestore.fill import labels as labelling
from genrestore.fill import lines, offsets
from genrestore.fill.blend import blended
from genrestore.fill.labels import Labels
from genrestore.fill.polish import polished
from genrestore.fill.pyramid import AROUND, Level, box, depth, pyramid
from genrestore.fill.shared import Once, anew
from genrestore.nets import layers

SPARED = 0.3  # share of the moves that another seed than 0 does without
COARSEST_SWEEPS, SWEEPS = 8, 6  # of refining on the coarsest level, and on each above it
COARSEST = 6e5  # the time until there are labels on the coarsest level, in pixels that are refined in it
BEFORE, AFTER = 0.6, 0.95  # the parts of that before labels are propagated, and until it is done
BLENDING = 0.5  # the time of blending a pixel, likewise


@dataclass(frozen=True)
class Settings:
    """
    Attributes:
        seed: of the random choices; another one gives another fill. Only 0 may use every move.
        guide: how much a piece is to look like a smooth fill with its lines from far; 0 lets structure go where it likes.
        turns: of `offsets.TURNS` that may be used: 1 shifts only, 2 mirrors left to right too, 8 turns as well.
        polish: rounds in which the patches of the fill look for their like, see `polish`.
        quiet: energy of the seams, times how compact the hole is, up to which a fill is left as it is.
    """

    seed: int = 0
    guide: float = 0.05
    turns: int = 2
    polish: int = 0
    quiet: float = 0.0


@dataclass(frozen=True)
class Filled:
    """
    Attributes:
        level: the picture at its full size.
        labels: where each pixel came from.
        energy: of the seams on the coarsest level: lower is better, among fills of one hole.
        left: share of the time that `of` takes.
    """

    level: Level
    labels: Labels
    energy: float
    left: float

    def of(self, image: Tensor, report: Callable[[float], None] = lambda done: None) -> Tensor:
        """(C, H, W) of the same size, filled: copied, and blended so that no seam is seen.

        Args:
            report: is called with the share of the time that is over, of that of `fill` and this together.
        """
        return blended(self.level, self.labels, image, lambda done: report(1 - self.left * (1 - done)))

    def copied(self, image: Tensor) -> Tensor:
        """(C, H, W) of the same size, filled with values that are in it, such as a transparency that goes with the colours."""
        return image.flatten(1)[:, self.labels.source].reshape(image.shape)


def fill(
    image: Tensor,
    hole: Tensor,
    *,
    other: Tensor | None = None,
    forbidden: Tensor | None = None,
    settings: Settings = Settings(),
    report: Callable[[float], None] = lambda done: None,
    cancel: threading.Event | None = None,
    once: Once = anew,
) -> Filled:
    """
    Args:
        image: (C, H, W) in [0, 1].
        hole: (H, W) bool, what is to be filled; its pixels are never read.
        other: (H, W) bool, what is never read either and stays as it is; it does not touch the hole.
        forbidden: (H, W) bool, what must not be copied.
        report: as of `Filled.of`.
        once: keeps what does not depend on all of the settings, for other fills of the same hole.

    Raises:
        MaskError: there is too little to copy from.
        Cancelled: `cancel` was set.
    """
    known = ~hole if other is None else ~hole & ~other
    usable = known if forbidden is None else known & ~forbidden
    levels = once("levels", lambda: pyramid(Level(image * known, known, usable, other)))
    if not len(levels[-1].sources):
        raise MaskError("There is nothing round the hole to copy from; mark less.")
    work = [len(level.hole) for level in levels]
    total, over = COARSEST + sum(work[:-1]) + BLENDING * work[0], 0.0

    def tell(part: float, done: float) -> None:
        stop_if(cancel)
        report((over + part * done) / total)

    level = levels[-1]
    guide = once("guide", lambda: _guide(level)) if settings.guide else None
    tell(COARSEST, 0.0)
    messages, drawn = once(("messages", settings.seed, settings.turns), lambda: _messages(level, settings))
    generator = torch.Generator()
    generator.set_state(drawn)
    found = labelling.propagate(
        messages, guide, settings.guide, lambda done: tell(COARSEST, BEFORE + (AFTER - BEFORE) * done)
    )
    del messages  # they take more than all else
    found = labelling.repaired(level, found)
    tell(COARSEST, AFTER)
    found = labelling.refine(level, found, COARSEST_SWEEPS)
    energy = labelling.energy(level, found)
    if settings.polish and energy * _compactness(level) > settings.quiet:
        found = labelling.refine(level, polished(level, found, settings.polish, generator), COARSEST_SWEEPS)
        energy = labelling.energy(level, found)
    over = COARSEST
    for finer in reversed(levels[:-1]):
        part = float(len(finer.hole))
        found = labelling.refine(
            finer, labelling.doubled(level, found, finer), SWEEPS, lambda done, part=part: tell(part, done)
        )
        over += part
        level = finer
    return Filled(level, found, energy, BLENDING * work[0] / total)


def _compactness(level: Level) -> float:
    """About ½ of a disc or a square, less the longer and thinner a hole is: from both its rims, less is left to guess."""
    return float(depth(~level.wanted).max()) / len(level.hole) ** 0.5


def _messages(level: Level, settings: Settings) -> tuple[labelling.Messages, Tensor]:
    """The moves that labels are chosen from, compared, and the state of the generator that has drawn for them."""
    generator = torch.Generator().manual_seed(settings.seed)
    moves = offsets.moves(level, settings.turns, generator)
    if settings.seed:  # where nothing else is drawn, two seeds would give one fill
        some = torch.rand(len(moves), generator=generator) > SPARED
        moves = moves[some] if some.any() else moves
    return labelling.Messages(level, moves), generator.get_state()


def _guide(level: Level) -> tuple[Tensor, Tensor]:
    """What a piece shows from far, and what it should."""
    smooth = layers.biharmonic(level.image[None], (~level.known)[None, None].float())[0]
    wanted = lines.drawn(level, smooth)
    weight = box(level.known[None].float(), AROUND)
    seen = box(level.image, AROUND) / weight.clamp(min=1e-3)
    return seen, box(wanted, AROUND)
