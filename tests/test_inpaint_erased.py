"""Holes erased in the photo itself: they are closed and become opaque, and a sprite stays a sprite."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import genrestore
from genrestore.errors import MaskError
from genrestore.pictures import image
from genrestore.pictures.image import Picture
from genrestore.pipelines import inpaint as task

SAND = Path(genrestore.__file__).parent / "ui" / "examples" / "sand.jpg"
NET = "residual-fill"
PIECES = ("straddling", 0)  # filled with pieces of the picture, which takes longer
SIDE = 96
ROWS, COLUMNS = np.ogrid[:SIDE, :SIDE]
AWAY = np.sqrt((ROWS - 48) ** 2 + (COLUMNS - 48) ** 2)  # from the middle


@pytest.fixture(scope="module")
def sand() -> np.ndarray:
    return image.load(SAND).pixels[:SIDE, :SIDE]


def erased(colours: np.ndarray, softness: float = 0) -> Picture:
    """A disc of radius 12 erased in the middle, nothing left below it; clear at the middle of a soft edge of so many pixels."""
    opacity = (AWAY > 12) * 1.0 if not softness else np.clip((AWAY - 12) / softness, 0, 1)
    peak = np.iinfo(colours.dtype).max
    alpha = np.rint(opacity * peak).astype(colours.dtype)
    return Picture(np.dstack([np.where(alpha[..., None] > 0, colours, 0), alpha]))


HOLES = {
    "as large": AWAY <= 12,
    "larger": AWAY <= 16,
    "inside": AWAY <= 8,
    "straddling": np.hypot(ROWS - 48, COLUMNS - 36) <= 7,
}


@pytest.mark.parametrize("softness", [0, 6])
@pytest.mark.parametrize("name", HOLES)
def test_a_hole_erased_in_a_photo_becomes_opaque(sand: np.ndarray, name: str, softness: int) -> None:
    """A mask inside the erased hole once filled it with nothing, and one across its edge a third of it."""
    picture, hole = erased(sand, softness), HOLES[name]
    result = genrestore.inpaint(picture, hole, model=task.EXEMPLAR if (name, softness) == PIECES else NET)
    assert task.changed_outside(picture, result, hole)[0] == 0
    assert (result.pixels[hole][:, 3] == 255).all()
    assert result.pixels[hole][:, :3].min() > 20, "the black below the transparency is not looked at"


@pytest.mark.parametrize("softness", [0, 6])
@pytest.mark.parametrize("kind", ["grey", "deep", "colour"])
def test_without_a_mask_what_is_transparent_is_filled(sand: np.ndarray, kind: str, softness: int) -> None:
    """What a soft eraser left is laid over the fill, so its rim stays near the photo."""
    colours = {"grey": sand[..., :1], "deep": sand.astype(np.uint16) * 257, "colour": sand}[kind]
    picture = erased(colours, softness)
    result = genrestore.inpaint(picture, model=NET)
    assert result.pixels.dtype == colours.dtype and not result.transparent
    opaque = picture.pixels[..., -1] == picture.peak
    assert np.array_equal(result.pixels[opaque], picture.pixels[opaque])
    if softness:
        rim = (picture.pixels[..., -1] > 0.8 * picture.peak) & ~opaque
        off = np.abs(result.colour[rim] / picture.peak - colours[rim] / picture.peak)
        assert rim.any() and off.mean() < 0.03
        anew = genrestore.inpaint(picture, ~opaque, model=NET)
        assert np.abs(anew.colour[rim] / picture.peak - colours[rim] / picture.peak).mean() > 2 * off.mean()


def test_a_palette_with_a_clear_colour_is_closed(sand: np.ndarray) -> None:
    clear = erased(sand).pixels
    palette = Image.fromarray(clear).quantize(255)
    file = io.BytesIO()
    palette.save(file, "PNG")
    picture = image.load(file.getvalue())
    assert picture.transparent and not genrestore.inpaint(picture, model=NET).transparent


def test_an_opaque_picture_has_nothing_to_fill(sand: np.ndarray) -> None:
    for pixels in (sand, np.dstack([sand, np.full((SIDE, SIDE), 255, np.uint8)])):
        with pytest.raises(MaskError, match="opaque everywhere"):
            genrestore.inpaint(Picture(pixels))
    half = np.dstack([sand, np.where(AWAY < 30, 0, 255).astype(np.uint8)])
    with pytest.raises(MaskError, match="marked or transparent"):
        genrestore.inpaint(Picture(half), AWAY >= 30)


def test_a_sprite_stays_one_and_a_tinted_part_keeps_its_tint(sand: np.ndarray) -> None:
    """Not so the hole in its middle: what touches that is opaque."""
    shape = AWAY <= 40
    sprite = np.dstack([sand * shape[..., None], shape.astype(np.uint8) * 255])
    edge = np.hypot(ROWS - 48, COLUMNS - 88) <= 7
    across = genrestore.inpaint(Picture(sprite), edge).pixels[..., 3]
    assert set(np.unique(across[edge])) == {0, 255}
    assert (across == sprite[..., 3])[edge].mean() > 0.85
    sprite[AWAY < 5] = 0
    assert (genrestore.inpaint(Picture(sprite), AWAY < 7).pixels[..., 3][AWAY < 7] == 255).all()
    tinted = np.dstack([sand, np.where(AWAY < 20, 128, 255).astype(np.uint8)])
    assert (genrestore.inpaint(Picture(tinted), AWAY < 4).pixels[..., 3][AWAY < 4] == 128).all()
