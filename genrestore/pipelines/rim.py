"""The rim of a mask, grown or not, and what of it is kept."""

from collections.abc import Iterable, Iterator

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from genrestore.fill.pyramid import grown
from genrestore.pictures import image as pictures
from genrestore.pictures.image import Picture

HALO = 0.1  # share of what goes in a pixel's colour, from which the pixel is not kept
STRANGE = 1.0  # deviations from the ground's mean, from which a pixel is not kept
FAINT = 2 / 255  # the least that counts as one
SURE = 8  # pixels beyond a grown mask whose mean is compared with


def widened(hole: np.ndarray, by: int) -> np.ndarray:
    """A mask (H, W; bool) grown by so many pixels on every side: by an octagon, which is nearly a disc."""
    *_, last = widening(hole, by)
    return last


def widening(hole: np.ndarray, by: int) -> Iterator[np.ndarray]:
    """The mask as it is, and grown by 1, 2 … pixels."""
    yield hole
    wider = torch.from_numpy(hole)[None, None].float()
    for step in range(by):
        across = F.max_pool2d(wider, (1, 3), 1, (0, 1))
        if step % 2:
            wider = F.max_pool2d(across, (3, 1), 1, (1, 0))
        else:
            wider = torch.maximum(across, F.max_pool2d(wider, (3, 1), 1, (1, 0)))
        yield (wider[0, 0] > 0).numpy()


def faded(
    source: Picture,
    filled: Picture,
    mask: np.ndarray,
    hole: np.ndarray,
    grow: int,
    parts: Iterable[tuple[slice, slice]],
) -> Picture:
    """What was there shines through the fill of a hole, a mask (H, W; bool) that was grown, the more the farther out, where it is
    sound.

    A pixel on the way from the mean colour beyond the hole to that of what was drawn over is a soft edge or a halo, as in
    matting, and one far from that mean a shadow, where the ground is even; plain fading brought both back. Whether the fill
    fits tells nothing: texture never does.

    Args:
        parts: rows and columns that hold all of the grown mask, and some of what lies round it.
    """
    pixels = filled.pixels.copy()
    for part in parts:
        inside = hole[part]
        known = ~inside if source.alpha is None else ~inside & (source.alpha[part][..., 0] > 0)
        before = planes(source, part)
        ground = local_mean(before, known, grow + SURE)
        way = local_mean(before, mask[part], grow + SURE // 2) - ground
        share = ((before - ground) * way).sum(0) / way.square().sum(0).clamp(min=1e-3 * len(way) / 2)
        share = F.avg_pool2d(share[None], 3, 1, 1)[0]
        far = np.zeros(known.shape, np.float32)  # 0 in the mask, 1 beyond the rim
        for within in widening(mask[part], grow):
            far += ~within / np.float32(grow + 1)
        off = (F.avg_pool2d(before[None], 3, 1, 1)[0] - ground).square().mean(0)
        usual = (local_mean(before.square(), known, grow + SURE) - ground.square()).mean(0).clamp(min=FAINT**2)
        weight = torch.from_numpy(far) * torch.exp(
            -((share.clamp(min=0) / HALO) ** 4) - (off / usual / STRANGE**2) ** 2
        )
        rim = inside & ~mask[part]
        if source.alpha is not None:
            assert filled.alpha is not None
            rim &= (source.alpha[part] == filled.alpha[part])[..., 0]
        into = pixels[part][..., : len(before)]
        mixed = torch.lerp(planes(filled, part), before, weight).movedim(0, 2).numpy()
        into[rim] = np.rint(mixed[rim] * source.peak)
    return filled.with_pixels(pixels)


def feathered(
    source: Picture,
    filled: Picture,
    hole: np.ndarray,
    feather: int,
    parts: Iterable[tuple[slice, slice]],
    opaque: bool,
) -> Picture:
    """The fill of a hole (H, W; bool) fades evenly into what was there over its outermost `feather` pixels.

    Over fewer where a part of it is narrower, so that its middle is filled. The picture's edge is no edge of a hole.

    Args:
        parts: rows and columns that hold all of the hole, and a pixel round it.
        opaque: what fades keeps the fill's opacity, for the transparency of the source is nothing that one could fade into.
    """
    pixels = filled.pixels.copy()
    for part in parts:
        depth = torch.zeros(hole[part].shape)  # 1 at the edge, 2 next to that, to feather + 1
        for known in widening(~hole[part], feather):
            depth += torch.from_numpy(~known)
        deepest = depth.clamp(max=1)  # of the largest square of the hole that each pixel lies in
        for least in range(2, int(depth.max()) + 1):
            deepest[grown(depth >= least, least - 1)] = least
        kept = (1 - depth / deepest.clamp(min=1)).clamp(min=0) * (depth > 0)
        before, after = (
            pictures.to_tensor(picture.with_pixels(np.ascontiguousarray(picture.pixels[part])))[0]
            for picture in (source, filled)
        )
        if source.alpha is not None and opaque:
            kept = kept * before[-1]
            before[-1] = after[-1]
        elif source.alpha is not None:
            opacity = torch.lerp(after[-1], before[-1], kept)
            hidden = opacity == 0
            mixed = torch.lerp(after[:-1] * after[-1], before[:-1] * before[-1], kept) / opacity.masked_fill(hidden, 1)
            before = torch.cat([torch.where(hidden, after[:-1], mixed), opacity[None]])
        if source.alpha is None or opaque:
            before = torch.lerp(after, before, kept)
        rim = (kept > 0).numpy()
        pixels[part][rim] = np.rint(before.movedim(0, 2).numpy()[rim] * source.peak)
    return filled.with_pixels(pixels)


def planes(picture: Picture, part: tuple[slice, slice]) -> Tensor:
    """(1 or 3, h, w): the colours of a part of a picture in [0, 1]."""
    return pictures.to_tensor(picture.with_pixels(picture.colour[part]))[0]


def local_mean(planes: Tensor, of: np.ndarray, radius: int) -> Tensor:
    """(C, H, W): the mean of those (H, W; bool) of the pixels that lie within a square round each; 0 where none does."""
    some = torch.from_numpy(of)[None].float()
    both = torch.cat([planes * some, some])[None]
    across = F.avg_pool2d(both, (1, 2 * radius + 1), 1, (0, radius))
    total = F.avg_pool2d(across, (2 * radius + 1, 1), 1, (radius, 0))[0]
    return total[:-1] / total[-1:].clamp(min=1e-8)
