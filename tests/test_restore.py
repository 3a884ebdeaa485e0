"""Restoring: what a picture gains, and what stays as it is."""

import io
import threading
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import genrestore
from genrestore import runtime, tasks
from genrestore.errors import Cancelled, SettingError
from genrestore.pictures.image import Picture


def scene(height: int = 120, width: int = 150) -> np.ndarray:
    """(H, W, 3) uint8: soft shapes and a few edges."""
    y, x = np.mgrid[0:height, 0:width] / 20.0
    shapes = np.stack([np.sin(x + k) * np.cos(y - k) for k in range(3)], -1)
    return (128 + 70 * shapes + 30 * ((x.astype(int) + y.astype(int)) % 2)[..., None]).clip(0, 255).astype(np.uint8)


def noisy(pixels: np.ndarray, sigma: float = 20) -> np.ndarray:
    grain = np.random.default_rng(0).normal(0, sigma, pixels.shape)
    return (pixels + grain).clip(0, 255).round().astype(np.uint8)


def psnr(a: Any, b: Any) -> float:
    return float(10 * np.log10(255**2 / np.square(np.asarray(a, float) - np.asarray(b, float)).mean()))


def test_noise_goes_and_strength_says_how_much() -> None:
    clean = scene()
    spoilt = Image.fromarray(noisy(clean))
    gains = {share: psnr(genrestore.restore(spoilt, strength=share), clean) for share in (0, 0.5, 1)}
    assert gains[0] == psnr(spoilt, clean) and gains[0] + 3 < gains[0.5] and gains[0.5] + 3 < gains[1], gains


def test_the_blocks_of_jpeg_go() -> None:
    clean = scene()
    file = io.BytesIO()
    Image.fromarray(clean).save(file, "JPEG", quality=15)
    restored = genrestore.restore(file.getvalue())
    assert psnr(restored, clean) > psnr(Image.open(file).convert("RGB"), clean) + 1


def test_a_clean_picture_hardly_changes() -> None:
    clean = scene()
    assert psnr(genrestore.restore(Image.fromarray(clean)), clean) > 40


@pytest.mark.parametrize("size", [(1, 1), (7, 5), (33, 130)])
def test_any_size_and_depth_and_grey_stays_grey(size: tuple[int, int]) -> None:
    pixels = noisy(scene(*size))
    assert genrestore.restore(Image.fromarray(pixels)).size == size[::-1]
    deep = genrestore.restore(Picture(pixels.astype(np.uint16) * 257)).pixels
    assert deep.dtype == np.uint16 and deep.shape == pixels.shape
    grey = genrestore.restore(Picture(np.repeat(pixels[..., :1], 3, 2))).pixels
    assert (grey == grey[..., :1]).all()
    assert genrestore.restore(Picture(pixels[..., :1])).pixels.shape == (*size, 1)


def test_transparency_stays() -> None:
    pixels = np.dstack([noisy(scene()), np.random.default_rng(1).integers(0, 256, (120, 150), dtype=np.uint8)])
    restored = genrestore.restore(Picture(pixels)).pixels
    assert np.array_equal(restored[..., 3], pixels[..., 3]) and not np.array_equal(restored[..., :3], pixels[..., :3])


def test_tiles_equal_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """The net sees no further than it says, and estimates levels from no further either."""
    model = runtime.load("restore-photo", precision="exact")
    pixels = noisy(scene(200, 260))
    whole, tiled = np.empty_like(pixels), np.empty_like(pixels)
    runtime.enlarge(model, pixels, whole, tile=512)
    runtime.enlarge(model, pixels, tiled, tile=96)
    assert np.abs(whole.astype(int) - tiled).max() <= 1


def test_what_cannot_be_restored_is_a_sentence() -> None:
    for strength in (-0.1, 1.5, float("nan"), "much"):
        with pytest.raises(SettingError, match="strength must"):
            genrestore.restore(Image.fromarray(scene()), strength=strength)  # type: ignore[arg-type]
    cancel = threading.Event()
    cancel.set()
    with pytest.raises(Cancelled):
        genrestore.restore(Image.fromarray(scene()), cancel=cancel)


def test_its_backend_can_be_measured() -> None:
    """What a net may be given beside the picture, such as the levels, is left out."""
    net = runtime.load("restore-photo").net
    with torch.no_grad():
        assert net(*tasks.find("restore").example(net, 64)).shape == (1, 3, 64, 64)
