"""Repair: only the hole changes, whatever the picture; holes cost what they cost."""

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import genrestore
from genrestore.errors import Cancelled, GenrestoreError, MaskError, SettingError
from genrestore.pictures import image
from genrestore.pictures.image import Picture
from genrestore.pipelines import inpaint as task

EXAMPLES = Path(genrestore.__file__).parent / "ui" / "examples"


@pytest.fixture(scope="module")
def sand() -> Picture:
    whole = image.load(EXAMPLES / "sand.jpg")
    return corner(whole, 256)


def corner(picture: Picture, side: int) -> Picture:
    """Its upper left corner."""
    return picture.with_pixels(np.ascontiguousarray(picture.pixels[:side, :side]))


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
    sand, mask = corner(sand, 128), disc(128, 128, 60, 65, 14)
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


def test_a_hole_larger_than_a_piece_is_filled_smoothly(monkeypatch: pytest.MonkeyPatch) -> None:
    """A grey ramp with a hole larger than two pieces: the fill has no black middle and no seam between pieces."""
    monkeypatch.setattr(task, "LARGEST", 256)
    y, x = np.mgrid[:620, :660]
    ramp = ((x + y) / 1280 * 200 + 20).astype(np.uint8)
    source = Picture(np.repeat(ramp[..., None], 3, 2))
    mask = np.zeros((620, 660), bool)
    mask[40:580, 50:610] = True
    spoilt = source.pixels.copy()
    spoilt[mask] = 0
    result = genrestore.inpaint(source.with_pixels(spoilt), mask).pixels.astype(int)
    assert np.abs(result - source.pixels)[mask].mean() < 15
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


# --- what a mask means --------------------------------------------------------------------------------------------------

SPOT = disc(60, 80, 30, 40, 9)


def layer(colour: tuple[int, int, int], opaque: np.ndarray, rest: int = 0) -> np.ndarray:
    """(60, 80, 4): one colour where `opaque`, clear elsewhere."""
    pixels = np.full((60, 80, 4), rest, np.uint8)
    pixels[..., 3] = opaque * 255
    pixels[opaque, :3] = colour
    return pixels


def black_and_white(alpha: np.ndarray | int = 255) -> np.ndarray:
    """(60, 80, 4): SPOT white on black."""
    return np.dstack([np.repeat(SPOT[..., None] * np.uint8(255), 3, 2), np.broadcast_to(np.uint8(alpha), SPOT.shape)])


def clear_row(colour: int) -> np.ndarray:
    pixels = black_and_white()
    pixels[7] = (colour, colour, colour, 0)
    return pixels


MASKS = {
    "black and white": black_and_white(),
    "a clear black row": clear_row(0),
    "a clear white row": clear_row(255),
    "faint": black_and_white(100),
    "painted red": layer((200, 0, 0), SPOT),
    "painted black on clear white": layer((0, 0, 0), SPOT, 255),
    "painted faintly": layer((9, 9, 9), SPOT) // np.array([1, 1, 1, 3], np.uint8),
    "erased from a ground": layer((90, 120, 60), ~SPOT),
    "erased from white": layer((255, 255, 255), ~SPOT),
}


@pytest.mark.parametrize("name", MASKS)
def test_white_and_opaque_is_filled_unless_alpha_alone_tells(name: str) -> None:
    """A few clear pixels in a black-and-white mask once marked 99.6 % of the picture in place of 3.3 %."""
    assert np.array_equal(image.load_mask(MASKS[name], (80, 60)), SPOT)


def test_a_painted_layer_may_cover_much() -> None:
    """More than half in the middle, or a frame along the whole edge."""
    large = np.zeros((60, 80), bool)
    large[6:54, 8:72] = True
    assert np.array_equal(image.load_mask(layer((200, 0, 0), large), (80, 60)), large)
    frame = np.ones((60, 80), bool)
    frame[5:-5, 5:-5] = False
    assert np.array_equal(image.load_mask(layer((200, 0, 0), frame), (80, 60)), frame)


def test_a_mask_without_anything_to_see_marks_nothing() -> None:
    with pytest.raises(MaskError, match="transparent everywhere"):
        image.load_mask(black_and_white(0), (80, 60))
    with pytest.raises(MaskError, match="marks nothing"):
        image.load_mask(layer((0, 0, 0), np.ones((60, 80), bool)), (80, 60))


def test_more_than_half_is_worth_a_question() -> None:
    assert task.marked(SPOT) == (SPOT.mean(), False)
    assert task.marked(~SPOT) == ((~SPOT).mean(), True)


# --- colours and transparency -------------------------------------------------------------------------------------------


def test_what_is_grey_is_filled_grey(sand: Picture) -> None:
    """Stored as RGB or not, in 8 or 16 bit, and whatever lies under the mask."""
    grey = sand.colour[:112, :112].mean(2).astype(np.uint8)
    mask = disc(112, 112, 56, 56, 12)
    for depth in (np.uint8, np.uint16):
        pixels = np.repeat(grey[..., None], 3, 2).astype(depth) * (np.iinfo(depth).max // 255)
        spoilt = pixels.copy()
        spoilt[mask, 0] = 7
        result = genrestore.inpaint(Picture(spoilt), mask).pixels
        assert (result == result[..., :1]).all()


@pytest.mark.parametrize(("radius", "alike"), [(7, 0.9), (8, 0.8)], ids=["net", "pieces"])
@pytest.mark.parametrize("matte", [0, 255])
def test_what_transparency_hides_does_not_leak_into_a_fill(matte: int, radius: int, alike: float) -> None:
    """A hole at the rim of a yellow disc on clear black or white is filled yellow, and clear where the disc has ended."""
    shape = disc(128, 128, 64, 64, 40)
    pixels = np.full((128, 128, 4), matte, np.uint8)
    pixels[shape, :3] = (250, 240, 60)
    pixels[..., 3] = shape * 255
    hole = disc(128, 128, 64, 104, radius)
    spoilt = pixels.copy()
    spoilt[hole] = (0, 0, 255, 255)
    result = genrestore.inpaint(Picture(spoilt), hole).pixels.astype(int)
    seen = hole & (result[..., 3] > 0)
    assert np.abs(result[seen][:, :3] - (250, 240, 60)).max() <= 3
    assert set(np.unique(result[..., 3])) == {0, 255}, "a sprite's edge stays hard"
    assert (result[hole][:, 3] == pixels[hole][:, 3]).mean() > alike


def test_an_object_on_a_clear_ground_vanishes_and_a_clear_hole_is_closed(sand: Picture) -> None:
    hole = disc(128, 128, 60, 60, 12)
    clear = np.zeros((128, 128, 4), np.uint8)
    clear[hole] = (200, 0, 0, 255)
    assert not genrestore.inpaint(Picture(clear), hole).pixels[hole][:, 3].any()
    opaque = np.dstack([sand.pixels[:128, :128], np.full((128, 128), 255, np.uint8)])
    opaque[hole] = 0
    result = genrestore.inpaint(Picture(opaque), hole).pixels
    assert (result[..., 3] == 255).all()
    assert np.array_equal(result[..., :3], genrestore.inpaint(Picture(opaque[..., :3]), hole).pixels)


@pytest.mark.parametrize("seed", [-1, 2**31, 10**30, 1.5, "seven"])
def test_a_seed_out_of_range_is_refused(sand: Picture, seed: object) -> None:
    with pytest.raises(SettingError, match="seed"):
        genrestore.inpaint(sand, SPOT, seed=seed)  # type: ignore[arg-type]


# --- wide holes ---------------------------------------------------------------------------------------------------------


def woven(height: int = 200, width: int = 240, tile: int = 40) -> Picture:
    """A picture that repeats itself."""
    rng = np.random.default_rng(5)
    pattern = rng.integers(0, 256, (tile, tile, 3), dtype=np.uint8)
    return Picture(np.tile(pattern, (-(-height // tile), -(-width // tile), 1))[:height, :width].copy())


def test_a_wide_hole_is_made_of_pieces_of_the_picture() -> None:
    """The old fill was a smudge; what repeats is continued as it is."""
    picture, hole = woven(), disc(200, 240, 100, 120, 24)
    result = task.repair(picture, hole)
    assert [part.reason for part in result.parts] == ["wide"]
    assert task.changed_outside(picture, result.picture, hole)[0] == 0
    assert np.abs(result.picture.pixels.astype(int) - picture.pixels)[hole].mean() < 2
    smudge = genrestore.inpaint(picture, hole, model="residual-fill").pixels
    assert smudge[hole].std() < 0.7 * picture.pixels[hole].std()


def test_a_soft_or_large_photo_is_not_taken_for_even() -> None:
    """Its texture shows in no pixel, and would be left a blur."""
    small = np.random.default_rng(3).integers(60, 200, (48, 48, 3), dtype=np.uint8)
    large = np.asarray(Image.fromarray(small).resize((960, 960), Image.Resampling.BICUBIC))
    hole = np.zeros((960, 960), bool)
    hole[280:680, 280:680] = True
    assert [part.reason for part in task.planned(Picture(large), hole, "auto", None)] == ["wide"]
    ramp = np.linspace(40, 200, 960)[None, :, None].repeat(960, 0).repeat(3, 2).astype(np.uint8)
    assert [part.reason for part in task.planned(Picture(ramp), hole, "auto", None)] == ["even"]


def test_thin_and_even_parts_are_left_to_the_net() -> None:
    y, x = np.mgrid[:200, :240]
    ramp = Picture(np.repeat(((x + y) / 2).astype(np.uint8)[..., None], 3, 2))
    wide = disc(200, 240, 100, 120, 24)
    for picture, hole, reasons in ((woven(), disc(200, 240, 90, 90, 4), []), (ramp, wide, ["even"])):
        repaired = task.repair(picture, hole)
        assert [part.reason for part in repaired.parts] == reasons
        net = genrestore.inpaint(picture, hole, model="residual-fill")
        assert np.array_equal(repaired.picture.pixels, net.pixels)


def test_each_part_of_a_mask_is_filled_in_its_own_way() -> None:
    """A thin line that runs into a disc, and another disc far away: two wide parts, the line the net's."""
    hole = disc(400, 600, 100, 120, 20) | disc(400, 600, 320, 500, 30)
    hole[99:102, 120:400] = True
    found = task._wide(hole)
    assert found[100, 120] and found[320, 500] and not found[100, 200:400].any() and not (found & ~hole).any()
    parts = task._parts(found)
    assert len(parts) == 2
    together = np.zeros_like(hole)
    for box, within in parts:
        together[task.box_slice(box)] |= within
    assert np.array_equal(together, found)


def test_nothing_that_was_made_up_or_forbidden_is_copied(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each wide part copies what came with the file, and not what is spared."""
    spared: list[np.ndarray] = []

    def watched(crop: Picture, part: np.ndarray, forbidden: np.ndarray, *rest: object) -> tuple[Picture, float]:
        spared.append(forbidden)
        return crop, 0.0

    monkeypatch.setattr(task.wide, "filled", watched)
    hole = disc(200, 240, 100, 60, 16) | disc(200, 240, 100, 170, 16)
    person = disc(200, 240, 40, 60, 20)
    task.repair(woven(), hole, forbidden=person)
    assert len(spared) == 2
    boxes = [part.box for part in task.repair(woven(), hole).parts]
    for box, forbidden in zip(boxes, spared[:2], strict=True):
        there = task.box_slice(task.wide.surroundings(box, 200, 240))
        assert np.array_equal(forbidden, (hole | person)[there])
    assert spared[0].sum() > spared[2].sum()  # which nobody is forbidden in


def test_seeds_give_other_fills_and_equal_ones_the_same(sand: Picture) -> None:
    hole = disc(128, 128, 60, 60, 16)
    first, again, other = (genrestore.inpaint(corner(sand, 128), hole, seed=seed).pixels for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert (first != other).any(2)[hole].mean() > 0.3


def test_pieces_may_be_asked_for_and_refused(sand: Picture) -> None:
    """`exemplar` takes them for a thin hole too; with nothing round the hole it says so, and "auto" leaves it to the net."""
    hole = disc(256, 256, 120, 120, 4)
    assert [part.reason for part in task.repair(sand, hole, model=task.EXEMPLAR).parts] == ["asked"]
    frame = np.ones((64, 64), bool)
    frame[:4] = False
    small = corner(sand, 64)
    with pytest.raises(MaskError, match="too little round a hole"):
        genrestore.inpaint(small, frame, model=task.EXEMPLAR)
    assert [part.reason for part in task.repair(small, frame).parts] == ["alone"]


def test_a_mask_can_be_widened(sand: Picture) -> None:
    """By about a disc, and by no more: what the wider mask leaves out stays."""
    dot = np.zeros((101, 101), bool)
    dot[50, 50] = True
    grown = task.widened(dot, 20)
    assert abs(grown.sum() / (np.pi * 20.5**2) - 1) < 0.12 and grown[50, 30] and not grown[50, 29]
    assert np.array_equal(task.widened(dot, 0), dot)
    mask = disc(256, 256, 60, 60, 5)
    result = genrestore.inpaint(sand, mask, grow=3)
    changed = (result.pixels != sand.pixels).any(2)
    assert (changed & ~mask).any() and not (changed & ~task.widened(mask, 3)).any()
    with pytest.raises(SettingError, match="grow"):
        genrestore.inpaint(sand, mask, grow=-1)


@pytest.mark.parametrize("kind", ["grey", "deep", "clear"])
def test_pieces_carry_depth_and_transparency(sand: Picture, kind: str) -> None:
    hole = disc(160, 160, 80, 80, 20)
    pixels = sand.pixels[:160, :160]
    if kind == "grey":
        pixels = pixels[..., :1].copy()
    elif kind == "deep":
        pixels = pixels.astype(np.uint16) * 257
    else:
        pixels = np.dstack([pixels, np.where(np.arange(160) // 16 % 2, 255, 0)[None].repeat(160, 0).astype(np.uint8)])
    result = task.repair(Picture(pixels), hole, model=task.EXEMPLAR).picture.pixels
    assert result.shape == pixels.shape and result.dtype == pixels.dtype
    assert np.array_equal(result[~hole], pixels[~hole])
    assert result[hole][:, 0].std() > 0.6 * pixels[~hole][:, 0].std()
    if kind == "clear":
        assert set(np.unique(result[..., 3])) == {0, 255}


def test_a_grown_mask_keeps_what_is_sound_and_no_halo(sand: Picture) -> None:
    """A blue disc with a soft edge, its mask too tight: the edge does not come back, the sand round it does."""
    away = np.hypot(*(np.indices((256, 256)) - 120))
    share = np.clip((33 - away) / 6, 0, 1)[..., None]
    spoilt = sand.with_pixels(np.rint(sand.pixels * (1 - share) + share * (20, 40, 230)).astype(np.uint8))
    drawn, grow = away <= 27, 14
    blended = genrestore.inpaint(spoilt, drawn, grow=grow, model="residual-fill").pixels.astype(float)
    filled = genrestore.inpaint(spoilt, task.widened(drawn, grow), model="residual-fill").pixels.astype(float)
    soft, sound = (away > 27) & (away < 31), (away > 35) & (away < 40)
    assert np.abs(blended - filled)[soft].max() < 8
    assert np.abs(blended - sand.pixels)[sound].mean() < 0.7 * np.abs(filled - sand.pixels)[sound].mean()
    assert np.array_equal(blended[away <= 27], filled[away <= 27])
    assert np.array_equal(blended[~task.widened(drawn, grow)], spoilt.pixels[~task.widened(drawn, grow)])


@pytest.mark.parametrize("kind", ["colour", "grey", "deep", "clear"])
def test_a_fill_fades_into_the_picture(sand: Picture, kind: str) -> None:
    """Evenly over so many pixels inside the mask, grown or not, and at none outside it; 0 ends it hard, grown or not."""
    sand = corner(sand, 128)
    pixels = {
        "colour": sand.pixels, "grey": sand.pixels[..., :1].copy(), "deep": sand.pixels.astype(np.uint16) * 257,
        "clear": np.dstack([sand.pixels, np.full((128, 128), 200, np.uint8)]),
    }[kind]  # fmt: skip
    source, net = Picture(pixels), dict[str, Any](model="residual-fill")
    rows, columns = np.abs(np.indices((128, 128)) - 60)
    square = np.maximum(rows, columns) <= 20
    hard = genrestore.inpaint(source, square, feather=0, **net).pixels.astype(float)
    soft = genrestore.inpaint(source, square, feather=4, **net).pixels.astype(float)
    assert np.array_equal(hard, genrestore.inpaint(source, square, **net).pixels)
    inside = np.where(rows < 10, 21 - columns, 21)  # pixels from the edge, where it runs straight
    for depth in range(1, 5):
        at = inside == depth
        expected = hard[at] + (1 - depth / 5) * (pixels[at].astype(float) - hard[at])
        assert np.abs(soft[at] - expected).max() <= 1
    assert np.array_equal(soft[np.maximum(rows, columns) <= 16], hard[np.maximum(rows, columns) <= 16])
    grown = task.widened(square, 6)
    for feather in (0, 3, task.LARGEST_FEATHER):
        wide = genrestore.inpaint(source, square, grow=6, feather=feather, **net).pixels
        assert np.array_equal(wide[~grown], pixels[~grown])
        whole = genrestore.inpaint(source, grown, feather=feather, **net).pixels
        assert np.array_equal(wide, whole), "only what is filled counts"


def test_a_narrow_part_fades_less_and_the_picture_s_edge_not_at_all(sand: Picture) -> None:
    line = np.zeros((256, 256), bool)
    line[100:105], line[180:182, 30:200] = True, True
    line[70:135, 200:] = True  # a wide part into which the line runs
    net: dict[str, Any] = {"model": "residual-fill"}
    hard = genrestore.inpaint(sand, line, feather=0, **net).pixels
    soft = genrestore.inpaint(sand, line, feather=50, **net).pixels
    assert np.array_equal(soft[[102, 180, 181], :190], hard[[102, 180, 181], :190]), "the middle of a line is gone"
    assert (soft[100] != hard[100]).any() and (soft[104] != hard[104]).any()
    assert (soft[102, 205:230] != hard[102, 205:230]).any() and np.array_equal(soft[102, -1], hard[102, -1])


def test_what_was_erased_becomes_opaque_however_it_fades(sand: Picture) -> None:
    """Into what shines through yet; of a sprite, opacity fades like the colours."""
    sand, hole = corner(sand, 128), disc(128, 128, 60, 60, 16)
    alpha = np.full((128, 128), 255, np.uint8)
    alpha[hole] = 0
    alpha[disc(128, 128, 60, 60, 18) & ~hole] = 128
    photo = Picture(np.dstack([sand.pixels, alpha]))
    hard, soft = (genrestore.inpaint(photo, feather=feather).pixels for feather in (0, 6))
    assert (soft[..., 3] == 255).all() and np.array_equal(soft[hole], hard[hole])
    assert (soft != hard).any()
    sprite = np.zeros((128, 128, 4), np.uint8)
    sprite[disc(128, 128, 60, 60, 20)] = (200, 40, 0, 255)
    result = genrestore.inpaint(Picture(sprite), disc(128, 128, 60, 60, 24), feather=12).pixels
    fading = (result[..., 3] > 0) & (result[..., 3] < 255)
    assert fading.any() and (np.abs(result[fading][:, :3].astype(int) - (200, 40, 0)).max() <= 1)


@pytest.mark.parametrize("feather", [-1, task.LARGEST_FEATHER + 1, 1.5, "much"])
def test_a_feather_out_of_range_is_refused(sand: Picture, feather: object) -> None:
    with pytest.raises(SettingError, match=r"^feather must be a whole number between 0 and 100, not "):
        genrestore.inpaint(sand, disc(256, 256, 60, 60, 5), feather=feather)  # type: ignore[arg-type]


# --- mistakes are told by their names -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (np.zeros((256, 256), bool), "The {} marks nothing"),
        (np.zeros((256, 256, 4), np.uint8), "The {} marks nothing, for it is transparent everywhere"),
        (np.ones((9, 256), bool), r"The {} is 256×9, the picture 256×256"),
        (b"\x89PNG\r\n\x1a\n, but no more", "The {} cannot be read"),
        ("gone.png", "There is no {} gone.png"),
        ("broken.png", "The {} broken.png cannot be read"),
    ],
    ids=["black", "clear", "of another shape", "broken bytes", "gone", "broken file"],
)
def test_the_mask_that_is_wrong_is_the_one_that_is_named(
    sand: Picture, wrong: object, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What must not be copied was called "the mask", and a broken mask a broken picture."""
    monkeypatch.chdir(tmp_path)
    Path("broken.png").write_bytes(b"\x89PNG\r\n\x1a\n, but no more")
    some = disc(256, 256, 9, 9, 4)
    with pytest.raises(GenrestoreError, match="^" + says.format("mask")):
        genrestore.inpaint(sand, wrong)  # type: ignore[arg-type]
    with pytest.raises(GenrestoreError, match="^" + says.format("forbid mask")):
        genrestore.inpaint(sand, some, forbid=wrong)  # type: ignore[arg-type]


def test_no_mask_is_blamed_where_none_was_given(sand: Picture) -> None:
    """Nor one that marks little, where it is grown too far."""
    faint = np.dstack([sand.pixels, np.full((256, 256), 90, np.uint8)])
    with pytest.raises(MaskError, match=r"^No pixel of the picture is opaque"):
        genrestore.inpaint(Picture(faint))
    faint[:9, :9, 3] = 255
    for pixels, mask in ((sand.pixels, disc(256, 256, 128, 128, 100)), (faint, None)):
        with pytest.raises(MaskError, match=r"^The marked area covers the whole picture.*or grow it by less"):
            genrestore.inpaint(Picture(pixels), mask, grow=task.LARGEST_GROWTH)
