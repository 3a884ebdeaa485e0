"""All that a run needs to go on, in one file that is replaced in one move."""

import dataclasses
import errno
import hashlib
import io
import os
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn

from genrestore.data.sources import shortened
from genrestore.errors import TrainingError
from genrestore.recipe import Phase, TrainRecipe

FILE = "checkpoint.pt"
# Flags of an optimiser that follow from where it computes, not from the run.
PLACED = ("capturable", "foreach", "fused")
PARTS = ("progress", "recipe", "config", "net", "average", "optimizers", "scaler")
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
    untrained: float | None = None  # `Evaluator.distance` at step 0
    means: bool = False  # what the net makes means something, so that its weight is left for others to try
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


@contextmanager
def _fitting() -> Generator[None, None, None]:
    """Turn what torch raises at the state of another net into one sentence."""
    try:
        yield
    except (KeyError, IndexError, RuntimeError, ValueError, TypeError, AttributeError) as problem:
        raise TrainingError(
            f"The checkpoint is of another net ({shortened(str(problem))}); begin the run again in another folder."
        ) from problem


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
                _seal(whole)
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

    @_fitting()
    def restore(self, saved: dict[str, Any]) -> None:
        """Take over what `read` gave.

        Raises:
            TrainingError: it is of another net.
        """
        self.net.load_state_dict(saved["net"])
        self.average.load_state_dict(saved["average"])
        for phase in self.phases:
            if not phase.penalty:
                state = saved["optimizers"][phase.name]
                for here, there in zip(phase.optimizer.param_groups, state["param_groups"], strict=True):
                    there.update({flag: here[flag] for flag in PLACED if flag in here})
                phase.optimizer.load_state_dict(state)
        self.scaler.load_state_dict(saved["scaler"])
        for name, value in saved["progress"].items():
            if hasattr(self.progress, name):
                setattr(self.progress, name, value)


def read(run: Path) -> dict[str, Any]:
    """The checkpoint in `run`.

    Raises:
        TrainingError: there is none, or it is damaged.
    """
    path = run / FILE
    try:
        content = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        raise TrainingError(f"There is no checkpoint in {run} to resume; leave --resume out to begin.") from None
    except OSError as problem:
        raise TrainingError(f"{path} cannot be opened ({problem.strerror}); check your rights.") from problem
    again = "begin the run again in another folder"
    if content[-SEAL:].startswith(SEALED) and content[-SEAL:] != _sealed(content[:-SEAL]):
        raise TrainingError(f"{path} is damaged: it is not what was written; {again}.")
    try:
        saved = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except Exception as problem:  # torch raises nearly everything at damaged files
        raise TrainingError(f"{path} is damaged ({shortened(str(problem))}); {again}.") from problem
    if not isinstance(saved, dict) or not all(isinstance(saved.get(key), dict) for key in PARTS):
        raise TrainingError(f"{path} is no checkpoint, or was written by an older version; {again}.")
    _check_progress(saved["progress"], path)
    return saved


def _check_progress(told: dict[str, Any], path: Path) -> None:
    """Raises:
    TrainingError: a number is not of its kind.
    """
    for each in dataclasses.fields(Progress):
        value, usual = told.get(each.name), getattr(Progress(), each.name)
        kinds = (
            (float, int, type(None)) if usual is None else (float, int) if isinstance(usual, float) else (type(usual),)
        )
        if each.name in told and not isinstance(value, kinds):
            raise TrainingError(
                f"{path} is damaged ({each.name} is {shortened(repr(value))}); begin anew in another folder."
            )
    if "step" not in told or "precision" not in told or told["step"] < 0:
        raise TrainingError(f"{path} is damaged (it does not tell its step); begin anew in another folder.")


# --- the seal --------------------------------------------------------------------------------------------------------

SEALED = b"sha256:"
SEAL = len(SEALED) + 64  # bytes


def _seal(file: io.BytesIO) -> None:
    """Write the SHA-256 of all before it as the comment of the archive that torch has written, where other readers skip it.

    Torch checks no check sum: of 40 bits that were turned in a checkpoint it noticed one.
    """
    comment = file.seek(-2, io.SEEK_END)  # an archive without a comment ends in its length, 0
    assert file.read() == b"\0\0", f"torch ends its files otherwise, at {comment}"
    file.seek(comment)
    file.write(SEAL.to_bytes(2, "little"))
    file.write(_sealed(file.getvalue()))


def _sealed(content: bytes) -> bytes:
    return SEALED + hashlib.sha256(content).hexdigest().encode()


# --- whether it fits -------------------------------------------------------------------------------------------------


def recipe_of(saved: dict[str, Any]) -> TrainRecipe:
    """The recipe of a checkpoint."""
    return TrainRecipe.from_json(saved["recipe"])


def check_same(saved: dict[str, Any], recipe: TrainRecipe, config: Any, run: Path) -> None:
    """Raises:
    TrainingError: the checkpoint was made with another recipe than this run's.
    """
    try:
        before = recipe_of(saved)
    except (TrainingError, AttributeError) as problem:
        raise TrainingError(f"The checkpoint in {run} cannot be gone on with: {problem}") from problem
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
