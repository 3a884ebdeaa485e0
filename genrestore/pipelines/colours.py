"""Colours that a net may see, and those it may give: what goes wrong as soon as a picture is no opaque photograph."""

import torch
import torch.nn.functional as F
from torch import Tensor

from genrestore.fill.pyramid import grown
from genrestore.nets import layers

ROUNDING = 1e-6  # what equal channels may differ from their mean by
VISIBLE = 1 / 8  # opacity from which a pixel's own colour is fully believed
BESIDE = 2  # pixels round a hole whose transparency is looked at
GREY = 1 / 4  # share of a tile that is grey from which its colours are looked at: of photographs it is less as a rule
TINGE = (2 / 255, 6 / 255)  # colourfulness up to which a place counts as grey, and from which as coloured
CELL = 4  # pixels a side of the cells whose mean brightness is compared, smoothed twice over three: dithers of 8 vanish
ROUNDS = 8  # of the correction at most: what is clamped at black and white needs more than one


def bled(colour: Tensor, alpha: Tensor, hole: Tensor | None = None) -> Tensor:
    """Colours (1, C, H, W) of which those that alpha (1, 1, H, W) hides continue their visible neighbours.

    A sprite's transparent pixels are black or white as a rule, and a net that sees them draws a rim of that colour.
    What lies in the hole (H, W) bool, is not looked at.
    """
    sure = (alpha / VISIBLE).clamp(max=1)
    if hole is not None:
        sure = sure * ~hole
    if bool((alpha >= VISIBLE).all()) or not bool(sure.any()):
        return colour
    return layers.pull_push(colour, 1 - sure)


def alike(alpha: Tensor, hole: Tensor) -> float | None:
    """The transparency (1, H, W) of what touches a hole (H, W; bool), if it is one and the same."""
    beside = alpha[0, grown(hole, BESIDE) & ~hole]
    return float(beside[0]) if bool((beside == beside[0]).all()) else None


def as_grey(out: Tensor, low: Tensor) -> Tensor:
    """`out` (1, 3, sH, sW), coloured no more than `low` (1, 3, H, W) where that is grey or nearly so.

    Trained on photographs, a net puts coloured fringes of up to 87 levels round the letters of a grey page.
    """
    tinge = F.hardshrink(low - low.mean(1, keepdim=True), ROUNDING)
    most = tinge.abs().amax(1, keepdim=True)
    if float((most <= TINGE[0]).float().mean()) < GREY:
        return out
    most = F.max_pool2d(F.max_pool2d(most, (5, 1), 1, (2, 0)), (1, 5), 1, (0, 2))
    own = ((most - TINGE[0]) / (TINGE[1] - TINGE[0])).clamp(0, 1)  # how much of the net's own colour is taken
    smooth = F.interpolate(torch.cat([own, tinge], 1), size=out.shape[-2:], mode="bilinear", align_corners=False)
    own, tinge = smooth[:, :1], smooth[:, 1:]
    grey = out.mean(1, keepdim=True)
    return grey + torch.lerp(tinge, out - grey, own)


def as_bright(out: Tensor, low: Tensor) -> Tensor:
    """`out` (1, C, sH, sW) brightened or darkened to the local means of `low` (1, C, H, W); low frequencies alone.

    Irani & Peleg, "Improving resolution by image registration", CVGIP 1991 (back-projection). Up to one level of 255 is let
    be: there photographs lie, whose fine detail must not be touched, and dithers do not.
    """
    height, width = low.shape[-2:]
    scale = out.shape[-1] // width
    for _ in range(ROUNDS):
        missing = F.pad(low - F.avg_pool2d(out, scale), (0, -width % CELL, 0, -height % CELL), mode="replicate")
        missing = F.avg_pool2d(missing, CELL)
        for _ in range(2):
            missing = F.avg_pool2d(missing, 3, 1, 1, count_include_pad=False)
        missing = F.softshrink(missing, 1 / 255)
        if float(missing.abs().max()) < 0.5 / 255:
            break
        more = F.interpolate(missing, scale_factor=CELL * scale, mode="bilinear", align_corners=False)
        out = (out + more[..., : out.shape[-2], : out.shape[-1]]).clamp_(0, 1)
    return out


def within(out: Tensor, image: Tensor, known: Tensor) -> Tensor:
    """A fill (1, 3, H, W), coloured within what the known (H, W; bool) pixels of the image are; grey where they are grey."""
    if not bool(known.any()):
        return out
    mean = out.mean(1, keepdim=True)
    seen = F.hardshrink(image - image.mean(1, keepdim=True), ROUNDING)[0][:, known]  # (3, N)
    low, high = (bound[None, :, None, None] for bound in (seen.amin(1), seen.amax(1)))
    return mean + torch.minimum(torch.maximum(out - mean, low), high)
