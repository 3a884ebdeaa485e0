"""Other fills of a wide part: what they promise to be, and the map of guesses."""

import threading
from typing import Any

import numpy as np
import pytest

from genrestore.errors import Cancelled, MaskError
from genrestore.fill import exemplar
from genrestore.pictures.image import Picture
from genrestore.pipelines import candidates as module
from genrestore.pipelines import inpaint as task
from genrestore.pipelines.candidates import KINDS, Candidate, candidates, guesses, taken


def disc(y: float, x: float, radius: float) -> np.ndarray:
    rows, columns = np.ogrid[:110, :150]
    return (rows - y) ** 2 + (columns - x) ** 2 <= radius**2


def marbled(channels: int = 3, depth: type[np.unsignedinteger] = np.uint8) -> Picture:
    """Grain on waves, with stripes of transparency where there is an alpha channel."""
    y, x = np.mgrid[:110, :150]
    waves = 0.5 + 0.3 * np.sin((x + 2 * y) / 9)
    grain = np.random.default_rng(1).normal(0, 0.08, (110, 150, channels))
    pixels = np.clip(waves[..., None] + grain, 0, 1)
    if channels % 2 == 0:
        pixels[..., -1] = x // 12 % 2
    return Picture((pixels * np.iinfo(depth).max).astype(depth))


HOLE = disc(50, 40, 11)
HOLE[49:52, 40:80] = True  # a thin line that runs into it
SECOND = disc(55, 115, 11)


@pytest.mark.parametrize(
    ("picture", "kinds", "feather"),
    [(marbled(), tuple(KINDS), None), (marbled(2, np.uint16), ("free", "smooth"), 3)],
    ids=["colours", "grey, deep, clear in part"],
)
def test_each_is_what_repair_gives_that_way(picture: Picture, kinds: tuple[str, ...], feather: int | None) -> None:
    """Bit for bit, so that a choice can be made again from its kind and seed; and each puts another in the part's place alone."""
    repaired = task.repair(picture, HOLE, seed=3, feather=feather)
    (part,) = repaired.parts
    assert part.energy is not None and part.energy > 0
    found = list(candidates(picture, HOLE, part, kinds=kinds, seed=3, feather=feather))
    assert [candidate.kind for candidate in found] == list(kinds)
    there = task.box_slice(part.box)
    for candidate in found:
        fill, further = KINDS[candidate.kind]
        whole = task.repair(picture, HOLE, seed=3 + further, fill=fill, feather=feather).picture
        assert np.array_equal(candidate.pixels[part.pixels], whole.pixels[there][part.pixels])
        assert (candidate.energy is None) == (candidate.kind == "smooth")
        other = taken(repaired.picture, HOLE, candidate.pixels, part.pixels, part.box[:2])
        changed = (other.pixels != repaired.picture.pixels).any(2)
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


def test_a_fill_is_put_only_where_it_belongs() -> None:
    """It may come from a page, which may ask for anything."""
    picture, fill, inside = marbled(), np.full((5, 6, 3), 7, np.uint8), np.ones((5, 6), bool)
    touched = np.zeros((110, 150), bool)
    touched[20:25, 30:36] = True
    result = taken(picture, touched, fill, inside, (20, 30)).pixels
    assert (result[touched] == 7).all() and np.array_equal(result[~touched], picture.pixels[~touched])
    all_ = np.ones_like(touched)
    for where, what, which, at in (
        (touched, fill, inside, (20, 31)), (all_, fill, inside, (-1, 30)), (all_, fill, inside, (-5, 30)),
        (all_, fill, inside, (107, 30)), (all_, fill, inside, (10**9, 0)), (all_, fill[..., :1], inside, (20, 30)),
        (all_, fill.astype(np.uint16), inside, (20, 30)), (all_, fill, inside[:4], (20, 30)),
    ):  # fmt: skip
        with pytest.raises(MaskError, match="does not fit"):
            taken(picture, where, what, which, at)


def test_what_fills_have_in_common_is_made_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two of one seed compare the same moves, and the net fills what is thin for all."""
    made: list[str] = []
    for home, name in ((exemplar, "_messages"), (exemplar, "pyramid"), (task, "_planned"), (task, "_repaired")):
        original = getattr(home, name)
        monkeypatch.setattr(home, name, lambda *given, of=original, name=name: made.append(name) or of(*given))
    picture = marbled()
    part = task.repair(picture, HOLE).parts[0]
    made.clear()
    assert len(list(candidates(picture, HOLE, part, kinds=("pieces", "free", "polished")))) == 3
    assert sorted(made) == ["_messages", "_planned", "_repaired", "pyramid"]


def test_the_work_ends_when_it_is_cancelled() -> None:
    picture, cancel = marbled(), threading.Event()
    part = task.repair(picture, HOLE).parts[0]
    cancel.set()
    with pytest.raises(Cancelled):
        next(candidates(picture, HOLE, part, kinds=["free"], cancel=cancel))


def test_cancelling_and_leaving_stop_what_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """What waits for it too: one that is under way, and one that was not begun."""
    picture, cancel = marbled(), threading.Event()
    part = task.repair(picture, HOLE).parts[0]
    begun, ended = threading.Event(), list[threading.Event]()

    def slow(*given: Any) -> Any:
        begun.set()
        assert cancel.wait(60)
        return original(*given)

    original = exemplar.polished
    monkeypatch.setattr(exemplar, "polished", slow)
    fills = candidates(picture, HOLE, part, kinds=("smooth", "polished", "free"), cancel=cancel)
    assert next(fills).kind == "smooth" and begun.wait(60)
    cancel.set()
    with pytest.raises(Cancelled):
        next(fills)

    monkeypatch.setattr(module, "repair", lambda *_, cancel, **__: ended.append(cancel) or task.Repair(picture, ()))
    fills = candidates(picture, HOLE, part, kinds=("smooth", "free"))
    next(fills)
    fills.close()
    assert ended and all(event.is_set() for event in ended)


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
