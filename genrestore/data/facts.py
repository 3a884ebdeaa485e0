"""A few facts of each training picture, measured as it is decoded: what `checks` judges it by."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

SPOTS = 32  # pixels a side that are looked at for contrast and colour, as they are
THUMB = 16  # pixels a side of the averaged thumbnail


class Look(NamedTuple):
    """What is kept of a picture after a look at it."""

    size: tuple[int, int]  # height, width
    mode: str
    spots: np.ndarray  # (32, 32, 3) uint8
    small: np.ndarray  # (16, 16, 3) uint8
    problem: str = ""  # why it does not decode


def look(pixels: np.ndarray, mode: str) -> Look:
    """(H, W, 1 or 3) uint8."""
    drawing = Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)
    spots = drawing.resize((SPOTS, SPOTS), Image.Resampling.NEAREST).convert("RGB")
    small = drawing.resize((THUMB, THUMB), Image.Resampling.BILINEAR).convert("RGB")
    return Look((pixels.shape[0], pixels.shape[1]), mode, np.asarray(spots), np.asarray(small))


def unreadable(problem: str) -> Look:
    blank = np.zeros((THUMB, THUMB, 3), np.uint8)
    return Look((0, 0), "", np.zeros((SPOTS, SPOTS, 3), np.uint8), blank, problem)


@dataclass(frozen=True)
class Facts:
    """Of N pictures, in the order of their set."""

    sizes: np.ndarray  # (N, 2) height and width; 0 where it does not decode
    modes: np.ndarray  # (N,) what the file held: RGB, grey, alpha, CMYK, 16 bit
    contrast: np.ndarray  # (N,) levels
    colour: np.ndarray  # (N,) levels
    thumbs: np.ndarray  # (N, 16, 16) uint8 grey
    tints: np.ndarray  # (N, 3) uint8 mean of each channel
    problems: tuple[str, ...]  # why it does not decode, or ""

    @classmethod
    def of(cls, looks: Sequence[Look]) -> "Facts":
        spots = np.stack([each.spots for each in looks])
        red, green, blue = np.moveaxis(spots, 3, 0)  # a maximum over three neighbours is ten times as slow
        spread = np.maximum(np.maximum(red, green), blue) - np.minimum(np.minimum(red, green), blue)
        small = np.stack([each.small for each in looks]).astype(np.float32)
        return cls(
            np.array([each.size for each in looks], np.int32),
            np.array([each.mode for each in looks], "U8"),
            spots.std((1, 2), dtype=np.float32).max(1),
            spread.mean((1, 2), dtype=np.float32),
            np.rint(small @ np.array([0.299, 0.587, 0.114], np.float32)).astype(np.uint8),
            np.rint(small.mean((1, 2))).astype(np.uint8),
            tuple(each.problem for each in looks),
        )

    @classmethod
    def joined(cls, parts: Sequence["Facts"]) -> "Facts":
        arrays = {name: np.concatenate([getattr(part, name) for part in parts]) for name in _ARRAYS}
        return cls(**arrays, problems=tuple(problem for part in parts for problem in part.problems))

    def write(self, path: Path) -> None:
        arrays = {name: getattr(self, name) for name in _ARRAYS}
        np.savez(path, **arrays, problems=np.array(json.dumps(self.problems)))

    @classmethod
    def read(cls, path: Path) -> "Facts":
        with np.load(path, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in _ARRAYS}
            return cls(**arrays, problems=tuple(json.loads(str(archive["problems"]))))

    def __len__(self) -> int:
        return len(self.sizes)


_ARRAYS = ("sizes", "modes", "contrast", "colour", "thumbs", "tints")
