"""The data doctor: what is in a set of pictures, what is wrong with it, and whether training can begin."""

import dataclasses
import itertools
import threading
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from genrestore.data import dataset, flaws
from genrestore.data.cache import Decoded, decode, need
from genrestore.data.sources import Progress
from genrestore.errors import TrainingError
from genrestore.recipe import FLAWS, TrainRecipe

SIDES = (64, 128, 256, 512, 1024, 2048)  # pixels of the shorter side between two bars of the histogram
SHOWN = 5  # files that a finding names on a terminal
WIDTH = 100  # columns of a terminal


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
        dataset.usable(decoded, recipe)
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
        least=dataset.LEAST[recipe.frame],
        enough=dataset.ENOUGH[recipe.frame],
        problem=problem,
    )


def _findings(decoded: Decoded, recipe: TrainRecipe) -> tuple[Finding, ...]:
    found = flaws.find(decoded.facts, need(recipe))
    reasons = [decoded.facts.problems[k] for k in found["broken"][:1]]
    why = {
        "broken": f"They cannot be read; the first: {''.join(reasons)}",
        "tiny": f"Their shorter side is below the {need(recipe)} pixels that this model needs.",
        "duplicate": "Each looks the same as another picture, of which one stays.",
        "grey": "They are one shade all over, or without colour among colour pictures.",
    }
    files = decoded.source.files
    return tuple(
        Finding(kind, tuple(files[int(k)] for k in found[kind]), why[kind]) for kind in FLAWS if len(found[kind])
    )


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
