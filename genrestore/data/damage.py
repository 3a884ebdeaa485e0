"""Damage as old photographs carry it, made up: dust, hairs, scratches, creases, tears, flakes, stains, water marks, ink; seeded.

What damage does to a pixel is pixel → gain · pixel + add, colour by colour. So it is drawn without knowing the picture, lies over
another one as over the first, and where it can be seen follows from what it changed: white dust on a white wall is no damage.
The kinds have the sizes that a scan of 0.3 to 2 megapixels shows, in pixels; `unit` makes all of them larger.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

FINE = 4  # times as large damage is drawn, so that its edges are soft
VISIBLE = 10 / 255  # a change of any colour above it is damage
CLEAN = 0.5  # share of the training pictures that carry none
UNITS = (0.8, 1.8)  # times as large as described

Colour = np.ndarray  # (3,) in [0, 1]


class Layers:
    """What damage does to each pixel of a picture: `gain` and `add`, each (3, H, W)."""

    def __init__(self, height: int, width: int, unit: float = 1.0) -> None:
        self.height, self.width, self.unit = height, width, unit
        self.area = height * width / 128**2  # in which as much damage is found as its kind's numbers say
        self.gain = np.ones((3, height, width), np.float32)
        self.add = np.zeros((3, height, width), np.float32)

    def cover(self, opacity: np.ndarray, colour: Colour) -> None:
        """Lay a colour over it, as opaque as (H, W) says."""
        rest = 1 - opacity.astype(np.float32)
        self.gain *= rest
        self.add = self.add * rest + (1 - rest) * colour[:, None, None].astype(np.float32)

    def tint(self, strength: np.ndarray, colour: Colour) -> None:
        """Let it be seen through a colour, as strong as (H, W) says."""
        filter_ = 1 - strength.astype(np.float32) * (1 - colour[:, None, None].astype(np.float32))
        self.gain *= filter_
        self.add *= filter_


class Pen:
    """Draws soft-edged shapes into one map of opacities (H, W)."""

    def __init__(self, layers: Layers) -> None:
        self.image = Image.new("L", (layers.width * FINE, layers.height * FINE))
        self.draw = ImageDraw.Draw(self.image)

    def polygon(self, points: np.ndarray, opacity: float) -> None:
        self.draw.polygon([(x, y) for x, y in (points * FINE).tolist()], fill=round(255 * opacity))

    def line(self, points: np.ndarray, width: float, opacity: float) -> None:
        thick = max(1, round(width * FINE))
        self.draw.line(
            [(x, y) for x, y in (points * FINE).tolist()], fill=round(255 * opacity), width=thick, joint="curve"
        )

    def opacity(self) -> np.ndarray:
        return np.asarray(self.image.reduce(FINE), np.float32) / 255


def _noise(rng: np.random.Generator, height: int, width: int, cell: float) -> np.ndarray:
    """(H, W) in about [0, 1]: smooth noise with features of `cell` pixels, and finer ones in it."""
    total = np.zeros((height, width), np.float32)
    for octave in range(3):
        fine = max(cell / 2**octave, 1.0)
        grid = rng.random((int(height / fine) + 3, int(width / fine) + 3), np.float32)
        x, y = rng.random(2)
        box = (x, y, x + width / fine, y + height / fine)
        total += np.asarray(Image.fromarray(grid).resize((width, height), Image.Resampling.BICUBIC, box)) / 2**octave
    return total / 1.75


def _log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def _step(x: np.ndarray) -> np.ndarray:
    return np.clip(x + 0.5, 0, 1)


def _paper(rng: np.random.Generator) -> Colour:
    """What lies below the emulsion: white to yellowish."""
    return rng.uniform(0.86, 1) * np.array([1, rng.uniform(0.95, 1), rng.uniform(0.82, 1)])


def _dark(rng: np.random.Generator) -> Colour:
    return rng.uniform(0, 0.15) * np.array([1, rng.uniform(0.8, 1), rng.uniform(0.6, 1)])


def _either(rng: np.random.Generator, light: float) -> Colour:
    return _paper(rng) if rng.random() < light else _dark(rng)


def _walk(rng: np.random.Generator, layers: Layers, step: float, turns: int, bend: float, drift: float) -> np.ndarray:
    """(turns + 1, 2): a path from anywhere whose direction changes smoothly, by about `drift`, and at random, by `bend`."""
    curve = rng.normal(0, drift) + np.cumsum(rng.normal(0, drift / 3, turns))
    angles = rng.uniform(0, 2 * np.pi) + np.cumsum(curve) + rng.normal(0, bend, turns)
    start = rng.uniform(0, 1, 2) * (layers.width, layers.height)
    steps = step * np.stack([np.cos(angles), np.sin(angles)], 1)
    return np.concatenate([start[None], start + np.cumsum(steps, 0)])


# --- kinds ----------------------------------------------------------------------------------------------------------


def dust(rng: np.random.Generator, layers: Layers) -> None:
    """Specks of 1 to 8 pixels, most of them small and light."""
    for light, density in ((0.9, _log_uniform(rng, 2, 40)), (0.1, _log_uniform(rng, 0.5, 10))):
        pen = Pen(layers)
        for _ in range(rng.poisson(density * layers.area)):
            middle = rng.uniform(0, 1, 2) * (layers.width, layers.height)
            radius = layers.unit * (0.6 + 3.4 * rng.beta(1, 4))
            angle = np.sort(rng.uniform(0, 2 * np.pi, 8))
            shape = np.stack([np.cos(angle) * rng.uniform(0.5, 1), np.sin(angle)], 1) * rng.uniform(0.7, 1.2, (8, 1))
            turn = rng.uniform(0, np.pi)
            turned = shape @ np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
            pen.polygon(middle + radius * turned, rng.uniform(0.6, 1))
        layers.cover(pen.opacity(), _either(rng, light))


def hair(rng: np.random.Generator, layers: Layers) -> None:
    """Hairs and fibres: thin, curved, of any length."""
    for light in (1, 0):
        pen = Pen(layers)
        for _ in range(rng.poisson(0.9 * layers.area) + (light == 1)):
            path = _walk(rng, layers, 3 * layers.unit, int(rng.integers(5, 40)), 0.05, _log_uniform(rng, 0.02, 0.2))
            pen.line(path, layers.unit * rng.uniform(0.7, 1.6), rng.uniform(0.6, 1))
        layers.cover(pen.opacity(), _either(rng, light))


def scratch(rng: np.random.Generator, layers: Layers) -> None:
    """Scratches: long and nearly straight, often side by side, now deeper, now broken off; some with a dark edge."""
    common = rng.uniform(0, np.pi)
    pens = {"edge": Pen(layers), "light": Pen(layers), "dark": Pen(layers)}
    for _ in range(1 + rng.poisson(1.5 * layers.area)):
        angle = common + rng.normal(0, 0.04) if rng.random() < 0.6 else rng.uniform(0, np.pi)
        length = _log_uniform(rng, 20, 2 * max(layers.height, layers.width))
        count = max(3, int(length / (6 * layers.unit)))
        along = np.linspace(-length / 2, length / 2, count)
        across = np.cumsum(rng.normal(0, rng.choice([0.02, 0.2, 0.8]), count))
        direction, normal = np.array([np.cos(angle), np.sin(angle)]), np.array([-np.sin(angle), np.cos(angle)])
        middle = rng.uniform(0, 1, 2) * (layers.width, layers.height)
        points = middle + along[:, None] * direction + across[:, None] * normal
        taper = np.sin(np.linspace(0.05, 0.95, count) * np.pi) ** 0.4
        depths = taper * np.clip(rng.uniform(0.6, 1) + 0.15 * np.cumsum(rng.normal(0, 1, count)), 0.45, 1)
        broken = rng.random(count) < rng.choice([0, 0.15])
        width, edged = layers.unit * _log_uniform(rng, 0.7, 2.6), rng.random() < 0.25
        pen = pens["light" if rng.random() < 0.75 else "dark"]
        for k in np.flatnonzero(~broken[:-1]):
            if edged:
                pens["edge"].line(points[k : k + 2], width + 2 * layers.unit, 0.35)
            pen.line(points[k : k + 2], width * (0.4 + 0.6 * taper[k]), depths[k])
    for name, light in (("edge", 0), ("light", 1), ("dark", 0)):
        layers.cover(pens[name].opacity(), _either(rng, light))


def crease(rng: np.random.Generator, layers: Layers) -> None:
    """A fold across the picture: a line of lost emulsion, in patches, with a dark and a light side."""
    y, x = np.mgrid[: layers.height, : layers.width].astype(np.float32)
    for _ in range(1 + (rng.random() < 0.3)):
        angle, unit = rng.uniform(0, np.pi), layers.unit
        cx, cy = rng.uniform(0.1, 0.9, 2) * (layers.width, layers.height)
        across = (y - cy) * np.cos(angle) - (x - cx) * np.sin(angle)
        across += unit * rng.uniform(1, 8) * (_noise(rng, layers.height, layers.width, rng.uniform(20, 60)) - 0.5)
        swell = _noise(rng, layers.height, layers.width, 12 * unit)
        width = unit * rng.uniform(1.5, 6) * (0.4 + 1.2 * swell)
        core = _step((width / 2 - np.abs(across)) / rng.uniform(0.6, 1.5))
        lost = _step(8 * (_noise(rng, layers.height, layers.width, rng.uniform(3, 9) * unit) - rng.uniform(0.3, 0.6)))
        shade = rng.uniform(0, 0.25, 2)
        for side, colour in zip((across, -across), (_dark(rng), _paper(rng)), strict=True):
            reach = unit * rng.uniform(1.5, 4)
            layers.cover(shade[0] * np.exp(-np.clip(side, 0, None) / reach) * _step(side), colour)
            shade = shade[::-1]
        base = rng.uniform(0.4, 0.9)
        layers.cover(core * (base + (1 - base) * lost), _either(rng, 0.85))


def tear(rng: np.random.Generator, layers: Layers) -> None:
    """Jagged rips that show white paper beside a shadow; at times a strip of an edge is gone."""
    pen, shadow, unit = Pen(layers), Pen(layers), layers.unit
    for _ in range(1 + rng.poisson(0.3 * layers.area)):
        count = int(rng.integers(30, 120))
        path = _walk(rng, layers, rng.uniform(1.5, 3) * unit, count, 0.6, 0.03)
        widths = unit * rng.uniform(1, 5) * np.clip(0.6 + 0.2 * np.cumsum(rng.normal(0, 0.4, count)), 0.2, 1.5)
        for k in range(count):
            shadow.line(path[k : k + 2] + unit * rng.uniform(0.5, 1.5), widths[k] + unit, 0.6)
            pen.line(path[k : k + 2] + rng.normal(0, 0.3 * unit, 2), widths[k], 1)
    if rng.random() < 0.4:
        length = max(layers.height, layers.width)
        along = np.arange(0, length + 4, rng.uniform(3, 7))
        depth = unit * rng.uniform(3, 16) + np.cumsum(rng.normal(0, 1.2 * unit, len(along)))
        strip = np.concatenate([np.stack([along, depth], 1), [[length + 4, -9], [0, -9]]])
        place = strip if rng.random() < 0.5 else (layers.width, layers.height) - strip
        pen.polygon(place if rng.random() < 0.5 else place[:, ::-1], 1)
    layers.cover(shadow.opacity() * rng.uniform(0, 1), _dark(rng))
    fibre = 0.9 + 0.1 * _noise(rng, layers.height, layers.width, 2)
    layers.cover(pen.opacity() * fibre, _either(rng, 0.9))


def flake(rng: np.random.Generator, layers: Layers) -> None:
    """Emulsion that came off in patches with sharp edges."""
    field = _noise(rng, layers.height, layers.width, layers.unit * rng.uniform(6, 22))
    field += 0.6 * _noise(rng, layers.height, layers.width, 60 * layers.unit)  # they come in groups
    edge = np.quantile(field, 1 - _log_uniform(rng, 0.005, 0.06))
    layers.cover(0.5 * _step(30 * (field - edge + 0.02)) * rng.uniform(0, 1), _dark(rng))
    layers.cover(_step(60 * (field - edge)) * rng.uniform(0.75, 1), _either(rng, 0.85))


TINTS = np.array(
    [[0.55, 0.4, 0.22], [0.8, 0.65, 0.35], [0.35, 0.25, 0.18], [0.2, 0.2, 0.2], [0.3, 0.4, 0.6], [0.5, 0.55, 0.35]]
)


def stain(rng: np.random.Generator, layers: Layers) -> None:
    """Drops and blotches of 6 to 36 pixels that dried, darker at the rim; some bleached the print instead."""
    for _ in range(1 + rng.poisson(0.8 * layers.area)):
        radius = layers.unit * _log_uniform(rng, 3, 18)
        inside = radius - _outline(rng, layers, radius, rng.uniform(0, 1, 2) * (layers.width, layers.height), 0.5)
        body = _step(inside / (layers.unit * _log_uniform(rng, 0.8, 2.5)))
        rim = body * np.exp(-((inside / (layers.unit * rng.uniform(1, 4))) ** 2)) * rng.uniform(0, 0.8)
        patchy = 0.7 + 0.5 * _noise(rng, layers.height, layers.width, max(radius / 2, 3))
        strength = np.clip(body * patchy * rng.uniform(0.5, 1) + rim, 0, 1)
        if rng.random() < 0.2:
            layers.cover(strength * 0.8, _paper(rng))
        else:
            layers.tint(strength, TINTS[rng.integers(len(TINTS))] * rng.uniform(0.6, 1))


def tide(rng: np.random.Generator, layers: Layers) -> None:
    """The line at which water stood and dried, fading to its inside."""
    for _ in range(1 + rng.poisson(0.2 * layers.area)):
        radius = layers.unit * _log_uniform(rng, 25, 250)
        angle = rng.uniform(0, 2 * np.pi)
        on = rng.uniform(0.1, 0.9, 2) * (layers.width, layers.height)  # a point that the line goes through
        middle = on - radius * np.array([np.cos(angle), np.sin(angle)])
        outside = _outline(rng, layers, radius, middle, 40 / radius) - radius
        line = np.exp(-((outside / (layers.unit * rng.uniform(0.8, 2.5))) ** 2)) * rng.uniform(0.5, 0.9)
        fade = np.exp(np.clip(outside, None, 0) / (layers.unit * rng.uniform(3, 10))) * _step(-outside / 2)
        strength = np.clip(line + fade * rng.uniform(0, 0.25), 0, 1)
        strength *= 0.6 + 0.6 * _noise(rng, layers.height, layers.width, 30)
        if rng.random() < 0.2:
            layers.cover(strength * 0.8, _paper(rng))
        else:
            layers.tint(strength.clip(0, 1), TINTS[rng.integers(4)])


def _outline(rng: np.random.Generator, layers: Layers, radius: float, middle: np.ndarray, rough: float) -> np.ndarray:
    """(H, W): the distance from the middle, wavy by the share `rough` of the radius."""
    y, x = np.mgrid[: layers.height, : layers.width].astype(np.float32)
    squeeze, turn = rng.uniform(0.6, 1), rng.uniform(0, np.pi)
    u = (x - middle[0]) * np.cos(turn) + (y - middle[1]) * np.sin(turn)
    v = (y - middle[1]) * np.cos(turn) - (x - middle[0]) * np.sin(turn)
    waves = _noise(rng, layers.height, layers.width, max(4.0, min(radius, 60) * rng.uniform(0.5, 1.2))) - 0.5
    return np.hypot(u, v * squeeze) + rough * radius * waves


INKS = np.array(
    [[0.1, 0.1, 0.12], [0.1, 0.15, 0.45], [0.65, 0.1, 0.12], [0.35, 0.12, 0.45], [0.95, 0.5, 0.1], [0.97, 0.97, 0.97]]
)
LETTERS = np.array(list("abcdefghijklmnoprstuvwzABCDEFGHIKLMNOPRSTUVWZ0123456789.-'   "))


def ink(rng: np.random.Generator, layers: Layers) -> None:
    """Writing: a printed line such as a date, a stamp with a frame, or a pen's scribble."""
    pen, unit = Pen(layers), layers.unit
    kind = rng.choice(["line", "stamp", "pen"])
    if kind == "pen":
        for _ in range(1 + rng.poisson(0.5 * layers.area)):
            path = _walk(rng, layers, 4 * unit, int(rng.integers(8, 60)), 0.2, _log_uniform(rng, 0.05, 0.5))
            pen.line(path, unit * rng.uniform(1, 3), 1)
    else:
        for _ in range(1 + rng.poisson(0.2 * layers.area)):
            mark = _lettered(rng, unit, framed=kind == "stamp")
            place = rng.uniform(-0.1, 0.9, 2) * (layers.width, layers.height) * FINE
            pen.image.paste(255, (int(place[0]), int(place[1])), mark)
    patchy = 1 if rng.random() < 0.5 else _step(4 * (_noise(rng, layers.height, layers.width, 4 * unit) - 0.3))
    layers.cover(pen.opacity() * patchy * rng.uniform(0.7, 1), INKS[rng.integers(len(INKS))])


def _lettered(rng: np.random.Generator, unit: float, framed: bool) -> Image.Image:
    """Random words in one or, in a frame, up to three lines, turned a little or a lot; FINE times as large."""
    size = max(8, int(FINE * unit * rng.uniform(7, 26)))
    lines = ["".join(rng.choice(LETTERS, rng.integers(3, 14))) for _ in range(rng.integers(1, 4) if framed else 1)]
    width, height = int(0.7 * size * max(map(len, lines))) + 2 * size, int(1.2 * size * len(lines)) + size
    mark = Image.new("L", (width, height))
    draw = ImageDraw.Draw(mark)
    for k, line in enumerate(lines):
        draw.text((size, size / 2 + 1.2 * size * k), line, fill=255, font=font(size))
    if framed:
        thick = max(2, int(FINE * unit * rng.uniform(0.8, 2)))
        shape = draw.ellipse if rng.random() < 0.5 else draw.rectangle
        shape((thick, thick, width - thick, height - thick), outline=255, width=thick)
    degrees = rng.normal(0, 4) if rng.random() < 0.7 else rng.uniform(-180, 180)
    return mark.rotate(degrees, Image.Resampling.BILINEAR, expand=True)


@lru_cache(maxsize=64)
def font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


KINDS: dict[str, Callable[[np.random.Generator, Layers], None]] = {
    "dust": dust,
    "hair": hair,
    "scratch": scratch,
    "crease": crease,
    "tear": tear,
    "flake": flake,
    "stain": stain,
    "tide": tide,
    "ink": ink,
}


def layers(rng: np.random.Generator, height: int, width: int, kinds: Sequence[str]) -> np.ndarray:
    """(2, 3, H, W): gain and add of one to a few of these kinds, drawn at random."""
    made = Layers(height, width, _log_uniform(rng, *UNITS))
    count = min(len(kinds), 1 + rng.poisson(1))
    for kind in rng.choice(list(kinds), count, replace=False):
        KINDS[kind](rng, made)
    return np.stack([made.gain, made.add])


# --- age ------------------------------------------------------------------------------------------------------------

LUMA = (0.299, 0.587, 0.114)  # of ITU-R BT.601
AGE = 13  # numbers of a print's age: how soft, a 3×3 matrix of its colours, and what is added to them


def age(rng: np.random.Generator) -> np.ndarray:
    """(AGE,): a print as it is, black and white, toned, or faded; as sharp as the picture or softer."""
    soft = rng.choice([0.0, rng.uniform(0.3, 1)])
    kept = rng.choice([1.0, 0.0, rng.uniform(0, 0.6)], p=[0.45, 0.4, 0.15])  # of the colours
    tone = np.ones(3) if rng.random() < 0.5 else np.array([1.0, rng.uniform(0.85, 1), rng.uniform(0.6, 0.95)])
    contrast = 1.0 if rng.random() < 0.5 else rng.uniform(0.55, 1)
    lift = rng.uniform(0, 1 - contrast)
    colours = kept * np.eye(3) + (1 - kept) * np.array([LUMA] * 3)
    return np.concatenate([[soft], (contrast * tone[:, None] * colours).ravel(), lift * tone])


def aged(image: Tensor, numbers: Tensor) -> Tensor:
    """(B, 3, H, W) in [0, 1] and (B, AGE) → (B, 3, H, W)."""
    image = image + numbers[:, 0, None, None, None] * (_softened(_softened(image)) - image)
    matrix, add = numbers[:, 1:10].view(-1, 3, 3), numbers[:, 10:]
    return (matrix @ image.flatten(2) + add[:, :, None]).view_as(image).clamp(0, 1)


def _softened(image: Tensor) -> Tensor:
    """(B, C, H, W) through the binomial filter 1 2 1 both ways."""
    image = F.pad(image, (1, 1, 1, 1), mode="replicate")
    image = (image[..., :-2] + 2 * image[..., 1:-1] + image[..., 2:]) / 4
    return (image[..., :-2, :] + 2 * image[..., 1:-1, :] + image[..., 2:, :]) / 4


def damaged(image: Tensor, over: Tensor) -> tuple[Tensor, Tensor]:
    """(B, 3, H, W) in [0, 1] and `layers` (B, 2, 3, H, W) → the damaged pictures, and (B, 1, H, W) 1 where that can be seen."""
    spoilt = (image * over[:, 0] + over[:, 1]).clamp(0, 1)
    return spoilt, ((spoilt - image).abs().amax(1, keepdim=True) > VISIBLE).float()


@dataclass(frozen=True)
class Damage:
    """What a net that finds damage is given, "low", and what it should give back, "image" (B, 1, H, W): 1 where damage is seen.

    Damage lies over an aged print, and `after`, another degradation, over both, so that its grain is no sign of damage.
    """

    kinds: tuple[str, ...]
    after: Any  # a degrade.Degradation
    clean: float = CLEAN
    scale: int = 1
    drawn_together: bool = False

    @property
    def margin(self) -> int:
        return self.after.margin

    def draw(self, rng: np.random.Generator, many: int, side: int) -> np.ndarray:
        """(many, AGE + 6·side² + n): the age, gain and add, and the numbers of `after`."""
        rows = [
            np.concatenate(
                [age(rng), self._layers(rng, side).ravel(), self.after.draw(rng, 1, side)[0]], dtype=np.float32
            )
            for _ in range(many)
        ]
        return np.stack(rows)

    def _layers(self, rng: np.random.Generator, side: int) -> np.ndarray:
        if rng.random() < self.clean:
            return np.stack([np.ones((3, side, side), np.float32), np.zeros((3, side, side), np.float32)])
        return layers(rng, side, side, self.kinds)

    def one_by_one(self, image: Tensor, drawn: np.ndarray, rngs: Sequence[np.random.Generator]) -> dict[str, Tensor]:
        spoilt, mask, rest = self._made(image, torch.from_numpy(drawn))
        return self._pair(self.after.one_by_one(spoilt, rest.numpy(), rngs), mask)

    def together(self, image: Tensor, drawn: Tensor) -> dict[str, Tensor]:
        spoilt, mask, rest = self._made(image, drawn)
        return self._pair(self.after.together(spoilt, rest), mask)

    def _made(self, image: Tensor, drawn: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The damaged pictures, the masks, and the numbers of `after`."""
        side = image.shape[-1]
        image = image.expand(-1, 3, -1, -1)
        over = drawn[:, AGE : AGE + 6 * side**2].view(-1, 2, 3, side, side)
        spoilt, mask = damaged(aged(image, drawn[:, :AGE]), over)
        return spoilt, mask, drawn[:, AGE + 6 * side**2 :]

    def _pair(self, after: dict[str, Tensor], mask: Tensor) -> dict[str, Tensor]:
        side = mask.shape[-1]
        inner = mask[..., self.margin : side - self.margin, self.margin : side - self.margin]
        return {"image": inner, "low": after.get("low", after["image"])}
