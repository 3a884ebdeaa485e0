"""Beginning and ending a training: the data read, the folder opened, the loop run, and whatever ends it told."""

import dataclasses
import threading
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any

import torch

from genrestore import machine
from genrestore.data import dataset as datasets
from genrestore.errors import Cancelled, GenrestoreError, TrainingError
from genrestore.licences import licence_named
from genrestore.models import find
from genrestore.recipe import TrainRecipe
from genrestore.registry import Preset, channels
from genrestore.training import checkpoint, runs
from genrestore.training.distributed import Processes
from genrestore.training.loggers import Logger
from genrestore.training.loop import Training
from genrestore.training.runs import Run, Status
from genrestore.training.session import BEAT_SECONDS

LEARNT = 2  # pictures that must be left to learn from


def train(
    recipe: str | TrainRecipe,
    data: str | Path,
    out: str | Path,
    *,
    licence: str = "",
    resume: bool = False,
    loggers: Sequence[Logger] = (),
    cancel: threading.Event | None = None,
    config: Any = None,
) -> Path:
    """Train a net and leave a usable weight (model.safetensors, card.json) in `out`.

    Args:
        recipe: the name of a preset, or a recipe whose `model` names one.
        data: where the pictures lie, as `genrestore.data.dataset.read` takes it.
        out: folder of the run, whose name becomes the model's; `genrestore.training.runs` says what else lies there.
        licence: of the pictures (`genrestore.licences.licence_named`), if the recipe does not name it.
        resume: go on from the checkpoint in `out`. Where one lies and `resume` is off, training refuses to begin.
        loggers: that hear of its steps, lines and pictures.
        cancel: set it, and the run ends after the step under way, with a checkpoint.
        config: another configuration of the preset's net than the preset's own.

    Returns: `out`.

    Raises:
        TrainingError: the data, the recipe or the folder do not allow training, or it cannot go on; `out` is kept.
        ModelError: there is no such preset.
        Cancelled: `cancel` was set while the pictures were read.
    """
    recipe = find(recipe).recipe if isinstance(recipe, str) else recipe
    recipe = dataclasses.replace(recipe, licence=licence) if licence else recipe
    preset = find(recipe.model)
    config = preset.config if config is None else config
    run, processes = Run(Path(out)), Processes()
    with run.alone(resume) if processes.first else nullcontext():
        return _train(recipe, preset, config, processes, run, str(data), licence, resume, loggers, cancel)


def _train(
    recipe: TrainRecipe, preset: Preset, config: Any, processes: Processes, run: Run, data: str, licence: str, resume: bool,
    loggers: Sequence[Logger], cancel: threading.Event | None,
) -> Path:  # fmt: skip
    saved = processes.broadcast(_opened(run, recipe, config, resume) if processes.first else None)
    if saved and not recipe.licence:
        recipe = dataclasses.replace(recipe, licence=checkpoint.recipe_of(saved).licence)
    recipe = dataclasses.replace(recipe, licence=licence_named(recipe.licence))
    if recipe.frame == preset.recipe.frame == "whole" and recipe.size != preset.recipe.size:
        raise TrainingError(f"{preset.name} draws pictures of {preset.recipe.size} pixels; leave size as it is.")
    processes.rows(recipe.batch)  # refuses a batch that cannot be shared, before the pictures are read
    with _telling(run, processes, recipe, data) as telling, torch_flags(recipe):
        machine.keep_heap()
        pictures, kept = _read(data, recipe, channels(config), processes, telling, cancel)
        Training(preset, config, recipe, processes, run, pictures, kept, saved, loggers, cancel).go()
    processes.leave()
    return run.folder


@contextmanager
def torch_flags(recipe: TrainRecipe) -> Generator[None, None, None]:
    """Within the block torch computes as training wants it; what the caller had set, and drawn, is as before afterwards."""
    backends: Any = torch.backends
    cudnn, products = backends.cudnn, backends.cuda.matmul
    usual = cudnn.benchmark, cudnn.allow_tf32, products.allow_tf32
    denormals = bool(torch.tensor(1e-310, dtype=torch.float64).mul(1.0))
    with torch.random.fork_rng():
        try:
            cudnn.benchmark = True  # every batch has one size, so the quickest ways are found once
            cudnn.allow_tf32 = products.allow_tf32 = recipe.precision == "tf32"
            # Dying activations and optimiser states reach numbers so small that a step took twice as long with them.
            torch.set_flush_denormal(True)
            yield
        finally:
            cudnn.benchmark, cudnn.allow_tf32, products.allow_tf32 = usual
            torch.set_flush_denormal(not denormals)


def _opened(run: Run, recipe: TrainRecipe, config: Any, resume: bool) -> dict[str, Any] | None:
    """The checkpoint to go on from, or None.

    Raises:
        TrainingError: to begin here would destroy a run, or there is nothing to go on from.
    """
    if not resume:
        if (run.folder / checkpoint.FILE).exists():
            raise TrainingError(
                f"{run.folder} already holds a run; add --resume to go on with it, or name another folder."
            )
        return None
    saved = checkpoint.read(run.folder)
    checkpoint.check_same(saved, recipe, config, run.folder)
    return saved


@contextmanager
def _telling(
    run: Run, processes: Processes, recipe: TrainRecipe, source: str
) -> Generator[Callable[[float, str], None], None, None]:
    """Open the folder, and whatever ends the block leave word of it there; yields what tells of the preparation."""
    spoken = 0.0

    def tell(fraction: float, text: str) -> None:
        nonlocal spoken
        if processes.first and time.monotonic() - spoken > BEAT_SECONDS:
            spoken = time.monotonic()
            run.tell(Status("preparing", steps=recipe.steps, message=text))

    def fail(state: str, message: str) -> None:
        with suppress(OSError):  # a disk that is full takes no last words either
            if processes.first and run.folder.exists():
                run.tell(dataclasses.replace(run.status(), state=state, message=message))

    try:
        if processes.first:
            with checkpoint.disk(run.folder):
                run.folder.mkdir(parents=True, exist_ok=True)
                run.ask("go")
                runs.asked(run, recipe, source)
        tell(0.0, "Reading the pictures")
        yield tell
    except (KeyboardInterrupt, Cancelled):
        fail("stopped", "Interrupted; resume goes on from the last checkpoint.")
        raise
    except GenrestoreError as problem:
        fail("failed", str(problem))
        raise
    except torch.OutOfMemoryError:
        sentence = f"The memory of {processes.device} is too small for a batch of {recipe.batch}; take a smaller one (--batch)."
        fail("failed", sentence)
        raise TrainingError(sentence) from None
    except BaseException as problem:
        fail("failed", f"{type(problem).__name__}: {problem}")
        raise


def _read(
    source: str | Path,
    recipe: TrainRecipe,
    channels: int,
    processes: Processes,
    telling: Callable[[float, str], None],
    cancel: threading.Event | None,
) -> tuple[datasets.Pictures, datasets.Pictures | None]:
    """The pictures to learn from and those kept aside. The first process decodes, the others find its work."""
    pictures = datasets.read(source, recipe, progress=telling, cancel=cancel) if processes.first else None
    processes.wait()
    return parts((pictures or datasets.read(source, recipe)).of(channels), recipe)


def parts(pictures: datasets.Pictures, recipe: TrainRecipe) -> tuple[datasets.Pictures, datasets.Pictures | None]:
    """The pictures to learn from and those kept aside.

    Raises:
        TrainingError: too few are left to learn from.
    """
    learnt, kept = datasets.split(pictures, recipe)
    if len(learnt) < LEARNT:
        wish = f"folds={recipe.folds}" if recipe.folds else f"holdout={recipe.holdout:g}"
        raise TrainingError(
            f"{wish} leaves {len(learnt)} of {len(pictures)} pictures to learn from, and {LEARNT} are needed; keep fewer aside."
        )
    return learnt, kept
