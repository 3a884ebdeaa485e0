"""Metrics against hand calculation and against scikit-image."""

import numpy as np
import pytest
import torch
from skimage.metrics import structural_similarity

from genrestore import metrics
from genrestore.nets import losses


def test_psnr_by_hand() -> None:
    zero, tenth = torch.zeros(2, 3, 4, 5), torch.full((2, 3, 4, 5), 0.1)
    assert metrics.psnr(zero, tenth).tolist() == pytest.approx([20.0, 20.0], abs=1e-5)
    assert metrics.psnr(zero, zero)[0] == float("inf")


def test_psnr_in_the_hole_ignores_the_rest() -> None:
    image, reference = torch.rand(1, 3, 8, 8), torch.rand(1, 3, 8, 8)
    mask = torch.zeros(1, 1, 8, 8)
    mask[..., 2:4, 2:5] = 1
    inside = metrics.psnr(image, reference, mask)
    assert inside == pytest.approx(metrics.psnr(image[..., 2:4, 2:5], reference[..., 2:4, 2:5]), abs=1e-9)
    assert metrics.psnr(image * mask, reference * mask, mask) == pytest.approx(inside, abs=1e-9)


def test_ssim_is_that_of_scikit_image() -> None:
    rng = np.random.default_rng(0)
    a = rng.random((40, 52))
    b = np.clip(a + rng.normal(0, 0.1, a.shape), 0, 1)
    theirs = structural_similarity(a, b, data_range=1, gaussian_weights=True, sigma=1.5, use_sample_covariance=False)
    ours = metrics.ssim(torch.from_numpy(a)[None, None], torch.from_numpy(b)[None, None])
    assert ours.item() == pytest.approx(theirs, abs=1e-6)


def test_sliced_wasserstein_grows_with_the_distance() -> None:
    generator = torch.Generator().manual_seed(0)
    smooth = torch.nn.functional.avg_pool2d(torch.rand(2, 64, 3, 36, 36, generator=generator).flatten(0, 1), 5, 1)
    a, b = smooth.unflatten(0, (2, 64))
    near, noisy = metrics.sliced_wasserstein(a, b), metrics.sliced_wasserstein(torch.rand_like(a), b)
    assert metrics.sliced_wasserstein(a, a) == 0
    assert 0 < near < 0.8 * noisy


def test_luma_ends_and_weights() -> None:
    black, white = torch.zeros(1, 3, 1, 1), torch.ones(1, 3, 1, 1)
    assert metrics.luma(black).item() * 255 == pytest.approx(16)
    assert metrics.luma(white).item() * 255 == pytest.approx(235, abs=0.01)


def test_texture_counts_wherever_it_lies() -> None:
    """Other noise of the same kind is near, a smudge of the right colour far, and equal pictures are at 0."""
    draw = torch.Generator().manual_seed(1)
    truth, other = (0.5 + 0.1 * torch.randn(1, 3, 64, 64, generator=draw) for _ in range(2))
    mask = torch.zeros(1, 1, 64, 64)
    mask[..., 16:48, 16:48] = 1
    smudge = torch.where(mask > 0, 0.5, truth)
    like, far = (metrics.hole_distances(picture, truth, mask) for picture in (other, smudge))
    assert metrics.hole_distances(truth, truth, mask) == (0, 0)
    assert all(near < 0.2 * wide for near, wide in zip(like, far, strict=True))
    outside = torch.where(mask > 0, truth, 0.0)
    assert metrics.hole_distances(outside, truth, mask)[0] < far[0], "outside the hole little counts"


def test_hole_loss_counts_pictures_not_pixels() -> None:
    """A wide hole must not drown a thin one: scaling one picture's hole area leaves its share as it is."""
    target = torch.zeros(2, 3, 16, 16)
    image = torch.full_like(target, 0.2)
    thin = torch.zeros(2, 1, 16, 16)
    thin[:, :, 0, :2] = 1
    wide = thin.clone()
    wide[1] = 1
    assert losses.hole_log_mse(image, target, thin).item() == pytest.approx(
        losses.hole_log_mse(image, target, wide).item(), abs=1e-5
    )
    assert losses.hole_log_mse(image, target, thin).item() == pytest.approx(np.log(0.04 + 1e-4), abs=1e-4)


def test_kl_by_hand() -> None:
    mean, log_variance = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, np.log(4.0)]])
    assert losses.kl_normal(mean, log_variance).item() == pytest.approx(0.5 * (1 + 4 - 1 - np.log(4)), abs=1e-6)
    assert losses.kl_normal(torch.zeros(3, 5), torch.zeros(3, 5)).item() == 0
