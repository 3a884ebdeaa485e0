"""All that a run needs to go on, in one file that is replaced in one move."""

import dataclasses
import errno
import io
import os
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn

from genrestore.errors import TrainingError
from genrestore.recipe import Phase, TrainRecipe

FILE = "checkpoint.pt"
# What a resumed run may set anew: they change no step that was done, nor the weights of the next one.
FREE_TO_CHANGE = {"steps", "stop", "minutes", "patience", "until", "licence", "data", "check", "decay"}


@dataclass
class Progress:
    """The numbers of a run that its nets do not hold. Data order, rate and noise follow from `step`."""

    step: int = 0  # done
    seconds: float = 0.0  # of training, all sessions together
    halvings: int = 0  # of the learning rate, after a loss that was no number
    precision: str = ""  # what "auto" meant on the machine that began
    hardware: list[str] = field(default_factory=list[str])  # that trained, one after the other
    best: float | None = None  # first score on the hold-out, once there is one
    stale: int = 0  # measurements since then
    history: list[float] = field(default_factory=list[float])  # the first player's latest losses


@contextmanager
def disk(run: Path) -> Generator[None, None, None]:
    """Turn a write that fails in the block into one sentence.

    Raises:
        TrainingError: the disk is full or may not be written.
    """
    try:
        yield
    except OSError as problem:
        full = problem.errno in (errno.ENOSPC, errno.EDQUOT)
        wrong = f"The disk that holds {run} is full" if full else f"{run} cannot be written ({problem.strerror})"
        remedy = "free some space" if full else "mend that"
        again = "resume: the last checkpoint is kept" if (run / FILE).exists() else "begin again"
        raise TrainingError(f"{wrong}; {remedy} and {again}.") from problem


@dataclass
class Checkpoint:
    """The objects of a run, to be written together and restored together."""

    net: nn.Module
    average: nn.Module
    phases: list[Phase]
    scaler: torch.amp.GradScaler
    progress: Progress

    def write(self, run: Path, recipe: TrainRecipe, config: Any) -> None:
        """Replace the checkpoint in `run`: a crash leaves the old one or the new one.

        Raises:
            TrainingError: it cannot be written; the old one is kept.
        """
        partial = run / f".{FILE}.part"
        state = {
            "progress": dataclasses.asdict(self.progress),
            "recipe": recipe.to_json(),
            "config": dataclasses.asdict(config),
            "net": self.net.state_dict(),
            "average": self.average.state_dict(),
            "optimizers": {phase.name: phase.optimizer.state_dict() for phase in self.phases if not phase.penalty},
            "scaler": self.scaler.state_dict(),
        }
        with disk(run):
            try:
                # by way of memory, for torch's own file writer reports a full disk as a bare RuntimeError
                whole = io.BytesIO()
                torch.save(state, whole)
                with partial.open("wb") as file:
                    file.write(whole.getbuffer())
                    file.flush()
                    os.fsync(file.fileno())
                partial.replace(run / FILE)
            except BaseException:
                partial.unlink(missing_ok=True)
                raise

    def finite(self) -> bool:
        """Whether every weight is a number, so that a checkpoint is worth keeping."""
        sums = [weight.detach().abs().max() for weight in self.net.parameters() if weight.numel()]
        return bool(torch.isfinite(torch.stack(sums)).all())

    def restore(self, saved: dict[str, Any]) -> None:
        """Take over what `read` gave."""
        self.net.load_state_dict(saved["net"])
        self.average.load_state_dict(saved["average"])
        for phase in self.phases:
            if not phase.penalty:
                phase.optimizer.load_state_dict(saved["optimizers"][phase.name])
        self.scaler.load_state_dict(saved["scaler"])
        for name, value in saved["progress"].items():
            setattr(self.progress, name, value)


def read(run: Path) -> dict[str, Any]:
    """The checkpoint in `run`.

    Raises:
        TrainingError: there is none, or it is damaged.
    """
    try:
        saved = torch.load(run / FILE, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise TrainingError(f"There is no checkpoint in {run} to resume; leave --resume out to begin.") from None
    except Exception as problem:
        raise TrainingError(f"{run / FILE} is damaged ({problem}); begin the run again in another folder.") from problem
    if "progress" not in saved:
        raise TrainingError(f"{run / FILE} was written by an older version; begin the run again in another folder.")
    return saved


def recipe_of(saved: dict[str, Any]) -> TrainRecipe:
    """The recipe of a checkpoint."""
    plain = {key: list(value) if isinstance(value, tuple) else value for key, value in saved["recipe"].items()}
    return TrainRecipe.from_json(plain)


def check_same(saved: dict[str, Any], recipe: TrainRecipe, config: Any, run: Path) -> None:
    """Raises:
    TrainingError: the checkpoint was made with another recipe than this run's.
    """
    before = recipe_of(saved)
    then, now = before.to_json(), recipe.to_json()
    changed = sorted(key for key in now if then[key] != now[key] and key not in FREE_TO_CHANGE)
    if changed or saved["config"] != dataclasses.asdict(config):
        raise TrainingError(
            f"The run in {run} was begun with another {', '.join(changed) or 'net'}; resume it with the same settings."
        )
    step = saved["progress"]["step"]
    if before.rate(step) != recipe.rate(step):
        raise TrainingError(
            f"With steps={recipe.steps} and decay={recipe.decay:g} the learning rate would jump at step {step}; "
            "only a later end or a shorter fall is possible."
        )
