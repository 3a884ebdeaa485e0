"""How a weight and how a picture was made, as plain data that JSON can hold."""

import dataclasses
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from genrestore.errors import TrainingError

if TYPE_CHECKING:
    import torch
    from torch import Tensor

SCHEDULES = ("constant", "cosine", "trapezoid")
DECAY = 0.2  # share of a trapezoid's steps in which the rate falls to 0; Hägele et al. 2024, arXiv:2405.18392
PRECISIONS = ("fp32", "bf16")


@dataclass(frozen=True)
class TrainRecipe:
    """Everything that decides a training run, so that the same recipe and data give the same weight.

    `degrade` names what spoils the picture before the net sees it (`genrestore.degrade.find`):
    "none", "shrink:4", "holes:scratch,text".
    """

    model: str = ""  # the preset in the registry; filled in by `register`
    data: str = ""  # the data set below the data folder: a folder of pictures or an .npz
    licence: str = ""  # of the data, as its owner states it
    steps: int = 10_000
    batch: int = 16
    size: int = 64  # side of the training picture or crop, in pixels
    crops: int = 1  # places drawn in each picture; the one with the most detail becomes the training crop
    augment: tuple[str, ...] = ("mirror",)
    degrade: str = "none"
    optimizer: str = "adam"  # a name that `genrestore.optimizers` knows
    lr: float = 2e-4
    betas: tuple[float, float] = (0.9, 0.999)
    weight_decay: float = 0.0
    schedule: str = "constant"
    warmup: int = 0  # steps during which the learning rate rises from 0
    clip: float = 0.0  # largest norm of the gradient; 0 = unlimited
    ema: float = 0.999  # decay of the moving average of the weights; 0 = none
    precision: str = "bf16"
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("steps", "batch", "size", "crops"):
            if getattr(self, name) < 1:
                raise TrainingError(f"{name} must be at least 1, not {getattr(self, name)}.")
        if self.schedule not in SCHEDULES:
            raise TrainingError(f"schedule must be one of {', '.join(SCHEDULES)}, not {self.schedule!r}.")
        if self.precision not in PRECISIONS:
            raise TrainingError(f"precision must be one of {', '.join(PRECISIONS)}, not {self.precision!r}.")
        if not 0 <= self.ema < 1:
            raise TrainingError(f"ema must lie in [0, 1), not {self.ema}.")
        if not self.lr > 0:
            raise TrainingError(f"lr must be above 0, not {self.lr}.")

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
        if self.schedule == "cosine":
            return rise * 0.5 * (1 + math.cos(math.pi * min(step / self.steps, 1.0)))
        if self.schedule == "trapezoid":
            return rise * min(1.0, (1 - step / self.steps) / DECAY)
        return rise


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

    `loss` maps a batch (a dict of tensors) to a scalar; `optimizer` holds the parameters that this turn moves.
    """

    name: str
    optimizer: "torch.optim.Optimizer"
    loss: "Callable[[dict[str, Tensor]], Tensor]"
    every: int = 1  # take the turn on each step that this divides
