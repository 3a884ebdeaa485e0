"""The one training loop: players take turns on a batch, whatever the net is.

    python -m genrestore.train span-x4 --data DATA --out runs/span-x4

needs torch, numpy, pillow, safetensors and tqdm only, so that a bare checkout trains on a rented machine.
"""

import argparse
import copy
import dataclasses
import json
import os
import platform
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from tqdm import tqdm

from genrestore import data as datasets
from genrestore import weights
from genrestore.card import Card
from genrestore.errors import GenrestoreError, TrainingError
from genrestore.models import find, names
from genrestore.recipe import Phase, TrainRecipe

CHECKPOINT_SECONDS = 120.0  # between two checkpoints; one takes well under a second
LOG_STEPS = 50  # between two lines of log.jsonl
FREE_TO_CHANGE = {"steps", "licence", "data"}  # what a resumed run may set anew

OnStep = Callable[[int, dict[str, float]], None]


class Average:
    """Exponential moving average of a net's parameters; buffers are copied.

    The decay grows with the steps, min(decay, (1 + t) / (10 + t)), so that the random start is soon forgotten.
    Polyak & Juditsky, "Acceleration of stochastic approximation by averaging", 1992.
    """

    def __init__(self, net: nn.Module, decay: float) -> None:
        self.net = copy.deepcopy(net).eval().requires_grad_(False)
        self.decay = decay

    @torch.no_grad()
    def update(self, net: nn.Module, step: int) -> None:
        decay = min(self.decay, (1 + step) / (10 + step))
        for mine, theirs in zip(self.net.parameters(), net.parameters(), strict=True):
            mine.lerp_(theirs, 1 - decay)
        for mine, theirs in zip(self.net.buffers(), net.buffers(), strict=True):
            mine.copy_(theirs)


def train(
    recipe: str | TrainRecipe,
    data: str | Path,
    out: str | Path,
    *,
    resume: bool = False,
    on_step: OnStep | None = None,
    config: Any = None,
) -> Path:
    """Train a net and leave a usable weight (model.safetensors, card.json) in `out`.

    Args:
        recipe: the name of a preset, or a recipe whose `model` names one.
        data: a folder of pictures or an .npz.
        out: folder of the run; it also holds checkpoint.pt and log.jsonl.
        resume: go on from the checkpoint in `out`. Where one lies and `resume` is off, training refuses to begin.
        on_step: called with the 0-based step and the losses of that step by player.
        config: another configuration of the preset's net than the preset's own.

    Returns: `out`.

    Raises:
        TrainingError: the data, the recipe or the folder do not allow training.
        ModelError: there is no such preset.
    """
    recipe = find(recipe).recipe if isinstance(recipe, str) else recipe
    preset = find(recipe.model)
    config = preset.config if config is None else config
    pictures = datasets.fit(datasets.read(Path(data), recipe.licence), recipe)
    run = _open_run(Path(out), resume)

    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    # Dying activations and optimiser states reach numbers so small that a step took twice as long with them.
    torch.set_flush_denormal(True)
    torch.manual_seed(recipe.seed)
    net = preset.net(config).to(device, memory_format=torch.channels_last).train()
    average = Average(net, recipe.ema)
    phases: list[Phase] = net.phases(recipe)
    state = State(net, average, phases)
    if resume:
        state.restore(run / "checkpoint.pt", recipe)
    started = saved = time.monotonic()
    earlier = state.seconds

    log = (run / "log.jsonl").open("a", encoding="utf-8")
    for step, batch in enumerate(datasets.batches(pictures, recipe, state.step), state.step):
        # Noise drawn inside the nets depends on the step alone, so that a resumed run draws what the whole run would have.
        torch.manual_seed(recipe.seed * 1_000_003 + step)
        batch = {key: _moved(value, device) for key, value in batch.items()}
        losses: dict[str, Tensor] = {}
        for phase in phases:
            if step % phase.every == 0:
                losses[phase.name] = _turn(phase, batch, recipe, step, device)
        average.update(net, step)

        if step % LOG_STEPS == 0 or on_step or step + 1 == recipe.steps:
            numbers = {name: value.item() for name, value in losses.items()}
            if not all(map(_finite, numbers.values())):
                raise TrainingError(
                    f"The loss is no longer a number at step {step}. The last good checkpoint is kept in {run}; "
                    "lower lr and go on with --resume."
                )
            if step % LOG_STEPS == 0 or step + 1 == recipe.steps:
                seconds = earlier + time.monotonic() - started
                rate = recipe.lr * recipe.rate(step)
                log.write(json.dumps({"step": step, "seconds": round(seconds, 1), "lr": rate, **numbers}) + "\n")
                log.flush()
            if on_step:
                on_step(step, numbers)
        if time.monotonic() - saved > CHECKPOINT_SECONDS or step + 1 == recipe.steps:
            state.step, state.seconds = step + 1, earlier + time.monotonic() - started
            state.write(run / "checkpoint.pt", recipe, config)
            _export(average.net, preset, recipe, config, pictures, state, run)
            saved = time.monotonic()
    log.close()
    return run


def _open_run(run: Path, resume: bool) -> Path:
    checkpoint = run / "checkpoint.pt"
    if resume and not checkpoint.exists():
        raise TrainingError(f"There is no checkpoint in {run} to resume; leave --resume out to begin.")
    if checkpoint.exists() and not resume:
        raise TrainingError(f"{run} already holds a run; add --resume to go on with it, or name another folder.")
    run.mkdir(parents=True, exist_ok=True)
    return run


def _moved(value: Tensor, device: torch.device) -> Tensor:
    return value.to(device, memory_format=torch.channels_last) if value.dim() == 4 else value.to(device)


def _finite(value: float) -> bool:
    return value == value and abs(value) != float("inf")


def _turn(phase: Phase, batch: dict[str, Tensor], recipe: TrainRecipe, step: int, device: torch.device) -> Tensor:
    """One player's turn: its loss, its gradient, its step."""
    for group in phase.optimizer.param_groups:
        group["lr"] = recipe.lr * recipe.rate(step)
    phase.optimizer.zero_grad(set_to_none=True)
    with torch.autocast(device.type, torch.bfloat16, enabled=recipe.precision == "bf16"):
        loss = phase.loss(batch)
    loss.backward()
    if recipe.clip:
        for group in phase.optimizer.param_groups:
            nn.utils.clip_grad_norm_(group["params"], recipe.clip)
    phase.optimizer.step()
    return loss.detach()


class State:
    """All that a run needs to go on: nets, average, optimisers, step. Rate, data order and noise follow from the step."""

    def __init__(self, net: nn.Module, average: Average, phases: list[Phase]) -> None:
        self.net, self.average = net, average
        self.optimizers = {phase.name: phase.optimizer for phase in phases}
        self.step = 0
        self.seconds = 0.0  # spent by all sessions of the run

    def write(self, path: Path, recipe: TrainRecipe, config: Any) -> None:
        """Replace the checkpoint in one move, so that a crash leaves the old one or the new one."""
        partial = path.with_suffix(".part")
        with partial.open("wb") as file:
            torch.save(
                {
                    "step": self.step,
                    "seconds": self.seconds,
                    "recipe": recipe.to_json(),
                    "config": dataclasses.asdict(config),
                    "net": self.net.state_dict(),
                    "average": self.average.net.state_dict(),
                    "optimizers": {name: optimizer.state_dict() for name, optimizer in self.optimizers.items()},
                },
                file,
            )
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)

    def restore(self, path: Path, recipe: TrainRecipe) -> None:
        """Take over a checkpoint.

        Raises:
            TrainingError: it was made with another recipe than this run's.
        """
        saved = torch.load(path, map_location="cpu", weights_only=True)
        then, now = TrainRecipe.from_json(_plain(saved["recipe"])).to_json(), recipe.to_json()
        changed = sorted(key for key in now if then[key] != now[key] and key not in FREE_TO_CHANGE)
        if changed:
            raise TrainingError(
                f"The run in {path.parent} was begun with another {', '.join(changed)}; resume it with the same settings."
            )
        if TrainRecipe.from_json(_plain(saved["recipe"])).rate(saved["step"]) != recipe.rate(saved["step"]):
            raise TrainingError(
                f"With steps={recipe.steps} the learning rate would jump at step {saved['step']}; only a later end is possible."
            )
        self.net.load_state_dict(saved["net"])
        self.average.net.load_state_dict(saved["average"])
        for name, optimizer in self.optimizers.items():
            optimizer.load_state_dict(saved["optimizers"][name])
        self.step, self.seconds = saved["step"], saved["seconds"]


def _plain(recipe: dict[str, Any]) -> dict[str, Any]:
    return {key: list(value) if isinstance(value, tuple) else value for key, value in recipe.items()}


def hardware() -> str:
    """The processor or GPU that trains, in a few words."""
    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    return f"{torch.get_num_threads()} threads of {platform.machine()}, torch {torch.__version__.split('+')[0]}"


def _export(
    net: nn.Module, preset: Any, recipe: TrainRecipe, config: Any, pictures: datasets.Pictures, state: State, run: Path
) -> None:
    card = Card(
        name=preset.name, task=preset.task, architecture=preset.architecture, config=dataclasses.asdict(config),
        parameters=0, sha256="", license=_licence(pictures.source.licence), data=(pictures.source,),
        recipe=dataclasses.replace(recipe, steps=state.step).to_json(), hardware=hardware(), hours=round(state.seconds / 3600, 2),
        title=preset.title, intended=preset.intended, limits=preset.limits, paper=preset.paper,
    )  # fmt: skip
    weights.save(net, card, run)


def _licence(data: str) -> str:
    return f"Apache-2.0 for the numbers as far as they are ours; trained on data under: {data or 'a licence nobody stated'}"


def run(
    preset: str,
    data: Path,
    out: Path,
    *,
    resume: bool = False,
    steps: int | None = None,
    batch: int | None = None,
    seed: int | None = None,
    threads: int | None = None,
) -> Path:
    """`train` as both command lines offer it: with a progress bar, and with None for what the recipe says.

    Raises: as `train`.
    """
    if threads is not None and threads < 1:
        raise TrainingError(f"threads must be at least 1, not {threads}.")
    if threads is not None:
        torch.set_num_threads(threads)
    given = {"steps": steps, "batch": batch, "seed": seed}
    recipe = dataclasses.replace(
        find(preset).recipe, **{key: value for key, value in given.items() if value is not None}
    )
    with tqdm(total=recipe.steps, unit="step", mininterval=2, disable=None) as bar:  # None: only on a terminal

        def show(step: int, losses: dict[str, float]) -> None:
            bar.update(step + 1 - bar.n)
            bar.set_postfix({name: f"{value:.4f}" for name, value in losses.items()}, refresh=False)

        return train(recipe, data, out, resume=resume, on_step=show)


def main() -> None:
    """`python -m genrestore.train`: the loop without the rest of the application."""
    parser = argparse.ArgumentParser(
        prog="python -m genrestore.train", description="Train a preset on a folder of pictures or an .npz."
    )
    parser.add_argument("preset", help=", ".join(names()))
    parser.add_argument("--data", required=True, type=Path, help="folder of pictures, or .npz")
    parser.add_argument("--out", required=True, type=Path, help="folder of the run")
    parser.add_argument("--resume", action="store_true", help="go on from the checkpoint in --out")
    parser.add_argument("--steps", type=int, help="train for so many steps instead of the recipe's")
    parser.add_argument("--batch", type=int, help="pictures a step instead of the recipe's")
    parser.add_argument("--seed", type=int, help="another seed than the recipe's")
    parser.add_argument("--threads", type=int, help="processor threads to use")
    given = parser.parse_args()
    try:
        run(**vars(given))
    except GenrestoreError as problem:
        print(problem, file=sys.stderr)
        raise SystemExit(2) from None


if __name__ == "__main__":
    main()
