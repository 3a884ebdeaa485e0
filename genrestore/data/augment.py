"""Augmentation: small changes that leave a training picture what it is, drawn anew each time it is shown.

A recipe lists steps of AUGMENT by name, in the order in which they are applied; a number may follow: "rotate:10".
"""

from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from PIL import Image

from genrestore.errors import TrainingError, unknown

Augment = Callable[[np.ndarray, np.random.Generator], np.ndarray]  # (S, S, C) uint8 → (S, S, C) uint8


class Move(NamedTuple):
    """A step that only moves pixels: in how many ways, and what each does."""

    ways: int
    apply: Callable[[np.ndarray, int], np.ndarray]

    def __call__(self, picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        return self.apply(picture, int(rng.integers(self.ways)))


MOVES = {
    "mirror": Move(2, lambda picture, way: picture[:, ::-1] if way else picture),
    "flip": Move(2, lambda picture, way: picture[::-1] if way else picture),
    "turn": Move(4, np.rot90),
}


def rotate(picture: np.ndarray, rng: np.random.Generator, degrees: float) -> np.ndarray:
    side, angle = len(picture), np.deg2rad(rng.uniform(-degrees, degrees))
    c, s = float(np.cos(angle)), float(np.sin(angle))
    border = int(np.ceil(side / 2 * (abs(c) + abs(s) - 1))) + 1
    # Pillow asks for the place in the padded picture that each pixel comes from; both turn about their middles.
    middle, padded = side / 2, side / 2 + border
    places = (c, s, padded - c * middle - s * middle, -s, c, padded + s * middle - c * middle)
    drawing = _drawing(_reflected(picture, border))
    turned = drawing.transform((side, side), Image.Transform.AFFINE, places, Image.Resampling.BILINEAR)
    return np.asarray(turned).reshape(picture.shape)


def translate(picture: np.ndarray, rng: np.random.Generator, share: float) -> np.ndarray:
    side = len(picture)
    reach = round(share * side)
    y, x = rng.integers(2 * reach + 1, size=2)
    return _reflected(picture, reach)[y : y + side, x : x + side]


def scale(picture: np.ndarray, rng: np.random.Generator, share: float) -> np.ndarray:
    side = len(picture)
    window = side / (1 + rng.uniform(-share, share))
    border = max(0, int(np.ceil((window - side) / 2)))
    corner = border + (side - window) / 2
    return _window(_reflected(picture, border), corner, corner, window, side)


def crop(picture: np.ndarray, rng: np.random.Generator, least: float) -> np.ndarray:
    side = len(picture)
    window = side * rng.uniform(least, 1)
    x, y = rng.uniform(0, side - window, 2)
    return _window(picture, x, y, window, side)


def colour(picture: np.ndarray, rng: np.random.Generator, share: float) -> np.ndarray:
    brightness, contrast, saturation = rng.uniform(1 - share, 1 + share, 3).astype(np.float32)
    samples = picture * brightness
    samples = (samples - samples.mean()) * contrast + samples.mean()
    grey = samples.mean(2, keepdims=True)
    samples = grey + (samples - grey) * saturation
    return np.rint(samples.clip(0, 255)).astype(np.uint8)


def _drawing(picture: np.ndarray) -> Image.Image:
    return Image.fromarray(np.ascontiguousarray(picture[..., 0] if picture.shape[2] == 1 else picture))


def _reflected(picture: np.ndarray, border: int) -> np.ndarray:
    return np.pad(picture, ((border, border), (border, border), (0, 0)), mode="symmetric")


def _window(picture: np.ndarray, x: float, y: float, window: float, side: int) -> np.ndarray:
    """A square of `window` pixels whose corner is (x, y), resized to `side`."""
    right, bottom = (
        min(x + window, picture.shape[1]),
        min(y + window, picture.shape[0]),
    )  # no rounding error beyond the edge
    box = x, y, right, bottom
    resized = _drawing(picture).resize((side, side), Image.Resampling.BICUBIC, box=box)
    return np.asarray(resized).reshape(side, side, picture.shape[2])


class Step(NamedTuple):
    """An entry of the table: what it does in words, and the number it takes, with its bounds."""

    apply: Callable[..., np.ndarray]
    says: str
    number: float | None = None  # where the recipe gives none
    lowest: float = 0.0
    highest: float = 0.0


AUGMENT = {
    "mirror": Step(MOVES["mirror"], "left and right swapped, every second time"),
    "flip": Step(MOVES["flip"], "top and bottom swapped, every second time"),
    "turn": Step(MOVES["turn"], "turned by a random number of right angles"),
    "rotate": Step(rotate, "turned by up to so many degrees each way, edges reflected", 10, 0, 180),
    "translate": Step(translate, "shifted by up to this share of the side each way, edges reflected", 0.1, 0, 0.5),
    "scale": Step(scale, "zoomed by up to this share, in or out, edges reflected", 0.2, 0, 0.9),
    "crop": Step(crop, "a window of at least this share of the side, resized back", 0.8, 0.05, 1),
    "colour": Step(colour, "brightness, contrast and saturation changed by up to this share", 0.2, 0, 1),
}


@lru_cache(maxsize=64)
def find(name: str) -> Augment:
    """The step that a recipe names: "mirror", "rotate:10".

    Raises:
        TrainingError: there is none of that name, or its number is out of its bounds.
    """
    kind, colon, text = name.partition(":")
    if kind not in AUGMENT:
        raise unknown("augmentation", kind, AUGMENT, f"Known are {', '.join(AUGMENT)}.", TrainingError)
    step = AUGMENT[kind]
    if step.number is None:
        if colon:
            raise TrainingError(f"The augmentation {kind} takes no number; write it without {colon + text!r}.")
        return step.apply
    try:
        number = float(text) if colon else step.number
    except ValueError:
        number = float("nan")
    if not step.lowest <= number <= step.highest:
        raise TrainingError(
            f"The augmentation {kind} takes a number from {step.lowest:g} to {step.highest:g}, as in {kind}:{step.number:g}; "
            f"not {text!r}."
        )
    return lambda picture, rng: step.apply(picture, rng, number)


def only_moves(names: Iterable[str]) -> bool:
    """Whether these steps change no sample, but where it lies."""
    return set(names) <= set(MOVES)
