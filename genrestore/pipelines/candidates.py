"""Other fills of a wide part beside the one that is shown, and where they disagree."""

import threading
from collections.abc import Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch

from genrestore import machine
from genrestore.errors import MaskError
from genrestore.fill import Shared
from genrestore.fill.pyramid import box
from genrestore.pictures.image import Picture
from genrestore.pipelines.inpaint import Part, box_slice, repair

KINDS = {  # what `repair` is asked for, and by which other seed
    "pieces": ("pieces", 0),
    "other": ("pieces", 1),
    "free": ("free", 0),
    "polished": ("polished", 0),
    "smooth": ("smooth", 0),
}
FAR = 2  # pixels round one over which fills are compared: where grass is grass, it does not matter which blade grows
LONGEST_FIRST = ("polished", "other", "pieces", "smooth", "free")  # so that no core has nothing to do before the end
_workers = ThreadPoolExecutor(machine.cores(), "candidates")


@dataclass(frozen=True)
class Candidate:
    """A fill of one part.

    Attributes:
        kind: one of KINDS.
        pixels: (h, w, C) of the part's box, as the picture's; only those of the part are to be used.
        energy: of the seams of pieces; the lower of two is the quieter, whether or not it is the better.
    """

    kind: str
    pixels: np.ndarray
    energy: float | None


def candidates(
    source: Picture,
    mask: np.ndarray,
    part: Part,
    *,
    kinds: Sequence[str] = tuple(KINDS),
    model: str = "auto",
    strategy: str = "crop",
    seed: int = 0,
    grow: int = 0,
    feather: int | None = None,
    hole: np.ndarray | None = None,
    forbidden: np.ndarray | None = None,
    cancel: threading.Event | None = None,
) -> Generator[Candidate, None, None]:
    """Fills of a part that was made of pieces: each as `repair` with these arguments and `KINDS[kind]` makes it, bit for bit.

    They are made side by side and come in the order of `kinds`; whoever stops asking stops the work.

    Args:
        part: of what `repair` of this mask gave, its reason "wide" or "asked".

    Raises:
        Cancelled: `cancel` was set.
    """
    stop = cancel or threading.Event()
    shared = Shared()

    def made(kind: str) -> Candidate:
        fill, further = KINDS[kind]
        result = repair(
            source, mask, model=model, strategy=strategy, seed=seed + further, grow=grow, feather=feather, hole=hole,
            fill=fill, only=part, forbidden=forbidden, cancel=stop, once=shared.once,
        )  # fmt: skip
        energy = next((other.energy for other in result.parts if other.energy is not None), None)
        return Candidate(kind, np.ascontiguousarray(result.picture.pixels[box_slice(part.box)]), energy)

    waiting = {kind: _workers.submit(made, kind) for kind in sorted(kinds, key=LONGEST_FIRST.index)}
    try:
        for kind in kinds:
            yield waiting[kind].result()
    finally:
        if cancel is None:
            stop.set()
        for future in waiting.values():
            future.cancel()


def taken(repaired: Picture, touched: np.ndarray, fill: np.ndarray, inside: np.ndarray, at: tuple[int, int]) -> Picture:
    """The picture with another fill in the place of what stands there.

    Args:
        touched: (H, W) bool, what was filled: all else must stay.
        fill: (h, w, C) of a box, as the picture's.
        inside: (h, w) bool, which of them are put in.
        at: top and left of the box.

    Raises:
        MaskError: they do not lie in the picture, or in what was filled, or are not alike.
    """
    top, left = at
    there = np.s_[max(0, top) : max(0, top + fill.shape[0]), max(0, left) : max(0, left + fill.shape[1])]
    pixels = repaired.pixels.copy()
    alike = pixels[there].shape == fill.shape and pixels.dtype == fill.dtype and inside.shape == fill.shape[:2]
    if not alike or (inside & ~touched[there]).any():
        raise MaskError("This fill does not fit what was repaired; repair it once more.")
    pixels[there][inside] = fill[inside]
    return repaired.with_pixels(pixels)


def guesses(part: Part, found: Sequence[Candidate]) -> np.ndarray:
    """How much fills of a part are guesses: (h, w) float32, 0 where they look alike from far, 1 where some are black, some white.

    It is 0 outside the part.
    """
    inside = torch.from_numpy(part.pixels)
    weight = box(inside[None].float(), FAR).clamp(min=1e-6)
    looks = torch.stack(
        [
            box(
                torch.from_numpy(fill.pixels / np.float32(np.iinfo(fill.pixels.dtype).max)).permute(2, 0, 1) * inside,
                FAR,
            )
            / weight
            for fill in found
        ]
    )
    apart = (looks.amax(0) - looks.amin(0)).amax(0).clamp(0, 1)
    return torch.where(inside, apart, 0.0).numpy()
