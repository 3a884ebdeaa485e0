"""Enlarging: sizes, channels, depths, limits."""

import dataclasses
import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import genrestore
from genrestore import degrade, image, metrics
from genrestore.errors import Cancelled, SettingError
from genrestore.image import Picture
from genrestore.tasks import upscale as task

EXAMPLES = Path(genrestore.__file__).parent / "ui" / "examples"


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
        {"strength": 0.5},
    ],
    ids=str,
)
def test_bad_arguments(dog: Picture, arguments: dict[str, float]) -> None:
    with pytest.raises(SettingError) as raised:
        genrestore.upscale(dog, **arguments)  # type: ignore[arg-type]
    assert str(raised.value).endswith(".") and "\n" not in str(raised.value)


def test_a_result_beyond_the_limits_is_refused_before_any_work() -> None:
    with pytest.raises(SettingError, match="megapixels"):
        task.quote(20_000, 15_000, 16)
