"""Objects that were made up and pasted on photos are found again, by a line roughly round them or by a click."""

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFilter

from genrestore.errors import MaskError
from genrestore.pictures import select


def scene(seed: int, height: int = 240, width: int = 320) -> tuple[np.ndarray, np.ndarray, list[tuple[float, float]]]:
    """A smooth picture (H, W, 3) with grain and with an object of other colours on it; the object (H, W; bool); a line that
    keeps 6 to 30 % of its size away from it."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width]
    centre, size = rng.uniform(0.4, 0.6, 2) * (width, height), rng.uniform(30, 55)
    angles = np.linspace(0, 2 * np.pi, 60, endpoint=False)
    radii = size * (1 + 0.25 * np.sin(3 * angles + rng.uniform(0, 6)) + 0.1 * np.sin(7 * angles))
    circle = np.stack([np.cos(angles), np.sin(angles)], 1)
    drawn = Image.new("L", (width, height))
    ImageDraw.Draw(drawn).polygon([tuple(point) for point in centre + radii[:, None] * circle], fill=255)
    soft = np.asarray(drawn.filter(ImageFilter.GaussianBlur(0.8)), float)[..., None] / 255
    waves = [[np.sin(x / rng.uniform(9, 40) + k) * np.cos(y / rng.uniform(9, 40)) for k in range(3)] for _ in range(2)]
    back, front = (np.stack(part, 2) for part in waves)
    shades = rng.permutation(8)[:2]  # corners of the cube of colours
    pixels = [60 + 130 * (shade >> np.arange(3) & 1) for shade in shades]
    mixed = (
        (pixels[0] + 40 * back) * (1 - soft) + (pixels[1] + 40 * front) * soft + rng.normal(0, 6, (height, width, 1))
    )
    line = centre + (radii + size * rng.uniform(0.06, 0.3, 60))[:, None] * circle
    return (
        np.clip(mixed, 0, 255).astype(np.uint8),
        np.asarray(drawn) > 127,
        [(float(a), float(b)) for a, b in line[::3]],
    )


def overlap(found: select.Selected, truth: np.ndarray) -> float:
    """Intersection over union."""
    whole = np.zeros_like(truth)
    whole[found.box[0] : found.box[2], found.box[1] : found.box[3]] = found.mask
    return float((whole & truth).sum() / (whole | truth).sum())


@pytest.mark.parametrize("seed", range(3))
def test_an_object_is_found_by_a_line_or_a_click(seed: int) -> None:
    pixels, truth, line = scene(seed)
    assert overlap(select.select(pixels, line), truth) > 0.95
    rows, columns = np.nonzero(truth)
    assert overlap(select.select(pixels, [(float(columns.mean()), float(rows.mean()))]), truth) > 0.9


@pytest.mark.parametrize("angle", [0.4, 5.1])
def test_a_click_near_the_rim_finds_all_of_it(angle: float) -> None:
    """Of this object, clicks at these two places found 12 and 33 %."""
    pixels, truth, _ = scene(1)
    rows, columns = np.nonzero(truth)
    middle, way = np.array([columns.mean(), rows.mean()]), np.array([np.cos(angle), np.sin(angle)])
    inside = [truth[int(y), int(x)] for x, y in middle + np.arange(80)[:, None] * way]
    x, y = middle + 0.7 * inside.index(False) * way
    assert overlap(select.select(pixels, [(float(x), float(y))]), truth) > 0.95


def test_a_large_picture_is_as_exact() -> None:
    """It is cut shrunken, and its outline found again at full size."""
    pixels, truth, line = scene(1)
    size = (320 * 6, 240 * 6)
    large = np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC))
    found = select.select(large, [(6 * x, 6 * y) for x, y in line])
    assert overlap(found, np.asarray(Image.fromarray(truth).resize(size))) > 0.97


def test_what_an_object_encloses_is_part_of_it() -> None:
    pixels, truth, line = scene(2)
    rows, columns = np.nonzero(truth)
    middle = slice(int(rows.mean()) - 5, int(rows.mean()) + 5), slice(int(columns.mean()) - 5, int(columns.mean()) + 5)
    pixels[middle] = pixels[:10, :10]
    assert overlap(select.select(pixels, line), truth) > 0.95


def test_without_edges_the_line_is_the_outline() -> None:
    even = np.full((100, 120, 3), 128, np.uint8)
    found = select.select(even, [(20, 20), (90, 25), (80, 80)])
    assert found.mask.sum() == pytest.approx(70 * 57.5 / 2 - 0.5 * 60 * 5, rel=0.1)
    with pytest.raises(MaskError, match="draw a line"):
        select.select(even, [(50, 50)])


@pytest.mark.parametrize("line", [[(-9, -9), (-5, -9), (-5, 50)], [(500, 5), (600, 5), (600, 50)]])
def test_a_line_beside_the_picture_goes_round_nothing(line: list[tuple[float, float]]) -> None:
    with pytest.raises(MaskError, match="goes round nothing"):
        select.select(np.zeros((100, 120, 3), np.uint8), line)


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (3, 2), (40, 1)])
def test_the_smallest_pictures_are_no_trouble(size: tuple[int, int]) -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (*size, 3), np.uint8)
    for points in ([(0.5, 0.5)], [(0, 0), (size[1], 0), (size[1], size[0]), (0, size[0])]):
        try:
            found = select.select(pixels, points)
        except MaskError:
            continue
        assert found.mask.shape == (found.box[2] - found.box[0], found.box[3] - found.box[1])
