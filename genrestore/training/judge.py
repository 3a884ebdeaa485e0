"""Whether a training goes well: its log, read as one sentence. Loads no torch, for the page asks once a second."""

import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import correlation, median
from typing import Any, Literal

from genrestore.recipe import TrainRecipe
from genrestore.tasks.task import Score

Mood = Literal["wait", "good", "doubt", "bad"]

LINES = 12  # of the log without which nothing is said
STEPS = 100  # without which nothing is said either
CHECKS = 4  # measurements on the hold-out without which they say nothing
STALE = 3  # measurements in a row without a better score that mean something
COPIES = 0.1  # share of drawn pictures that copy a training picture, from which on it is a word of warning
# What the loss of a critic is that cannot tell drawn from real pictures (2 log 2 of the cross-entropy; 2 of the hinge), and
# the share of it below which the generator hardly learns from the critic any more.
CRITIC_EVEN, CRITIC_AHEAD = 2 * math.log(2), 0.1
FALLING, RISING = 2.5, 4.0  # see `_trend`: a fall is said sooner than a rise, which is a warning


@dataclass(frozen=True)
class Verdict:
    """How a training goes.

    Attributes:
        code: one of `SENTENCES`; for whoever words it in another language.
        mood: "wait", "good", "doubt" or "bad".
        values: the numbers and names that the sentence holds.
    """

    code: str
    mood: Mood
    values: Mapping[str, float | str]

    @property
    def text(self) -> str:
        return SENTENCES[self.code][1].format(**self.values)


SENTENCES: dict[str, tuple[Mood, str]] = {
    "early": ("wait", "Too early to say: {steps:.0f} steps are done."),
    "copying": (
        "bad",
        "It learns by heart: {share:.0%} of what it draws copies a training picture; stop it, or give it more pictures.",
    ),
    "critic-ahead": (
        "bad",
        "The critic is far ahead (its loss is only {critic:.2g}), so the generator learns little from it; begin anew with R1 "
        "(--set r1=1) or a lower learning rate.",
    ),
    "rising": (
        "bad",
        "The loss rises (from {before:.3g} to {now:.3g}); if it goes on, begin anew with a lower learning rate.",
    ),
    "overfitting": (
        "bad",
        "It gets better on what it has seen only: on the pictures kept aside {name} was best at step {step:.0f} "
        "({best:.4g}, now {now:.4g}); stop it, or give it more pictures.",
    ),
    "improving": ("good", "It goes well: on the pictures kept aside {name} went from {first:.4g} to {now:.4g}."),
    "falling": ("good", "It goes well: the loss still falls (from {first:.3g} to {now:.3g})."),
    "settled": (
        "doubt",
        "It hardly changes any more: on the pictures kept aside {name} was best at step {step:.0f} ({best:.4g}, now {now:.4g}).",
    ),
    "flat": ("doubt", "The loss falls no longer (it stays at {now:.3g}); more steps will change little."),
    "balanced": (
        "good",
        "Critic and generator hold each other, as they should; how good it is, the pictures tell, not these numbers.",
    ),
}


def judge(lines: Iterable[Mapping[str, Any]], recipe: TrainRecipe | None = None) -> Verdict:
    """One sentence on a run.

    Args:
        lines: of its log.jsonl, oldest first, all of them or as many as are at hand; what is no number is passed over.
        recipe: of the run. While its learning rate or the weight of its KL term rises, the losses tell nothing.
    """
    losses: dict[str, list[float]] = {}
    measured: list[tuple[float, Score]] = []
    copies, last, count = 0.0, -1.0, 0
    for line in lines:
        step = number(line.get("step"))
        if step is None:
            continue
        last = max(last, step)
        if isinstance(told := line.get("losses"), Mapping):
            count += 1
            for name, value in told.items():
                if (found := number(value)) is not None:
                    losses.setdefault(str(name), []).append(found)
        if (score := _watched(line)) is not None:
            measured.append((step + 1, score))
        copies = found if (found := number(line.get("memorised"))) is not None else copies
    warming = recipe.warming if recipe else 0
    if count < LINES or last + 1 < max(STEPS, warming):
        return _verdict("early", steps=last + 1)
    if copies >= COPIES:
        return _verdict("copying", share=copies)
    critic = losses.get("critic")
    if critic and (level := median(_recent(critic))) < CRITIC_AHEAD * CRITIC_EVEN:
        return _verdict("critic-ahead", critic=level)
    return _by_scores(measured, critic is None and _trend(next(iter(losses.values()), [])) < -FALLING) or (
        _verdict("balanced") if critic else _by_loss(next(iter(losses.values()), []), last + 1)
    )


def _by_scores(measured: Sequence[tuple[float, Score]], falling: bool) -> Verdict | None:
    """What the hold-out says, if it was measured often enough."""
    if len(measured) < CHECKS:
        return None
    first, now = measured[0][1], measured[-1][1]
    place = 0
    for k, (_, score) in enumerate(measured):
        if score.beats(measured[place][1].value):
            place = k
    step, best = measured[place]
    if len(measured) - 1 - place < max(STALE, len(measured) // 4):
        return _verdict("improving", name=now.name, first=first.value, now=best.value)
    facts = {"name": now.name, "step": step, "best": best.value, "now": now.value}
    gained, lost = abs(best.value - first.value), abs(best.value - now.value)
    return _verdict("overfitting" if falling and lost > 0.1 * gained else "settled", **facts)


def _by_loss(values: Sequence[float], steps: float) -> Verdict:
    """What the first player's loss alone says."""
    if len(values) < LINES:
        return _verdict("early", steps=steps)
    now, trend = median(_recent(values)), _trend(values)
    before = median(_recent(values[: -len(_recent(values))]))
    if trend > RISING:
        return _verdict("rising", before=before, now=now)
    first = median(values[:3])
    return _verdict("falling", first=first, now=now) if trend < -FALLING else _verdict("flat", now=now)


def _recent(values: Sequence[float]) -> Sequence[float]:
    """The last quarter, but no fewer than a noisy loss takes."""
    return values[-max(LINES // 2, len(values) // 4) :]


def _trend(values: Sequence[float]) -> float:
    """How surely the later half rises (above 0) or falls, in standard deviations of what noise alone would do.

    Spearman's rank correlation with time: single batches with a wild loss do not sway it.
    """
    later = values[-max(2 * LINES, len(values) // 2) :]
    ranks = _ranks(later)
    if len(later) < LINES or min(ranks) == max(ranks):
        return 0.0
    return correlation(range(len(later)), ranks) * math.sqrt(len(later) - 1)


def _ranks(values: Sequence[float]) -> list[float]:
    """The place of each in order; equal ones share the mean of theirs."""
    order = sorted(values)
    return [(bisect_left(order, value) + bisect_right(order, value)) / 2 for value in values]


def _watched(line: Mapping[str, Any]) -> Score | None:
    """The first score of a measurement, the one that patience watches."""
    scores, better = line.get("holdout"), line.get("better")
    if not isinstance(scores, Mapping) or not scores:
        return None
    name = str(next(iter(scores)))
    value = number(scores[name])
    higher = isinstance(better, Mapping) and better.get(name) == "higher"
    return None if value is None else Score(name, value, "higher" if higher else "lower")


def number(value: object) -> float | None:
    """A finite number, else nothing."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value) if math.isfinite(value) else None
    except OverflowError:
        return None


def _verdict(code: str, **values: float | str) -> Verdict:
    return Verdict(code, SENTENCES[code][0], values)
