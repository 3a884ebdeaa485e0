"""Repair what a mask marks, and nothing else."""

import dataclasses
import threading
from collections.abc import Callable, Mapping
from functools import partial
from time import monotonic
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from genrestore import runtime, weights
from genrestore.errors import MaskError, SettingError, stop_if
from genrestore.fill import Settings
from genrestore.fill.shared import Once, anew
from genrestore.pictures import image as pictures
from genrestore.pictures.image import Picture, Source
from genrestore.pipelines import colours, pace, rim, wide
from genrestore.pipelines.arguments import whole
from genrestore.pipelines.made import signed
from genrestore.pipelines.rim import widened
from genrestore.pipelines.wide import Box
from genrestore.tasks.inpaint import EXEMPLAR, LARGEST_FEATHER, LARGEST_GROWTH, STRATEGIES
from genrestore.tasks.task import LARGEST_SEED

FORBID = "forbid mask"  # what errors call the mask of what must not be copied
REASONS = ("asked", "wide", "even", "alone")  # why a part was filled by pieces, by pieces, by a net, by a net
FILLS: dict[str, Settings | None] = {  # how wide parts may be filled
    # Of the picture, that look like a smooth fill from far; where they meet badly, their patches look for their like once more.
    "pieces": Settings(polish=8, quiet=100.0),
    "free": Settings(guide=0.0),  # that go on as the rim begins, wherever that leads
    "polished": Settings(polish=8),  # whose patches do so anyway
    "smooth": None,  # by a net
}
CONTEXT = 96  # pixels round a hole that the net is shown
FAR = 192  # of a net that looks at all that it is shown
LARGEST = 768  # pixels a side of what the net is given at once
OVERLAP = 64  # pixels that neighbouring pieces of a large hole share
BLOCK = 32  # pixels a side of the squares by which holes are found
ASK = 0.5  # share of the picture above which a mask may be the wrong way round
CORED = 1 / 32  # share of what an eraser touched that is wholly clear; where a picture fades or is tinted, it is less
CLEAR = 1 / 64  # a fill that is so nearly transparent or opaque is meant to be
RIM = 48  # pixels of a very wide hole that are filled at full size; its middle comes from a shrunken picture


def inpaint(
    image: Source,
    mask: Source | None = None,
    *,
    model: str = "auto",
    strategy: str = "crop",
    seed: int = 0,
    grow: int = 0,
    feather: int | None = None,
    forbid: Source | None = None,
    frame: int | None = None,
    progress: runtime.Progress | None = None,
    preview: runtime.Preview | None = None,
    cancel: threading.Event | None = None,
    **conditions: Any,
) -> Any:
    """Fill what the mask marks from its surroundings. Every sample outside the mask comes back unchanged.

    Transparency is filled like the colours, but a hole that was erased in a photo becomes opaque. Colours that transparency
    hides are not looked at; what stands in grey is filled grey.

    Args:
        image: a Picture, a PIL image, a path, or the bytes of a file; any size, 8 or 16 bits.
        mask: what is white and opaque is filled; see `image.load_mask`. Any mode, of the picture's size or proportions.
            None fills what is transparent in the picture; of what shines through faintly, as at the rim that a soft eraser
            leaves, as much is kept, unless `grow` takes it for spoilt or `feather` decides.
        model: "auto" fills thin and even parts by a net, and makes wide parts of pieces of the picture; EXEMPLAR makes all
            of pieces; the name of a net has that net fill all.
        strategy: "crop" works on a crop round each hole and costs what the holes cost; "whole" shows a net all of the
            picture, LARGEST pixels a side at once: a larger one in pieces of that size, which see no further.
        seed: of the random choices where pieces are searched, or of a net that draws; another one gives another fill. The
            shipped nets draw nothing.
        grow: pixels by which the mask is widened, at most LARGEST_GROWTH: a rim of what should go spoils every fill. What is
            sound in the wider part shines through, the more the farther out; `pipelines.growth`
            tells how many pixels suit a mask that was drawn by hand.
        feather: pixels inside the edge of the mask, grown or not, over which the fill fades evenly into what was there, fewer
            where the mask is narrow; at most LARGEST_FEATHER. 0: the fill ends hard. None: as `grow` says, and hard without.
        forbid: a mask of what must not be copied into wide parts, such as a second person.
        frame: of an animation or a document of pages, the one to take, from 1 on.
        preview: called with a PIL image of each hole and its surroundings after each step of a net that works in steps.
        conditions: what the net takes besides, see `runtime.Model.under`.

    Returns: a Picture for a Picture, a PIL image for anything else.

    Raises:
        ImageError, MaskError, SettingError, ModelError: an argument does not allow it.
        Cancelled: `cancel` was set.
    """
    if strategy not in STRATEGIES:
        raise SettingError(f"strategy must be one of {', '.join(STRATEGIES)}, not {strategy!r}.")
    whole("seed", seed, 0, LARGEST_SEED)
    whole("grow", grow, 0, LARGEST_GROWTH)
    if feather is not None:
        whole("feather", feather, 0, LARGEST_FEATHER)
    source = pictures.load(image, frame=frame)
    size = source.width, source.height
    marks = see_through(source) if mask is None else pictures.load_mask(mask, size)
    spared = None if forbid is None else pictures.load_mask(forbid, size, FORBID)
    result = repair(
        source, marks, model=model, strategy=strategy, seed=seed, grow=grow, feather=feather, forbidden=spared,
        conditions=conditions, progress=progress, preview=preview, cancel=cancel,
    )  # fmt: skip
    picture = _laid(source, result.picture) if mask is None and not grow and feather is None else result.picture
    settings = {"strategy": strategy, "grow": grow, "feather": feather, **conditions}
    masks = {"mask": None if mask is None else marks, "forbid": spared}
    picture = signed_repair(result._replace(picture=picture), source, model, settings, seed, masks)
    return picture if isinstance(image, Picture) else picture.pil()


class Part(NamedTuple):
    """A part of a hole, and how it was filled."""

    box: Box
    reason: str  # why that way: one of REASONS
    pixels: np.ndarray  # (h, w) bool: which of the box are the part's
    energy: float | None = None  # of the seams, where it was made of pieces: the lower of two fills is the quieter

    @property
    def copied(self) -> bool:
        """Whether it is made of pieces of the picture."""
        return self.reason in ("asked", "wide")


class Repair(NamedTuple):
    picture: Picture
    parts: tuple[Part, ...]  # the wide ones; what is thin goes without saying
    backend: str = ""  # of the net; "" where none was used


def signed_repair(
    result: Repair,
    source: Picture,
    model: str,
    settings: Mapping[str, Any],
    seed: int,
    masks: Mapping[str, np.ndarray | None],
) -> Picture:
    """The picture with its recipe; `masks` are "mask", "forbid" and, where it is not the mask grown by `grow`, "hole"."""
    return signed(
        result.picture, source, "inpaint", model, settings,
        seed=seed, backend=result.backend, masks=masks, pieces=not result.backend,
    )  # fmt: skip


def repair(
    source: Picture,
    mask: np.ndarray,
    *,
    model: str = "auto",
    strategy: str = "crop",
    seed: int = 0,
    grow: int = 0,
    feather: int | None = None,
    hole: np.ndarray | None = None,
    fill: str = "pieces",
    only: Part | None = None,
    forbidden: np.ndarray | None = None,
    conditions: Mapping[str, Any] = MappingProxyType({}),
    progress: runtime.Progress | None = None,
    preview: runtime.Preview | None = None,
    cancel: threading.Event | None = None,
    once: Once = anew,
) -> Repair:
    """`inpaint` of a mask (H, W; bool), and how each wide part of its hole was filled.

    Args:
        hole: (H, W) bool, what is filled where that is not the mask grown by `grow`, but about that.
        fill: how wide parts are: one of FILLS.
        conditions: of the net.
        only: fill only this part of what `planned` gives, and what is thin near it; the rest is not to be used.
        once: keeps what does not depend on `fill` and `seed`, for calls that differ in nothing else and fill `only` one part.
    """
    hole = widened(mask, grow) if hole is None else hole
    if hole.all():
        less = "mark less" if mask.all() or not grow else "mark less, or grow it by less"
        raise MaskError(f"The marked area covers the whole picture, so nothing is left to repair from; {less}.")
    seen = once("seen", lambda: _seen(source, hole, strategy, forbidden))
    stopped = cancel or threading.Event()
    result = _repair(*seen, model, conditions, strategy, seed, fill, only, progress, stopped, once, preview)
    if seen.picture is not source:
        pixels = source.pixels.copy()
        pixels[hole, :-1], pixels[hole, -1] = result.picture.pixels[hole], source.peak
        result = result._replace(picture=source.with_pixels(pixels))
    if not (grow if feather is None else feather):
        return result
    parts = [box_slice(box) for box in regions(hole)]
    if feather is not None:
        opaque = seen.picture is not source
        return result._replace(picture=rim.feathered(source, result.picture, hole, feather, parts, opaque))
    return result._replace(picture=rim.faded(source, result.picture, mask, hole, grow, parts))


class _Seen(NamedTuple):
    """What is filled, and what is known for it: of a photo in which something was erased, its colours."""

    picture: Picture
    hole: np.ndarray
    forbidden: np.ndarray | None


def _seen(source: Picture, hole: np.ndarray, strategy: str, forbidden: np.ndarray | None) -> _Seen:
    erased = _erased(source)
    if erased is None:
        return _Seen(source, hole, forbidden)
    unknown = _joined(hole, erased, strategy)
    if unknown.all():
        raise MaskError("All of the picture is marked or transparent, so nothing is left to repair from; mark less.")
    colour = source.with_pixels(np.ascontiguousarray(source.colour))
    return _Seen(colour, unknown, erased if forbidden is None else erased | forbidden)


def _repair(
    source: Picture,
    hole: np.ndarray,
    forbidden: np.ndarray | None,
    model: str,
    conditions: Mapping[str, Any],
    strategy: str,
    seed: int,
    fill: str,
    only: Part | None,
    progress: runtime.Progress | None,
    cancel: threading.Event,
    once: Once,
    preview: runtime.Preview | None,
) -> Repair:
    """All of a hole filled, transparency like the colours."""
    settings = FILLS[fill]
    parts = [] if settings is None else list(once("parts", lambda: _planned(source, hole, model, forbidden)))
    copied = [k for k, part in enumerate(parts) if part.copied]
    pieces = np.zeros_like(hole)
    for k in copied:
        pieces[box_slice(parts[k].box)] |= parts[k].pixels
    rest = hole & ~pieces
    boxes: list[Box] = []
    if rest.any():
        boxes = [(0, 0, source.height, source.width)] if strategy == "whole" else regions(rest, _context(model))
    # The same for one part and for all, to which bits they agree.
    small = sum(map(_area, boxes)) < runtime.MEASURED_FROM
    if only is not None:
        copied = [k for k in copied if _same(parts[k], only)]
        near = wide.surroundings(only.box, source.height, source.width) if copied else only.box
        boxes = [box for box in boxes if _overlap(box, near)]

    work = [*map(_area, boxes)]
    work += [wide.work(int(parts[k].pixels.sum())) for k in copied]

    def teller(step: int, what: str) -> Callable[[float], None]:
        """Tells how much of all work is done from how much of a step is."""

        def tell(done: float) -> None:
            if progress is not None:
                progress(min((sum(work[:step]) + done * work[step]) / sum(work), 1.0), what)

        return tell

    def by_net() -> tuple[np.ndarray, str]:
        """The picture with all filled that is not made of pieces, and what computed it."""
        pixels = source.pixels.copy()
        if not boxes:
            return pixels, ""
        chosen = runtime.load(model, task="inpaint", pixels=sum(work[: len(boxes)]))
        drawn = {"seed": seed} if "seed" in [one.name for one in chosen.card.inputs] else {}
        chosen = chosen.under(**{**drawn, **conditions})
        started = monotonic()
        for k, box in enumerate(boxes):
            report = teller(k, f"hole {k + 1} of {len(boxes)}")
            there = box_slice(box)
            crop = source.with_pixels(np.ascontiguousarray(source.pixels[there]))

            def step(share: float, picture: Tensor, report: Callable[[float], None] = report) -> None:
                stop_if(cancel)
                if preview is not None:
                    preview(pictures.pil_of(picture))
                report(share)

            fill = partial(_repaired, chosen.watched(step), crop, torch.from_numpy(hole[there]), report, cancel)
            repaired = wide.on_one_core(fill, cancel) if small else fill()
            pixels[there][rest[there]] = repaired.pixels[rest[there]]
            report(1.0)
        if not invents(chosen):
            pace.learn("net", sum(work[: len(boxes)]), monotonic() - started)
        return pixels, chosen.backend

    pixels, backend = once(("net", bool(copied)), by_net)
    if settings is not None and copied:
        pixels = pixels.copy()
        settings = dataclasses.replace(settings, seed=seed)
        for k, at in enumerate(copied):
            report = teller(len(boxes) + k, f"wide hole {k + 1} of {len(copied)}")
            started = monotonic()
            parts[at] = _copied(pixels, source, pieces, hole, parts[at], forbidden, settings, report, cancel, once)
            pace.learn("pieces", int(parts[at].pixels.sum()), monotonic() - started)
            report(1.0)
    return Repair(source.with_pixels(pixels), tuple(parts), backend)


def see_through(source: Picture) -> np.ndarray:
    """(H, W) bool: where a picture is not opaque.

    Raises:
        MaskError: it is opaque everywhere, or nowhere.
    """
    if source.alpha is None or not source.transparent:
        raise MaskError("The picture is opaque everywhere; erase what is to be filled, or give a mask.")
    through = source.alpha[..., 0] < source.peak
    if through.all():
        raise MaskError(
            "No pixel of the picture is opaque, so nothing is left to repair from; erase less, or give a mask."
        )
    return through


def _erased(source: Picture) -> np.ndarray | None:
    """(H, W) bool: what is not opaque, where that was erased in a photo; None of a sprite, or a picture that fades."""
    if source.alpha is None:
        return None
    alpha = source.alpha[..., 0]
    through = alpha < source.peak
    edge = np.concatenate([through[0], through[-1], through[:, 0], through[:, -1]])
    marks = np.count_nonzero(through)
    if not 0 < marks <= through.size / 2 or edge.mean() > 0.5 or np.count_nonzero(alpha == 0) < CORED * marks:
        return None
    return through


def _joined(hole: np.ndarray, erased: np.ndarray, strategy: str) -> np.ndarray:
    """The hole and what was erased round it, of which nothing is known either; what was erased far away costs nothing."""
    if strategy == "whole":
        return hole | erased
    joined = hole.copy()
    for box, within in _parts(hole | erased):
        part = box_slice(box)
        if (within & hole[part]).any():
            joined[part] |= within
    for box in regions(joined):
        joined[box_slice(box)] |= erased[box_slice(box)]
    return joined


def _laid(source: Picture, filled: Picture) -> Picture:
    """A transparent picture laid over its fill."""
    assert source.alpha is not None
    faint = (source.alpha[..., 0] > 0) & (source.alpha[..., 0] < source.peak)
    opacity = source.alpha[faint] / np.float32(source.peak)
    pixels = filled.pixels.copy()
    pixels[faint, :-1] = np.rint(opacity * source.colour[faint] + (1 - opacity) * filled.colour[faint])
    return filled.with_pixels(pixels)


def planned(
    source: Picture, mask: np.ndarray, model: str, forbidden: np.ndarray | None, strategy: str = "crop"
) -> list[Part]:
    """What `repair` of this hole (H, W; bool) will do with its wide parts.

    Raises:
        MaskError: as `repair`.
    """
    picture, hole, spared = _seen(source, mask, strategy, forbidden)
    return _planned(picture, hole, model, spared)


def _planned(source: Picture, hole: np.ndarray, model: str, forbidden: np.ndarray | None) -> list[Part]:
    """The parts for which pieces of the picture come into question, and why they are made of them or not.

    Raises:
        MaskError: pieces are asked for, and there is nothing to copy from.
    """
    if model not in ("auto", EXEMPLAR):
        return []
    parts: list[Part] = []
    for box, within in _parts(hole if model == EXEMPLAR else _wide(hole)):
        outer = wide.surroundings(box, source.height, source.width)
        there = box_slice(outer)
        if not wide.copyable(~_spared(hole, forbidden, there)):
            if model == EXEMPLAR:
                raise MaskError(
                    "There is too little round a hole to copy from; mark less, or take a net instead of pieces."
                )
            reason = "alone"
        elif model == EXEMPLAR:
            reason = "asked"
        else:
            crop = source.with_pixels(np.ascontiguousarray(source.pixels[there]))
            reason = "even" if wide.flat(crop, hole[there], _inside(within, box, outer)) else "wide"
        parts.append(Part(box, reason, within))
    return parts


def _same(part: Part, other: Part) -> bool:
    return part.box == other.box and np.array_equal(part.pixels, other.pixels)


def _spared(hole: np.ndarray, forbidden: np.ndarray | None, there: tuple[slice, slice]) -> np.ndarray:
    """What must not be copied: what was made up in any hole, and what the visitor forbids."""
    return hole[there] if forbidden is None else hole[there] | forbidden[there]


def _inside(within: np.ndarray, box: Box, outer: Box) -> np.ndarray:
    """The pixels of a box as pixels of a larger one."""
    inner = np.zeros((outer[2] - outer[0], outer[3] - outer[1]), bool)
    inner[box_slice(box, outer)] = within
    return inner


def _copied(
    pixels: np.ndarray,
    source: Picture,
    pieces: np.ndarray,
    hole: np.ndarray,
    part: Part,
    forbidden: np.ndarray | None,
    settings: Settings,
    report: Callable[[float], None],
    cancel: threading.Event,
    once: Once,
) -> Part:
    """Fill a part in `pixels`, in which what is thin is filled already; only what came with the file is copied.

    Args:
        pieces: (H, W) bool, all parts that are made of pieces; what one holds does not depend on the others.
    """
    stop_if(cancel)
    outer = wide.surroundings(part.box, source.height, source.width)
    there = box_slice(outer)
    inner = _inside(part.pixels, part.box, outer)
    crop = source.with_pixels(np.ascontiguousarray(pixels[there]))
    other = pieces[there] & ~inner
    filled, energy = wide.filled(crop, inner, _spared(hole, forbidden, there), other, settings, report, cancel, once)
    pixels[there][inner] = filled.pixels[inner]
    return part._replace(energy=energy)


def _wide(hole: np.ndarray) -> np.ndarray:
    """The wide parts of all holes; looked for where there are holes, not in the whole picture."""
    found = np.zeros_like(hole)
    for box in regions(hole):
        part = box_slice(box)
        found[part] = wide.wide(hole[part])
    return found


def box_slice(box: Box, inside: Box = (0, 0, 0, 0)) -> tuple[slice, slice]:
    """The rows and columns of a box, counted from the corner of another."""
    top, left, bottom, right = box
    return slice(top - inside[0], bottom - inside[0]), slice(left - inside[1], right - inside[1])


class Marked(NamedTuple):
    """How much a mask marks, and whether that is so much that one should ask whether it is meant so."""

    share: float  # of the picture, 0 to 1
    ask: bool


def marked(mask: np.ndarray) -> Marked:
    """What a mask (H, W; True = hole) marks of its picture. All of it is nothing to ask about: `inpaint` refuses it."""
    share = float(mask.mean())
    return Marked(share, ASK < share < 1)


def changed_outside(before: Picture, after: Picture, mask: np.ndarray) -> tuple[int, int]:
    """How many samples outside the mask (H, W; True = hole) differ, and how many there are. Measured, not assumed.

    Raises:
        MaskError: the pictures or the mask differ in size, channels or depth.
    """
    if before.pixels.shape != after.pixels.shape or before.pixels.dtype != after.pixels.dtype:
        raise MaskError(
            f"The pictures are not alike: {before.pixels.shape} {before.pixels.dtype}, {after.pixels.shape} {after.pixels.dtype}."
        )
    if mask.shape != before.pixels.shape[:2]:
        raise MaskError(f"The mask is {mask.shape[1]}×{mask.shape[0]}, the picture {before.width}×{before.height}.")
    changed = (before.pixels != after.pixels) & ~mask[..., None]
    return int(changed.sum()), int((~mask).sum()) * before.channels


def _context(model: str) -> int:
    """Pixels round a hole that the net is shown which fills it."""
    return FAR if weights.resolve(model, "inpaint").size_rule.tile else CONTEXT


def regions(hole: np.ndarray, context: int = CONTEXT) -> list[Box]:
    """(top, left, bottom, right) of crops that hold all holes of the mask with `context` round them; crops do not overlap."""
    height, width = hole.shape
    marked = _blocks(hole)
    boxes: list[Box] = []
    for cells in _components(marked):
        top, left, bottom, right = _bounds(cells)
        boxes.append(
            (max(0, top - context), max(0, left - context), min(height, bottom + context), min(width, right + context))
        )
    return _merged(boxes)


def _parts(marked: np.ndarray) -> list[tuple[Box, np.ndarray]]:
    """What is marked (H, W; bool), group by group: a box, and the group's pixels in it."""
    parts: list[tuple[Box, np.ndarray]] = []
    for cells in _components(_blocks(marked)):
        top, left, bottom, right = _bounds(cells)
        own = np.zeros(((bottom - top) // BLOCK, (right - left) // BLOCK), bool)
        for y, x in cells:
            own[y - top // BLOCK, x - left // BLOCK] = True
        within = marked[top:bottom, left:right]
        within = within & own.repeat(BLOCK, 0).repeat(BLOCK, 1)[: within.shape[0], : within.shape[1]]
        rows, columns = np.flatnonzero(within.any(1)).tolist(), np.flatnonzero(within.any(0)).tolist()
        box = (top + rows[0], left + columns[0], top + rows[-1] + 1, left + columns[-1] + 1)
        parts.append((box, within[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]))
    return parts


def _blocks(hole: np.ndarray) -> np.ndarray:
    """Which BLOCK × BLOCK squares hold a marked pixel: (⌈H/BLOCK⌉, ⌈W/BLOCK⌉) bool."""
    height, width = hole.shape
    padded = np.pad(hole, ((0, -height % BLOCK), (0, -width % BLOCK)))
    return np.asarray(padded.reshape(padded.shape[0] // BLOCK, BLOCK, -1, BLOCK).any((1, 3)))


def _components(marked: np.ndarray) -> list[list[tuple[int, int]]]:
    """The squares of each group that touch, corners included; groups in reading order."""
    left = {(int(y), int(x)) for y, x in np.argwhere(marked)}
    groups: list[list[tuple[int, int]]] = []
    while left:
        front = [left.pop()]
        group = list(front)
        while front:
            y, x = front.pop()
            near = {(y + dy, x + dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)} & left
            left -= near
            front.extend(near)
            group.extend(near)
        groups.append(sorted(group))
    return sorted(groups)


def _bounds(cells: list[tuple[int, int]]) -> Box:
    """The box, in pixels, of squares."""
    ys, xs = [y for y, _ in cells], [x for _, x in cells]
    return min(ys) * BLOCK, min(xs) * BLOCK, (max(ys) + 1) * BLOCK, (max(xs) + 1) * BLOCK


def _merged(boxes: list[Box]) -> list[Box]:
    """Overlapping boxes joined until none overlaps."""
    done: list[Box] = []
    for box in boxes:
        current = box
        while hit := next((other for other in done if _overlap(current, other)), None):
            done.remove(hit)
            current = (
                min(current[0], hit[0]),
                min(current[1], hit[1]),
                max(current[2], hit[2]),
                max(current[3], hit[3]),
            )
        done.append(current)
    return done


def _area(box: Box) -> int:
    top, left, bottom, right = box
    return (bottom - top) * (right - left)


def _overlap(a: Box, b: Box) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def _repaired(
    chosen: runtime.Model, crop: Picture, hole: Tensor, report: Any, cancel: threading.Event | None
) -> Picture:
    """The crop with its hole (H, W; bool) filled, colours and transparency; the rest is not to be used."""
    tensor = pictures.to_tensor(crop)
    colour = tensor[:, : crop.colour.shape[2]]
    known, alpha = ~hole, None
    if crop.alpha is not None:
        opacity = tensor[:, -1:]
        colour = colours.bled(colour, opacity, hole)
        alpha = _opacity(chosen, opacity, hole, report, cancel)
        known = known & (opacity[0, 0] >= colours.VISIBLE)
    rgb = colour.expand(1, 3, -1, -1)
    filled = _fill(chosen, rgb, hole, report, cancel)
    grey = bool((rgb == rgb[:, :1])[..., known].all())
    if grey or not invents(chosen):
        filled = colours.within(filled, rgb, known)
    out = filled if colour.shape[1] == 3 else filled.mean(1, keepdim=True)
    return pictures.from_tensor(out if alpha is None else torch.cat([out, alpha], 1), crop)


def invents(chosen: runtime.Model) -> bool:
    """Whether the net makes what it is told to, which may have any colour, and must be made all at once."""
    return getattr(chosen.net, "invents", False)


def _opacity(chosen: runtime.Model, alpha: Tensor, hole: Tensor, report: Any, cancel: threading.Event | None) -> Tensor:
    """(1, 1, H, W) with the hole filled: as what touches it, if that is alike, else seen by the net as a grey picture."""
    beside = colours.alike(alpha[0], hole)
    if beside is not None:
        return torch.full_like(alpha, beside)
    known = alpha[0, 0, ~hole]
    filled = _fill(chosen, alpha.expand(1, 3, -1, -1), hole, report, cancel).mean(1, keepdim=True)
    if bool(((known == 0) | (known == 1)).all()):
        return filled.round()
    return ((filled - CLEAR) / (1 - 2 * CLEAR)).clamp(0, 1)


def _fill(chosen: runtime.Model, image: Tensor, hole: Tensor, report: Any, cancel: threading.Event | None) -> Tensor:
    """(1, 3, H, W) and (H, W) bool → (1, 3, H, W); a large picture is filled in overlapping pieces that fade into each other."""
    height, width = hole.shape
    mask = hole[None, None].float()
    if max(height, width) <= LARGEST or invents(chosen):
        stop_if(cancel)
        return chosen(image, mask)

    middle = _middle(hole)
    if middle.any():
        shrunk = LARGEST / max(height, width)
        size = (max(1, round(height * shrunk)), max(1, round(width * shrunk)))
        # A shrunken pixel is known where all it stands for is known; colours of the hole must not leak into it.
        known = F.interpolate(1 - mask, size=size, mode="area")
        colour = F.interpolate(image * (1 - mask), size=size, mode="area") / known.clamp(min=1e-6)
        coarse = chosen(colour.clamp(0, 1), (known < 1).float())
        enlarged = F.interpolate(coarse, size=(height, width), mode="bicubic", align_corners=False).clamp(0, 1)
        image = torch.where(middle[None, None], enlarged, image)
        mask = mask * ~middle

    total, weight = torch.zeros_like(image), torch.zeros(1, 1, height, width)
    pieces = [
        (top, left, min(height, top + LARGEST), min(width, left + LARGEST))
        for top in _starts(height)
        for left in _starts(width)
    ]
    pieces = [piece for piece in pieces if mask[..., piece[0] : piece[2], piece[1] : piece[3]].any()]
    for k, (top, left, bottom, right) in enumerate(pieces):
        stop_if(cancel)
        part = (..., slice(top, bottom), slice(left, right))
        fade = _tent(bottom - top)[:, None] * _tent(right - left)
        total[part] += chosen(image[part], mask[part]) * fade
        weight[part] += fade
        report((k + 1) / len(pieces))
    return torch.where(weight > 0, total / weight.clamp(min=1e-6), image)


def _starts(length: int) -> list[int]:
    """Where pieces of LARGEST begin so that neighbours share at least OVERLAP pixels."""
    if length <= LARGEST:
        return [0]
    count = -(-(length - OVERLAP) // (LARGEST - OVERLAP))
    return [round(k * (length - LARGEST) / (count - 1)) for k in range(count)]


def _tent(length: int) -> Tensor:
    """A weight that rises from the edges of a piece over OVERLAP pixels."""
    edge = torch.arange(length) + 1.0
    return torch.minimum(torch.minimum(edge, edge.flip(0)) / OVERLAP, torch.ones(()))


def _middle(hole: Tensor) -> Tensor:
    """(H, W) bool: what lies more than about RIM pixels inside a hole."""
    cell = 8
    height, width = hole.shape
    padded = F.pad(hole[None, None].float(), (0, -width % cell, 0, -height % cell))
    coarse = -F.max_pool2d(-padded, cell)  # 1 where a whole cell is hole
    reach = RIM // cell
    deep = -F.max_pool2d(F.pad(-coarse, (reach,) * 4, value=-1.0), 2 * reach + 1, stride=1)
    return F.interpolate(deep, scale_factor=cell, mode="nearest")[0, 0, :height, :width] > 0
