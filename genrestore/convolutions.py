"""Convolutions as matrix products, for training on a processor: fewer multiplications than torch's own, the same result.

**4×4, stride 2, padding 1.** Such a convolution is the sum of four 2×2 convolutions of stride 1, one for each of the four phases
of its picture (even and odd rows and columns). Polynomials are evaluated at 9×9 points for a tile of 8×8 pixels of that sum (at
5×5 for 4×4), multiplied there, 81 times instead of 256 (25 instead of 64), and carried back: one matrix product a point.
Winograd, "Arithmetic complexity of computations", SIAM 1980: minimal filtering, here F(8×8, 2×2), by the transposed algorithm of
Toom and Cook. Lavin & Gray, "Fast algorithms for convolutional neural networks", CVPR 2016, arXiv:1509.09308: the products.
With few channels there is nothing to gain from that: one product with all 4×4 patches.

**As large as the picture**, or from a single pixel: one product, in which torch sees a convolution and is slow.

What the layers hand on lies in memory with the batch innermost, (H, W, C, B): then all steps along the height and the width are
products too, whose columns lie in one piece, and nothing is ever moved. Batch normalisation follows.

In the names below, a picture x (B, C, H, W) becomes y (B, N, H/2, W/2) by the weight w (N, C, 4, 4), in T×U tiles of P points
along an axis. X, Y and W are their values at the points: X and Y one tensor for each tile, (P², 4C, B) and (P², N, B), and W
(P², N, 4C). Every transform is linear, so its gradient is its adjoint's; the transposed convolution takes the same six.
"""

import math
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from functools import cache, partial
from itertools import zip_longest
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.autograd import Function

TAPS = 2  # of a phase's convolution, along one axis
# The points of a tile, by its side; infinity is one more. The most exact of many: off by 1e-6 and by 2e-5 of the result's
# standard deviation, where torch's convolution is off by 5e-7, in bf16 by 2e-3.
POINTS = {4: (0.0, 0.75, -0.75, 1.5), 8: (0.0, 0.4, -0.4, 0.9, -0.9, 1.55, -1.55, 3.3)}
FEW = 32  # channels on either side, below which the transforms take as long as the products save
MANY = 64  # pictures in a batch, below which the products are too thin to pay
OFF_CENTRE = 1e4  # a mean's square by the variance, above which their difference keeps too few digits

Linear = Callable[..., Any]


def _values(tile: int, length: int) -> np.ndarray:
    """The first powers of each point of a tile; of infinity, the highest one's coefficient."""
    finite = [[point**k for k in range(length)] for point in POINTS[tile]]
    return np.array([*finite, [0.0] * (length - 1) + [1.0]])


@cache
def _of_numbers(tile: int, length: int, plane: bool = False) -> Tensor:
    """(P, length): what turns numbers into a tile's points along an axis; with `plane`, along both at once, squared each."""
    values = _values(tile, length)
    return torch.tensor(np.kron(values, values) if plane else values, dtype=torch.float32)


@cache
def _spans(tile: int, tiles: int, back: bool = False) -> list[list[tuple[slice, Tensor, Tensor]]]:
    """Along an axis, for each tile and phase: its pixels, the matrix (P, pixels) that turns them into points, P times that.

    With `back`, the matrices transposed. Phase 0 begins with a pixel above the picture, phase 1 ends with one below it. Those are
    zero and left out. The last pixel of a tile is the first one of the next.
    """
    every = torch.tensor(np.linalg.inv(_values(tile, tile + 1)).T, dtype=torch.float32)
    spans: list[list[tuple[slice, Tensor, Tensor]]] = []
    for first in range(0, tile * tiles, tile):
        span: list[tuple[slice, Tensor, Tensor]] = []
        for phase in (0, 1):
            a, b = max(first, 1 - phase), min(first + tile, tile * tiles - phase)
            matrix = every[:, a - first : b - first + 1]
            matrix = matrix.T if back else matrix
            span.append((slice(2 * a - 1 + phase, 2 * b + phase, 2), matrix, matrix.expand(tile + 1, -1, -1)))
        spans.append(span)
    return spans


def _tile(*sides: int) -> int:
    """The side of the tiles of an output of this size; 0 where none fits."""
    return next((tile for tile in (8, 4) if all(side % tile == 0 for side in sides)), 0)


def _batch_last(x: Tensor) -> Tensor:
    """(B, C, H, W) → (H, W, C, B), contiguous."""
    return x.permute(2, 3, 1, 0).contiguous()


def _layout(height: int, width: int, channels: int, batch: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Size and strides of a picture (B, C, H, W) that lies in memory as (H, W, C, B)."""
    return (batch, channels, height, width), (1, batch, width * channels * batch, channels * batch)


def _empty(like: Tensor, *sides: int) -> tuple[Tensor, Tensor]:
    """A new picture (B, C, H, W), and the same memory as (H, W, C, B)."""
    x = torch.empty_strided(*_layout(*sides), dtype=like.dtype)
    return x, x.permute(2, 3, 1, 0)


def picture_to_points(x: Tensor) -> tuple[Tensor, ...]:
    """x → X."""
    batch, channels, height, width = x.shape
    tile = _tile(height // 2, width // 2)
    x = _batch_last(x).view(height, -1)
    rows = x.new_empty(tile + 1, 2, width, channels * batch)
    phases, flat = rows.unbind(1), rows.flatten(2).unbind(1)
    tiles: list[Tensor] = []
    for span in _spans(tile, height // 2 // tile):
        for (pixels, matrix, _), into in zip(span, flat, strict=True):
            torch.mm(matrix, x[pixels], out=into)
        for across in _spans(tile, width // 2 // tile):
            points = x.new_empty(tile + 1, tile + 1, 4, channels * batch)
            for k, into in enumerate(points.unbind(2)):
                pixels, _, matrices = across[k % 2]
                torch.bmm(matrices, phases[k // 2][:, pixels], out=into)
            tiles.append(points.view(-1, 4 * channels, batch))
    return tuple(tiles)


def points_to_picture(*points: Tensor, high: int) -> Tensor:
    """X → x, the adjoint of `picture_to_points`; of `high` rows of tiles."""
    square, channels, batch = points[0].shape
    side, wide = math.isqrt(square), len(points) // high
    tile, channels = side - 1, channels // 4
    picture, x = _empty(points[0], 2 * tile * high, 2 * tile * wide, channels, batch)
    x = x.view(2 * tile * high, -1)
    if high > 1:
        x.zero_()
    rows = x.new_empty(side, 2, 2 * tile * wide, channels * batch)
    phases, flat = rows.unbind(1), rows.flatten(2).unbind(1)
    tiles = iter(points)
    for span in _spans(tile, high, back=True):
        if wide > 1:
            rows.zero_()
        for across in _spans(tile, wide, back=True):
            for k, some in enumerate(next(tiles).reshape(side, side, 4, -1).unbind(2)):
                pixels, _, matrices = across[k % 2]
                into = phases[k // 2][:, pixels]
                torch.baddbmm(into, matrices, some, beta=wide > 1, out=into)
        for (pixels, matrix, _), some in zip(span, flat, strict=True):
            into = x[pixels]
            torch.addmm(into, matrix, some, beta=high > 1, out=into)
    return picture


def output_to_points(y: Tensor) -> tuple[Tensor, ...]:
    """y → Y."""
    batch, channels, height, width = y.shape
    tile = _tile(height, width)
    matrix = _of_numbers(tile, tile)
    matrices = matrix.expand(tile + 1, -1, -1)
    tiles: list[Tensor] = []
    for part in _batch_last(y).view(height // tile, tile, -1).unbind():
        rows = (matrix @ part).view(tile + 1, width // tile, tile, -1)
        tiles += [torch.bmm(matrices, across).view(-1, channels, batch) for across in rows.unbind(1)]
    return tuple(tiles)


def points_to_output(*points: Tensor, high: int) -> Tensor:
    """Y → y, the adjoint of `output_to_points`; of `high` rows of tiles."""
    square, channels, batch = points[0].shape
    side, wide = math.isqrt(square), len(points) // high
    tile = side - 1
    matrix = _of_numbers(tile, tile).T
    matrices = matrix.expand(side, -1, -1)
    output, y = _empty(points[0], tile * high, tile * wide, channels, batch)
    rows = y.new_empty(side, wide, tile, channels * batch)
    tiles = iter(points)
    for part in y.view(high, tile, -1).unbind():
        for across in rows.unbind(1):
            torch.bmm(matrices, next(tiles).reshape(side, side, -1), out=across)
        torch.mm(matrix, rows.view(side, -1), out=part)
    return output


def weight_to_points(w: Tensor, tile: int) -> Tensor:
    """w → W."""
    n, c = w.shape[:2]
    taps = w.permute(0, 2, 3, 1).reshape(n, TAPS, 2, TAPS, 2, c).permute(1, 3, 0, 2, 4, 5)
    return (_of_numbers(tile, TAPS, plane=True) @ taps.reshape(TAPS * TAPS, -1)).view(-1, n, 4 * c)


def points_to_weight(points: Tensor) -> Tensor:
    """W → w, the adjoint of `weight_to_points`."""
    square, n, c = points.shape
    back = _of_numbers(math.isqrt(square) - 1, TAPS, plane=True).T
    taps = (back @ points.reshape(square, -1)).view(TAPS, TAPS, n, 2, 2, c // 4)
    return taps.permute(2, 0, 3, 1, 4, 5).reshape(n, 4, 4, c // 4).permute(0, 3, 1, 2)


class _Linear(Function):
    """A linear map `there` of some tensors to some others, and its adjoint `back`."""

    @staticmethod
    def forward(ctx: Any, there: Linear, back: Linear, *tensors: Tensor) -> Any:
        ctx.ways = back, there
        return there(*tensors)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Any, ...]:
        result = _Linear.apply(*ctx.ways, *gradients)
        return (None, None, *result) if isinstance(result, tuple) else (None, None, result)


class _Transposed(Function):
    """The matrices Wᵀ Y, (M, N, K) and (M, N, L) → (M, K, L). As torch's, but the gradient of W lies in memory as W does."""

    @staticmethod
    def forward(ctx: Any, w: Tensor, y: Tensor) -> Tensor:
        ctx.save_for_backward(w, y)
        return torch.bmm(w.mT, y)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor]:
        (w, y), (slope,) = ctx.saved_tensors, gradients
        return torch.bmm(y, slope.mT), torch.bmm(w, slope)


class _Step(threading.local):
    """What is known within a step of training; without one, nothing is."""

    known: dict[tuple[int, int, int], Tensor] | None = None
    pictures = 0


_step = _Step()


@contextmanager
def step(pictures: int = 0) -> Generator[None, None, None]:
    """For a step of training: within it, a weight that does not move is carried to its points once.

    With `pictures`, the ways are those for as many, however few there are: a trial for a larger batch.
    """
    _step.known, _step.pictures = {}, pictures
    try:
        yield
    finally:
        _step.known, _step.pictures = None, 0


def _parameter_to_points(w: Tensor, tile: int) -> Tensor:
    """`weight_to_points`, unless this step knows the result."""
    known, key = _step.known, (id(w), w._version, tile)
    if known is None or not isinstance(w, nn.Parameter):
        return weight_to_points(w, tile)
    if key not in known:
        known[key] = weight_to_points(w, tile)
    return known[key].detach()


def _weight_at_points(weight: Tensor, tile: int) -> Tensor:
    return _Linear.apply(partial(_parameter_to_points, tile=tile), points_to_weight, weight)


def strided(x: Tensor, weight: Tensor) -> Tensor:
    """(B, C, H, W), (N, C, 4, 4) → (B, N, H/2, W/2), as conv2d of stride 2 and padding 1, for H, W divisible by 8. All fp32."""
    tile = _tile(x.shape[2] // 2, x.shape[3] // 2)
    high = x.shape[2] // 2 // tile
    points = _Linear.apply(picture_to_points, partial(points_to_picture, high=high), x)
    at_points = _weight_at_points(weight, tile)
    products = [torch.bmm(at_points, some) for some in points]
    return _Linear.apply(partial(points_to_output, high=high), output_to_points, *products)


def strided_transposed(y: Tensor, weight: Tensor) -> Tensor:
    """(B, N, H, W), (N, C, 4, 4) → (B, C, 2H, 2W), as conv_transpose2d of stride 2 and padding 1, for H, W divisible by 4."""
    tile = _tile(*y.shape[2:])
    high = y.shape[2] // tile
    points = _Linear.apply(output_to_points, partial(points_to_output, high=high), y)
    at_points = _weight_at_points(weight, tile)
    products = [_Transposed.apply(at_points, some) for some in points]
    return _Linear.apply(partial(points_to_picture, high=high), picture_to_points, *products)


def _patches(x: Tensor) -> Tensor:
    """x → the 4×4 patch of each pixel of y, (H/2 · W/2, 16C, B)."""
    batch, channels, height, width = x.shape
    frame = x.new_zeros(height + 2, width + 2, channels, batch)
    frame[1:-1, 1:-1] = x.permute(2, 3, 1, 0)
    down, right = frame.stride()[:2]
    size = height // 2, width // 2, 4, 4, channels, batch
    return frame.as_strided(size, (2 * down, 2 * right, *frame.stride())).reshape(-1, 16 * channels, batch)


def _from_patches(patches: Tensor, height: int) -> Tensor:
    """The adjoint of `_patches`, for pictures of this height."""
    batch, channels = patches.shape[2], patches.shape[1] // 16
    # The four rows of a patch, and its columns, are two pairs: a pair from every patch together fills the frame's.
    patches = patches.view(height // 2, -1, 2, 2, 2, 2, channels, batch)
    high, wide = patches.shape[:2]
    frame = patches.new_zeros(high + 1, 2, wide + 1, 2, channels, batch)
    for i in range(2):
        for j in range(2):
            frame[i : i + high, :, j : j + wide] += patches[:, :, i, :, j].transpose(1, 2)
    picture, x = _empty(patches, height, 2 * wide, channels, batch)
    x.copy_(frame.view(height + 2, 2 * wide + 2, channels, batch)[1:-1, 1:-1])
    return picture


def _as_picture(rows: Tensor, height: int) -> Tensor:
    """(H · W, N, B) → (B, N, H, W), in the same memory. No view for autograd: an activation may write over it."""
    pixels, channels, batch = rows.shape
    size, strides = _layout(height, pixels // height, channels, batch)
    rows = rows.contiguous()
    return rows.new_empty(0).set_(rows.untyped_storage(), rows.storage_offset(), size, strides)


def _as_rows(picture: Tensor) -> Tensor:
    return _batch_last(picture).flatten(0, 1)


def _matrix(weight: Tensor) -> Tensor:
    """(N, C, H, W) → (N, H · W · C)."""
    return weight.permute(0, 2, 3, 1).flatten(1)


def few_strided(x: Tensor, weight: Tensor) -> Tensor:
    """`strided`, for few channels C and any even H and W."""
    height = x.shape[2]
    patches = _Linear.apply(_patches, partial(_from_patches, height=height), x)
    rows = torch.bmm(_matrix(weight).expand(len(patches), -1, -1), patches)
    return _Linear.apply(partial(_as_picture, height=height // 2), _as_rows, rows)


def few_strided_transposed(y: Tensor, weight: Tensor) -> Tensor:
    """`strided_transposed`, for few channels C and any H and W."""
    height = y.shape[2]
    rows = _Linear.apply(_as_rows, partial(_as_picture, height=height), y)
    patches = torch.bmm(_matrix(weight).T.expand(len(rows), -1, -1), rows)
    return _Linear.apply(partial(_from_patches, height=2 * height), _patches, patches)


def whole(x: Tensor, weight: Tensor) -> Tensor:
    """(B, C, H, W), (N, C, H, W) → (B, N, 1, 1), as conv2d."""
    return (_matrix(weight) @ x.permute(2, 3, 1, 0).flatten(0, 2)).T[:, :, None, None]


def from_pixel(y: Tensor, weight: Tensor) -> Tensor:
    """(B, N, 1, 1), (N, C, H, W) → (B, C, H, W), as conv_transpose2d."""
    _, channels, height, width = weight.shape
    rows = _matrix(weight).T @ y.flatten(1).T
    return rows.view(height, width, channels, len(y)).permute(3, 2, 0, 1)


def _pays(layer: nn.Module, x: Tensor) -> bool:
    return (
        layer.training
        and x.device.type == "cpu"
        and x.dtype == torch.float32
        and (_step.pictures or len(x)) >= MANY
        and not torch.is_autocast_enabled("cpu")
        and not torch.compiler.is_compiling()
    )


def _way(layer: nn.Conv2d | nn.ConvTranspose2d, x: Tensor) -> Callable[[Tensor, Tensor], Tensor] | None:
    """How to compute this layer of this picture, or None for torch's way."""
    if not _pays(layer, x) or layer.groups > 1 or layer.dilation != (1, 1) or layer.padding_mode != "zeros":
        return None
    if any(layer.output_padding):
        return None
    up, size = isinstance(layer, nn.ConvTranspose2d), tuple(x.shape[2:])
    if layer.padding == (0, 0) and size == ((1, 1) if up else layer.kernel_size):
        return from_pixel if up else whole
    if layer.kernel_size != (4, 4) or layer.stride != (2, 2) or layer.padding != (1, 1):
        return None
    n, c = layer.weight.shape[:2]
    if min(n, c) >= FEW and _tile(*size if up else (size[0] // 2, size[1] // 2)):
        return strided_transposed if up else strided
    if c < FEW and (up or size[0] % 2 == size[1] % 2 == 0):
        return few_strided_transposed if up else few_strided
    return None


def _quickly(layer: nn.Conv2d | nn.ConvTranspose2d, x: Tensor) -> Tensor | None:
    way = _way(layer, x)
    if way is None:
        return None
    output = way(x, layer.weight)
    return output if layer.bias is None else output + layer.bias[:, None, None]


class QuickConv2d(nn.Conv2d):
    """nn.Conv2d that takes this module's ways where they pay, while it trains."""

    def forward(self, input: Tensor) -> Tensor:
        output = _quickly(self, input)
        return super().forward(input) if output is None else output


class QuickConvTranspose2d(nn.ConvTranspose2d):
    """nn.ConvTranspose2d that takes this module's ways where they pay, while it trains."""

    def forward(self, input: Tensor, output_size: list[int] | None = None) -> Tensor:
        output = None if output_size else _quickly(self, input)
        return super().forward(input, output_size) if output is None else output


def _in_rows(x: Tensor) -> Tensor:
    """(B, C, H, W) → (H · W, C, B, 1), in the same memory where the batch lies innermost."""
    return _as_rows(x).unsqueeze(-1)


def _moments(rows: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and variance of each channel of (R, C, B, 1), in one pass each; by torch's two where this one loses digits."""
    n = len(rows) * rows.shape[2]
    mean = rows.sum((2, 3)).sum(0, dtype=torch.float64) / n
    variance = torch.linalg.vector_norm(rows, dim=(2, 3)).double().square().sum(0) / n - mean.square()
    if (mean.square() > OFF_CENTRE * variance).any():
        variance, mean = torch.var_mean(rows, (0, 2, 3), correction=0)
    return mean.float(), variance.float()


class _Normalised(Function):
    """Batch normalisation of a picture whose batch lies innermost, by the batch's own mean and variance."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, mean: Tensor, variance: Tensor, eps: float
    ) -> Tensor:
        y = torch.empty_like(x)
        spare = torch.empty_like(mean)
        rows = _in_rows(x)
        torch.native_batch_norm(rows, weight, bias, mean, variance, False, 0.0, eps, out=(_in_rows(y), spare, spare))
        ctx.save_for_backward(x, weight, mean, (variance + eps).rsqrt())
        ctx.eps = eps
        return y

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, mean, scale = ctx.saved_tensors
        batch, channels, height, width = x.shape
        into, *others = torch.ops.aten.native_batch_norm_backward(
            _in_rows(*gradients), _in_rows(x), weight, None, None, mean, scale, True, ctx.eps, [True, True, True]
        )
        return into.view(height, width, channels, batch).permute(3, 2, 0, 1), *others, None, None, None


class QuickBatchNorm2d(nn.BatchNorm2d):
    """nn.BatchNorm2d that leaves the batch innermost where it finds it there."""

    def forward(self, input: Tensor) -> Tensor:
        usual = self.affine and self.track_running_stats and self.momentum is not None
        if not (usual and _pays(self, input) and input.permute(2, 3, 1, 0).is_contiguous()):
            return super().forward(input)
        with torch.no_grad():
            mean, variance = _moments(_in_rows(input))
            n = input.numel() // input.shape[1]
            for kept, now in ((self.running_mean, mean), (self.running_var, variance * (n / (n - 1)))):
                cast(Tensor, kept).lerp_(now, self.momentum or 0.0)
            cast(Tensor, self.num_batches_tracked).add_(1)
        return _Normalised.apply(input, self.weight, self.bias, mean, variance, self.eps)


class _Rectified(Function):
    """A rectifier in place; its gradient in place too, which must be no one else's, unless that is differentiated in turn."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, rectifier: Callable[[Tensor], Tensor], slope: float) -> Tensor:
        y = rectifier(x)
        ctx.mark_dirty(y)
        ctx.save_for_backward(y)
        ctx.slope = slope
        return y

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        (y,), (gradient,) = ctx.saved_tensors, gradients
        bend = torch.ops.aten.leaky_relu_backward
        if torch.is_grad_enabled():
            return bend(gradient, y, ctx.slope, True), None, None
        return bend.grad_input(gradient, y, ctx.slope, True, grad_input=gradient), None, None


def _slope(layer: nn.Module) -> float | None:
    """Of a rectifier in place, its slope below zero."""
    if type(layer) is nn.LeakyReLU and layer.inplace:
        return layer.negative_slope
    return 0.0 if type(layer) is nn.ReLU and layer.inplace else None


class QuickSequential(nn.Sequential):
    """nn.Sequential in which a rectifier in place overwrites the gradient, too, that a quick convolution behind it makes anew."""

    def forward(self, input: Any) -> Any:
        layers = list(self)
        for layer, after in zip_longest(layers, layers[1:]):
            slope = _slope(layer)
            if slope is not None and isinstance(after, (QuickConv2d, QuickConvTranspose2d)) and _way(after, input):
                input = _Rectified.apply(input, layer, slope)
            else:
                input = layer(input)
        return input


QUICK: dict[type[nn.Module], type[nn.Module]] = {
    nn.Conv2d: QuickConv2d,
    nn.ConvTranspose2d: QuickConvTranspose2d,
    nn.BatchNorm2d: QuickBatchNorm2d,
    nn.Sequential: QuickSequential,
}


def quicken(net: nn.Module) -> None:
    """Let the layers of `net` take the ways of this module where they pay, while it trains. Its weights stay as they are."""
    for layer in net.modules():
        layer.__class__ = QUICK.get(type(layer), type(layer))
