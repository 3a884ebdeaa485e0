"""How a weight and how a picture was made, as plain data that JSON can hold."""

import dataclasses
import json
import math
import re
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from genrestore.errors import SettingError, TrainingError, unknown
from genrestore.setting import Nothing, checked, options, setting

if TYPE_CHECKING:
    import torch
    from torch import Tensor

Part = TypeVar("Part")

SCHEDULES = ("constant", "step", "cosine", "trapezoid")
OPTIMIZERS = ("gd", "sgd", "adam", "adamw", "rmsprop", "muon")
PRECISIONS = ("auto", "fp32", "tf32", "bf16", "fp16")
FLAWS = ("broken", "tiny", "duplicate", "grey")  # what `genrestore.data.checks` finds and a run can leave out
SEEDS = range(-(1 << 31), 1 << 32)  # from which the seed of every step still fits the 64 bits that torch takes


@dataclass(frozen=True)
class TrainRecipe:
    """Everything that decides a training run, so that the same recipe and data give the same weight.

    Each field is declared once, with what it takes and what it does; see `genrestore.setting`. `augment` names steps of
    `genrestore.data.augment`, `degrade` what spoils the picture before the net sees it (`genrestore.data.degrade`): "none",
    "shrink:4", "holes:scratch,text".
    """

    model: str = setting("", "The preset in the registry; filled in by it.")
    data: str = setting("", "Name of the pictures' set.")
    licence: str = setting("", "Of the pictures, as their owner states it; see `genrestore.licences.licence_named`.")
    # when it ends: whichever comes first
    steps: int = setting(
        10_000, "Batches to learn from; more is better, and longer.", "Steps", "course", within="[1, ∞)"
    )
    stop: int = setting(
        0, "End after so many of a schedule that is meant for `steps`; 0 is at its end.", within="[0, ∞)"
    )
    minutes: float = setting(
        0.0, "It ends then with what it has learnt; 0 is no limit.", "Minutes at most", "main", within="[0, ∞)"
    )  # of training, all sessions together
    patience: int = setting(
        0, "Measurements without a better score; 0 is no limit.", "Patience", "end", within="[0, ∞)"
    )  # on the hold-out, in a row
    until: float = setting(
        0.0, "Ends once the loss has fallen to this; 0 is never.", "Until the loss is", "end"
    )  # the first player's, averaged over 100 steps
    # pictures
    batch: int = setting(
        16, "Pictures in one step; more of them need more memory.", "Batch", "course", within="[1, ∞)"
    )  # of all processes together
    frame: str = setting(
        "whole", "What a net learns from: whole pictures, or crops cut out of them.", choices=("whole", "crop")
    )
    size: int = setting(64, "Side of the training picture or crop, in pixels.", within="[1, ∞)")
    crops: int = setting(
        1, "Places drawn in each picture; the one with the most detail becomes the training crop.", within="[1, ∞)"
    )
    augment: tuple[str, ...] = setting(
        ("mirror",),
        "Made at random in this order, so that few pictures teach more; a colon gives the strength, as in rotate:10.",
        "Changes to each picture",
        "pictures",
    )  # steps of genrestore.data.augment
    degrade: str = setting("none", "What spoils a picture before the net sees it.")  # see genrestore.data.degrade
    leave_out: tuple[str, ...] = setting((), "Kinds of flawed pictures to pass over.", choices=FLAWS)
    holdout: float = setting(
        0.0,
        "Share of the pictures that the model is measured on and never trained on, such as 0.1.",
        "Kept aside",
        "course",
        within="[0, 1)",
    )
    folds: int = setting(0, "Parts of a cross-validation, stratified where there are classes; 0 is none.")
    fold: int = setting(0, "The part kept aside by this run, counted from 0.")
    check: int = setting(
        500, "Steps between two measurements on what is kept aside.", "Measure every", "course", within="[1, ∞)"
    )
    # players
    optimizer: str = setting("adam", "How a gradient becomes a step.", "Optimizer", "rate", choices=OPTIMIZERS)
    lr: float = setting(
        2e-4, "Size of a step; if it is too large, the loss jumps.", "Learning rate", "rate", within="(0, ∞)"
    )
    betas: tuple[float, float] = setting(
        (0.9, 0.999), "Averages of Adam and its kin; RMSprop averages squares by the second.", within="[0, 1)"
    )
    momentum: float = setting(0.9, "Of sgd.", within="[0, 1)")
    weight_decay: float = setting(
        0.0, "L2 pull of the weights towards 0.", "Weight decay", "simple", within="[0, ∞)"
    )  # adamw takes it from the weights, the others add it to the gradient
    l1: float = setting(0.0, "Weight of the sum of all |w|.", "L1", "simple", within="[0, ∞)")  # over all matrices
    dropout: float = setting(
        0.0, "Share of the features that is dropped in a step.", "Dropout", "simple", within="[0, 1)"
    )  # before each layer but the first of a part
    clip: float = setting(
        0.0, "Largest norm of a gradient; 0 is no limit.", "Gradient clipping", "rate", within="[0, ∞)"
    )
    ema: float = setting(
        0.999, "Decay of the moving average that becomes the model; 0 is none.", "Average", "rate", within="[0, 1)"
    )
    # learning rate
    schedule: str = setting("constant", "How the rate changes over the steps.", "Schedule", "rate", choices=SCHEDULES)
    warmup: int = setting(0, "Steps in which the rate rises from 0.", "Warm-up", "rate", within="[0, ∞)")
    drop_every: int = setting(0, "Of step: steps between two drops; 0 is a third of all.", within="[0, ∞)")
    drop: float = setting(0.1, "Of step: what a drop leaves of the rate.", within="(0, 1]")
    decay: float = setting(
        0.2, "Of trapezoid: share of the steps with a falling rate.", within="(0, 1]"
    )  # Hägele et al. 2024, arXiv:2405.18392
    # losses
    loss: str = setting(
        "", "What the training lowers; not every model takes each.", "Loss", "losses"
    )  # one that the net offers; "" = the net's own
    # computing
    precision: str = setting(
        "fp32", "Auto takes bf16 where that is faster.", "Precision", "computing", choices=PRECISIONS
    )  # tf32: fp32, of which a GPU multiplies ten bits
    compile: bool = setting(False, "Compile the step with torch.compile.")
    seed: int = setting(
        0,
        "Where the randomness starts; the same gives the same model.",
        "Seed",
        "computing",
        within=f"[{SEEDS[0]}, {SEEDS[-1]}]",
    )
    own: Mapping[str, Any] = dataclasses.field(default_factory=dict[str, Any])  # what the model adds, see `part`

    def __post_init__(self) -> None:
        with _refused():
            for one in options(type(self)):
                object.__setattr__(self, one.name, one.value(getattr(self, one.name)))  # texts and JSON's lists too
        if not isinstance(self.own, dict):
            raise TrainingError(f"own must be an object, not {str(self.own)[:40]}.")
        if len(self.betas) != 2:
            raise TrainingError(f"betas must be two numbers, not {self.betas}.")
        if self.folds == 1 or self.folds < 0 or not 0 <= self.fold < max(self.folds, 1):
            raise TrainingError(f"folds must be 0 or at least 2, and fold below it, not {self.folds} and {self.fold}.")
        if self.folds and self.holdout:
            raise TrainingError("Give folds or holdout, not both: a fold keeps its own part aside.")
        if self.patience and not (self.holdout or self.folds):
            raise TrainingError("patience watches the hold-out; keep pictures aside with holdout, for example 0.1.")

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "TrainRecipe":
        """The recipe a card or checkpoint holds."""
        known = {field.name for field in dataclasses.fields(cls)}
        if extra := sorted(set(data) - known):
            raise TrainingError(f"This recipe has settings that this version does not know: {', '.join(extra)}.")
        return cls(**data)

    def to_json(self) -> dict[str, Any]:
        return dataclasses.asdict(self)

    def rate(self, step: int) -> float:
        """The learning rate at `step` (0-based), as a share of `lr`."""
        rise = min(1.0, (step + 1) / self.warmup) if self.warmup else 1.0
        if self.schedule == "step":
            return rise * self.drop ** (step // (self.drop_every or max(1, self.steps // 3)))
        if self.schedule == "cosine":
            return rise * 0.5 * (1 + math.cos(math.pi * min(step / self.steps, 1.0)))
        if self.schedule == "trapezoid":
            return rise * min(1.0, (1 - step / self.steps) / self.decay)
        return rise

    @property
    def last(self) -> int:
        """The step count at which it ends at the latest."""
        return min(self.steps, self.stop or self.steps)

    def done(self, steps: int) -> "TrainRecipe":
        """The recipe that makes again what this one has made after `steps` steps, whatever ended it."""
        again = dataclasses.replace(self, minutes=0.0, patience=0, until=0.0)
        if self.schedule == "constant":
            return dataclasses.replace(again, steps=max(1, steps), stop=0)
        return dataclasses.replace(again, stop=steps if 0 < steps < self.steps else 0)

    def part(self, kind: type[Part]) -> Part:
        """What the model adds to every recipe, in its own type.

        Raises:
            TrainingError: `own` holds something else.
        """
        with _refused():
            return kind(**checked(options(kind), self.own, self.model or "This model"))

    @property
    def warming(self) -> int:
        """Steps in which the rate or a weight of the loss still rises, so that losses tell nothing."""
        own = (value for name, value in self.own.items() if name.endswith("warmup") and isinstance(value, int))
        return max(self.warmup, *own, 0)


@contextmanager
def _refused() -> Generator[None, None, None]:
    """Raises:
    TrainingError: within the block a setting was refused.
    """
    try:
        yield
    except SettingError as problem:
        raise TrainingError(str(problem)) from None


def changed(recipe: TrainRecipe, settings: dict[str, Any], own: type = Nothing) -> TrainRecipe:
    """The recipe with other values; texts are read as the fields' types, lists as words between commas.

    `own` declares what the model adds.

    Raises:
        TrainingError: there is no such field, or the text is no such value.
    """
    usual = [field.name for field in dataclasses.fields(recipe) if field.name != "own"]
    added = {one.name: one for one in options(own)}
    for name in settings:
        if name not in usual and name not in added:
            raise unknown("setting", name, [*usual, *added], "docs/training.md lists them.", TrainingError)
    with _refused():
        ours = {name: one.value(settings[name]) for name, one in added.items() if name in settings}
    values = {name: value for name, value in settings.items() if name not in added}
    return dataclasses.replace(recipe, **values, own={**recipe.own, **ours})


@dataclass(frozen=True)
class RunRecipe:
    """How a picture was made: enough to make it again. One that is read from a file may come from anywhere.

    Attributes:
        task: that was done.
        model: the reference that was asked for, or that names the weight; `sha256` is the weight's, "" where there was none.
        settings: what else the call was given.
        input_sha256: of the file that it was made of; "" where there was none.
        backend: how the net was computed, see `runtime.Model`.
        source: the term of IPTC's vocabulary for what came of it, see `genrestore.pictures.xmp`.
        masks: "mask", "forbid" and "hole" → `width`, `height`, `sha256` of its bits, and `data` where that is not too large.
        before: what was done to the input before, in its order.
        by_hand: somebody chose among several results, so that it can't be made again.
    """

    task: str
    model: str
    sha256: str
    settings: dict[str, Any]
    seed: int
    input_sha256: str
    version: str
    backend: str = ""
    source: str = ""
    masks: dict[str, dict[str, Any]] = dataclasses.field(default_factory=dict[str, dict[str, Any]])
    before: "tuple[RunRecipe, ...]" = ()
    by_hand: bool = False

    @property
    def steps(self) -> "tuple[RunRecipe, ...]":
        """All that was done, in its order; each without what was before it."""
        return (*self.before, dataclasses.replace(self, before=()))

    def to_json(self) -> dict[str, Any]:
        told = dataclasses.asdict(dataclasses.replace(self, before=()))
        told["before"] = [step.to_json() for step in self.before]
        return {name: value for name, value in told.items() if value or name not in _OPTIONAL}

    def text(self, most: int) -> str | None:
        """As a file holds it: JSON in ASCII of at most so many bytes, without masks where it would be more; else None."""
        recipe = self
        for left_out in (False, True):
            recipe = recipe if not left_out else recipe._bare()
            text = json.dumps(recipe.to_json(), allow_nan=False, separators=(",", ":"))
            if len(text) <= most:
                return text
        return None

    def _bare(self) -> "RunRecipe":
        masks = {
            name: {key: value for key, value in mask.items() if key != "data"} for name, mask in self.masks.items()
        }
        return dataclasses.replace(self, masks=masks, before=tuple(step._bare() for step in self.before))

    @classmethod
    def parse(cls, text: str) -> "RunRecipe":
        """The recipe that a file holds. Nothing in it is followed here, and no more is believed than that its parts are plain.

        Raises:
            SettingError: it is none.
        """
        try:
            if len(text) > MOST_TEXT:
                raise ValueError(f"it is longer than {MOST_TEXT >> 20} MB")
            return _run(json.loads(text, parse_constant=_no_number))
        except (ValueError, RecursionError) as problem:
            reason = "".join(letter if letter.isprintable() else " " for letter in str(problem))[:100]
            raise SettingError(
                f"The recipe in this picture makes no sense ({reason}); it cannot be followed."
            ) from None


MOST_TEXT, MOST_STEPS, MOST_SETTINGS, LONGEST, DEEPEST = 1 << 20, 64, 64, 10_000, 3
_OPTIONAL = {"backend", "source", "masks", "before", "by_hand"}
_MASK = {"width": int, "height": int, "sha256": str, "data": str}


def _no_number(name: str) -> float:
    raise ValueError(f"{name} is no number")


def _run(data: Any, within: bool = False) -> RunRecipe:
    """Raises:
    ValueError: it is no recipe.
    """
    if not isinstance(data, dict):
        raise ValueError("it is no JSON object")
    kinds = {
        "task": str,
        "model": str,
        "sha256": str,
        "settings": dict,
        "seed": int,
        "input_sha256": str,
        "version": str,
    }
    more = {"backend": str, "source": str, "masks": dict, "before": list, "by_hand": bool}
    for name, kind in kinds.items():
        if name not in data:
            raise ValueError(f"{name} is missing")
        if type(data[name]) is not kind:
            raise ValueError(f"{name} is no {kind.__name__}")
    values = {name: data[name] for name in kinds}
    for name, kind in more.items():
        if name in data:
            if type(data[name]) is not kind:
                raise ValueError(f"{name} is no {kind.__name__}")
            values[name] = data[name]
    for name in ("task", "model", "version", "backend", "source"):
        text = values.get(name, "")
        if len(text) > 300 or not text.isprintable():
            raise ValueError(f"{name} is no name")
    if any(values[name] and not re.fullmatch("[0-9a-f]{64}", values[name]) for name in ("sha256", "input_sha256")):
        raise ValueError("a sha256 must be 64 hexadecimal digits")
    if not -(1 << 63) <= values["seed"] < 1 << 63:
        raise ValueError("the seed is too large")
    if len(values["settings"]) > MOST_SETTINGS or not all(name.isidentifier() for name in values["settings"]):
        raise ValueError("its settings have no names")
    if not _is_plain(values["settings"], 0):
        raise ValueError("its settings are no plain values")
    if not all(map(_is_mask, values.get("masks", {}).values())) or len(values.get("masks", {})) > 3:
        raise ValueError("its masks are none")
    before = values.pop("before", [])
    if len(before) > (0 if within else MOST_STEPS):
        raise ValueError("it has too many steps")
    return RunRecipe(**values, before=tuple(_run(step, within=True) for step in before))


def _is_plain(value: Any, deep: int) -> bool:
    if isinstance(value, dict | list):
        inner = [*value, *value.values()] if isinstance(value, dict) else value
        return deep < DEEPEST and all(_is_plain(one, deep + 1) for one in inner)
    if isinstance(value, str):
        return len(value) <= LONGEST and value.isprintable()
    return value is None or isinstance(value, bool | float) or (isinstance(value, int) and abs(value) < 1 << 63)


def _is_mask(mask: Any) -> bool:
    return (
        isinstance(mask, dict)
        and {"width", "height", "sha256"} <= mask.keys() <= _MASK.keys()
        and all(type(value) is _MASK[name] for name, value in mask.items())
        and 0 < mask["width"] < 1 << 16
        and 0 < mask["height"] < 1 << 16
    )


@dataclass(frozen=True)
class Phase:
    """One player's turn in a training step: the training loop knows nothing else about a net.

    `loss` maps a batch (a dict of tensors; "step" is the 0-based step) to a scalar; `optimizer` holds the parameters that this
    turn moves. On a GPU the turn is recorded and repeated, so what changes from step to step comes in the batch or is drawn by
    torch on the device, and nothing asks a tensor for its value: such a turn runs too, but not recorded.
    """

    name: str
    optimizer: "torch.optim.Optimizer"
    loss: "Callable[[dict[str, Tensor]], Tensor]"
    every: int = 1  # take the turn on each step that this divides
    shared: bool = False  # a later turn of the same step goes back through what this one computed
    penalty: bool = False  # a regulariser: nothing to measure on the hold-out
