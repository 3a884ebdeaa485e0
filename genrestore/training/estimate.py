"""How long a training will take, from a few of its steps, before it begins."""

import math
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

from genrestore import machine
from genrestore.data import dataset as datasets
from genrestore.models import find
from genrestore.recipe import TrainRecipe
from genrestore.registry import channels
from genrestore.training.distributed import Processes
from genrestore.training.evaluate import SCORED
from genrestore.training.loop import Training
from genrestore.training.runs import Estimate, Run
from genrestore.training.train import parts, torch_flags

# Of steps that are not counted: the first batches lie ready, buffers are made, nets compiled.
WARM_STEPS, WARM_SECONDS = 5, 2.0
COUNTED_STEPS, COUNTED_SECONDS = 50, 3.0  # of steps that are, at most, but two in any case
SCORING = 2 / 3  # of a step's time goes into measuring as many pictures of the hold-out: two passes forwards, none back


def estimate(
    recipe: str | TrainRecipe,
    data: str | Path,
    *,
    done: int = 0,
    config: Any = None,
) -> Estimate:
    """Train a few steps, keep nothing of them, and tell how long all will take on this machine as it is.

    It changes how this process uses its heap, as training does; `genrestore.training.runs.estimate` asks in a process of its own.

    Args:
        recipe: the name of a preset, or a recipe whose `model` names one.
        data: where the pictures lie, as `genrestore.data.dataset.read` takes it. What it decodes is there for the training.
        done: steps that a run to be resumed has behind it.
        config: another configuration of the preset's net than the preset's own.

    Raises:
        TrainingError: training would refuse too: the data, the recipe or the memory do not allow it.
    """
    recipe = find(recipe).recipe if isinstance(recipe, str) else recipe
    preset, processes = find(recipe.model), Processes()
    config = preset.config if config is None else config
    pictures, kept = parts(datasets.read(data, recipe).of(channels(config)), recipe)
    machine.keep_heap()
    with torch_flags(recipe), tempfile.TemporaryDirectory() as folder:
        training = Training(preset, config, recipe, processes, Run(Path(folder)), pictures, kept, None)
        first, each = _seconds(training)
    steps = max(0, recipe.last - done)
    scored = min(len(kept), SCORED) if kept is not None else 0
    check = SCORING * each * scored / recipe.batch
    whole = first + steps * each + steps // recipe.check * check
    limit = 60 * recipe.minutes or math.inf
    if whole > limit:
        return Estimate(limit, each, max(1, int(steps * limit / whole)))
    return Estimate(whole, each, steps)


def _seconds(training: Training) -> tuple[float, float]:
    """(of the first steps beyond what they take later, of one step on average)"""
    recipe, players, device = training.recipe, training.players, training.processes.device
    period = math.lcm(*(phase.every for phase in players.phases))
    batches = training.batches(0)

    def now() -> float:
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        return time.perf_counter()

    def step(number: int) -> bool:
        """Whether there was a batch for one more step."""
        batch = next(batches, None)
        if batch is not None:
            players.step(number, batch, recipe.lr * recipe.rate(0))
        return batch is not None

    try:
        begun = now()
        warm = 0
        # both kinds of steps: with all turns, and with those of every step
        while warm < WARM_STEPS and (warm < 2 or now() - begun < WARM_SECONDS) and step(min(warm, 1)):
            warm += 1
        warmed = now()
        rare = 0.0
        if period > 1 and step(period):  # with the turns that are not taken on each step
            rare = now() - warmed
        counted, from_here = 0, now()
        last = from_here
        while counted < COUNTED_STEPS and (counted < 2 or last - from_here < COUNTED_SECONDS) and step(1):
            counted += 1
            if device.type == "cpu" or counted % 10 == 0:  # to ask a GPU makes it wait
                last = now()
        usual = (now() - from_here) / counted if counted else (warmed - begun) / max(1, warm)
    finally:
        batches.close()
    each = usual + max(0.0, rare - usual) / period if rare else usual
    return max(0.0, warmed - begun - warm * each), each
