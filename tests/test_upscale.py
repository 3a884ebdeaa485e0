"""Enlarging: sizes, channels, depths, limits."""

import dataclasses
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image, ImageDraw

import genrestore
from genrestore import metrics, runtime, weights
from genrestore.card import SizeRule
from genrestore.data import degrade
from genrestore.errors import Cancelled, SettingError
from genrestore.pictures import image
from genrestore.pictures.image import Picture
from genrestore.pipelines import colours
from genrestore.pipelines import upscale as task

EXAMPLES = Path(genrestore.__file__).parent / "ui" / "examples"


@pytest.fixture(autouse=True)
def one_backend(monkeypatch: pytest.MonkeyPatch) -> None:
    """No call is the one after which the net is measured and goes on elsewhere, with other roundings."""
    monkeypatch.setattr(runtime, "MEASURED_FROM", 1 << 62)


@pytest.fixture(scope="module")
def dog() -> Picture:
    whole = image.load(EXAMPLES / "dog.jpg")
    return whole.with_pixels(np.ascontiguousarray(whole.pixels[200:296, 200:312]))


def test_beats_bicubic() -> None:
    """On photos that no net was trained on: shrink, enlarge, compare."""
    gains = []
    for path in sorted(EXAMPLES.glob("*.jpg")):
        whole = image.load(path)
        truth = whole.with_pixels(np.ascontiguousarray(whole.pixels[200:328, 200:328]))
        reference = image.to_tensor(truth)
        small = image.from_tensor(degrade.shrink(reference, 32, 32), truth)
        bicubic = degrade.quantise(degrade.resize(image.to_tensor(small), 128, 128))
        ours = image.to_tensor(genrestore.upscale(small, 4))
        gains.append((metrics.psnr(ours, reference) - metrics.psnr(bicubic, reference)).item())
    assert np.mean(gains) > 0.3, gains


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("depth", [np.uint8, np.uint16])
def test_channels_and_depth_stay(channels: int, depth: type) -> None:
    rng = np.random.default_rng(0)
    source = Picture(rng.integers(0, np.iinfo(depth).max, (13, 9, channels), dtype=depth))
    result = genrestore.upscale(source, 4)
    assert result.pixels.shape == (52, 36, channels) and result.pixels.dtype == depth
    if depth is np.uint16:
        assert len(np.unique(result.pixels)) > 256, "16 bits were not squeezed through 8"


@pytest.mark.parametrize(
    "scale, size", [(4, (148, 212)), (2, (74, 106)), (3, (111, 159)), (1.5, (56, 80)), (5, (185, 265))]
)
def test_any_scale(dog: Picture, scale: float, size: tuple[int, int]) -> None:
    piece = dog.with_pixels(np.ascontiguousarray(dog.pixels[:53, :37]))
    result = genrestore.upscale(piece, scale)
    assert (result.width, result.height) == size
    quote = task.quote(37, 53, scale)
    assert (quote.width, quote.height) == size and quote.seconds > 0 and quote.peak_bytes > 0
    small = np.asarray(result.pil().resize((37, 53), Image.Resampling.BOX), dtype=float)
    assert np.abs(small - piece.pixels).mean() < 4, "the content stays in its place"


def size_of(picture: Picture) -> tuple[int, int]:
    return picture.width, picture.height


def test_width_or_height_alone_keeps_proportions(dog: Picture) -> None:
    piece = dog.with_pixels(np.ascontiguousarray(dog.pixels[:30, :40]))
    assert size_of(genrestore.upscale(piece, width=100)) == (100, 75)
    assert size_of(genrestore.upscale(piece, height=60)) == (80, 60)
    assert size_of(genrestore.upscale(piece, width=50, height=50)) == (50, 50)


def test_pil_in_gives_pil_out_and_picture_keeps_metadata(dog: Picture, tmp_path: Path) -> None:
    assert isinstance(genrestore.upscale(dog.pil().crop((0, 0, 8, 8)), 2), Image.Image)
    marked = dataclasses.replace(
        dog.with_pixels(np.ascontiguousarray(dog.pixels[:8, :8])), icc=b"profile", dpi=(300.0, 300.0)
    )
    result = genrestore.upscale(marked, 2)
    assert result.icc == b"profile" and result.dpi == (300.0, 300.0) and result.format == marked.format


def test_cancel_before_and_during(dog: Picture) -> None:
    cancel = threading.Event()
    cancel.set()
    with pytest.raises(Cancelled):
        genrestore.upscale(dog, cancel=cancel)


# --- what is no photograph ----------------------------------------------------------------------------------------------


def colourfulness(pixels: np.ndarray) -> int:
    return int((pixels.max(2).astype(int) - pixels.min(2)).max())


def page() -> np.ndarray:
    """(90, 150, 3): black letters and lines on white, as a scanner of colours stores a grey page."""
    drawn = Image.new("RGB", (150, 90), "white")
    pen = ImageDraw.Draw(drawn)
    pen.text((8, 10), "The quick brown fox\njumps over the lazy\ndog 0123456789", fill=(20, 20, 20))
    pen.line((5, 75, 140, 60), fill=(0, 0, 0))
    return np.array(drawn)


@pytest.mark.parametrize("scale", [4, 2.5, 5])
@pytest.mark.parametrize("depth", [np.uint8, np.uint16])
def test_equal_channels_stay_equal(scale: float, depth: type) -> None:
    """A grey page stored as RGB came out with fringes of up to 87 levels; it is enlarged as the same page in one channel."""
    pixels = page().astype(depth) * (np.iinfo(depth).max // 255)
    result = genrestore.upscale(Picture(pixels), scale).pixels
    assert colourfulness(result) == 0
    assert np.array_equal(result[..., :1], genrestore.upscale(Picture(pixels[..., :1]), scale).pixels)


def test_grey_beside_colour_stays_grey() -> None:
    """A red stamp on the page lets nothing else be coloured, and stays red."""
    pixels = page()
    pixels[70:86, 90:140] = (200, 30, 40)
    result = genrestore.upscale(Picture(pixels), 4).pixels
    assert colourfulness(result[: 4 * 55]) == 0
    assert np.abs(result[4 * 78, 4 * 115].astype(int) - (200, 30, 40)).max() <= 3


def test_what_is_nearly_grey_is_not_coloured_more() -> None:
    """A scan is never quite grey: its channels differ by a level or two."""
    pixels = page()
    pixels = np.clip(pixels.astype(int) + np.random.default_rng(0).integers(-1, 2, pixels.shape), 0, 255)
    result = genrestore.upscale(Picture(pixels.astype(np.uint8)), 4).pixels
    assert colourfulness(result) <= 4


def bayer(level: float) -> np.ndarray:
    """(96, 96) of 0 and 255: the ordered dither of 8 × 8 of a flat grey."""
    order = np.zeros((1, 1))
    for _ in range(3):
        order = np.block([[4 * order, 4 * order + 2], [4 * order + 3, 4 * order + 1]])
    return ((np.tile((order + 0.5) / 64, (12, 12)) < level / 255) * 255).astype(np.uint8)


def diffused(level: int) -> np.ndarray:
    return np.asarray(Image.new("L", (96, 96), level).convert("1")).astype(np.uint8) * 255


DITHERS = {
    **{f"ordered {level}": bayer(level)[..., None] for level in (32, 96, 128, 200)},
    **{f"diffused {level}": diffused(level)[..., None] for level in (64, 128)},
    "stripes": np.tile(np.array([[[0], [255]]], np.uint8), (96, 48, 1)),
    "colours": np.stack([bayer(60), np.roll(bayer(128), 3, 0), np.roll(bayer(200), 2, 1)], -1),
}


@pytest.mark.parametrize("scale", [4, 2])
@pytest.mark.parametrize("name", DITHERS)
def test_dithers_keep_their_brightness(name: str, scale: int) -> None:
    """The mean of each channel, of the whole and of each ninth of it; a net alone made 96 of 127.5."""
    source = DITHERS[name]
    result = genrestore.upscale(Picture(source), scale).pixels.astype(float)
    before, after = (
        pixels.reshape(3, len(pixels) // 3, 3, len(pixels) // 3, -1).mean((1, 3)) for pixels in (source, result)
    )
    assert np.abs(after - before).max() < 3


def test_photographs_are_let_be(dog: Picture) -> None:
    """What serves dithers and pages must not touch a photograph's detail."""
    net = runtime.load("auto", task="upscale")
    plain = net(image.to_tensor(dog))
    corrected = colours.as_bright(colours.as_grey(plain, image.to_tensor(dog)), image.to_tensor(dog))
    assert (corrected - plain).abs().max() <= 2 / 255


@pytest.mark.parametrize("matte", [0, 255])
@pytest.mark.parametrize("softness", [0.01, 2, 20])
def test_what_transparency_hides_does_not_show_at_the_rim(matte: int, softness: float) -> None:
    """A yellow disc on clear black or white: 62 levels too dark on average at its rim, once; now the disc's own colour."""
    y, x = np.mgrid[:64, :64]
    alpha = (np.clip((24 - np.hypot(y - 31.5, x - 31.5)) / softness + 0.5, 0, 1) * 255).astype(np.uint8)
    pixels = np.full((64, 64, 4), matte, np.uint8)
    pixels[alpha > 0, :3] = (250, 240, 60)
    pixels[..., 3] = alpha
    for scale in (4, 3, 6):
        result = genrestore.upscale(Picture(pixels), scale).pixels.astype(int)
        seen = result[..., 3] > 0
        assert np.abs(result[seen][:, :3] - (250, 240, 60)).max() <= 3, scale
        assert result[32 * scale, 32 * scale, 3] == 255 and result[0, 0, 3] == 0


def test_colours_of_a_faint_picture_are_its_own(dog: Picture) -> None:
    """A photograph that is half transparent everywhere is enlarged as the opaque one; so is what is quite transparent."""
    for alpha in (128, 0, 255):
        faint = np.dstack([dog.pixels, np.full(dog.pixels.shape[:2], alpha, np.uint8)])
        result = genrestore.upscale(Picture(faint), 4).pixels
        assert np.array_equal(result[..., :3], genrestore.upscale(dog, 4).pixels) and (result[..., 3] == alpha).all()


# --- sizes --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(50, 37), (21, 90), (180, 160), (300, 7)])
def test_rows_are_resized_as_the_whole(size: tuple[int, int]) -> None:
    """Whatever pieces they come in, larger or smaller."""
    whole = torch.rand(1, 2, 83, 71, generator=torch.Generator().manual_seed(0))
    expected = F.interpolate(whole, size=size[::-1], mode="bicubic", antialias=True)
    for piece in (1, 7, 83):
        rows = list(task._resized(whole.split(piece, -2), 83, size))
        assert torch.allclose(torch.cat(rows, -2), expected, atol=1e-5), piece


class Repeat:
    """A net that repeats each pixel 4 × 4 times, and tells what it was given."""

    def __init__(self) -> None:
        self.size_rule = SizeRule()
        self.pixels = 0

    def __call__(self, image: torch.Tensor) -> torch.Tensor:
        self.pixels += image.shape[-1] * image.shape[-2]
        return image.repeat_interleave(4, 2).repeat_interleave(4, 3)


def test_a_factor_between_needs_no_picture_of_the_next_power(monkeypatch: pytest.MonkeyPatch) -> None:
    """×4.1 of 4000 × 3000 went through ×16: 29 GB by its quote, where ×4 took 3.3."""
    quotes = [task.quote(4000, 3000, scale) for scale in (4, 4.1, 5)]
    assert max(quote.peak_bytes for quote in quotes) < 1.5 * quotes[0].peak_bytes
    assert quotes[1].seconds < 6 * quotes[0].seconds

    net = Repeat()
    model = runtime.Model(weights.resolve("auto", "upscale"), net, torch.device("cpu"), "repeats")
    monkeypatch.setattr(runtime, "load", lambda *_, **__: model)
    shares: list[float] = []
    result = genrestore.upscale(
        Picture(np.full((50, 40, 3), (9, 99, 199), np.uint8)), 4.1, progress=lambda share, _: shares.append(share)
    )
    assert result.pixels.shape == (205, 164, 3) and (result.pixels == (9, 99, 199)).all()
    assert net.pixels == 50 * 40 + 100 * 80, "the second run sees twice the picture, not four times"
    assert shares == sorted(shares) and abs(shares[-1] - 1) < 1e-9 and shares[0] < 0.5


def test_sides_may_grow_unequally() -> None:
    pixels = np.zeros((12, 10, 3), np.uint8)
    pixels[:6] = 200
    result = genrestore.upscale(Picture(pixels), width=160, height=12).pixels
    assert result.shape == (12, 160, 3)
    assert (result[:4] > 180).all() and (result[8:] < 20).all(), "no line of the side that stays is lost"


@pytest.mark.parametrize(
    "arguments",
    [
        {"scale": 1},
        {"scale": 0},
        {"scale": float("nan")},
        {"scale": 17},
        {"width": 0},
        {"height": -3},
        {"width": 10**6},
        {"scale": float("inf")},
        {"scale": 10**400},
        {"scale": "many"},
        {"width": 10**30},
        {"width": 20.5},
        {"height": float("nan")},
        {"strength": float("nan")},
        {"strength": 0.5},
    ],
    ids=str,
)
def test_bad_arguments(dog: Picture, arguments: dict[str, float]) -> None:
    with pytest.raises(SettingError) as raised:
        genrestore.upscale(dog, **arguments)  # type: ignore[arg-type]
    assert str(raised.value).endswith(".") and "\n" not in str(raised.value)


@pytest.mark.parametrize("scale", ["2", "2.0", np.float32(2), np.array(2)])
def test_a_scale_is_whatever_is_a_number(scale: Any) -> None:
    quoted = task.quote(30, 20, scale)
    assert (quoted.width, quoted.height) == (60, 40)


def test_a_result_beyond_the_limits_is_refused_before_any_work() -> None:
    with pytest.raises(SettingError, match="megapixels"):
        task.quote(20_000, 15_000, 16)
