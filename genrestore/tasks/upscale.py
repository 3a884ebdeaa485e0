"""Enlarge a picture: rows of tiles through the net, straight into the result."""

import math
import threading
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from genrestore import image as pictures
from genrestore import runtime, weights
from genrestore.card import Card
from genrestore.errors import SettingError
from genrestore.image import Picture

LARGEST_SCALE = 16.0
LARGEST_RESULT = 2.0  # times the megapixels that an input may have: a photo of a phone, 12 megapixels, fits at ×4
BASE_BYTES = 1_550_000_000  # of the process with a net loaded
BYTES_A_PIXEL = 9  # of the result: its samples, Pillow's copy while it is written, one row of tiles
SPEED = 3.0e6  # result pixels a second, until this process has measured its own
_measured: dict[str, float] = {}


@dataclass(frozen=True)
class Quote:
    """What an enlargement will give and cost."""

    width: int
    height: int
    megapixels: float
    seconds: float
    peak_bytes: int


def upscale(
    image: Picture | Image.Image | str | Path | bytes,
    scale: float = 4,
    *,
    model: str = "auto",
    width: int | None = None,
    height: int | None = None,
    strength: float = 0.0,
    progress: runtime.Progress | None = None,
    cancel: threading.Event | None = None,
) -> Any:
    """Enlarge a picture `scale` times, or to `width` × `height`.

    The net enlarges by its own factor, several times over if need be; what is too much is taken back with an antialiased
    bicubic resize. Transparency is enlarged by the same bicubic resize, metadata stay.

    Args:
        image: a Picture, a PIL image, a path, or the bytes of a file.
        scale: above 1, at most 16; not used where width or height is given.
        width, height: of the result; one alone keeps the proportions.
        strength: how much texture may be invented, 0 to 1; only models trained against a critic take more than 0.

    Returns: a Picture for a Picture, a PIL image for anything else.

    Raises:
        ImageError, SettingError, ModelError: an argument does not allow it.
        Cancelled: `cancel` was set.
    """
    source = pictures.load(image)
    target = _target(source.width, source.height, scale, width, height)
    if strength != 0:
        raise SettingError(
            "strength above 0 needs a model that was trained against a critic, and none is installed; leave it at 0."
        )
    card = weights.resolve(model, "upscale")
    passes = _passes(card, source.width, source.height, target)
    chosen = runtime.load(model, task="upscale", pixels=source.width * source.height)

    started = monotonic()
    enlarged = source
    for k in range(passes):
        enlarged = _once(chosen, enlarged, k, passes, progress, cancel)
    pixels = sum(source.width * source.height * card.config["scale"] ** (2 * k + 2) for k in range(passes))
    if pixels >= 250_000:  # less says more about the start than about the speed
        _measured[card.sha256] = pixels / (monotonic() - started)
    if (enlarged.width, enlarged.height) != target:
        enlarged = enlarged.with_pixels(_resize(enlarged.pixels, *target))
    return enlarged if isinstance(image, Picture) else enlarged.pil()


def quote(
    width: int,
    height: int,
    scale: float = 4,
    model: str = "auto",
    *,
    to_width: int | None = None,
    to_height: int | None = None,
) -> Quote:
    """What `upscale` of a width × height picture would give and cost, before anything is loaded.

    Raises: as `upscale`.
    """
    target = _target(width, height, scale, to_width, to_height)
    card = weights.resolve(model, "upscale")
    factor = card.config["scale"] ** 2
    passes = _passes(card, width, height, target)
    work = sum(width * height * factor ** (k + 1) for k in range(passes))
    largest = max(width * height * factor**passes, target[0] * target[1])
    return Quote(
        *target,
        target[0] * target[1] / 1e6,
        work / _measured.get(card.sha256, SPEED),
        BASE_BYTES + BYTES_A_PIXEL * largest,
    )


def _target(width: int, height: int, scale: float, to_width: int | None, to_height: int | None) -> tuple[int, int]:
    """Width and height of the result, checked against the limits."""
    for name, value in (("width", to_width), ("height", to_height)):
        if value is not None and value < 1:
            raise SettingError(f"{name} must be at least 1, not {value}.")
    if to_width is None and to_height is None:
        if not (math.isfinite(scale) and 1 < scale <= LARGEST_SCALE):
            raise SettingError(f"scale must lie above 1 and at most {LARGEST_SCALE:g}, not {scale}.")
        target = round(width * scale), round(height * scale)
    elif to_height is None:
        assert to_width is not None
        target = to_width, max(1, round(height * to_width / width))
    elif to_width is None:
        target = max(1, round(width * to_height / height)), to_height
    else:
        target = to_width, to_height
    if target[0] > width * LARGEST_SCALE or target[1] > height * LARGEST_SCALE:
        raise SettingError(
            f"{target[0]}×{target[1]} is more than {LARGEST_SCALE:g} times {width}×{height}; ask for less."
        )
    limits = pictures.limits()
    most = LARGEST_RESULT * limits.megapixels
    if target[0] * target[1] > most * 1e6 or max(target) > limits.side:
        raise SettingError(
            f"The result would be {target[0]}×{target[1]}; at most {most:g} megapixels and {limits.side} pixels a side "
            "are allowed here. Choose a smaller scale."
        )
    return target


def _passes(card: Card, width: int, height: int, target: tuple[int, int]) -> int:
    wanted = max(target[0] / width, target[1] / height, 1.0)
    return max(1, math.ceil(math.log(wanted) / math.log(card.config["scale"]) - 1e-9))


def _once(
    chosen: runtime.Model,
    source: Picture,
    k: int,
    passes: int,
    progress: runtime.Progress | None,
    cancel: threading.Event | None,
) -> Picture:
    """One run of the net over the whole picture."""
    scale: int = chosen.card.config["scale"]
    colour = source.colour
    result = np.empty((source.height * scale, source.width * scale, source.channels), source.pixels.dtype)

    def report(done: float, text: str) -> None:
        if progress is not None:
            progress((k + done) / passes, text)

    runtime.enlarge(chosen, colour, result[..., : colour.shape[2]], progress=report, cancel=cancel)
    if source.alpha is not None:
        result[..., -1:] = _resize(source.alpha, source.width * scale, source.height * scale)
    return source.with_pixels(result)


def _resize(pixels: np.ndarray, width: int, height: int) -> np.ndarray:
    """(H, W, C) → (height, width, C) by antialiased bicubic, one channel at a time to spare memory."""
    largest = np.iinfo(pixels.dtype).max
    out = np.empty((height, width, pixels.shape[2]), pixels.dtype)
    for channel in range(pixels.shape[2]):
        plane: Tensor = torch.from_numpy(pixels[..., channel].astype(np.float32))[None, None]
        resized = F.interpolate(plane, size=(height, width), mode="bicubic", antialias=True)
        out[..., channel] = resized[0, 0].clamp_(0, largest).round_().numpy()
    return out
