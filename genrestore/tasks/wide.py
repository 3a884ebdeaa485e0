"""The wide parts of a hole, which a net would leave a smudge: which they are, and filling them with pieces of the picture."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from genrestore import fill as filling
from genrestore import image as pictures
from genrestore import machine, runtime
from genrestore.fill.exemplar import Settings
from genrestore.fill.pyramid import LEAST_SOURCES, Level, box, grown
from genrestore.image import Picture
from genrestore.tasks import colours

RADIUS = 6  # pixels: a part of a hole in which a square of 2·RADIUS + 1 has room is wide; see benchmarks/quality.py
FLAT = 1.5 / 255  # deviation of the fine detail round a hole below which there is no texture to continue
RIM = 16  # pixels round a hole whose detail is looked at
CONTEXT = (
    64,
    512,
)  # pixels round a hole from which pieces are taken: its longer side, but no fewer and no more than these

_fillers = ThreadPoolExecutor(machine.cores(), "filler", runtime.one_core)

Box = tuple[int, int, int, int]  # top, left, bottom, right


def wide(hole: np.ndarray) -> np.ndarray:
    """(H, W) bool → the parts of it in which a square of 2·RADIUS + 1 pixels has room, and what is near those."""
    mask = torch.from_numpy(hole)[None, None].float()
    core = -_most(F.pad(-mask, (RADIUS,) * 4, value=-1.0), RADIUS, 0)  # beyond the picture's edge a hole goes on
    return ((_most(core, 2 * RADIUS, 2 * RADIUS) * mask)[0, 0] > 0).numpy()


def surroundings(part: Box, height: int, width: int) -> Box:
    """The box in which a wide part is filled."""
    top, left, bottom, right = part
    reach = min(max(bottom - top, right - left, CONTEXT[0]), CONTEXT[1])
    return max(0, top - reach), max(0, left - reach), min(height, bottom + reach), min(width, right + reach)


def copyable(usable: np.ndarray) -> bool:
    """Whether (H, W; bool) holds enough whole patches that may be copied."""
    level = Level(torch.zeros(1, *usable.shape), torch.from_numpy(usable), torch.from_numpy(usable))
    return len(level.sources) >= LEAST_SOURCES


def flat(crop: Picture, hole: np.ndarray, part: np.ndarray) -> bool:
    """Whether what surrounds a part (H, W; bool) of the crop's hole is so even that nothing should be made up in it."""
    rows, columns = (np.flatnonzero(part.any(axis)) for axis in (1, 0))
    near = tuple(slice(max(0, at[0] - RIM - 2), at[-1] + RIM + 3) for at in (rows, columns))
    known = torch.from_numpy(~hole[near])
    rim = grown(torch.from_numpy(part[near]), RIM) & known
    if not bool(rim.any()):
        return False
    image = pictures.to_tensor(crop.with_pixels(crop.pixels[near]))[0] * known
    mean = box(image, 2) / box(known[None].float(), 2).clamp(min=1e-3)
    return float((image - mean)[:, rim].square().mean().sqrt()) < FLAT


def filled(
    crop: Picture,
    part: np.ndarray,
    forbidden: np.ndarray,
    settings: Settings,
    report: Callable[[float], None],
    cancel: threading.Event | None,
) -> Picture:
    """The crop with a part (H, W; bool) of it made of its other pixels; transparency is copied with the colours.

    Args:
        forbidden: (H, W) bool, what must not be copied, such as the other holes.

    Raises:
        MaskError: there is too little to copy from.
    """
    tensor = pictures.to_tensor(crop)[0]
    hole = torch.from_numpy(part)
    colour, alpha = tensor[: crop.colour.shape[2]], tensor[crop.colour.shape[2] :]
    seen = tensor
    if len(alpha):
        beside = colours.alike(alpha, hole)
        colour = colours.bled(colour[None], alpha[None], hole)[0]
        if beside is not None:
            alpha, seen = torch.full_like(alpha, beside), colour
        else:
            seen = torch.cat([colour * alpha, alpha])  # colours that cannot be seen must not decide
    cancel = cancel or threading.Event()

    def work() -> Tensor:
        found = filling.fill(
            seen, hole, forbidden=torch.from_numpy(forbidden), settings=settings, report=report, cancel=cancel
        )
        return torch.cat([found.of(colour), found.copied(alpha)])  # an edge of a sprite stays as hard as it is

    result = _fillers.submit(work)
    try:
        return pictures.from_tensor(result.result()[None], crop)
    except KeyboardInterrupt:
        cancel.set()  # the thread would go on, and the program wait for it
        raise


def _most(plane: Tensor, radius: int, padding: int) -> Tensor:
    """The largest of each square, by rows and then by columns."""
    rows = F.max_pool2d(plane, (2 * radius + 1, 1), 1, (padding, 0))
    return F.max_pool2d(rows, (1, 2 * radius + 1), 1, (0, padding))
