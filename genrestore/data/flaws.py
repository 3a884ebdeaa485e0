"""What can be wrong with training pictures: a few facts measured as each is decoded, and the flaws that follow from them."""

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from genrestore.recipe import FLAWS

SPOTS = 32  # pixels a side that are looked at for contrast and colour, as they are
THUMB = 16  # pixels a side of the averaged thumbnail
UNIFORM = 3.0  # levels of 255: standard deviation below which a picture is one shade all over
COLOURLESS = 2.0  # levels: mean distance between the channels below which a picture has no colour
NEAR = 3  # bits of 64 in which the hashes of duplicates may differ
CLOSE = 4.0  # levels: root mean square by which their thumbnails, and each channel's mean, may differ


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


def find(facts: Facts, need: int, kinds: Collection[str] = FLAWS) -> dict[str, np.ndarray]:
    """The places of flawed pictures, ascending, for each of `kinds`.

    Args:
        need: pixels that the shorter side must have.
    """
    broken = np.array([problem != "" for problem in facts.problems], dtype=bool)
    tiny = ~broken & (facts.sizes.min(1) < need)
    colourless = facts.colour < COLOURLESS
    coloured_set = (~broken & ~colourless).sum() > (~broken & colourless).sum()
    grey = ~broken & ((facts.contrast < UNIFORM) | (colourless & coloured_set))
    found = {"broken": broken, "tiny": tiny, "grey": grey}
    if "duplicate" in kinds:
        found["duplicate"] = np.zeros(len(facts), dtype=bool)
        # Of a group the first stays, but never a flawed one in the place of a sound one: both would then be left out.
        order = np.lexsort((np.arange(len(facts)), tiny | grey))
        order = order[~broken[order]]
        found["duplicate"][order[_repeats(facts.thumbs[order], facts.tints[order])]] = True
    return {kind: np.flatnonzero(found[kind]) for kind in kinds}


# --- duplicates ------------------------------------------------------------------------------------------------------


def _repeats(thumbs: np.ndarray, tints: np.ndarray) -> np.ndarray:
    """(N,) bool: looks like an earlier one that is none itself."""
    first: dict[bytes, int] = {}
    seen = [
        first.setdefault(thumb.tobytes() + tint.tobytes(), k)
        for k, (thumb, tint) in enumerate(zip(thumbs, tints, strict=True))
    ]
    repeats = np.array(seen, dtype=np.int64) != np.arange(len(thumbs))
    different = np.flatnonzero(~repeats)
    for earlier, later in _alike(thumbs[different], tints[different]):
        if not repeats[different[earlier]]:
            repeats[different[later]] = True
    return repeats


def _alike(thumbs: np.ndarray, tints: np.ndarray) -> list[tuple[int, int]]:
    """Pairs (earlier, later) that look the same, ordered by the later one.

    Hashes that differ in at most 3 bits agree in at least one of 4 bands of 16 bits. Sorted by a band and then by their
    mean, candidates stand side by side: thumbnails CLOSE to each other have means as close.
    """
    bits = _hashes(thumbs)
    bands, whole = bits.view(np.uint16), bits.view(np.uint64)[:, 0]
    means = thumbs.mean((1, 2), dtype=np.float32)
    pairs: set[tuple[int, int]] = set()
    for band in bands.T:
        order = np.lexsort((means, band))
        places, step = np.arange(len(order) - 1), 1
        while len(places):
            a, b = order[places], order[places + step]
            possible = (band[a] == band[b]) & (means[b] - means[a] <= CLOSE)
            places, a, b = places[possible], a[possible], b[possible]
            near = np.bitwise_count(whole[a] ^ whole[b]) <= NEAR
            a, b = a[near], b[near]
            same = _same(thumbs[a], thumbs[b]) & (
                np.abs(tints[a].astype(np.int16) - tints[b]).max(1, initial=0) <= CLOSE
            )
            pairs.update(zip(np.minimum(a, b)[same].tolist(), np.maximum(a, b)[same].tolist(), strict=True))
            step += 1
            places = places[places + step < len(order)]
    return sorted(pairs, key=lambda pair: pair[::-1])


def _same(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """(K,) bool for two (K, 16, 16): flat pictures share their hash, not their thumbnail."""
    return np.square(a.astype(np.float32) - b).mean((1, 2)) <= CLOSE**2


def _hashes(thumbs: np.ndarray) -> np.ndarray:
    """(N, 8) uint8: 64 bits that tell where brightness rises from left to right on a grid of 8 × 9.

    Krawetz, "Kind of like that", 2013 (dHash). The bits are dealt out so that each band sees all parts of the picture.
    """
    columns = np.stack([np.interp(np.linspace(0, THUMB - 1, 9), np.arange(THUMB), unit) for unit in np.eye(THUMB)])
    deal = np.argsort(np.add.outer(np.arange(8), np.arange(8)).ravel() % 4, kind="stable")
    grid = (thumbs.reshape(len(thumbs), 8, 2, THUMB).mean(2, dtype=np.float32)) @ columns.astype(np.float32)
    rising = (grid[..., 1:] > grid[..., :-1]).reshape(len(thumbs), 64)
    return np.ascontiguousarray(np.packbits(rising[:, deal], axis=1))
