"""Enlarge a picture: rows of tiles through the net, straight into the result.

What a net gets wrong as soon as a picture is no photograph is put right round it, tile by tile: colours under transparency
do not leak into what is seen, grey stays grey, and places stay as bright as they were (not of nets whose results are to be
shown `as_it_is`).
"""

import itertools
import math
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from time import monotonic
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from genrestore import runtime, weights
from genrestore.card import Card
from genrestore.data.degrade import cubic
from genrestore.errors import SettingError
from genrestore.pictures import image as pictures
from genrestore.pictures.image import Picture, Source
from genrestore.pipelines import colours
from genrestore.pipelines.arguments import number, settled, whole
from genrestore.pipelines.made import signed

LARGEST_SCALE = 16.0
LARGEST_RESULT = 2.0  # times the megapixels that an input may have: a photo of a phone, 12 megapixels, fits at ×4
BASE_BYTES = 1_550_000_000  # of the process with a net loaded
HELD, WRITTEN = 4, 8  # bytes a pixel of a picture: its samples; with Pillow's copy while it is written
BAND = 30  # bytes a pixel of one row of tiles: three channels in float32, two and a half times
SPEED = 3.0e6  # result pixels a second, until this process has measured its own
# Times its input a picture between two runs of the net has at least; 1.25 cost 0.1 dB at ×5, full size gave 0.01.
BETWEEN = 2
PIECE, GROUP = 256, 64  # rows that are resized at once, first across and then down
_measured: dict[str, float] = {}

Pixels = npt.NDArray[Any]
Size = tuple[int, int]  # width and height


@dataclass(frozen=True)
class Quote:
    """What an enlargement will give and cost."""

    width: int
    height: int
    megapixels: float
    seconds: float
    peak_bytes: int


def upscale(
    image: Source,
    scale: float = 4,
    *,
    model: str = "auto",
    width: int | None = None,
    height: int | None = None,
    strength: float = 0.0,
    frame: int | None = None,
    progress: runtime.Progress | None = None,
    preview: runtime.Preview | None = None,
    cancel: threading.Event | None = None,
    **conditions: Any,
) -> Any:
    """Enlarge a picture `scale` times, or to `width` × `height`.

    The net enlarges by its own factor, several times over if need be; what is too much is taken back row by row with an
    antialiased bicubic resize. Transparency is enlarged by the same resize, and colours that it hides are replaced by their
    visible neighbours; grey stays grey, also where it is stored as RGB; metadata stay.

    Args:
        image: a Picture, a PIL image, a path, or the bytes of a file.
        scale: above 1, at most 16; not used where width or height is given.
        width, height: of the result; one alone keeps the proportions.
        strength: how much texture may be invented, 0 to 1; only models trained against a critic take more than 0.
        frame: of an animation or a document of pages, the one to take, from 1 on.
        preview: called with a PIL image of the part that is worked on after each step of a net that works in steps.
        conditions: what the net takes besides, see `runtime.Model.under`.

    Returns: a Picture for a Picture, a PIL image for anything else.

    Raises:
        ImageError, SettingError, ModelError: an argument does not allow it.
        Cancelled: `cancel` was set.
    """
    source = pictures.load(image, frame=frame)
    target = _target(source.width, source.height, scale, width, height)
    if settled("upscale", strength=strength)["strength"]:
        raise SettingError(
            "strength above 0 needs a model that was trained against a critic, and none is installed; leave it at 0."
        )
    card = weights.resolve(model, "upscale")
    sizes = _sizes(card, (source.width, source.height), target)
    work = _work(card, sizes)
    chosen = runtime.load(model, task="upscale", pixels=sum(_area(size) for size in sizes[:-1])).under(**conditions)

    started = monotonic()
    net = Faithful(**vars(chosen))
    pixels = np.empty((target[1], target[0], source.channels), source.pixels.dtype)
    now: Pixels = source.pixels  # with its alpha, which the first run looks at
    done = 0.0
    for part, size in zip(work, sizes[1:], strict=True):

        def report(share: float, text: str, done: float = done, part: float = part) -> None:
            if progress is not None:
                progress((done + share * part) / sum(work), text)

        count = source.colour.shape[2]
        into = pixels[..., :count] if size == target else np.empty((size[1], size[0], count), pixels.dtype)
        run(net, now, into, card.scale, report, cancel, preview)
        now, done = into, done + part
    if source.alpha is not None:
        _fill(pixels[..., -1:], _resized(_bands(source.alpha), source.height, target))
    if sum(work) >= 250_000:  # less says more about the start than about the speed
        _measured[card.sha256] = sum(work) / (monotonic() - started)
    asked = {"scale": float(scale) if width is None and height is None else None, "width": width, "height": height}
    result = signed(
        source.with_pixels(pixels), source, "upscale", model, {**asked, **conditions}, backend=chosen.backend
    )
    return result if isinstance(image, Picture) else result.pil()


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
    times = card.scale
    sizes = _sizes(card, (width, height), target)
    held = max(_area(a) + _area(b) for a, b in itertools.pairwise(sizes))  # what a run reads and what it writes
    band = max(a[0] * min(a[1], runtime.TILE + 2 * runtime.BLEND) * times**2 for a in sizes[:-1])
    return Quote(
        *target,
        _area(target) / 1e6,
        sum(_work(card, sizes)) / _measured.get(card.sha256, SPEED),
        BASE_BYTES + max(HELD * held + BAND * band, WRITTEN * _area(target)),
    )


def _target(width: int, height: int, scale: float, to_width: int | None, to_height: int | None) -> tuple[int, int]:
    """Width and height of the result, checked against the limits."""
    limits = pictures.limits()
    to_width, to_height = (
        None if value is None else whole(name, value, 1, limits.side)
        for name, value in (("width", to_width), ("height", to_height))
    )
    if to_width is None and to_height is None:
        if not 1 < (times := number("scale", scale)) <= LARGEST_SCALE:
            raise SettingError(f"scale must lie above 1 and at most {LARGEST_SCALE:g}, not {scale}.")
        target = round(width * times), round(height * times)
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
    most = LARGEST_RESULT * limits.megapixels
    if target[0] * target[1] > most * 1e6 or max(target) > limits.side:
        raise SettingError(
            f"The result would be {target[0]}×{target[1]}; at most {most:g} megapixels and {limits.side} pixels a side "
            "are allowed here. Choose a smaller scale."
        )
    return target


def _area(size: Size) -> int:
    return size[0] * size[1]


def _sizes(card: Card, source: Size, target: Size) -> list[Size]:
    """What the picture measures before, between and after the runs of the net.

    Each run enlarges by the net's whole factor and is reduced on the way. Between two runs a picture is kept no larger than
    the next one needs, or BETWEEN times its input: ×4.1 in two runs of ×4 would else pass through ×16.
    """
    scale = card.scale
    wanted = max(target[0] / source[0], target[1] / source[1], 1.0)
    runs = max(1, math.ceil(math.log(wanted) / math.log(scale) - 1e-9))
    sizes = [source]
    for left in range(runs - 1, 0, -1):
        now = sizes[-1]
        needed = [-(-length // scale**left) for length in target]
        width, height = (min(scale * a, max(need, BETWEEN * a)) for a, need in zip(now, needed, strict=True))
        sizes.append((width, height))
    return [*sizes, target]


def _work(card: Card, sizes: list[Size]) -> list[int]:
    """Pixels that the net makes in each run."""
    return [_area(size) * card.scale**2 for size in sizes[:-1]]


def run(
    net: "Faithful",
    pixels: Pixels,
    into: Pixels,
    scale: int,
    progress: runtime.Progress,
    cancel: threading.Event | None,
    preview: runtime.Preview | None = None,
) -> None:
    """One run of the net over the whole picture, (H, W, C) with or without alpha → (h, w, 1 or 3), at most sH × sW."""
    height, width, channels = pixels.shape
    size = into.shape[1], into.shape[0]
    exact = size == (scale * width, scale * height)
    if exact and channels == 3:
        runtime.enlarge(net, pixels, into, progress=progress, preview=preview, cancel=cancel)
        return
    bands = runtime.rows(net, _tensor(pixels), progress=progress, preview=preview, cancel=cancel)
    _fill(into, bands if exact else _resized(bands, scale * height, size))


def _fill(into: Pixels, bands: Iterable[Tensor]) -> None:
    """Rows (1, C, h, W) in about [0, 1], from top to bottom, into samples (H, W, C) of 8 or 16 bit."""
    peak, y = np.iinfo(into.dtype).max, 0
    for band in bands:
        height = band.shape[-2]
        for channel, plane in enumerate(band[0].unbind()):
            into[y : y + height, :, channel] = (plane * peak).clamp_(0, peak).round_().cpu().numpy()
        y += height


class Faithful(runtime.Model):
    """A model that `runtime.rows` calls with samples (1, C, h, w), C = 1 to 4; → (1, 1 or 3, sh, sw) in about [0, 1]."""

    def on_device(self, image: Tensor, *more: Tensor) -> Tensor:
        image = image.to(torch.float32, memory_format=torch.contiguous_format) / torch.iinfo(image.dtype).max
        count = 1 if image.shape[1] < 3 else 3
        colour = image[:, :count]
        if image.shape[1] > count:
            colour = colours.bled(colour, image[:, -1:])
        grey = count == 1 or bool((colour == colour[:, :1]).all())
        out = super().on_device(colour.expand(1, 3, -1, -1), *more)
        if getattr(self.net, "as_it_is", False):
            return out.mean(1, keepdim=True).repeat(1, count, 1, 1) if grey else out
        if grey:
            return colours.as_bright(out.mean(1, keepdim=True), colour[:, :1]).repeat(1, count, 1, 1)
        return colours.as_bright(colours.as_grey(out, colour), colour)


# --- resizing by rows ---------------------------------------------------------------------------------------------------


def _bands(pixels: Pixels) -> Iterator[Tensor]:
    """(H, W, C) samples as rows (1, C, h, W) in [0, 1]."""
    for top in range(0, len(pixels), PIECE):
        yield _tensor(pixels[top : top + PIECE]).float() / np.iinfo(pixels.dtype).max


def _tensor(pixels: Pixels) -> Tensor:
    """(H, W, C) samples as (1, C, H, W), which share their memory where they can."""
    return torch.from_numpy(np.require(pixels, requirements=["C", "W"])).permute(2, 0, 1)[None]


def _pieces(bands: Iterable[Tensor]) -> Iterator[Tensor]:
    """The same rows, fewer at a time, so that copies of them stay small."""
    for band in bands:
        yield from band.split(PIECE, -2)
        del band  # the next one is made before the loop would let go of it


def _resized(bands: Iterable[Tensor], height: int, size: Size) -> Iterator[Tensor]:
    """Antialiased bicubic resize of rows (1, C, h, W), `height` in all, as they come; holds only what the kernel reaches."""
    width, rows = size
    step = height / rows  # of the input, a row of the result
    reach = 2 * max(1.0, step)
    held: Tensor | None = None
    first = done = 0  # row of the input that `held` begins with; rows of the result that are out
    for piece in _pieces(bands):
        across = F.interpolate(piece, size=(piece.shape[-2], width), mode="bicubic", antialias=True)
        held = across if held is None else torch.cat([held, across], -2)
        end = first + held.shape[-2]
        ready = rows if end == height else math.floor((end - reach) / step - 0.5) + 1
        while done < ready:
            count = min(GROUP, ready - done)
            centres = (np.arange(done, done + count) + 0.5) * step
            top = max(first, math.floor(centres[0] - reach))
            bottom = min(end, math.ceil(centres[-1] + reach))
            taps = cubic((np.arange(top, bottom) + 0.5 - centres[:, None]) / (reach / 2))
            matrix = torch.from_numpy(taps / taps.sum(1, keepdims=True)).to(held)
            yield matrix @ held[..., top - first : bottom - first, :]
            done += count
        keep = max(first, math.floor((done + 0.5) * step - reach))
        held, first = held[..., keep - first :, :], keep
