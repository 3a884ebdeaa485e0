"""Repair: only the hole changes, whatever the picture; holes cost what they cost."""

import threading
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import genrestore
from genrestore import image
from genrestore.errors import Cancelled, MaskError, SettingError
from genrestore.image import Picture
from genrestore.tasks import inpaint as task

EXAMPLES = Path(genrestore.__file__).parent / "ui" / "examples"


@pytest.fixture(scope="module")
def sand() -> Picture:
    whole = image.load(EXAMPLES / "sand.jpg")
    return whole.with_pixels(np.ascontiguousarray(whole.pixels[:256, :256]))


def disc(height: int, width: int, y: float, x: float, radius: float) -> np.ndarray:
    rows, columns = np.ogrid[:height, :width]
    return (rows - y) ** 2 + (columns - x) ** 2 <= radius**2


@settings(deadline=None, max_examples=25)
@given(
    height=st.integers(2, 90), width=st.integers(2, 90), channels=st.integers(1, 4), deep=st.booleans(), seed=st.integers(0, 999),
    strategy=st.sampled_from(task.STRATEGIES),
)  # fmt: skip
def test_outside_the_mask_nothing_changes(
    height: int, width: int, channels: int, deep: bool, seed: int, strategy: str
) -> None:
    rng = np.random.default_rng(seed)
    depth = np.uint16 if deep else np.uint8
    source = Picture(rng.integers(0, np.iinfo(depth).max, (height, width, channels), dtype=depth))
    mask = rng.random((height, width)) < rng.uniform(0.01, 0.5)
    mask[0, 0], mask[-1, -1] = True, False
    result = genrestore.inpaint(source, mask, strategy=strategy)
    assert task.changed_outside(source, result, mask) == (0, int((~mask).sum()) * channels)
    assert result.pixels.dtype == depth


def test_the_hole_is_filled_from_its_surroundings(sand: Picture) -> None:
    """The colour in the hole is replaced by what is near: no trace of the green dot stays."""
    mask = disc(256, 256, 120, 130, 14)
    spoilt = sand.pixels.copy()
    spoilt[mask] = (0, 255, 0)
    result = genrestore.inpaint(sand.with_pixels(spoilt), mask)
    assert np.abs(result.pixels[mask].astype(float) - sand.pixels[mask]).mean() < 45
    again = genrestore.inpaint(sand, mask)
    assert np.array_equal(result.pixels, again.pixels), "what lies under the mask has no influence"


def test_one_changed_sample_is_counted(sand: Picture) -> None:
    mask = disc(256, 256, 50, 50, 5)
    other = sand.pixels.copy()
    other[200, 200, 1] ^= 1
    other[50, 50] ^= 255
    changed, outside = task.changed_outside(sand, sand.with_pixels(other), mask)
    assert changed == 1 and outside == (256 * 256 - mask.sum()) * 3
    with pytest.raises(MaskError):
        task.changed_outside(sand, sand.with_pixels(other[:100]), mask)
    with pytest.raises(MaskError):
        task.changed_outside(sand, sand, mask[:100])


def test_crops_hold_all_holes_and_keep_apart() -> None:
    mask = disc(1000, 1400, 60, 60, 20) | disc(1000, 1400, 900, 1300, 30) | disc(1000, 1400, 880, 1200, 10)
    boxes = task.regions(mask)
    covered = np.zeros(mask.shape, int)
    for top, left, bottom, right in boxes:
        covered[top:bottom, left:right] += 1
    assert len(boxes) == 2 and covered.max() == 1 and covered[mask].min() == 1
    assert covered.mean() < 0.2, "most of the picture is not touched"


def test_crop_and_whole_agree_for_a_small_hole(sand: Picture) -> None:
    mask = disc(256, 256, 128, 128, 6)
    crop, whole = (genrestore.inpaint(sand, mask, strategy=name).pixels.astype(int) for name in task.STRATEGIES)
    assert np.abs(crop - whole)[mask].mean() < 8


def test_a_hole_larger_than_a_piece_is_filled_smoothly() -> None:
    """A grey ramp with a hole of 900 pixels: the fill has no black middle and no seam between pieces."""
    y, x = np.mgrid[:1100, :1300]
    ramp = ((x + y) / 2400 * 200 + 20).astype(np.uint8)
    source = Picture(np.repeat(ramp[..., None], 3, 2))
    mask = np.zeros((1100, 1300), bool)
    mask[100:1000, 150:1150] = True
    spoilt = source.pixels.copy()
    spoilt[mask] = 0
    result = genrestore.inpaint(source.with_pixels(spoilt), mask).pixels.astype(int)
    assert np.abs(result - source.pixels)[mask].mean() < 25
    assert np.abs(np.diff(result, axis=1)).max() < 25 and np.abs(np.diff(result, axis=0)).max() < 25


def test_kinds_of_input(sand: Picture, tmp_path: Path) -> None:
    mask = Image.fromarray(disc(256, 256, 30, 30, 4).astype(np.uint8) * 255)
    mask.save(tmp_path / "mask.png")
    sand.pil().save(tmp_path / "photo.png")
    from_paths = genrestore.inpaint(tmp_path / "photo.png", tmp_path / "mask.png")
    assert isinstance(from_paths, Image.Image)
    assert np.array_equal(np.asarray(from_paths), genrestore.inpaint(sand, mask).pixels)


def test_bad_input(sand: Picture) -> None:
    some = disc(256, 256, 9, 9, 4)
    with pytest.raises(MaskError, match="whole picture"):
        genrestore.inpaint(sand, np.ones((256, 256), bool))
    with pytest.raises(MaskError):
        genrestore.inpaint(sand, np.zeros((256, 256), bool))
    with pytest.raises(MaskError):
        genrestore.inpaint(sand, np.ones((9, 256), bool))
    with pytest.raises(SettingError, match="strategy"):
        genrestore.inpaint(sand, some, strategy="magic")
    with pytest.raises(SettingError, match="prompt"):
        genrestore.inpaint(sand, some, prompt="a cat")
    cancel = threading.Event()
    cancel.set()
    with pytest.raises(Cancelled):
        genrestore.inpaint(sand, some, cancel=cancel)
