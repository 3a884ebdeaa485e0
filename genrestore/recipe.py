"""How a weight and how a picture was made, as plain data that JSON can hold."""

import dataclasses
import difflib
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from genrestore.errors import TrainingError

if TYPE_CHECKING:
    import torch
    from torch import Tensor

SCHEDULES = ("constant", "step", "cosine", "trapezoid")
OPTIMIZERS = ("gd", "sgd", "adam", "adamw", "rmsprop", "muon")
PRECISIONS = ("auto", "fp32", "tf32", "bf16", "fp16")
FLAWS = ("broken", "tiny", "duplicate", "grey")  # what the data doctor finds and a run can leave out
# Licences that can be named in one word: SPDX identifiers, and three for pictures that have none of these.
LICENCES = (
    "CC0-1.0", "CC-BY-4.0", "CC-BY-3.0", "CC-BY-SA-4.0", "CC-BY-SA-3.0", "CC-BY-NC-4.0", "CC-BY-NC-SA-4.0", "CC-BY-ND-4.0",
    "MIT", "Apache-2.0", "GPL-2.0-or-later", "GPL-3.0-or-later", "OFL-1.1", "Unlicense", "own", "public-domain", "unknown",
)  # fmt: skip
SEEDS = range(-(1 << 31), 1 << 32)  # from which the seed of every step still fits the 64 bits that torch takes
OTHER = "other: "  # leads a licence in words


@dataclass(frozen=True)
class TrainRecipe:
    """Everything that decides a training run, so that the same recipe and data give the same weight.

    `augment` names steps of `genrestore.augment`, `degrade` what spoils the picture before the net sees it
    (`genrestore.degrade`): "none", "shrink:4", "holes:scratch,text".
    """

    model: str = ""  # the preset in the registry; filled in by `register`
    data: str = ""  # name of the data set
    licence: str = ""  # of the data, as its owner states it; see `licence_named`
    # when it ends: whichever comes first
    steps: int = 10_000
    stop: int = 0  # end after so many of a schedule that is meant for `steps`; 0 = at its end
    minutes: float = 0.0  # of training, all sessions together; 0 = no limit
    patience: int = 0  # checks of the hold-out in a row without a better score; 0 = no limit
    until: float = 0.0  # the first player's loss, averaged over 100 steps, falls to this; 0 = no limit
    # pictures
    batch: int = 16  # of all processes together
    size: int = 64  # side of the training picture or crop, in pixels
    crops: int = 1  # places drawn in each picture; the one with the most detail becomes the training crop
    augment: tuple[str, ...] = ("mirror",)
    degrade: str = "none"
    leave_out: tuple[str, ...] = ()  # kinds of flawed pictures, of FLAWS
    holdout: float = 0.0  # share of the pictures that is kept aside to measure with
    folds: int = 0  # parts of a cross-validation, stratified where there are labels; 0 = none
    fold: int = 0  # the part kept aside by this run, 0-based
    check: int = 500  # steps between two measurements on the hold-out
    # players
    optimizer: str = "adam"
    lr: float = 2e-4
    betas: tuple[float, float] = (0.9, 0.999)  # of Adam and its kin; RMSprop averages squares by the second
    momentum: float = 0.9  # of sgd
    weight_decay: float = 0.0  # L2: adamw takes it from the weights, the others add it to the gradient
    l1: float = 0.0  # weight of the sum of |w| over all matrices
    dropout: float = 0.0  # share of the features that is dropped before each layer but the first of a part
    clip: float = 0.0  # largest norm of the gradient; 0 = unlimited
    ema: float = 0.999  # decay of the moving average of the weights; 0 = none
    # learning rate
    schedule: str = "constant"
    warmup: int = 0  # steps during which the learning rate rises from 0
    drop_every: int = 0  # "step": steps between two drops; 0 = a third of all
    drop: float = 0.1  # "step": what a drop leaves of the rate
    decay: float = 0.2  # "trapezoid": share of its steps with a falling rate; Hägele et al. 2024, arXiv:2405.18392
    # losses
    loss: str = ""  # one that the net offers; "" = the net's own
    beta: float = 1.0  # weight of a KL term
    beta_warmup: int = 0  # steps during which beta rises from 0
    r1: float = 0.0  # weight of a critic's gradient penalty; 0 = none
    # computing
    precision: str = (
        "fp32"  # auto: bf16 where this machine multiplies faster in it; tf32: fp32, a GPU multiplies ten bits
    )
    compile: bool = False  # torch.compile
    seed: int = 0

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            _check_kind(field.name, getattr(self, field.name), field.default)
        for name in ("steps", "batch", "size", "crops", "check"):
            if getattr(self, name) < 1:
                raise TrainingError(f"{name} must be at least 1, not {getattr(self, name)}.")
        for name in (
            "stop",
            "minutes",
            "patience",
            "weight_decay",
            "l1",
            "clip",
            "warmup",
            "drop_every",
            "beta",
            "beta_warmup",
            "r1",
        ):
            if not getattr(self, name) >= 0:
                raise TrainingError(f"{name} must be at least 0, not {getattr(self, name)}.")
        for name in ("ema", "dropout", "momentum", "holdout"):
            if not 0 <= getattr(self, name) < 1:
                raise TrainingError(f"{name} must lie in [0, 1), not {getattr(self, name)}.")
        for name, known in (("schedule", SCHEDULES), ("precision", PRECISIONS), ("optimizer", OPTIMIZERS)):
            if getattr(self, name) not in known:
                raise TrainingError(f"{name} must be one of {', '.join(known)}, not {getattr(self, name)!r}.")
        if not 0 < self.lr < math.inf:
            raise TrainingError(f"lr must be above 0, not {self.lr}.")
        for name in ("drop", "decay"):
            if not 0 < getattr(self, name) <= 1:
                raise TrainingError(f"{name} must lie in (0, 1], not {getattr(self, name)}.")
        if len(self.betas) != 2 or any(not 0 <= beta < 1 for beta in self.betas):
            raise TrainingError(f"betas must be two numbers in [0, 1), not {self.betas}.")
        if self.seed not in SEEDS:
            raise TrainingError(f"seed must lie between {SEEDS[0]} and {SEEDS[-1]}, not {self.seed}.")
        if unknown := sorted(set(self.leave_out) - set(FLAWS)):
            raise TrainingError(f"leave_out takes {', '.join(FLAWS)}, not {unknown[0]!r}.")
        if self.folds == 1 or self.folds < 0 or not 0 <= self.fold < max(self.folds, 1):
            raise TrainingError(f"folds must be 0 or at least 2, and fold below it, not {self.folds} and {self.fold}.")
        if self.folds and self.holdout:
            raise TrainingError("Give folds or holdout, not both: a fold keeps its own part aside.")
        if self.patience and not (self.holdout or self.folds):
            raise TrainingError("patience watches the hold-out; keep pictures aside with holdout, for example 0.1.")

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "TrainRecipe":
        """The recipe a card or checkpoint holds; JSON's lists become tuples again."""
        known = {field.name for field in dataclasses.fields(cls)}
        if extra := sorted(set(data) - known):
            raise TrainingError(f"This recipe has settings that this version does not know: {', '.join(extra)}.")
        values: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value for key, value in data.items()
        }
        return cls(**values)

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

    def kl_weight(self, step: "Tensor") -> "Tensor | float":
        """β at `step` (0-based)."""
        return self.beta * ((step + 1) / self.beta_warmup).clamp(max=1) if self.beta_warmup else self.beta


def _check_kind(name: str, value: object, usual: object) -> None:
    """Raises:
    TrainingError: a field holds what a JSON file may hold by mistake, or a number that nothing can count to.
    """
    if isinstance(usual, tuple):
        inner = float if name == "betas" else str
        fits = isinstance(value, tuple) and all(_is(inner, part) for part in cast("tuple[object, ...]", value))
    else:
        fits = _is(type(usual), value)
    if not fits:
        shown = str(value) if len(str(value)[:100]) < 100 else "that"
        raise TrainingError(f"{name} takes {type(usual).__name__} values such as {usual!r}, not {shown}.")


def _is(kind: type, value: object) -> bool:
    if isinstance(value, bool):
        return kind is bool
    if kind is float:
        return isinstance(value, int | float) and abs(value) < 1e300  # neither infinite nor no number
    return isinstance(value, kind) and not (isinstance(value, int) and abs(value) >= 1 << 63)


def changed(recipe: TrainRecipe, settings: dict[str, Any]) -> TrainRecipe:
    """The recipe with other values; texts are read as the fields' types, lists as words between commas.

    Raises:
        TrainingError: there is no such field, or the text is no such value.
    """
    usual = {field.name: getattr(recipe, field.name) for field in dataclasses.fields(recipe)}
    values: dict[str, Any] = {}
    for name, value in settings.items():
        if name not in usual:
            near = difflib.get_close_matches(name, usual, n=1)
            raise TrainingError(
                f"A recipe has no {name!r}; {f'did you mean {near[0]}?' if near else 'see TrainRecipe.'}"
            )
        values[name] = _typed(name, value, usual[name]) if isinstance(value, str) else value
    return dataclasses.replace(recipe, **values)


def settings_of(pairs: list[str], options: dict[str, Any]) -> dict[str, Any]:
    """What was asked for: ["lr=1e-3"] → {"lr": "1e-3"}, and the options that have a name of their own, where not None.

    Raises:
        TrainingError: a pair has no equals sign.
    """
    for pair in pairs:
        if "=" not in pair:
            raise TrainingError(f"Write a setting as FIELD=VALUE, for example lr=0.001, not {pair!r}.")
    set_ = {name.strip().replace("-", "_"): value.strip() for name, value in (pair.split("=", 1) for pair in pairs)}
    return set_ | {name: value for name, value in options.items() if value is not None}


def _typed(name: str, text: str, usual: Any) -> Any:
    try:
        if isinstance(usual, bool):
            return {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}[text.lower()]
        if isinstance(usual, int):
            return int(text.replace("_", "").replace(",", ""))
        if isinstance(usual, float):
            return float(text)
        if isinstance(usual, tuple):
            words = tuple(word.strip() for word in text.split(",") if word.strip())
            return tuple(map(float, words)) if name == "betas" else words
    except (ValueError, KeyError):
        raise TrainingError(f"{name} takes {type(usual).__name__} values such as {usual}, not {text!r}.") from None
    return text


def licence_told(named: str) -> str:
    """A licence as people read it: what `licence_named` gave, without the word that leads a licence in words."""
    return named.removeprefix(OTHER)


def licence_named(text: str) -> str:
    """The licence as it is written: one of LICENCES whatever its case, or "other: " and words.

    Raises:
        TrainingError: nothing was named, or it is neither.
    """
    text = text.strip()
    for known in LICENCES:
        if text.lower() == known.lower():
            return known
    if text.lower().startswith(OTHER.strip()) and text[len(OTHER.strip()) :].strip():
        return OTHER + text[len(OTHER.strip()) :].strip()
    if not text:
        raise TrainingError(
            "Name the licence of the pictures, for the model's card: own if they are yours, else for example CC-BY-4.0."
        )
    near = difflib.get_close_matches(text.upper(), [known.upper() for known in LICENCES], n=1)
    offer = next((known for known in LICENCES if [known.upper()] == near), None)
    hint = f"Did you mean {offer}?" if offer else f"Known are {', '.join(LICENCES)}."
    raise TrainingError(f"There is no licence named {text!r}. {hint} Any other is written 'other: its words'.")


@dataclass(frozen=True)
class RunRecipe:
    """How a picture was made: enough to make it again."""

    task: str
    model: str
    sha256: str  # of the weight
    settings: dict[str, Any]
    seed: int
    input_sha256: str
    version: str

    def to_json(self) -> dict[str, Any]:
        return dataclasses.asdict(self)


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
