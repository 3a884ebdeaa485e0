"""What spoils a picture on purpose: shrinking, blur, noise, JPEG, holes, seeded; for training data, tests and benchmarks alike.

A recipe names it in one word: "none", "holes:scratch,text", or steps of STEPS joined by "+", such as
"blur:0.2-2+shrink:4+noise:0-10+jpeg:30-95". A range is drawn from anew for each picture.
"""

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple, Protocol

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from genrestore.errors import TrainingError

# --- shrinking ------------------------------------------------------------------------------------------------------


def cubic(x: np.ndarray, a: float = -0.5) -> np.ndarray:
    """Keys' cubic convolution kernel. Keys, "Cubic convolution interpolation for digital image processing", 1981."""
    x = np.abs(x)
    near = (a + 2) * x**3 - (a + 3) * x**2 + 1
    far = a * x**3 - 5 * a * x**2 + 8 * a * x - 4 * a
    return np.where(x <= 1, near, np.where(x < 2, far, 0.0))


def triangle(x: np.ndarray) -> np.ndarray:
    return np.maximum(0.0, 1 - np.abs(x))


def box_kernel(x: np.ndarray) -> np.ndarray:
    return ((x >= -0.5) & (x < 0.5)).astype(float)


def lanczos(x: np.ndarray) -> np.ndarray:
    """Duchon, "Lanczos filtering in one and two dimensions", 1979; three lobes."""
    return np.where(np.abs(x) < 3, np.sinc(x) * np.sinc(x / 3), 0.0)


class Kernel(NamedTuple):
    """A kernel, how far it reaches in pixels of the smaller grid, and whether it is stretched when shrinking."""

    weigh: Callable[[np.ndarray], np.ndarray]
    reach: int
    stretched: bool = True


KERNELS = {
    "bicubic": Kernel(cubic, 2),
    "bilinear": Kernel(triangle, 1),
    "area": Kernel(box_kernel, 1),
    "lanczos": Kernel(lanczos, 3),
    "nearest": Kernel(box_kernel, 1, stretched=False),
}


@lru_cache(maxsize=64)
def resize_matrix(length: int, out: int, kernel: str = "bicubic") -> Tensor:
    """(out, length) matrix that resizes a row of `length` samples, with "bicubic" as MATLAB's imresize does.

    When shrinking, the kernel is stretched so that it also removes what the smaller grid cannot hold; edges mirror.
    """
    weigh, span, stretched = KERNELS[kernel]
    scale = out / length
    stretch = max(1.0, 1 / scale) if stretched else 1.0
    centres = (np.arange(out) + 0.5) / scale - 0.5
    reach = int(np.ceil(span * stretch)) + 1
    taps = np.floor(centres)[:, None].astype(int) + np.arange(-reach, reach + 1)[None]
    weights = weigh((taps - centres[:, None]) / stretch)
    weights /= weights.sum(1, keepdims=True)
    folded = np.mod(taps, 2 * length)
    folded = np.where(folded >= length, 2 * length - 1 - folded, folded)
    matrix = np.zeros((out, length))
    np.add.at(matrix, (np.arange(out)[:, None], folded), weights)
    return torch.from_numpy(matrix).float()


def resize(image: Tensor, height: int, width: int) -> Tensor:
    """MATLAB's bicubic resize (a = −0.5, antialiased): (B, C, H, W) → (B, C, height, width), not clamped."""
    rows = resize_matrix(image.shape[-2], height).to(image)
    columns = resize_matrix(image.shape[-1], width).to(image)
    return rows @ image @ columns.T


def quantise(image: Tensor) -> Tensor:
    """What is left after the picture was stored in 8 bits."""
    return (image.clamp(0, 1) * 255).round() / 255


def shrink(image: Tensor, height: int, width: int, kernel: str = "bicubic") -> Tensor:
    """The bicubic benchmark protocol: `resize` as MATLAB runs it on 8-bit pictures, rounding after each direction, rows first."""
    rows = resize_matrix(image.shape[-2], height, kernel).to(image)
    columns = resize_matrix(image.shape[-1], width, kernel).to(image)
    return quantise(quantise(rows @ image) @ columns.T)


# --- holes ----------------------------------------------------------------------------------------------------------


def _wander(
    rng: np.random.Generator, height: int, width: int, step: float, turns: int, bend: float
) -> list[tuple[float, float]]:
    """A polyline that starts anywhere and turns by about `bend` radians after each `step` pixels."""
    x, y = rng.uniform(0, width), rng.uniform(0, height)
    angle = rng.uniform(0, 2 * np.pi)
    points = [(x, y)]
    for _ in range(turns):
        angle += rng.normal(0, bend)
        x, y = x + step * np.cos(angle), y + step * np.sin(angle)
        points.append((x, y))
    return points


def _thick(draw: ImageDraw.ImageDraw, points: list[tuple[float, float]], width: int) -> None:
    draw.line(points, fill=255, width=width, joint="curve")
    for x, y in points:
        draw.ellipse((x - width / 2, y - width / 2, x + width / 2, y + width / 2), fill=255)


def scratch(rng: np.random.Generator, height: int, width: int) -> Image.Image:
    """Long thin scratches of 1 to 5 pixels, and specks of dust; denser than on most prints, so that each step teaches more."""
    mask = Image.new("L", (width, height))
    draw = ImageDraw.Draw(mask)
    area = height * width / 128**2
    for _ in range(1 + rng.poisson(9 * area)):
        step = rng.uniform(8, 24)
        draw.line(
            _wander(rng, height, width, step, int(rng.integers(4, 14)), 0.25), fill=255, width=int(rng.integers(1, 6))
        )
    for _ in range(rng.poisson(8 * area)):
        x, y, r = rng.uniform(0, width), rng.uniform(0, height), rng.uniform(0.5, 3)
        draw.ellipse((x - r, y - r, x + r, y + r), fill=255)
    return mask


LETTERS = np.array(list("abcdefghijklmnopqrstuvwxyzabcdefghiklmnoprstuABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789      "))


@lru_cache(maxsize=64)
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


def text(rng: np.random.Generator, height: int, width: int) -> Image.Image:
    """Lines of random letters 10 to 34 pixels high, as a date stamp or a watermark leaves them."""
    mask = Image.new("L", (width, height))
    draw = ImageDraw.Draw(mask)
    y = rng.uniform(-20, 10)
    while y < height:
        size = int(rng.integers(10, 35))
        line = "".join(rng.choice(LETTERS, 4 + 2 * width // size))
        draw.text((rng.uniform(-width / 2, width / 3), y), line, fill=255, font=_font(size))
        y += size * rng.uniform(0.9, 1.6)
    return Image.fromarray((np.asarray(mask) > 100).astype(np.uint8) * 255)


def strokes(rng: np.random.Generator, height: int, width: int) -> Image.Image:
    """A few brush strokes of 8 to 40 pixels, as a hand paints over an object."""
    mask = Image.new("L", (width, height))
    draw = ImageDraw.Draw(mask)
    for _ in range(1 + rng.poisson(0.8 * height * width / 128**2)):
        points = _wander(rng, height, width, rng.uniform(15, 45), int(rng.integers(1, 6)), 0.6)
        _thick(draw, points, int(rng.integers(8, 41)))
    return mask


def box(rng: np.random.Generator, height: int, width: int) -> Image.Image:
    """One rectangle of a sixth to two thirds of each side."""
    mask = Image.new("L", (width, height))
    w, h = rng.uniform(1 / 6, 2 / 3) * width, rng.uniform(1 / 6, 2 / 3) * height
    x, y = rng.uniform(0, width - w), rng.uniform(0, height - h)
    ImageDraw.Draw(mask).rectangle((x, y, x + w, y + h), fill=255)
    return mask


FAMILIES: dict[str, Callable[[np.random.Generator, int, int], Image.Image]] = {
    "scratch": scratch,
    "text": text,
    "strokes": strokes,
    "box": box,
}

# --- steps that join into one degradation ---------------------------------------------------------------------------


class Step(Protocol):
    """One step: a picture (C, H, W) float32 in [0, 1] → the same, `scale` times smaller.

    By numpy sample by sample, for torch would take its threads from the training step; it multiplies the matrices only.
    """

    @property
    def scale(self) -> int: ...

    @property
    def margin(self) -> int:
        """Pixels of its result to each side that the edge of the picture has reached."""
        ...

    def __call__(self, picture: np.ndarray, rng: np.random.Generator) -> np.ndarray: ...


@dataclass(frozen=True)
class Shrink:
    """`scale` times smaller, by a kernel drawn for each picture, and stored in 8 bits."""

    scale: int
    kernels: tuple[str, ...] = ("bicubic",)

    @property
    def margin(self) -> int:
        return max(KERNELS[kernel].reach for kernel in self.kernels) + 1  # one for rounding

    def __call__(self, picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        kernel = self.kernels[int(rng.integers(len(self.kernels)))]
        height, width = (length // self.scale for length in picture.shape[1:])
        return shrink(torch.from_numpy(picture)[None], height, width, kernel)[0].numpy()


@dataclass(frozen=True)
class Blur:
    """A Gaussian of a standard deviation drawn from a range in pixels."""

    low: float
    high: float
    scale: int = 1

    @property
    def margin(self) -> int:
        return int(np.ceil(3 * self.high))

    def __call__(self, picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        sigma = max(rng.uniform(self.low, self.high), 1e-3)
        rows, columns = (_gaussian(length, sigma) for length in picture.shape[1:])
        return (rows @ torch.from_numpy(picture) @ columns.T).numpy()


def _gaussian(length: int, sigma: float) -> Tensor:
    """(length, length) matrix that blurs a row; what would lie beyond its ends counts nothing."""
    places = np.arange(length)
    distances = np.abs(places[:, None] - places)
    weights = np.where(distances <= 4 * sigma, np.exp(-np.square(distances) / (2 * sigma**2)), 0)  # no denormals: slow
    return torch.from_numpy(weights / weights.sum(1, keepdims=True)).float()


@dataclass(frozen=True)
class Noise:
    """Gaussian noise of a standard deviation drawn from a range in levels of 255."""

    low: float
    high: float
    scale: int = 1
    margin: int = 0

    def __call__(self, picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        sigma = np.float32(rng.uniform(self.low, self.high) / 255)
        return picture + sigma * rng.standard_normal(picture.shape, dtype=np.float32)


@dataclass(frozen=True)
class Jpeg:
    """Stored as JPEG of a quality drawn from a range, colours at half the resolution."""

    low: int
    high: int
    scale: int = 1
    margin: int = 0

    def __call__(self, picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        pixels = np.ascontiguousarray(_levels(picture).astype(np.uint8).transpose(1, 2, 0))
        drawing = Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)
        file = io.BytesIO()
        drawing.save(file, "JPEG", quality=int(rng.integers(self.low, self.high + 1)))
        with Image.open(file) as stored:
            again = np.asarray(stored).reshape(pixels.shape)
        return again.transpose(2, 0, 1) / np.float32(255)


def _levels(picture: np.ndarray) -> np.ndarray:
    """From [0, 1] to whole numbers from 0 to 255, still float32."""
    return np.rint(picture.clip(0, 1) * np.float32(255))


def _shrink(detail: str) -> Shrink:
    scale, _, kernels = detail.partition(":")
    chosen = tuple(kernels.split(",")) if kernels else ("bicubic",)
    if not 2 <= int(scale) <= 16 or not set(chosen) <= set(KERNELS):
        raise ValueError
    return Shrink(int(scale), chosen)


def _range(detail: str, lowest: float, highest: float) -> tuple[float, float]:
    """A range "low-high", or one number that is both."""
    low, dash, high = detail.partition("-")
    ends = float(low), float(high if dash else low)
    if not lowest <= ends[0] <= ends[1] <= highest:
        raise ValueError
    return ends


class Entry(NamedTuple):
    """How a step is written, and what reads what stands behind its colon (ValueError: it cannot)."""

    form: str
    parse: Callable[[str], Step]


STEPS = {
    "shrink": Entry(f"shrink:SCALE[:{','.join(KERNELS)}]", _shrink),
    "blur": Entry("blur:SIGMA-SIGMA in pixels up to 20", lambda detail: Blur(*_range(detail, 0, 20))),
    "noise": Entry("noise:SIGMA-SIGMA in levels up to 255", lambda detail: Noise(*_range(detail, 0, 255))),
    "jpeg": Entry("jpeg:QUALITY-QUALITY from 1 to 100", lambda detail: Jpeg(*map(int, _range(detail, 1, 100)))),
}

# --- degradations a recipe can name ---------------------------------------------------------------------------------


class Degradation(Protocol):
    """Turns clean pictures into what the net is given and what it should give back."""

    @property
    def margin(self) -> int:
        """Pixels to each side that it needs beyond the training crop."""
        ...

    @property
    def scale(self) -> int:
        """How many times smaller the net's input is; divides the crop."""
        ...

    def __call__(self, image: Tensor, rngs: Sequence[np.random.Generator]) -> dict[str, Tensor]:
        """(B, C, H, W) in [0, 1] and a generator for each picture: what becomes of one depends on no other."""
        ...


@dataclass(frozen=True)
class Keep:
    """The picture as it is."""

    margin: int = 0
    scale: int = 1

    def __call__(self, image: Tensor, rngs: Sequence[np.random.Generator]) -> dict[str, Tensor]:
        return {"image": image}


@dataclass(frozen=True)
class Chain:
    """Adds "low": the picture after all steps, stored in 8 bits."""

    steps: tuple[Step, ...]

    @property
    def scale(self) -> int:
        return int(np.prod([step.scale for step in self.steps]))

    @property
    def margin(self) -> int:
        margin, scale = 0, 1
        for step in self.steps:
            scale *= step.scale
            margin += step.margin * scale
        return -(-margin // scale) * scale

    def __call__(self, image: Tensor, rngs: Sequence[np.random.Generator]) -> dict[str, Tensor]:
        pictures = image.numpy()
        low = np.stack([self._spoilt(picture, rng) for picture, rng in zip(pictures, rngs, strict=True)])
        return {"image": _inner(pictures, self.margin), "low": _inner(low, self.margin // self.scale)}

    def _spoilt(self, picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        picture = picture.copy()  # in memory of its own, so that sums do not depend on where it lies among others
        for step in self.steps:
            picture = step(picture, rng)
        return _levels(picture) / np.float32(255)


def _inner(pictures: np.ndarray, margin: int) -> Tensor:
    height, width = pictures.shape[-2:]
    inner = pictures[..., margin : height - margin, margin : width - margin]
    return torch.from_numpy(np.ascontiguousarray(inner))


@dataclass(frozen=True)
class Holes:
    """Adds "mask": 1 in holes of a family drawn for each picture."""

    families: tuple[str, ...]
    margin: int = 0
    scale: int = 1

    def __call__(self, image: Tensor, rngs: Sequence[np.random.Generator]) -> dict[str, Tensor]:
        masks = [self._mask(rng, image.shape[-2], image.shape[-1]) for rng in rngs]
        return {"image": image, "mask": torch.from_numpy(np.stack(masks)[:, None]).float()}

    def _mask(self, rng: np.random.Generator, height: int, width: int) -> np.ndarray:
        while True:
            family = FAMILIES[self.families[int(rng.integers(len(self.families)))]]
            mask = np.asarray(family(rng, height, width)) > 127
            if 0.002 < mask.mean() < 0.8:  # nothing to learn from an empty hole, nor from a lost picture
                return mask


@lru_cache(maxsize=64)
def find(name: str) -> Degradation:
    """The degradation a recipe names: "none", "shrink:4", "holes:scratch,text", "blur:0.2-2+jpeg:30-95".

    Raises:
        TrainingError: there is none of that name, or its numbers are out of their bounds.
    """
    if name == "none":
        return Keep()
    kind, _, detail = name.partition(":")
    families = tuple(detail.split(","))
    if kind == "holes" and set(families) <= set(FAMILIES):
        return Holes(families)
    parts = [part.partition(":") for part in name.split("+")]
    try:
        return Chain(tuple(STEPS[kind].parse(detail) for kind, _, detail in parts))
    except (KeyError, ValueError):
        forms = "; ".join(entry.form for entry in STEPS.values())
        raise TrainingError(
            f"degrade must be none, holes:FAMILY,… of {', '.join(FAMILIES)}, or steps joined by + ({forms}); not {name!r}."
        ) from None
