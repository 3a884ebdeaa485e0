"""Find the damage of a scanned photograph, and mend an old one: damage found, filled, grain taken out."""

import threading
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from genrestore import runtime, weights
from genrestore.pictures import image as pictures
from genrestore.pictures.image import Picture, Source
from genrestore.pipelines.arguments import settled, whole
from genrestore.pipelines.inpaint import repair, signed_repair, widened
from genrestore.pipelines.restore import restore
from genrestore.tasks.damage import GROW, MILD
from genrestore.tasks.inpaint import LARGEST_GROWTH
from genrestore.tasks.task import LARGEST_SEED

LIKELY = 0.4  # of a pixel, from which it belongs to damage that is sure elsewhere; see benchmarks/quality.py
SURE = 0.98  # of the surest pixel of a group, without which the group is none
EVIDENCE = 4.0  # sum of a group's likelihoods, without which it is none
DECIDED = 0.1  # share of the likely pixels that are sure, without which the photo counts as clean
RANGE = 8.0  # by how much the logits of these move from sensitivity 0 to 1
TILE = 768  # pixels a side of a tile: the net sees far and computes little
COARSE = 1 << 20  # pixels that a halved picture has to have to be looked at too


def find_damage(
    image: Source,
    *,
    model: str = "auto",
    sensitivity: float = 0.5,
    frame: int | None = None,
    progress: runtime.Progress | None = None,
    cancel: threading.Event | None = None,
) -> np.ndarray:
    """The damage of a scanned photograph, as a mask that `inpaint` takes: (H, W) bool, True where it should be filled.

    Dust, hairs, scratches, creases, tears, stains, water marks and writing. It is a proposal to look at: wires, stars and
    letters of the scene may be in it, and light damage on a busy photo may be missed, since nothing is marked where the net
    mostly doubts. Large pictures are looked at in half their size too, and so on, since a fine scan shows the same damage
    larger.

    Args:
        image: a Picture, a PIL image, a path, or the bytes of a file; any size, 8 or 16 bits. What is transparent is no damage.
        sensitivity: 0 to 1; the higher, the more is found, and the more of it is no damage.
        frame: of an animation or a document of pages, the one to take, from 1 on.

    Raises:
        ImageError, SettingError, ModelError: an argument does not allow it.
        Cancelled: `cancel` was set.
    """
    wanted = settled("damage", sensitivity=sensitivity)["sensitivity"]
    return marked(likelihood(pictures.load(image, frame=frame), model, progress, cancel), wanted)


def likelihood(
    source: Picture,
    model: str = "auto",
    progress: runtime.Progress | None = None,
    cancel: threading.Event | None = None,
) -> np.ndarray:
    """(H, W) float32: how likely each pixel is damage, at the scale at which that is likeliest."""
    chosen = runtime.load(model, task="damage", pixels=source.width * source.height)
    colour = torch.from_numpy(np.require(source.colour, requirements=["C", "W"])).permute(2, 0, 1)[None]
    scales = [colour]
    while scales[-1].shape[-1] * scales[-1].shape[-2] >= 4 * COARSE:
        scales.append(_halved(scales[-1]))
    work = sum(scale[0, 0].numel() for scale in scales)
    found = torch.zeros(1, 1, source.height, source.width)
    done = 0
    for scale in scales:
        share = scale[0, 0].numel() / work
        coarse = _seen(chosen, scale, _portion(progress, done, share), cancel)
        found = torch.maximum(found, F.interpolate(coarse, found.shape[-2:], mode="bilinear", align_corners=False))
        done += share
    likely = found[0, 0].numpy()
    if source.colour.shape[2] < source.channels:
        likely[source.pixels[..., -1] == 0] = 0
    return likely


def _portion(progress: runtime.Progress | None, done: float, share: float) -> runtime.Progress | None:
    """`progress` of a part of the work."""
    return None if progress is None else lambda part, what: progress(done + share * part, what)


def _halved(samples: Tensor) -> Tensor:
    """(1, C, H, W) samples or floats → (1, C, ⌊H/2⌋, ⌊W/2⌋) float32 in [0, 1]."""
    height, width = (length // 2 * 2 for length in samples.shape[-2:])
    top, peak = samples[..., :height, :width], 1.0 if samples.is_floating_point() else torch.iinfo(samples.dtype).max
    quarters = [top[..., y::2, x::2].float() for y in (0, 1) for x in (0, 1)]
    return sum(quarters[1:], quarters[0]) / (4 * peak)


def _seen(
    chosen: runtime.Model, samples: Tensor, progress: runtime.Progress | None, cancel: threading.Event | None
) -> Tensor:
    """(1, C, H, W), one scale of the picture → (1, 1, H, W)."""
    with runtime.large_work():
        shown = samples.expand(1, 3, -1, -1)
        bands = [band.cpu() for band in runtime.rows(chosen, shown, tile=TILE, progress=progress, cancel=cancel)]
    return torch.cat(bands, 2)


def marked(likely: np.ndarray, sensitivity: float = 0.5) -> np.ndarray:
    """Likelihoods (H, W) → (H, W) bool: groups of likely pixels, of which one is sure, and which together weigh enough.

    Two thresholds as in Canny, "A computational approach to edge detection", PAMI 1986: a faint scratch is kept whole where it
    is plain somewhere, and a leaf that looks a little like dust is not. Nothing is marked where hardly any likely pixel is
    sure: on a clean photo the net doubts at many wires and lights, of damage it is sure more often.
    """
    shift = RANGE * (sensitivity - 0.5)
    decided, considered = (np.count_nonzero(likely >= threshold) for threshold in (SURE, LIKELY))
    if decided < _moved(DECIDED, shift) * considered:
        return np.zeros(likely.shape, bool)
    mask = likely >= _moved(LIKELY, shift)
    labels, count = groups(mask)
    values = likely[mask]
    surest = np.zeros(count, np.float32)
    np.maximum.at(surest, labels, values)
    kept = (surest >= _moved(SURE, shift)) & (np.bincount(labels, values, count) >= EVIDENCE)
    mask[mask] = kept[labels]
    return mask


def _moved(likelihood: float, shift: float) -> float:
    """The likelihood whose logit is lower by `shift`."""
    odds = likelihood / (1 - likelihood) * np.exp(-shift)
    return float(odds / (1 + odds))


def groups(mask: np.ndarray) -> tuple[np.ndarray, int]:
    """The group of each marked pixel of (H, W), in reading order, and how many groups there are; corners join pixels.

    Rows are cut into runs, runs that touch are joined, and each takes the smallest number of those it is joined to, until
    nothing changes.
    """
    pitch = mask.shape[1] + 2
    edges = np.diff(np.pad(mask, ((0, 0), (1, 1))).ravel().astype(np.int8), prepend=0)
    starts, ends = np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)
    first = np.searchsorted(ends, starts + pitch)  # the runs in the next row that touch each run
    counts = np.maximum(np.searchsorted(starts, ends + pitch, "right") - first, 0)
    above = np.repeat(np.arange(len(starts)), counts)
    below = np.arange(len(above)) - np.repeat(np.cumsum(counts) - counts - first, counts)
    labels = np.arange(len(starts))
    while (labels[above] != labels[below]).any():
        least = np.minimum(labels[above], labels[below])
        for side in (above, below):
            np.minimum.at(labels, labels[side], least)
        labels = labels[labels]
    names, labels = np.unique(labels, return_inverse=True)
    return np.repeat(labels, ends - starts), len(names)


class Step(NamedTuple):
    """A step of mending, and the picture after it; the first is the picture as it was given."""

    name: str  # "given", "filled", "restored"
    picture: Picture


class OldPhoto(NamedTuple):
    """What became of an old photo, step by step, so that any of them can be gone back to."""

    steps: tuple[Step, ...]
    mask: np.ndarray  # (H, W) bool: the damage, before it was widened

    @property
    def picture(self) -> Picture:
        return self.steps[-1].picture


def old_photo(
    image: Source,
    *,
    mask: Source | None = None,
    sensitivity: float = 0.5,
    grow: int = GROW,
    strength: float = MILD,
    seed: int = 0,
    frame: int | None = None,
    progress: runtime.Progress | None = None,
    cancel: threading.Event | None = None,
) -> OldPhoto:
    """Find the damage of a scanned photograph, fill it, and take out some of its grain where a net for that is installed.

    Args:
        image: as `find_damage` takes it.
        mask: what to fill instead of what is found, such as the found mask once a person has corrected it.
        sensitivity: of finding; see `find_damage`.
        grow: pixels by which the mask is widened before it is filled.
        strength: of restoring, 0 to 1; 0 leaves that step out. So does a picture without a net to restore.
        seed: of the fill of wide parts.

    Raises:
        ImageError, MaskError, SettingError, ModelError: an argument does not allow it.
        Cancelled: `cancel` was set.
    """
    whole("grow", grow, 0, LARGEST_GROWTH)
    whole("seed", seed, 0, LARGEST_SEED)
    share = settled("restore", strength=strength)["strength"]
    source = pictures.load(image, frame=frame)
    if mask is None:
        hole = find_damage(source, sensitivity=sensitivity, progress=_portion(progress, 0.0, 0.3), cancel=cancel)
    else:
        hole = pictures.load_mask(mask, (source.width, source.height))
    steps = [Step("given", source)]
    if hole.any():
        told = _portion(progress, 0.3, 0.5)
        wide = widened(hole, grow)
        filled = signed_repair(
            repair(source, wide, seed=seed, progress=told, cancel=cancel), source, "auto", {}, seed, {"mask": wide}
        )
        steps.append(Step("filled", filled))
    if share > 0 and weights.list_models("restore"):
        told = _portion(progress, 0.8, 0.2)
        restored = restore(steps[-1].picture, strength=share, progress=told, cancel=cancel)
        steps.append(Step("restored", restored))
    return OldPhoto(tuple(steps), hole)
