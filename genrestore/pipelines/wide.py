"""The wide parts of a hole, which a net would leave a smudge: which they are, and filling them with pieces of the picture."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from genrestore import fill as filling
from genrestore import machine, runtime
from genrestore.errors import stop_if
from genrestore.fill.exemplar import Settings
from genrestore.fill.pyramid import LEAST_SOURCES, Level, box, grown
from genrestore.fill.shared import Once, anew
from genrestore.pictures import image as pictures
from genrestore.pictures.image import Picture
from genrestore.pipelines import colours

RADIUS = 5  # pixels: a part of a hole in which a square of 2·RADIUS + 1 has room is wide; see benchmarks/quality.py
FLAT = 1.5 / 255  # deviation of the fine detail round a hole below which there is no texture to continue
RIM = 16  # pixels round a hole whose detail is looked at
BLUR = 2  # pixels round one from whose mean it deviates
LOOKED_AT = 128  # pixels of a part's longer side, at the smallest size at which its surroundings are looked at
CONTEXT = (64, 512)  # pixels round a hole from which pieces are taken: its longer side, but within these

_fillers = ThreadPoolExecutor(machine.cores(), "filler", runtime.one_core)

T = TypeVar("T")
Box = tuple[int, int, int, int]  # top, left, bottom, right


def wide(hole: np.ndarray) -> np.ndarray:
    """(H, W) bool → the parts of it in which a square of 2·RADIUS + 1 pixels has room, and what is near those."""
    mask = torch.from_numpy(hole)
    core = ~grown(~mask, RADIUS)  # beyond the picture's edge a hole goes on
    return (grown(core, 2 * RADIUS) & mask).numpy()


def surroundings(part: Box, height: int, width: int) -> Box:
    """The box in which a wide part is filled."""
    top, left, bottom, right = part
    reach = min(max(bottom - top, right - left, CONTEXT[0]), CONTEXT[1])
    return max(0, top - reach), max(0, left - reach), min(height, bottom + reach), min(width, right + reach)


def work(pixels: int) -> int:
    """About how long filling a part of so many pixels takes, in pixels that a net fills."""
    return 400_000 + pixels


def copyable(usable: np.ndarray) -> bool:
    """Whether (H, W; bool) holds enough whole patches that may be copied."""
    level = Level(torch.zeros(1, *usable.shape), torch.from_numpy(usable), torch.from_numpy(usable))
    return len(level.sources) >= LEAST_SOURCES


def flat(crop: Picture, hole: np.ndarray, part: np.ndarray) -> bool:
    """Whether what surrounds a part (H, W; bool) of the crop's hole is so even that nothing should be made up in it.

    It must be so at every size from the full one to that at which the part is LOOKED_AT pixels long: grass in a large or soft
    photo has no fine detail, and is grass all the same.
    """
    rows, columns = (np.flatnonzero(part.any(axis)) for axis in (1, 0))
    steps = [1]
    while max(rows[-1] - rows[0], columns[-1] - columns[0]) > steps[-1] * LOOKED_AT:
        steps.append(2 * steps[-1])
    margin = (RIM + BLUR) * steps[-1]
    near = tuple(slice(max(0, at[0] - margin), at[-1] + margin + 1) for at in (rows, columns))
    known, inside = torch.from_numpy(~hole[near]), torch.from_numpy(part[near])
    image = pictures.to_tensor(crop.with_pixels(np.ascontiguousarray(crop.pixels[near])))[0] * known
    return all(_even(image, known, inside, step) for step in steps)


def _even(image: Tensor, known: Tensor, part: Tensor, step: int) -> bool:
    """Whether the rim of a part (H, W; bool) has no detail where (C, H, W) is shrunk by `step`; not where nothing is known."""
    if step > 1:
        image, known, part = (
            F.avg_pool2d(image[None], step)[0],
            F.avg_pool2d(known[None].float(), step)[0] == 1,
            F.max_pool2d(part[None].float(), step)[0] > 0,
        )
    rim = grown(part, RIM) & known
    if not bool(rim.any()):
        return False
    mean = box(image * known, BLUR) / box(known[None].float(), BLUR).clamp(min=1e-3)
    return float((image - mean)[:, rim].square().mean().sqrt()) < FLAT


def filled(
    crop: Picture,
    part: np.ndarray,
    forbidden: np.ndarray,
    other: np.ndarray,
    settings: Settings,
    report: Callable[[float], None],
    cancel: threading.Event | None,
    once: Once = anew,
) -> tuple[Picture, float]:
    """The crop with a part (H, W; bool) of it made of its other pixels; transparency is copied with the colours.

    Args:
        forbidden: (H, W) bool, what must not be copied, such as all holes.
        other: (H, W) bool, what is not even to be looked at: other parts.
        once: as of `fill`.

    Returns: the picture, and the energy of its seams, which fills of one part can be compared by.

    Raises:
        MaskError: there is too little to copy from.
    """
    tensor = pictures.to_tensor(crop)[0]
    hole, others = torch.from_numpy(part), torch.from_numpy(other)
    colour, alpha = tensor[: crop.colour.shape[2]], tensor[crop.colour.shape[2] :]
    seen = tensor
    if len(alpha):
        beside = colours.alike(alpha, hole | others)
        colour = colours.bled(colour[None], alpha[None], hole | others)[0]
        if beside is not None:
            alpha, seen = torch.full_like(alpha, beside), colour
        else:
            seen = torch.cat([colour * alpha, alpha])  # colours that cannot be seen must not decide
    cancel = cancel or threading.Event()

    def blending(done: float) -> None:
        stop_if(cancel)
        report(done)

    def work() -> tuple[Tensor, float]:
        found = filling.fill(
            seen, hole, other=others if other.any() else None, forbidden=torch.from_numpy(forbidden),
            settings=settings, report=report, cancel=cancel, once=once,
        )  # fmt: skip
        edge = found.copied(alpha)  # of a sprite stays as hard as it is
        return torch.cat([found.of(colour, blending), edge]), found.energy

    image, energy = on_one_core(work, cancel)
    return pictures.from_tensor(image[None], crop), energy


def on_one_core(work: Callable[[], T], cancel: threading.Event) -> T:
    """What `work` gives, done on one core, see `runtime.one_core`; `cancel` must stop it."""
    result = _fillers.submit(work)
    try:
        return result.result()
    except KeyboardInterrupt:
        cancel.set()  # the thread would go on, and the program wait for it
        raise
