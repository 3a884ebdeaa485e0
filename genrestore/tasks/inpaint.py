"""Repair what a mask marks, and nothing else."""

import threading
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from genrestore import image as pictures
from genrestore import runtime
from genrestore.errors import Cancelled, MaskError, SettingError
from genrestore.image import Picture
from genrestore.tasks import LARGEST_SEED, colours, whole

STRATEGIES = ("crop", "whole")
CONTEXT = 96  # pixels round a hole that the net is shown
LARGEST = 768  # pixels a side of what the net is given at once
OVERLAP = 64  # pixels that neighbouring pieces of a large hole share
BLOCK = 32  # pixels a side of the squares by which holes are found
ASK = 0.5  # share of the picture above which a mask may be the wrong way round
CLEAR = 1 / 64  # a fill that is so nearly transparent or opaque is meant to be
RIM = 48  # pixels of a very wide hole that are filled at full size; its middle comes from a shrunken picture


def inpaint(
    image: Picture | Image.Image | str | Path | bytes,
    mask: Image.Image | np.ndarray | str | Path | bytes,
    *,
    model: str = "auto",
    strategy: str = "crop",
    prompt: str | None = None,
    seed: int = 0,
    frame: int | None = None,
    progress: runtime.Progress | None = None,
    cancel: threading.Event | None = None,
) -> Any:
    """Fill what the mask marks from its surroundings. Every sample outside the mask comes back unchanged.

    Transparency is filled like the colours, and colours that it hides are not looked at; what stands in grey is filled grey.

    Args:
        image: a Picture, a PIL image, a path, or the bytes of a file; any size, 8 or 16 bits.
        mask: what is white and opaque is filled; see `image.load_mask`. Any mode, of the picture's size or proportions.
        strategy: "crop" works on a crop round each hole and costs what the holes cost; "whole" shows the net all of the
            picture, LARGEST pixels a side at once: a larger one in pieces of that size, which see no further.
        prompt: for models that read text; none of the present ones does.
        seed: for models that draw at random; the present ones do not, so it has no influence.
        frame: of an animation or a document of pages, the one to take, from 1 on.

    Returns: a Picture for a Picture, a PIL image for anything else.

    Raises:
        ImageError, MaskError, SettingError, ModelError: an argument does not allow it.
        Cancelled: `cancel` was set.
    """
    if strategy not in STRATEGIES:
        raise SettingError(f"strategy must be one of {', '.join(STRATEGIES)}, not {strategy!r}.")
    if prompt is not None:
        raise SettingError("No model that repairs by text is installed yet; leave prompt out.")
    whole("seed", seed, 0, LARGEST_SEED)
    source = pictures.load(image, frame=frame)
    hole = pictures.load_mask(mask, (source.width, source.height))
    if hole.all():
        raise MaskError("The mask covers the whole picture, so nothing is left to repair from; mark less.")
    boxes = [(0, 0, source.height, source.width)] if strategy == "whole" else regions(hole)
    work = sum((bottom - top) * (right - left) for top, left, bottom, right in boxes)
    chosen = runtime.load(model, task="inpaint", pixels=work)

    pixels = source.pixels.copy()
    for k, (top, left, bottom, right) in enumerate(boxes):

        def report(done: float, k: int = k) -> None:
            if progress is not None:
                progress((k + done) / len(boxes), f"hole {k + 1} of {len(boxes)}")

        part = np.s_[top:bottom, left:right]
        crop = source.with_pixels(np.ascontiguousarray(source.pixels[part]))
        repaired = _repaired(chosen, crop, torch.from_numpy(hole[part]), report, cancel)
        pixels[part][hole[part]] = repaired.pixels[hole[part]]
        report(1.0)
    result = source.with_pixels(pixels)
    return result if isinstance(image, Picture) else result.pil()


class Marked(NamedTuple):
    """How much a mask marks, and whether that is so much that one should ask whether it is meant so."""

    share: float  # of the picture, 0 to 1
    ask: bool


def marked(mask: np.ndarray) -> Marked:
    """What a mask (H, W; True = hole) marks of its picture. All of it is nothing to ask about: `inpaint` refuses it."""
    share = float(mask.mean())
    return Marked(share, ASK < share < 1)


def changed_outside(before: Picture, after: Picture, mask: np.ndarray) -> tuple[int, int]:
    """How many samples outside the mask (H, W; True = hole) differ, and how many there are. Measured, not assumed.

    Raises:
        MaskError: the pictures or the mask differ in size, channels or depth.
    """
    if before.pixels.shape != after.pixels.shape or before.pixels.dtype != after.pixels.dtype:
        raise MaskError(
            f"The pictures are not alike: {before.pixels.shape} {before.pixels.dtype}, {after.pixels.shape} {after.pixels.dtype}."
        )
    if mask.shape != before.pixels.shape[:2]:
        raise MaskError(f"The mask is {mask.shape[1]}×{mask.shape[0]}, the picture {before.width}×{before.height}.")
    changed = (before.pixels != after.pixels) & ~mask[..., None]
    return int(changed.sum()), int((~mask).sum()) * before.channels


def regions(hole: np.ndarray) -> list[tuple[int, int, int, int]]:
    """(top, left, bottom, right) of crops that hold all holes of the mask with CONTEXT round them; crops do not overlap."""
    height, width = hole.shape
    marked = _blocks(hole)
    boxes: list[tuple[int, int, int, int]] = []
    for rows, columns in _components(marked):
        boxes.append(
            (
                max(0, rows[0] * BLOCK - CONTEXT),
                max(0, columns[0] * BLOCK - CONTEXT),
                min(height, (rows[1] + 1) * BLOCK + CONTEXT),
                min(width, (columns[1] + 1) * BLOCK + CONTEXT),
            )
        )
    return _merged(boxes)


def _blocks(hole: np.ndarray) -> np.ndarray:
    """Which BLOCK × BLOCK squares hold a marked pixel: (⌈H/BLOCK⌉, ⌈W/BLOCK⌉) bool."""
    height, width = hole.shape
    padded = np.pad(hole, ((0, -height % BLOCK), (0, -width % BLOCK)))
    return np.asarray(padded.reshape(padded.shape[0] // BLOCK, BLOCK, -1, BLOCK).any((1, 3)))


def _components(marked: np.ndarray) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    """First and last row and column of each group of squares that touch, corners included."""
    left = {(int(y), int(x)) for y, x in np.argwhere(marked)}
    groups: list[tuple[tuple[int, int], tuple[int, int]]] = []
    while left:
        front = [left.pop()]
        group = list(front)
        while front:
            y, x = front.pop()
            near = {(y + dy, x + dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)} & left
            left -= near
            front.extend(near)
            group.extend(near)
        ys, xs = [y for y, _ in group], [x for _, x in group]
        groups.append(((min(ys), max(ys)), (min(xs), max(xs))))
    return sorted(groups)


def _merged(boxes: list[tuple[int, int, int, int]]) -> list[tuple[int, int, int, int]]:
    """Overlapping boxes joined until none overlaps."""
    done: list[tuple[int, int, int, int]] = []
    for box in boxes:
        current = box
        while hit := next((other for other in done if _overlap(current, other)), None):
            done.remove(hit)
            current = (
                min(current[0], hit[0]),
                min(current[1], hit[1]),
                max(current[2], hit[2]),
                max(current[3], hit[3]),
            )
        done.append(current)
    return done


def _overlap(a: tuple[int, int, int, int], b: tuple[int, int, int, int]) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def _repaired(
    chosen: runtime.Model, crop: Picture, hole: Tensor, report: Any, cancel: threading.Event | None
) -> Picture:
    """The crop with its hole (H, W; bool) filled, colours and transparency; the rest is not to be used."""
    tensor = pictures.to_tensor(crop)
    colour = tensor[:, : crop.colour.shape[2]]
    known, alpha = ~hole, None
    if crop.alpha is not None:
        opacity = tensor[:, -1:]
        colour = colours.bled(colour, opacity, hole)
        alpha = _opacity(chosen, opacity, hole, report, cancel)
        known = known & (opacity[0, 0] >= colours.VISIBLE)
    rgb = colour.expand(1, 3, -1, -1)
    filled = colours.within(_fill(chosen, rgb, hole, report, cancel), rgb, known)
    out = filled if colour.shape[1] == 3 else filled.mean(1, keepdim=True)
    return pictures.from_tensor(out if alpha is None else torch.cat([out, alpha], 1), crop)


def _opacity(chosen: runtime.Model, alpha: Tensor, hole: Tensor, report: Any, cancel: threading.Event | None) -> Tensor:
    """(1, 1, H, W) with the hole filled: seen by the net as a grey picture, if there is anything to see."""
    known = alpha[0, 0, ~hole]
    if bool((known == known[0]).all()):
        return torch.full_like(alpha, float(known[0]))
    filled = _fill(chosen, alpha.expand(1, 3, -1, -1), hole, report, cancel).mean(1, keepdim=True)
    if bool(((known == 0) | (known == 1)).all()):
        return filled.round()
    return ((filled - CLEAR) / (1 - 2 * CLEAR)).clamp(0, 1)


def _fill(chosen: runtime.Model, image: Tensor, hole: Tensor, report: Any, cancel: threading.Event | None) -> Tensor:
    """(1, 3, H, W) and (H, W) bool → (1, 3, H, W); a large picture is filled in overlapping pieces that fade into each other."""
    height, width = hole.shape
    mask = hole[None, None].float()
    if max(height, width) <= LARGEST:
        _check(cancel)
        return chosen(image, mask)

    middle = _middle(hole)
    if middle.any():
        shrunk = LARGEST / max(height, width)
        size = (max(1, round(height * shrunk)), max(1, round(width * shrunk)))
        # A shrunken pixel is known where all it stands for is known; colours of the hole must not leak into it.
        known = F.interpolate(1 - mask, size=size, mode="area")
        colour = F.interpolate(image * (1 - mask), size=size, mode="area") / known.clamp(min=1e-6)
        coarse = chosen(colour.clamp(0, 1), (known < 1).float())
        enlarged = F.interpolate(coarse, size=(height, width), mode="bicubic", align_corners=False).clamp(0, 1)
        image = torch.where(middle[None, None], enlarged, image)
        mask = mask * ~middle

    total, weight = torch.zeros_like(image), torch.zeros(1, 1, height, width)
    pieces = [
        (top, left, min(height, top + LARGEST), min(width, left + LARGEST))
        for top in _starts(height)
        for left in _starts(width)
    ]
    pieces = [piece for piece in pieces if mask[..., piece[0] : piece[2], piece[1] : piece[3]].any()]
    for k, (top, left, bottom, right) in enumerate(pieces):
        _check(cancel)
        part = (..., slice(top, bottom), slice(left, right))
        fade = _tent(bottom - top)[:, None] * _tent(right - left)
        total[part] += chosen(image[part], mask[part]) * fade
        weight[part] += fade
        report((k + 1) / len(pieces))
    return torch.where(weight > 0, total / weight.clamp(min=1e-6), image)


def _check(cancel: threading.Event | None) -> None:
    if cancel is not None and cancel.is_set():
        raise Cancelled("Cancelled; nothing was written.")


def _starts(length: int) -> list[int]:
    """Where pieces of LARGEST begin so that neighbours share at least OVERLAP pixels."""
    if length <= LARGEST:
        return [0]
    count = -(-(length - OVERLAP) // (LARGEST - OVERLAP))
    return [round(k * (length - LARGEST) / (count - 1)) for k in range(count)]


def _tent(length: int) -> Tensor:
    """A weight that rises from the edges of a piece over OVERLAP pixels."""
    edge = torch.arange(length) + 1.0
    return torch.minimum(torch.minimum(edge, edge.flip(0)) / OVERLAP, torch.ones(()))


def _middle(hole: Tensor) -> Tensor:
    """(H, W) bool: what lies more than about RIM pixels inside a hole."""
    cell = 8
    height, width = hole.shape
    padded = F.pad(hole[None, None].float(), (0, -width % cell, 0, -height % cell))
    coarse = -F.max_pool2d(-padded, cell)  # 1 where a whole cell is hole
    reach = RIM // cell
    deep = -F.max_pool2d(F.pad(-coarse, (reach,) * 4, value=-1.0), 2 * reach + 1, stride=1)
    return F.interpolate(deep, scale_factor=cell, mode="nearest")[0, 0, :height, :width] > 0
