"""How near two pictures are: functions of two tensors, nothing else."""

import torch
import torch.nn.functional as F
from torch import Tensor

SSIM_SIDE = 11  # pixels a side that the window of SSIM takes
SWD_SIDE = 16  # pixels a side of the smallest level that `sliced_wasserstein` compares


def psnr(image: Tensor, reference: Tensor, mask: Tensor | None = None) -> Tensor:
    """Peak signal-to-noise ratio in dB of each picture, (B,); both (B, C, H, W) in [0, 1].

    With `mask` (B, 1, H, W) only the samples under mask = 1 count. Equal pictures give infinity.
    """
    square = (image.double() - reference.double()).square()
    if mask is None:
        error = square.mean((1, 2, 3))
    else:
        weight = mask.double().expand_as(square)
        error = (square * weight).sum((1, 2, 3)) / weight.sum((1, 2, 3))
    return -10 * torch.log10(error)


def ssim_map(image: Tensor, reference: Tensor) -> Tensor:
    """Structural similarity around each pixel, (B, C, H, W); edges are reflected. A side has SSIM_SIDE pixels at least.

    Wang, Bovik, Sheikh & Simoncelli, "Image quality assessment: from error visibility to structural similarity",
    IEEE TIP 2004: Gaussian window of 11 pixels, sigma 1.5, K1 = 0.01, K2 = 0.03, range 1.

    Raises:
        ValueError: the pictures are smaller than the window.
    """
    if min(image.shape[-2:]) < SSIM_SIDE:
        raise ValueError(f"SSIM needs {SSIM_SIDE} pixels a side, not {tuple(image.shape[-2:])}")
    x, y = image.double(), reference.double()
    offsets = torch.arange(SSIM_SIDE, dtype=torch.float64, device=x.device) - 5
    window = torch.exp(-offsets.square() / (2 * 1.5**2))
    window = window / window.sum()
    channels = x.shape[1]
    column = window.view(1, 1, -1, 1).expand(channels, 1, -1, 1)
    row = window.view(1, 1, 1, -1).expand(channels, 1, 1, -1)

    def blur(picture: Tensor) -> Tensor:
        padded = F.pad(picture, (5, 5, 5, 5), mode="reflect")
        return F.conv2d(F.conv2d(padded, column, groups=channels), row, groups=channels)

    mean_x, mean_y = blur(x), blur(y)
    var_x, var_y = blur(x * x) - mean_x**2, blur(y * y) - mean_y**2
    covariance = blur(x * y) - mean_x * mean_y
    c1, c2 = 0.01**2, 0.03**2
    return ((2 * mean_x * mean_y + c1) * (2 * covariance + c2)) / ((mean_x**2 + mean_y**2 + c1) * (var_x + var_y + c2))


def ssim(image: Tensor, reference: Tensor, mask: Tensor | None = None) -> Tensor:
    """Mean structural similarity of each picture, (B,), over the whole window positions or under `mask`."""
    values = ssim_map(image, reference)
    if mask is None:
        return values[..., 5:-5, 5:-5].mean((1, 2, 3))
    weight = mask.double().expand_as(values)
    return (values * weight).sum((1, 2, 3)) / weight.sum((1, 2, 3))


def sliced_wasserstein(pictures: Tensor, reference: Tensor, *, patches: int = 64, directions: int = 512) -> float:
    """How far two sets of pictures lie apart, ×1000: small is near; equal sets give 0. No trained net judges.

    Karras, Aila, Laine & Lehtinen, "Progressive growing of GANs", ICLR 2018, section 5, arXiv:1710.10196: 7×7 patches from
    the levels of a Laplacian pyramid down to 16 pixels, each channel normalised over its set, `directions` random projections;
    the mean over the levels. Here `patches` of each picture. Both (N, C, H, W) of one size, SWD_SIDE pixels a side at least,
    N equal. The fewer patches, the farther apart equal sets seem.

    Raises:
        ValueError: the pictures are smaller.
    """
    if min(pictures.shape[-2:]) < SWD_SIDE:
        raise ValueError(f"The distance needs {SWD_SIDE} pixels a side, not {tuple(pictures.shape[-2:])}")
    generator = torch.Generator().manual_seed(0)
    distances: list[Tensor] = []
    while min(pictures.shape[-2:]) >= SWD_SIDE:
        small, small_reference = F.avg_pool2d(pictures, 2), F.avg_pool2d(reference, 2)
        last = min(pictures.shape[-2:]) < 2 * SWD_SIDE
        levels = [
            full if last else full - F.interpolate(half, scale_factor=2.0, mode="bilinear", align_corners=False)
            for full, half in ((pictures, small), (reference, small_reference))
        ]
        count, channels, height, width = pictures.shape
        y = torch.randint(height - 6, (count * patches,), generator=generator)
        x = torch.randint(width - 6, (count * patches,), generator=generator)
        owner = torch.arange(count).repeat_interleave(patches)
        window = torch.arange(7)
        rows, columns = y[:, None, None] + window[:, None], x[:, None, None] + window
        axes = torch.randn(channels * 49, directions, generator=generator)
        axes = axes / axes.norm(dim=0)
        sorted_sets: list[Tensor] = []
        for level in levels:
            cut = level[owner[:, None, None], :, rows, columns]  # (count · patches, 7, 7, C)
            cut = (cut - cut.mean((0, 1, 2))) / cut.std((0, 1, 2)).clamp(min=1e-8)
            sorted_sets.append((cut.permute(0, 3, 1, 2).flatten(1) @ axes).sort(0).values)
        distances.append((sorted_sets[0] - sorted_sets[1]).abs().mean())
        pictures, reference = small, small_reference
    return 1000 * torch.stack(distances).mean().item()


def hole_distances(image: Tensor, reference: Tensor, mask: Tensor) -> tuple[float, float]:
    """How unlike the texture of a filled hole is what had been there, not minding where it lies; ×1000, equal pictures give 0.

    The sliced Wasserstein distance (see `sliced_wasserstein`) of 7×7 patches with their centres in the hole: of the pictures, and
    the mean of three levels of their Laplacian pyramids. A smudge is far by the second, whatever its colour.

    Args:
        image, reference: (1, C, H, W) in [0, 1].
        mask: (1, 1, H, W), 1 in the hole.
    """
    generator = torch.Generator().manual_seed(0)
    raw = _patches_apart(image, reference, mask, generator)
    detail: list[float] = []
    for _ in range(3):
        halves = [F.avg_pool2d(picture, 2, ceil_mode=True) for picture in (image, reference)]
        fine = [
            picture - F.interpolate(half, size=picture.shape[-2:], mode="bilinear", align_corners=False)
            for picture, half in zip((image, reference), halves, strict=True)
        ]
        detail.append(_patches_apart(fine[0], fine[1], mask, generator))
        (image, reference), mask = halves, F.max_pool2d(mask, 2, ceil_mode=True)
    return raw, sum(detail) / len(detail)


def _patches_apart(image: Tensor, reference: Tensor, mask: Tensor, generator: torch.Generator) -> float:
    y, x = F.pad(mask[0, 0, 3:-3, 3:-3], (3, 3, 3, 3)).nonzero(as_tuple=True)
    some = torch.randperm(len(y), generator=generator)[:4000]
    window = torch.arange(-3, 4)
    rows, columns = y[some, None, None] + window[:, None], x[some, None, None] + window
    axes = torch.randn(49 * image.shape[1], 192, generator=generator)
    axes = axes / axes.norm(dim=0)
    first, second = (
        (picture[0][:, rows, columns].transpose(0, 1).flatten(1) @ axes).sort(0).values
        for picture in (image, reference)
    )
    return 1000 * (first - second).abs().mean().item()


def luma(image: Tensor) -> Tensor:
    """Y of BT.601 in its studio range, as MATLAB's rgb2ycbcr: (B, 3, H, W) in [0, 1] → (B, 1, H, W) in [16/255, 235/255]."""
    weights = torch.tensor([65.481, 128.553, 24.966], dtype=image.dtype, device=image.device).view(1, 3, 1, 1)
    return ((image * weights).sum(1, keepdim=True) + 16) / 255
