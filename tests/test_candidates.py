"""Other fills of a wide part: what they promise to be, and the map of guesses."""

import threading

import numpy as np
import pytest

from genrestore.errors import Cancelled
from genrestore.image import Picture
from genrestore.tasks import inpaint as task
from genrestore.tasks.candidates import KINDS, Candidate, candidates, guesses, taken


def disc(y: float, x: float, radius: float) -> np.ndarray:
    rows, columns = np.ogrid[:150, :190]
    return (rows - y) ** 2 + (columns - x) ** 2 <= radius**2


def marbled(channels: int = 3, depth: type[np.unsignedinteger] = np.uint8) -> Picture:
    """Grain on waves, with stripes of transparency where there is an alpha channel."""
    y, x = np.mgrid[:150, :190]
    waves = 0.5 + 0.3 * np.sin((x + 2 * y) / 9)
    grain = np.random.default_rng(1).normal(0, 0.08, (150, 190, channels))
    pixels = np.clip(waves[..., None] + grain, 0, 1)
    if channels % 2 == 0:
        pixels[..., -1] = x // 12 % 2
    return Picture((pixels * np.iinfo(depth).max).astype(depth))


HOLE = disc(70, 50, 11)
HOLE[69:72, 50:100] = True  # a thin line that runs into it
SECOND = disc(75, 150, 11)


@pytest.mark.parametrize(
    ("picture", "kinds"),
    [(marbled(), tuple(KINDS)), (marbled(2, np.uint16), ("free", "smooth"))],
    ids=["colours", "grey, deep, clear in part"],
)
def test_each_is_what_repair_gives_that_way(picture: Picture, kinds: tuple[str, ...]) -> None:
    """Bit for bit, so that a choice can be made again from its kind and seed; and each puts another in the part's place alone."""
    repaired = task.repair(picture, HOLE, seed=3)
    (part,) = repaired.parts
    assert part.energy is not None and part.energy > 0
    found = list(candidates(picture, HOLE, part, kinds=kinds, seed=3))
    assert [candidate.kind for candidate in found] == list(kinds)
    there = task.box_slice(part.box)
    for candidate in found:
        fill, further = KINDS[candidate.kind]
        whole = task.repair(picture, HOLE, seed=3 + further, fill=fill).picture
        assert np.array_equal(candidate.pixels[part.pixels], whole.pixels[there][part.pixels])
        assert (candidate.energy is None) == (candidate.kind == "smooth")
        changed = (taken(repaired.picture, part, candidate).pixels != repaired.picture.pixels).any(2)
        inside = np.zeros_like(HOLE)
        inside[there] = part.pixels
        assert not (changed & ~inside).any()
        assert changed[inside].mean() > 0.3 or candidate.kind == "pieces"


def test_no_fill_depends_on_what_the_hole_held_or_on_another_part() -> None:
    """The second part used to see, shrunken and from afar, what had stood in the first."""
    picture, hole = marbled(), HOLE | SECOND
    pixels = picture.pixels.copy()
    pixels[hole] = (0, 255, 0)
    strange = picture.with_pixels(pixels)
    first, again = (task.repair(source, hole) for source in (picture, strange))
    assert [part.reason for part in first.parts] == ["wide", "wide"]
    assert np.array_equal(first.picture.pixels[hole], again.picture.pixels[hole])
    part = first.parts[1]
    (free,), (same,) = (list(candidates(source, hole, part, kinds=["free"])) for source in (picture, strange))
    assert np.array_equal(free.pixels[part.pixels], same.pixels[part.pixels])


def test_the_work_ends_when_it_is_cancelled() -> None:
    picture, cancel = marbled(), threading.Event()
    part = task.repair(picture, HOLE).parts[0]
    cancel.set()
    with pytest.raises(Cancelled):
        next(candidates(picture, HOLE, part, kinds=["free"], cancel=cancel))


def test_guesses_are_where_fills_disagree_from_far() -> None:
    """One half is the same in both, a quarter is grain in other places, a quarter black here and white there."""
    inside = np.ones((40, 40), bool)
    inside[:, :2] = False
    part = task.Part((10, 10, 50, 50), "wide", inside)
    grain = np.random.default_rng(2).integers(96, 160, (2, 40, 40, 1), dtype=np.uint8)
    first, second = grain[0], grain[1].copy()
    second[:20] = first[:20]
    first[20:, 20:], second[20:, 20:] = 0, 255
    found = guesses(part, [Candidate("pieces", first, None), Candidate("free", second, None)])
    assert found.shape == (40, 40) and found.dtype == np.float32
    assert (found[~inside] == 0).all() and (found[:17] == 0).all()
    assert (found[24:, 24:] == 1).all() and 0 < found[24:, 4:16].mean() < 0.1
