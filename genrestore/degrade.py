"""What spoils a picture on purpose: holes and shrinking, seeded; for training data, tests and benchmarks alike."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

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


@lru_cache(maxsize=64)
def resize_matrix(length: int, out: int) -> Tensor:
    """(out, length) matrix that resizes a row of `length` samples as MATLAB's bicubic imresize does.

    When shrinking, the kernel is stretched so that it also removes what the smaller grid cannot hold; edges mirror.
    """
    scale = out / length
    stretch = max(1.0, 1 / scale)
    centres = (np.arange(out) + 0.5) / scale - 0.5
    reach = int(np.ceil(2 * stretch)) + 1
    taps = np.floor(centres)[:, None].astype(int) + np.arange(-reach, reach + 1)[None]
    weights = cubic((taps - centres[:, None]) / stretch)
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


def shrink(image: Tensor, height: int, width: int) -> Tensor:
    """The bicubic benchmark protocol: `resize` as MATLAB runs it on 8-bit pictures, rounding after each direction, rows first."""
    rows = resize_matrix(image.shape[-2], height).to(image)
    columns = resize_matrix(image.shape[-1], width).to(image)
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

# --- degradations a recipe can name ---------------------------------------------------------------------------------


class Degradation(Protocol):
    """Turns clean pictures into what the net is given and what it should give back."""

    @property
    def margin(self) -> int:
        """Pixels to each side that it needs beyond the training crop."""
        ...

    def __call__(self, image: Tensor, rng: np.random.Generator) -> dict[str, Tensor]: ...


@dataclass(frozen=True)
class Keep:
    """The picture as it is."""

    margin: int = 0

    def __call__(self, image: Tensor, rng: np.random.Generator) -> dict[str, Tensor]:
        return {"image": image}


@dataclass(frozen=True)
class Shrink:
    """Adds "low": the picture shrunk `scale` times and stored in 8 bits."""

    scale: int

    @property
    def margin(self) -> int:
        return 3 * self.scale  # the stretched kernel reaches 2 pixels of the small grid; the third is for rounding

    def __call__(self, image: Tensor, rng: np.random.Generator) -> dict[str, Tensor]:
        side = image.shape[-1] // self.scale
        low = shrink(image, side, side)
        m = self.margin
        return {"image": image[..., m:-m, m:-m].contiguous(), "low": low[..., 3:-3, 3:-3].contiguous()}


@dataclass(frozen=True)
class Holes:
    """Adds "mask": 1 in holes of a family drawn for each picture."""

    families: tuple[str, ...]
    margin: int = 0

    def __call__(self, image: Tensor, rng: np.random.Generator) -> dict[str, Tensor]:
        height, width = image.shape[-2:]
        masks = []
        while len(masks) < len(image):
            family = FAMILIES[self.families[int(rng.integers(len(self.families)))]]
            mask = np.asarray(family(rng, height, width)) > 127
            if 0.002 < mask.mean() < 0.8:  # nothing to learn from an empty hole, nor from a lost picture
                masks.append(mask)
        return {"image": image, "mask": torch.from_numpy(np.stack(masks)[:, None]).float()}


def find(name: str) -> Degradation:
    """The degradation a recipe names: "none", "shrink:4", "holes:scratch,text".

    Raises:
        TrainingError: there is none of that name.
    """
    kind, _, detail = name.partition(":")
    if kind == "none":
        return Keep()
    if kind == "shrink" and detail.isdigit() and int(detail) > 1:
        return Shrink(int(detail))
    families = tuple(detail.split(","))
    if kind == "holes" and set(families) <= set(FAMILIES):
        return Holes(families)
    raise TrainingError(f"degrade must be none, shrink:SCALE or holes:FAMILY,… of {', '.join(FAMILIES)}; not {name!r}.")
