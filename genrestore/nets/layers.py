"""Blocks that more than one model uses, and the classical fills that repair starts from."""

import itertools
from collections.abc import Callable
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor, nn

TINY = 1e-12  # keeps a division by no weight at all finite


def local_mean(image: Tensor, side: int = 7) -> Tensor:
    """Mean over the `side` × `side` window round each pixel; edges are replicated. (B, C, H, W) → the same."""
    half = side // 2
    return F.avg_pool2d(F.pad(image, (half, half, half, half), mode="replicate"), side, stride=1)


CONFIDENCE = 8  # how fast a few known pixels outvote the coarser level; 8 was best of 1 to 32 on wide holes
BINOMIAL = (1.0, 3.0, 3.0, 1.0)  # taps of the pyramid's filter; with two the result depends on where blocks begin


def pull_push(image: Tensor, mask: Tensor) -> Tensor:
    """Fill mask = 1 from a pyramid of averages of the known pixels: smooth, and never far off.

    Gortler, Grzeszczuk, Szeliski & Cohen, "The Lumigraph", SIGGRAPH 1996, section 3.4.1; their weights saturate at 1, ours
    approach it as 1 − (1 − w)^CONFIDENCE.
    image (B, C, H, W), mask (B, 1, H, W) → (B, C, H, W). A picture without a known pixel becomes 0.
    """
    kernel = _binomial(image.device, image.dtype)
    known = 1 - mask
    colour, weight = image * known, known  # colours are premultiplied by their weights
    levels = [(colour, weight)]
    while max(colour.shape[-2:]) > 1:
        # One pixel of nothing all round, and one more to even sides: each level lies exactly on the one below it.
        margin = (1, 1 + colour.shape[-1] % 2, 1, 1 + colour.shape[-2] % 2)
        colour, weight = (_halved(F.pad(plane, margin), kernel) for plane in (colour, weight))
        sure = 1 - (1 - weight.clamp(max=1)) ** CONFIDENCE
        colour, weight = colour * (sure / weight.clamp(min=TINY)), sure
        levels.append((colour, weight))
    filled = colour / weight.clamp(min=TINY)
    for colour, weight in reversed(levels[:-1]):
        height, width = colour.shape[-2:]
        coarse = F.interpolate(filled, scale_factor=2.0, mode="bilinear", align_corners=False)[..., :height, :width]
        filled = colour + (1 - weight) * coarse
    return image * known + filled * mask


@lru_cache(maxsize=8)
def _binomial(device: torch.device, dtype: torch.dtype) -> Tensor:
    """(1, 1, 4, 4), kept where it is used: to bring it there anew would wait for the device."""
    taps = torch.tensor(BINOMIAL, device=device, dtype=dtype) / sum(BINOMIAL)
    return torch.outer(taps, taps)[None, None]


def _halved(plane: Tensor, kernel: Tensor) -> Tensor:
    channels = plane.shape[1]
    with torch.autocast(plane.device.type, enabled=False):  # weights of half precision vanish, and are divided by later
        return F.conv2d(plane, kernel.expand(channels, 1, -1, -1), stride=2, groups=channels)


def laplacian(image: Tensor) -> Tensor:
    """Sum of the four neighbours minus four times the pixel; nothing flows across the edge. Symmetric as a matrix."""
    across = image[..., :, 1:] - image[..., :, :-1]
    down = image[..., 1:, :] - image[..., :-1, :]
    out = torch.zeros_like(image)
    out[..., :, :-1] += across
    out[..., :, 1:] -= across
    out[..., :-1, :] += down
    out[..., 1:, :] -= down
    return out


def biharmonic(image: Tensor, mask: Tensor, steps: int = 40) -> Tensor:
    """Fill mask = 1 by lowering the bending energy Σ (Δu)² with conjugate gradients, starting from `pull_push`.

    The energy is that of Chui & Mhaskar, "MRA contextual-recovery extension of smooth functions on manifolds",
    ACHA 2010; the solver is Hestenes & Stiefel 1952, one system a picture and channel, all at once.
    image (B, C, H, W), mask (B, 1, H, W) → (B, C, H, W); known pixels come back unchanged.
    """
    filled = pull_push(image, mask)
    residual = -laplacian(laplacian(filled)) * mask
    direction = residual
    energy = residual.square().sum((-2, -1), keepdim=True)
    for _ in range(steps):
        image_of_direction = laplacian(laplacian(direction)) * mask
        curvature = (direction * image_of_direction).sum((-2, -1), keepdim=True)
        step = energy / curvature.clamp(min=1e-20)
        filled = filled + step * direction
        residual = residual - step * image_of_direction
        lower = residual.square().sum((-2, -1), keepdim=True)
        direction = residual + lower / energy.clamp(min=1e-20) * direction
        energy = lower
    return torch.where(mask > 0, filled.clamp(0, 1), image)


class Residual(nn.Module):
    """x + conv(SiLU(conv(x))). He, Zhang, Ren & Sun, CVPR 2016, arXiv:1512.03385; without normalisation."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(width, width, 3, padding=1)
        self.second = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.second(F.silu(self.first(x)))


class GatedResidual(Residual):
    """x + (x + y)·(sigmoid(y) − ½) with y = conv(leaky ReLU(conv(x))): the gate costs no parameter.

    After the attention of Wan et al., "Swift parameter-free attention network", CVPRW 2024, arXiv:2311.12770.
    """

    def forward(self, x: Tensor) -> Tensor:
        y = self.second(F.leaky_relu(self.first(x), 0.1))
        return x + (x + y) * (torch.sigmoid(y) - 0.5)


class UNet(nn.Module):
    """(B, inputs, H, W) → (B, outputs, H, W): residual blocks on levels of full, half, quarter … size, joined by sums.

    Ronneberger, Fischer & Brox, "U-Net", MICCAI 2015, arXiv:1505.04597; sums instead of concatenations, strided convolutions
    down, 1×1 convolutions and pixel shuffle up. H and W are multiples of 2^(levels − 1).

    Args:
        inputs: channels.
        outputs: channels.
        widths: channels of each level, the full size first.
        blocks: on each level, on the way down and again on the way up; on the coarsest once.
        block: made of a number of channels.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        widths: tuple[int, ...],
        blocks: tuple[int, ...],
        block: Callable[[int], nn.Module] = Residual,
    ) -> None:
        super().__init__()

        def level(width: int, count: int) -> nn.Sequential:
            return nn.Sequential(*(block(width) for _ in range(count)))

        self.channels = inputs
        self.enter = nn.Conv2d(inputs, widths[0], 3, padding=1)
        self.fall = nn.ModuleList(map(level, widths, blocks))
        self.down = nn.ModuleList(nn.Conv2d(a, b, 2, stride=2) for a, b in itertools.pairwise(widths))
        self.up = nn.ModuleList(nn.Conv2d(b, 4 * a, 1) for a, b in itertools.pairwise(widths))
        self.rise = nn.ModuleList(map(level, widths[:-1], blocks[:-1]))
        self.leave = nn.Conv2d(widths[0], outputs, 3, padding=1)
        assert self.leave.bias is not None
        nn.init.zeros_(self.leave.bias)

    def forward(self, x: Tensor) -> Tensor:
        x = self.enter(x)
        skips: list[Tensor] = []
        for level, blocks in enumerate(self.fall):
            x = blocks(x)
            if level < len(self.down):
                skips.append(x)
                x = self.down[level](x)
        for level in reversed(range(len(skips))):
            x = self.rise[level](skips[level] + F.pixel_shuffle(self.up[level](x), 2))
        return self.leave(x)


def add_dropout(net: nn.Module, share: float) -> None:
    """While the net trains, drop `share` of the features in front of each weight layer but the first one of each part.

    A part is a child of the net (an encoder, a critic): what enters it is a picture or a latent, not a feature. In front of
    convolutions whole channels go, for neighbouring pixels tell the same.
    Srivastava et al., "Dropout", JMLR 2014; Tompson et al., "Efficient object localization using convolutional networks",
    CVPR 2015, arXiv:1411.4280.
    """

    def drop(layer: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        spoil = F.dropout2d if inputs[0].dim() == 4 else F.dropout
        return (spoil(inputs[0], share, layer.training), *inputs[1:])

    for part in net.children():
        layers = [layer for layer in part.modules() if isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d, nn.Linear))]
        for layer in layers[1:]:
            layer.register_forward_pre_hook(drop)
