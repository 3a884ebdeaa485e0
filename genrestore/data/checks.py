"""What can be wrong with training pictures, what is wrong with a set of them, and whether training can begin.

A new check is an entry of CHECKS, and its name in `recipe.FLAWS`.
"""

import dataclasses
import itertools
import threading
from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from genrestore.data.cache import Decoded, decode, need, side
from genrestore.data.facts import THUMB, Facts
from genrestore.data.sources import Progress
from genrestore.errors import TrainingError
from genrestore.recipe import FLAWS, TrainRecipe

UNIFORM = 3.0  # levels of 255: standard deviation below which a picture is one shade all over
COLOURLESS = 2.0  # levels: mean distance between the channels below which a picture has no colour
NEAR = 3  # bits of 64 in which the hashes of duplicates may differ
CLOSE = 4.0  # levels: root mean square by which their thumbnails, and each channel's mean, may differ
LEAST = {"whole": 16, "crop": 4}  # pictures without which training does not begin
ENOUGH = {"whole": 1000, "crop": 100}  # pictures that a good result takes; advice
SIDES = (64, 128, 256, 512, 1024, 2048)  # pixels of the shorter side between two bars of the histogram
SHOWN = 5  # files that a finding names on a terminal
WIDTH = 100  # columns of a terminal


# --- what is checked -------------------------------------------------------------------------------------------------


def _broken(facts: Facts, need: int) -> np.ndarray:
    return np.array([problem != "" for problem in facts.problems], dtype=bool)


def _tiny(facts: Facts, need: int) -> np.ndarray:
    return ~_broken(facts, need) & (facts.sizes.min(1) < need)


def _grey(facts: Facts, need: int) -> np.ndarray:
    sound, colourless = ~_broken(facts, need), facts.colour < COLOURLESS
    coloured_set = (sound & ~colourless).sum() > (sound & colourless).sum()
    return sound & ((facts.contrast < UNIFORM) | (colourless & coloured_set))


def _duplicate(facts: Facts, need: int) -> np.ndarray:
    # Of a group the first stays, but never a flawed one in the place of a sound one: both would then be left out.
    order = np.lexsort((np.arange(len(facts)), _tiny(facts, need) | _grey(facts, need)))
    order = order[~_broken(facts, need)[order]]
    found = np.zeros(len(facts), dtype=bool)
    found[order[_repeats(facts.thumbs[order], facts.tints[order])]] = True
    return found


class Check(NamedTuple):
    """A kind of flaw: which of N pictures have it, (N,) bool, by their facts and the pixels that a shorter side must have; and
    what to say of these, by why the first one does not decode and those pixels."""

    flawed: Callable[[Facts, int], np.ndarray]
    says: Callable[[str, int], str]


CHECKS = {
    "broken": Check(_broken, lambda first, need: f"They cannot be read; the first: {first}"),
    "tiny": Check(_tiny, lambda first, need: f"Their shorter side is below the {need} pixels that this model needs."),
    "duplicate": Check(_duplicate, lambda first, need: "Each looks the same as another picture, of which one stays."),
    "grey": Check(_grey, lambda first, need: "They are one shade all over, or without colour among colour pictures."),
}
assert tuple(CHECKS) == FLAWS


def find(facts: Facts, need: int, kinds: Collection[str] = FLAWS) -> dict[str, np.ndarray]:
    """The places of flawed pictures, ascending, for each of `kinds`.

    Args:
        need: pixels that the shorter side must have.
    """
    return {kind: np.flatnonzero(CHECKS[kind].flawed(facts, need)) for kind in kinds}


def usable(decoded: Decoded, recipe: TrainRecipe) -> np.ndarray:
    """Places of the pictures that the recipe trains on, ascending.

    Raises:
        TrainingError: one of them cannot be used, or they are too few.
    """
    facts, files = decoded.facts, decoded.source.files
    found = find(facts, need(recipe), {"broken", "tiny", *recipe.leave_out})
    out = (
        np.unique(np.concatenate([found[kind] for kind in recipe.leave_out])) if recipe.leave_out else np.empty(0, int)
    )
    if len(broken := np.setdiff1d(found["broken"], out)):
        reason = facts.problems[broken[0]].partition(";")[0].rstrip(".")
        more = f", and {len(broken) - 1} more" if len(broken) > 1 else ""
        raise TrainingError(
            f"{reason}{more}; take such files out, or leave them out (--leave-out broken, or the box on the page)."
        )
    tiny = np.setdiff1d(found["tiny"], out)
    if recipe.frame == "crop" and len(tiny):
        height, width = facts.sizes[tiny[0]]
        more = f" (and {len(tiny) - 1} more such pictures)" if len(tiny) > 1 else ""
        raise TrainingError(
            f"{files[tiny[0]]} is {width}×{height}{more}, smaller than the training crop of {side(recipe)}; take it out, "
            "leave such pictures out (--leave-out tiny, or the box on the page), or lower the recipe's size."
        )
    kept = np.setdiff1d(np.arange(len(files)), out)
    if len(kept) < (least := LEAST[recipe.frame]):
        few = "1 picture is" if len(kept) == 1 else f"{len(kept)} pictures are"
        raise TrainingError(
            f"{few} too few to learn from; this model needs at least {least}, better {ENOUGH[recipe.frame]}."
        )
    return kept


# --- the report ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Finding:
    """Pictures with one kind of flaw."""

    kind: str  # one of recipe.FLAWS
    files: tuple[str, ...]
    why: str


@dataclass(frozen=True)
class Report:
    """What `examine` found."""

    name: str
    count: int  # pictures that decode, before any is left out
    findings: tuple[Finding, ...]
    sizes: tuple[tuple[str, int], ...]  # pictures by their shorter side
    modes: dict[str, int]  # by what their files held
    classes: dict[str, int]
    captions: int
    least: int  # pictures without which training does not begin
    enough: int  # that a good result takes
    problem: str  # why training cannot begin as things are, or ""

    def to_json(self) -> dict[str, Any]:
        return dataclasses.asdict(self)

    def text(self) -> str:
        """For a terminal: at most 100 columns."""
        facts = [
            ("Pictures", f"{self.count} (at least {self.least} are needed, {self.enough} or more are better)"),
            ("Shorter side", _counts(dict(self.sizes))),
            ("Kinds", _counts(self.modes)),
        ]
        if self.classes:
            facts.append(("Classes", _counts(self.classes)))
        if self.captions:
            facts.append(("Captions", f"{self.captions}"))
        facts += [(finding.kind.capitalize(), _named(finding)) for finding in self.findings]
        if not self.findings:
            facts.append(("Flaws", "none found"))
        facts.append(("Training", self.problem or "can begin."))
        return "\n".join([self.name, *(line for head, text in facts for line in _wrapped(head, text))])


def _counts(table: dict[str, int]) -> str:
    return ", ".join(f"{name}: {count}" for name, count in table.items())


def _named(finding: Finding) -> str:
    more = len(finding.files) - SHOWN
    names = ", ".join(finding.files[:SHOWN]) + (f" and {more} more" if more > 0 else "")
    return f"{len(finding.files)}. {finding.why} {names}"


def _wrapped(head: str, text: str) -> list[str]:
    """`head` in a column of its own, `text` in lines beside it; a name longer than a line is broken."""
    lines: list[str] = []
    line, room = "", WIDTH - 15
    for word in text.split(" "):
        while line and len(line) + 1 + len(word) > room:
            lines.append(line)
            line = ""
        line = f"{line} {word}" if line else word
        while len(line) > room:
            lines.append(line[:room])
            line = line[room:]
    lines.append(line)
    return [f"{head if number == 0 else '':13s}  {line}" for number, line in enumerate(lines)]


def examine(
    reference: str | Path,
    recipe: TrainRecipe,
    *,
    progress: Progress | None = None,
    cancel: threading.Event | None = None,
) -> Report:
    """Look at every picture once; `dataset.read` then takes up what was decoded here.

    Raises:
        TrainingError: there is no picture at all, the disk is full, or the recipe's augmentation or degradation does not
            exist. What else forbids training is the report's `problem`.
        Cancelled: `cancel` was set.
    """
    decoded = decode(reference, recipe, progress=progress, cancel=cancel)
    source, facts = decoded.source, decoded.facts
    sound = np.array([not problem for problem in facts.problems])
    try:
        usable(decoded, recipe)
        problem = ""
    except TrainingError as why:
        problem = str(why)
    labels = np.bincount(source.labels[sound], minlength=len(source.classes)) if source.labels is not None else ()
    return Report(
        name=source.name,
        count=int(sound.sum()),
        findings=_findings(decoded, recipe),
        sizes=_sizes(facts.sizes[sound].min(1)),
        modes=dict(Counter(facts.modes[sound].tolist()).most_common()),
        classes={name: int(count) for name, count in zip(source.classes, labels, strict=True)},
        captions=sum(1 for caption in source.captions if caption),
        least=LEAST[recipe.frame],
        enough=ENOUGH[recipe.frame],
        problem=problem,
    )


def _findings(decoded: Decoded, recipe: TrainRecipe) -> tuple[Finding, ...]:
    facts, files, least = decoded.facts, decoded.source.files, need(recipe)
    return tuple(
        Finding(
            kind, tuple(files[int(k)] for k in places),
            CHECKS[kind].says(facts.problems[places[0]], least),
        )
        for kind, places in find(facts, least).items() if len(places)
    )  # fmt: skip


def _sizes(sides: np.ndarray) -> tuple[tuple[str, int], ...]:
    """The histogram, from the smallest to the largest that occurs."""
    names = [
        f"<{SIDES[0]}",
        *(f"{low}–{high - 1}" for low, high in itertools.pairwise(SIDES)),
        f"{SIDES[-1]}+",
    ]
    counts = np.bincount(np.searchsorted(SIDES, sides, side="right"), minlength=len(names))
    occurring = np.flatnonzero(counts)
    if not len(occurring):
        return ()
    return tuple((names[k], int(counts[k])) for k in range(occurring[0], occurring[-1] + 1))


# --- duplicates ------------------------------------------------------------------------------------------------------


def _repeats(thumbs: np.ndarray, tints: np.ndarray) -> np.ndarray:
    """(N,) bool: looks like an earlier one that is none itself."""
    first: dict[bytes, int] = {}
    seen = [
        first.setdefault(thumb.tobytes() + tint.tobytes(), k)
        for k, (thumb, tint) in enumerate(zip(thumbs, tints, strict=True))
    ]
    repeats = np.array(seen, dtype=np.int64) != np.arange(len(thumbs))
    different = np.flatnonzero(~repeats)
    for earlier, later in _alike(thumbs[different], tints[different]):
        if not repeats[different[earlier]]:
            repeats[different[later]] = True
    return repeats


def _alike(thumbs: np.ndarray, tints: np.ndarray) -> list[tuple[int, int]]:
    """Pairs (earlier, later) that look the same, ordered by the later one.

    Hashes that differ in at most 3 bits agree in at least one of 4 bands of 16 bits. Sorted by a band and then by their
    mean, candidates stand side by side: thumbnails CLOSE to each other have means as close.
    """
    bits = _hashes(thumbs)
    bands, whole = bits.view(np.uint16), bits.view(np.uint64)[:, 0]
    means = thumbs.mean((1, 2), dtype=np.float32)
    pairs: set[tuple[int, int]] = set()
    for band in bands.T:
        order = np.lexsort((means, band))
        places, step = np.arange(len(order) - 1), 1
        while len(places):
            a, b = order[places], order[places + step]
            possible = (band[a] == band[b]) & (means[b] - means[a] <= CLOSE)
            places, a, b = places[possible], a[possible], b[possible]
            near = np.bitwise_count(whole[a] ^ whole[b]) <= NEAR
            a, b = a[near], b[near]
            same = _same(thumbs[a], thumbs[b]) & (
                np.abs(tints[a].astype(np.int16) - tints[b]).max(1, initial=0) <= CLOSE
            )
            pairs.update(zip(np.minimum(a, b)[same].tolist(), np.maximum(a, b)[same].tolist(), strict=True))
            step += 1
            places = places[places + step < len(order)]
    return sorted(pairs, key=lambda pair: pair[::-1])


def _same(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """(K,) bool for two (K, 16, 16): flat pictures share their hash, not their thumbnail."""
    return np.square(a.astype(np.float32) - b).mean((1, 2)) <= CLOSE**2


def _hashes(thumbs: np.ndarray) -> np.ndarray:
    """(N, 8) uint8: 64 bits that tell where brightness rises from left to right on a grid of 8 × 9.

    Krawetz, "Kind of like that", 2013 (dHash). The bits are dealt out so that each band sees all parts of the picture.
    """
    columns = np.stack([np.interp(np.linspace(0, THUMB - 1, 9), np.arange(THUMB), unit) for unit in np.eye(THUMB)])
    deal = np.argsort(np.add.outer(np.arange(8), np.arange(8)).ravel() % 4, kind="stable")
    grid = (thumbs.reshape(len(thumbs), 8, 2, THUMB).mean(2, dtype=np.float32)) @ columns.astype(np.float32)
    rising = (grid[..., 1:] > grid[..., :-1]).reshape(len(thumbs), 64)
    return np.ascontiguousarray(np.packbits(rising[:, deal], axis=1))
