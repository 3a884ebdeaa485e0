"""What spoils a picture on purpose: shrinking, blur, noise, JPEG, holes, seeded; for training data, tests and benchmarks alike.

A recipe names it in one word: "none", "holes:scratch,text", or steps of STEPS joined by "+", such as
"blur:0.2-2+shrink:4+noise:0-10+jpeg:30-95". A range is drawn from anew for each picture, and so is one of several chains that
stand between "|", as in "noise:0-55|jpeg:10-95".
"""

import io
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageDraw
from torch import Tensor

from genrestore.data.damage import KINDS, Damage, font
from genrestore.errors import TrainingError

# --- shrinking ------------------------------------------------------------------------------------------------------


def cubic(x: np.ndarray) -> np.ndarray:
    """Keys' cubic convolution kernel. Keys, "Cubic convolution interpolation for digital image processing", 1981."""
    x, a = np.abs(x), -0.5
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


def text(rng: np.random.Generator, height: int, width: int) -> Image.Image:
    """Lines of random letters 10 to 34 pixels high, as a date stamp or a watermark leaves them."""
    mask = Image.new("L", (width, height))
    draw = ImageDraw.Draw(mask)
    y = rng.uniform(-20, 10)
    while y < height:
        size = int(rng.integers(10, 35))
        line = "".join(rng.choice(LETTERS, 4 + 2 * width // size))
        draw.text((rng.uniform(-width / 2, width / 3), y), line, fill=255, font=font(size))
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


def blob(rng: np.random.Generator, height: int, width: int) -> Image.Image:
    """One object-like shape of a fifth to two fifths of each side: an outline of waves, clear of the picture's edges."""
    w, h = rng.uniform(0.2, 0.4) * width, rng.uniform(0.2, 0.4) * height
    x, y = rng.uniform(0.65 * w, width - 0.65 * w), rng.uniform(0.65 * h, height - 0.65 * h)
    angle = np.linspace(0, 2 * np.pi, 180, endpoint=False)
    waves = sum(rng.normal(0, 0.15 / k) * np.cos(k * angle + rng.uniform(0, 2 * np.pi)) for k in range(2, 7))
    radius = 0.5 * np.clip(1 + waves, 0.4, 1.3)
    mask = Image.new("L", (width, height))
    points = list(zip(x + w * radius * np.cos(angle), y + h * radius * np.sin(angle), strict=True))
    ImageDraw.Draw(mask).polygon(points, fill=255)
    return mask


FAMILIES: dict[str, Callable[[np.random.Generator, int, int], Image.Image]] = {
    "scratch": scratch,
    "text": text,
    "strokes": strokes,
    "box": box,
    "blob": blob,
}

# --- steps that join into one degradation ---------------------------------------------------------------------------

LEVELS = ("noise", "jpeg", "blur")  # what a batch tells of each picture: how strongly these have spoilt it


class Step(Protocol):
    """One step, `scale` times smaller: first its numbers are drawn, then it is applied to one picture or to a batch.

    One picture is spoilt by numpy, for torch would take its threads from the training step; a batch where it lies, by torch.
    Both compute the same, but noise, of which each has its own, and JPEG, which a batch goes through in floating point.
    """

    @property
    def scale(self) -> int: ...

    @property
    def margin(self) -> int:
        """Pixels of its result to each side that the edge of the picture has reached."""
        ...

    @property
    def count(self) -> int:
        """How many numbers it draws."""
        ...

    def draw(self, rng: np.random.Generator, many: int) -> np.ndarray:
        """Its numbers for so many pictures: (many, count)."""
        ...

    def level(self, drawn: np.ndarray) -> tuple[str, np.ndarray] | None:
        """How strongly these numbers (many, count) spoil, and which of LEVELS it is."""
        ...

    def one(self, picture: np.ndarray, drawn: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """A picture (C, H, W) float32 in [0, 1] → the spoilt one."""
        ...

    def many(self, pictures: Tensor, drawn: Tensor) -> Tensor:
        """Pictures (B, C, H, W) and their numbers (B, n), on one device → the spoilt ones."""
        ...


@dataclass(frozen=True)
class Shrink:
    """`scale` times smaller, by a kernel drawn for each picture, and stored in 8 bits."""

    scale: int
    kernels: tuple[str, ...] = ("bicubic",)
    count: int = 1

    @property
    def margin(self) -> int:
        return max(KERNELS[kernel].reach for kernel in self.kernels) + 1  # one for rounding

    def draw(self, rng: np.random.Generator, many: int) -> np.ndarray:
        return rng.integers(len(self.kernels), size=(many, 1))

    def level(self, drawn: np.ndarray) -> None:
        return None

    def one(self, picture: np.ndarray, drawn: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        height, width = (length // self.scale for length in picture.shape[1:])
        return shrink(torch.from_numpy(picture)[None], height, width, self.kernels[int(drawn[0])])[0].numpy()

    def many(self, pictures: Tensor, drawn: Tensor) -> Tensor:
        rows, columns = (
            _resizing(length, length // self.scale, self.kernels, pictures.device)[drawn[:, 0].long()]
            for length in pictures.shape[2:]
        )
        return quantise(quantise(rows @ pictures) @ columns.mT)


@lru_cache(maxsize=64)
def _resizing(length: int, out: int, kernels: tuple[str, ...], device: torch.device) -> Tensor:
    """(kernels, 1, out, length)"""
    return torch.stack([resize_matrix(length, out, kernel) for kernel in kernels])[:, None].to(device)


@dataclass(frozen=True)
class Blur:
    """A Gaussian of a standard deviation drawn from a range in pixels."""

    low: float
    high: float
    scale: int = 1
    count: int = 1

    @property
    def margin(self) -> int:
        return int(np.ceil(3 * self.high))

    def draw(self, rng: np.random.Generator, many: int) -> np.ndarray:
        return rng.uniform(self.low, self.high, (many, 1)).clip(1e-3)

    def level(self, drawn: np.ndarray) -> tuple[str, np.ndarray]:
        return "blur", drawn[:, 0]

    def one(self, picture: np.ndarray, drawn: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        sigma = torch.tensor(drawn[:1], dtype=torch.float64)
        rows, columns = (_gaussian(length, sigma)[0, 0] for length in picture.shape[1:])
        return (rows @ torch.from_numpy(picture) @ columns.T).numpy()

    def many(self, pictures: Tensor, drawn: Tensor) -> Tensor:
        rows, columns = (_gaussian(length, drawn[:, 0].double()) for length in pictures.shape[2:])
        return rows @ pictures @ columns.mT


def _gaussian(length: int, sigma: Tensor) -> Tensor:
    """(B,) → (B, 1, length, length): matrices that blur a row; what would lie beyond its ends counts nothing."""
    places = torch.arange(length, dtype=sigma.dtype, device=sigma.device)
    distances, wide = (places[:, None] - places).abs(), sigma[:, None, None]
    weights = torch.exp(-distances.square() / (2 * wide.square()))
    weights = torch.where(distances <= 4 * wide, weights, 0.0)  # no denormals: slow
    return (weights / weights.sum(2, keepdim=True)).float()[:, None]


@dataclass(frozen=True)
class Noise:
    """Gaussian noise of a standard deviation drawn from a range in levels of 255.

    `raw`: at the end of a chain nothing is clipped or rounded, as papers measure denoising, but no camera stores pictures.
    """

    low: float
    high: float
    raw: bool = False
    scale: int = 1
    margin: int = 0
    count: int = 1

    def draw(self, rng: np.random.Generator, many: int) -> np.ndarray:
        return rng.uniform(self.low, self.high, (many, 1)) / 255

    def level(self, drawn: np.ndarray) -> tuple[str, np.ndarray]:
        return "noise", drawn[:, 0]

    def one(self, picture: np.ndarray, drawn: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        return picture + np.float32(drawn[0]) * rng.standard_normal(picture.shape, dtype=np.float32)

    def many(self, pictures: Tensor, drawn: Tensor) -> Tensor:
        return pictures + drawn[:, :, None, None] * torch.randn(pictures.shape, device=pictures.device)


MCU = 16  # pixels a side of what JPEG codes together, with colours at half the resolution
# Of libjpeg at quality 50: ITU-T T.81, annex K, tables K.1 and K.2
LUMA = (
    16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55,
    14, 13, 16, 24, 40, 57, 69, 56, 14, 17, 22, 29, 51, 87, 80, 62,
    18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92,
    49, 64, 78, 87, 103, 121, 120, 101, 72, 92, 95, 98, 112, 100, 103, 99,
)  # fmt: skip
CHROMA = (
    17, 18, 24, 47, 99, 99, 99, 99, 18, 21, 26, 66, 99, 99, 99, 99,
    24, 26, 56, 99, 99, 99, 99, 99, 47, 66, 99, 99,
    *([99] * 36),
)  # fmt: skip


@dataclass(frozen=True)
class Jpeg:
    """Stored as JPEG of a quality drawn from a range, colours at half the resolution, on a grid that begins anywhere."""

    low: int
    high: int
    scale: int = 1
    margin: int = MCU
    count: int = 3

    def draw(self, rng: np.random.Generator, many: int) -> np.ndarray:
        qualities = rng.integers(self.low, self.high + 1, size=(many, 1))
        return np.concatenate([qualities, rng.integers(MCU, size=(many, 2))], 1)

    def level(self, drawn: np.ndarray) -> tuple[str, np.ndarray]:
        return "jpeg", 1 - drawn[:, 0] / 100

    def one(self, picture: np.ndarray, drawn: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        quality, y, x = map(int, drawn)
        pixels = np.ascontiguousarray(_levels(picture).astype(np.uint8).transpose(1, 2, 0))
        shifted = np.pad(pixels, ((y, 0), (x, 0), (0, 0)), mode="edge")
        drawing = Image.fromarray(shifted[..., 0] if pixels.shape[2] == 1 else shifted)
        file = io.BytesIO()
        drawing.save(file, "JPEG", quality=quality)
        with Image.open(file) as stored:
            again = np.asarray(stored).reshape(shifted.shape)[y:, x:]
        return again.transpose(2, 0, 1) / np.float32(255)

    def many(self, pictures: Tensor, drawn: Tensor) -> Tensor:
        count, _, height, width = pictures.shape
        quality, y, x = (column.long() for column in drawn.unbind(1))
        which = torch.arange(count, device=pictures.device)[:, None, None]
        rows, columns = (
            torch.arange(-(-(length + MCU - 1) // MCU) * MCU, device=pictures.device) for length in (height, width)
        )
        from_rows = (rows[None] - y[:, None]).clamp(0, height - 1)
        from_columns = (columns[None] - x[:, None]).clamp(0, width - 1)
        levels = (pictures.clamp(0, 1) * 255).round().permute(0, 2, 3, 1)
        coded = _coded(levels[which, from_rows[:, :, None], from_columns[:, None]].permute(0, 3, 1, 2), quality)
        rows, columns = rows[None, :height] + y[:, None], columns[None, :width] + x[:, None]
        return coded.permute(0, 2, 3, 1)[which, rows[:, :, None], columns[:, None]].permute(0, 3, 1, 2) / 255


def _coded(levels: Tensor, quality: Tensor) -> Tensor:
    """What JPEG leaves of (B, C, H, W) whole numbers from 0 to 255, H and W multiples of MCU, at qualities (B,), as libjpeg does.

    Wallace, "The JPEG still picture compression standard", 1992; JFIF 1.02 for the colours, at half the resolution.
    """
    scale = torch.where(quality < 50, 5000 // quality.clamp(min=1), 200 - 2 * quality)
    luma, chroma = (_table(table, levels.device) for table in (LUMA, CHROMA))
    luma, chroma = ((torch.floor((table * scale[:, None, None] + 50) / 100)).clamp(1, 255) for table in (luma, chroma))
    if levels.shape[1] == 1:
        return _stored(levels, luma)
    red, green, blue = levels.unbind(1)
    y = (0.299 * red + 0.587 * green + 0.114 * blue).round()
    cb = (-0.168735892 * red - 0.331264108 * green + 0.5 * blue + 128).round()
    cr = (0.5 * red - 0.418687589 * green - 0.081312411 * blue + 128).round()
    halves = F.avg_pool2d(torch.stack([cb, cr], 1), 2).round()
    y = _stored(y[:, None], luma)[:, 0]
    halves = _stored(halves, chroma)
    cb, cr = (F.interpolate(halves, scale_factor=2.0, mode="bilinear", align_corners=False).round() - 128).unbind(1)
    rgb = torch.stack([y + 1.402 * cr, y - 0.344136286 * cb - 0.714136286 * cr, y + 1.772 * cb], 1)
    return rgb.round().clamp(0, 255)


def _stored(planes: Tensor, table: Tensor) -> Tensor:
    """(B, C, H, W) whole numbers, each 8×8 block through its cosine transform and the table (B, 8, 8), and back."""
    count, channels, height, width = planes.shape
    cosines = _cosines(planes.device)
    blocks = (planes - 128).view(count, channels, height // 8, 8, width // 8, 8).transpose(3, 4)
    steps = table[:, None, None, None]
    waves = (cosines @ blocks @ cosines.T / steps).round() * steps
    back = (cosines.T @ waves @ cosines).transpose(3, 4).reshape(count, channels, height, width)
    return (back + 128).round().clamp(0, 255)


@lru_cache(maxsize=16)
def _table(table: tuple[int, ...], device: torch.device) -> Tensor:
    return torch.tensor(table, dtype=torch.float32, device=device).view(8, 8)


@lru_cache(maxsize=8)
def _cosines(device: torch.device) -> Tensor:
    """(8, 8) orthonormal matrix of the cosine transform (DCT-II)."""
    k, n = np.arange(8)[:, None], np.arange(8)[None]
    matrix = np.cos((2 * n + 1) * k * np.pi / 16) * np.where(k == 0, np.sqrt(1 / 8), np.sqrt(2 / 8))
    return torch.from_numpy(matrix).float().to(device)


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


def _noise(detail: str) -> Noise:
    sigma, _, raw = detail.partition(":")
    if raw not in ("", "raw"):
        raise ValueError
    return Noise(*_range(sigma, 0, 255), raw=bool(raw))


class Entry(NamedTuple):
    """How a step is written, and what reads what stands behind its colon (ValueError: it cannot)."""

    form: str
    parse: Callable[[str], Step]


STEPS = {
    "shrink": Entry(f"shrink:SCALE[:{','.join(KERNELS)}]", _shrink),
    "blur": Entry("blur:SIGMA-SIGMA in pixels up to 20", lambda detail: Blur(*_range(detail, 0, 20))),
    "noise": Entry("noise:SIGMA-SIGMA[:raw] in levels up to 255", _noise),
    "jpeg": Entry("jpeg:QUALITY-QUALITY from 1 to 100", lambda detail: Jpeg(*map(int, _range(detail, 1, 100)))),
}

# --- degradations a recipe can name ---------------------------------------------------------------------------------


class Degradation(Protocol):
    """Turns clean pictures into what the net is given and what it should give back.

    What becomes of a picture is drawn first, and then done: by numpy, picture by picture, or to a batch where it lies.
    """

    @property
    def margin(self) -> int:
        """Pixels to each side that it needs beyond the training crop."""
        ...

    @property
    def scale(self) -> int:
        """How many times smaller the net's input is; divides the crop."""
        ...

    @property
    def drawn_together(self) -> bool:
        """Whether drawing is so quick that it is done for all pictures of a batch at once."""
        ...

    def draw(self, rng: np.random.Generator, many: int, side: int) -> np.ndarray:
        """What is decided for so many pictures of side × side pixels: (many, …)."""
        ...

    def one_by_one(self, image: Tensor, drawn: np.ndarray, rngs: Sequence[np.random.Generator]) -> dict[str, Tensor]:
        """(B, C, S, S) in [0, 1], (B, …) as drawn, and a generator for each picture's noise → a batch."""
        ...

    def together(self, image: Tensor, drawn: Tensor) -> dict[str, Tensor]:
        """(B, C, S, S) in [0, 1] and (B, …) as drawn → a batch, on their device; noise is of its own generator."""
        ...


@dataclass(frozen=True)
class Keep:
    """The picture as it is."""

    margin: int = 0
    scale: int = 1
    drawn_together: bool = True

    def draw(self, rng: np.random.Generator, many: int, side: int) -> np.ndarray:
        return np.empty((many, 0), np.float32)

    def one_by_one(self, image: Tensor, drawn: np.ndarray, rngs: Sequence[np.random.Generator]) -> dict[str, Tensor]:
        return {"image": image}

    def together(self, image: Tensor, drawn: Tensor) -> dict[str, Tensor]:
        return {"image": image}


@dataclass(frozen=True)
class Chains:
    """Adds "low", the picture after all steps of a chain, stored in 8 bits (but for raw noise), and "levels" (B, 3): how strongly
    those of LEVELS have spoilt it. Of several chains each picture goes through one, drawn for it."""

    chains: tuple[tuple[Step, ...], ...]
    drawn_together: bool = True

    @property
    def scale(self) -> int:
        return _scale(self.chains[0])

    @property
    def margin(self) -> int:
        margins = [0]
        for chain in self.chains:
            margin, scale = 0, 1
            for step in chain:
                scale *= step.scale
                margin += step.margin * scale
            margins.append(-(-margin // scale) * scale)
        return max(margins)

    def draw(self, rng: np.random.Generator, many: int, side: int) -> np.ndarray:
        """Which chain, the levels, and the numbers of all chains' steps one after the other."""
        which = rng.integers(len(self.chains), size=(many, 1))
        levels = np.zeros((many, len(LEVELS)))
        numbers: list[np.ndarray] = []
        for place, chain in enumerate(self.chains):
            for step in chain:
                numbers.append(step.draw(rng, many))
                if (told := step.level(numbers[-1])) is not None:
                    column = LEVELS.index(told[0])
                    levels[:, column] = np.where(
                        which[:, 0] == place, np.maximum(levels[:, column], told[1]), levels[:, column]
                    )
        return np.concatenate([which, levels, *numbers], 1).astype(np.float32)

    def _steps(self) -> list[list[tuple[Step, slice]]]:
        """The steps of each chain, and where their numbers lie."""
        begin, found = 1 + len(LEVELS), list[list[tuple[Step, slice]]]()
        for chain in self.chains:
            found.append([])
            for step in chain:
                found[-1].append((step, slice(begin, begin + step.count)))
                begin += step.count
        return found

    def one_by_one(self, image: Tensor, drawn: np.ndarray, rngs: Sequence[np.random.Generator]) -> dict[str, Tensor]:
        pictures, chains = image.numpy(), self._steps()
        low: list[np.ndarray] = []
        for picture, numbers, rng in zip(pictures, drawn, rngs, strict=True):
            spoilt = picture.copy()  # in memory of its own, so that sums do not depend on where it lies among others
            for step, own in chains[int(numbers[0])]:
                spoilt = step.one(spoilt, numbers[own], rng)
            low.append(spoilt if _raw(self.chains[int(numbers[0])]) else _levels(spoilt) / np.float32(255))
        return {
            "image": torch.from_numpy(np.ascontiguousarray(_inner(pictures, self.margin))),
            "low": torch.from_numpy(np.ascontiguousarray(_inner(np.stack(low), self.margin // self.scale))),
            "levels": torch.from_numpy(np.ascontiguousarray(drawn[:, 1 : 1 + len(LEVELS)])),
        }

    def together(self, image: Tensor, drawn: Tensor) -> dict[str, Tensor]:
        low = image
        with _whole_products():
            for place, (chain, steps) in enumerate(zip(self.chains, self._steps(), strict=True)):
                spoilt = image
                for step, own in steps:
                    spoilt = step.many(spoilt, drawn[:, own])
                spoilt = spoilt if _raw(chain) else quantise(spoilt)
                low = spoilt if place == 0 else torch.where((drawn[:, 0] == place)[:, None, None, None], spoilt, low)
        return {
            "image": _inner(image, self.margin),
            "low": _inner(low, self.margin // self.scale),
            "levels": drawn[:, 1 : 1 + len(LEVELS)],
        }


def _raw(chain: tuple[Step, ...]) -> bool:
    return isinstance(chain[-1], Noise) and chain[-1].raw


def _scale(chain: tuple[Step, ...]) -> int:
    return int(np.prod([step.scale for step in chain]))


@contextmanager
def _whole_products() -> Generator[None, None, None]:
    """Within the block a GPU multiplies matrices in full single precision: TF32 keeps ten bits, a picture needs eight."""
    usual = torch.backends.cuda.matmul.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = False
    try:
        yield
    finally:
        torch.backends.cuda.matmul.allow_tf32 = usual


def _inner(pictures: Any, margin: int) -> Any:
    height, width = pictures.shape[-2:]
    return pictures[..., margin : height - margin, margin : width - margin]


@dataclass(frozen=True)
class Holes:
    """Adds "mask": 1 in holes of a family drawn for each picture."""

    families: tuple[str, ...]
    margin: int = 0
    scale: int = 1
    drawn_together: bool = False

    def draw(self, rng: np.random.Generator, many: int, side: int) -> np.ndarray:
        """(many, side, side) bool, True in the hole."""
        return np.stack([self._mask(rng, side) for _ in range(many)])

    def _mask(self, rng: np.random.Generator, side: int) -> np.ndarray:
        while True:
            family = FAMILIES[self.families[int(rng.integers(len(self.families)))]]
            mask = np.asarray(family(rng, side, side)) > 127
            if 0.002 < mask.mean() < 0.8:  # nothing to learn from an empty hole, nor from a lost picture
                return mask

    def one_by_one(self, image: Tensor, drawn: np.ndarray, rngs: Sequence[np.random.Generator]) -> dict[str, Tensor]:
        return self.together(image, torch.from_numpy(drawn))

    def together(self, image: Tensor, drawn: Tensor) -> dict[str, Tensor]:
        return {"image": image, "mask": drawn[:, None].float()}


def spoilt(degradation: Degradation, image: Tensor, rngs: Sequence[np.random.Generator]) -> dict[str, Tensor]:
    """(B, C, S, S) in [0, 1] and a generator for each picture, of which what becomes of it depends alone → a batch."""
    drawn = np.concatenate([degradation.draw(rng, 1, image.shape[-1]) for rng in rngs])
    return degradation.one_by_one(image, drawn, rngs)


def _damage(detail: str) -> Damage:
    """Kinds, and behind the first + what comes after them: "all", "dust,hair+noise:0-9+jpeg:50-95"."""
    named, _, after = detail.partition("+")
    kinds = tuple(KINDS) if named == "all" else tuple(named.split(","))
    if not set(kinds) <= set(KINDS):
        raise TrainingError(f"damage takes all, or kinds of {', '.join(KINDS)} between commas; not {named!r}.")
    return Damage(kinds, find(after or "none"))


@lru_cache(maxsize=64)
def find(name: str) -> Degradation:
    """The degradation a recipe names: "none", "shrink:4", "holes:scratch,text", "blur:0.2-2+jpeg:30-95", "noise:9|jpeg:50".

    Raises:
        TrainingError: there is none of that name, or its numbers are out of their bounds.
    """
    if name == "none":
        return Keep()
    kind, _, detail = name.partition(":")
    families = tuple(detail.split(","))
    if kind == "holes" and set(families) <= set(FAMILIES):
        return Holes(families)
    if kind == "damage":
        return _damage(detail)
    try:
        chains = tuple(
            tuple(STEPS[kind].parse(detail) for kind, _, detail in (part.partition(":") for part in chain.split("+")))
            for chain in name.split("|")
        )
    except (KeyError, ValueError):
        forms = "; ".join(entry.form for entry in STEPS.values())
        raise TrainingError(
            f"degrade must be none, holes:FAMILY,… of {', '.join(FAMILIES)}, damage:KIND,…, or steps joined by +, chains of "
            f"them by | ({forms}); not {name!r}."
        ) from None
    if len({_scale(chain) for chain in chains}) > 1:
        raise TrainingError(f"The chains of a degradation must shrink alike; {name!r} does not.")
    return Chains(chains)
