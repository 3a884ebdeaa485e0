"""Training as a command: what was asked for, a view of it, cross-validation, and doing a weight again."""

import argparse
import dataclasses
import json
import os
import signal
import sys
import threading
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import torch

from genrestore import weights
from genrestore.card import Card
from genrestore.data import sources
from genrestore.data.checks import examine
from genrestore.errors import Cancelled, GenrestoreError, TrainingError
from genrestore.licences import OTHER, licence_named
from genrestore.models import find, names
from genrestore.paths import home
from genrestore.recipe import TrainRecipe, changed, settings_of
from genrestore.setting import settings as declared
from genrestore.training import checkpoint, runs
from genrestore.training.distributed import RANK, SIZE
from genrestore.training.estimate import estimate
from genrestore.training.loop import train
from genrestore.training.runs import Estimate, Run
from genrestore.training.terminal import Terminal

THREADS = 256  # that may be asked for on any machine: more only wait for one another
FIRST, ALONE = RANK == 0, SIZE == 1  # the process that speaks; there is no other
# Fields that have an option of their own.
COMMON = ("steps", "minutes", "batch", "lr", "seed", "holdout", "precision", "leave_out")


def run(
    preset: str | None = None,
    *,
    data: str | None = None,
    out: Path | None = None,
    licence: str | None = None,
    resume: bool = False,
    recipe: Path | None = None,
    reproduce: Path | None = None,
    folds: int | None = None,
    settings: dict[str, Any] | None = None,
    threads: int | None = None,
    tensorboard: bool = False,
) -> Path:
    """`train` as both command lines offer it: it shows what happens, and Ctrl-C or SIGTERM ends it with a checkpoint.

    Args:
        preset: its name; or else one of the following says what to train.
        recipe: a JSON file with a recipe, or a run's recipe.json, which also knows the data.
        reproduce: folder or name of a weight, whose recipe is run again on the same data.
        resume: go on with the run in `out`; its own recipe.json is used where neither preset nor recipe is given.
        out: folder of the run; by default one among the user's runs, named after preset and data.
        folds: train so many times, each time with another part kept aside, and print mean ± standard deviation.
        settings: fields of the recipe to change; texts are read as their types.

    Returns: the folder of the run.

    Raises: as `train`.
    """
    use_threads(threads)
    wanted, source = _wanted(preset, data, recipe, reproduce, out if resume else None)
    named = {} if licence is None else {"licence": licence}
    wanted, source = _filled(wanted, named | (settings or {}), source)
    if not resume:
        licence_named(wanted.licence)
    if reproduce and FIRST:
        _check_source(reproduce, source)
    if out is None:
        if resume or not ALONE:
            raise TrainingError("Name the folder of the run with --out.")
        out = (
            home() / "runs" / runs.free_name(f"{wanted.model}-{Path(source.partition('@')[0]).stem.replace(':', '-')}")
        )
    if folds and not ALONE:
        raise TrainingError("--folds trains in one process; start it without a launcher.")
    if folds:
        return _cross_validate(wanted, source, out, folds, resume)
    return _shown(wanted, source, out, resume, tensorboard)


def use_threads(threads: int | None) -> None:
    """Compute with so many threads; None leaves it to torch.

    Raises:
        TrainingError: it is none, or more than could ever be of use.
    """
    most = max(THREADS, os.cpu_count() or 1)
    if threads is not None and not 1 <= threads <= most:
        raise TrainingError(f"threads must lie between 1 and {most}, not {threads}.")
    if threads is not None:
        torch.set_num_threads(threads)


def diagnosis(
    preset: str | None = None,
    *,
    data: str | None = None,
    recipe: Path | None = None,
    settings: dict[str, Any] | None = None,
) -> str:
    """What the data doctor says of the pictures, with that model in mind; see `run`."""
    wanted, source = _wanted(preset, data, recipe, None, None)
    wanted, source = _filled(wanted, settings or {}, source)
    return examine(source, wanted).text()


def rehearsal(
    preset: str | None = None,
    *,
    data: str | None = None,
    recipe: Path | None = None,
    resume: Path | None = None,
    settings: dict[str, Any] | None = None,
) -> Estimate:
    """How long it will take, from a few steps of which nothing is kept; see `run`. `resume` is the folder of a run to go on."""
    if not ALONE:
        raise TrainingError("--dry-run tries one process; start it without a launcher.")
    wanted, source = _wanted(preset, data, recipe, None, resume)
    wanted, source = _filled(wanted, settings or {}, source)
    return estimate(wanted, source, done=checkpoint.read(resume)["progress"]["step"] if resume else 0)


def _filled(recipe: TrainRecipe, given: dict[str, Any], source: str | None) -> tuple[TrainRecipe, str]:
    """The recipe with what was given, and the source, which must be there."""
    if source is None:
        raise TrainingError("Say where the pictures lie with --data: a folder, a .zip, a .npy or an .npz.")
    return changed(recipe, given, find(recipe.model).own), source


def _wanted(
    preset: str | None, data: str | None, recipe: Path | None, reproduce: Path | None, resumed: Path | None
) -> tuple[TrainRecipe, str | None]:
    """What to train and on what."""
    if sum(given is not None for given in (preset, recipe, reproduce)) > 1:
        raise TrainingError("Give a preset, --recipe or --reproduce, one of them.")
    if reproduce is not None:
        return _card(reproduce)[0], data
    if preset is not None:
        return find(preset).recipe, data
    path = recipe or (resumed / "recipe.json" if resumed else None)
    if path is None:
        raise TrainingError(f"Name what to train: {', '.join(names())}.")
    if resumed and not path.exists():
        raise TrainingError(f"There is no file {path}; name the preset that was trained there.")
    asked, source = runs.read_recipe(path)
    return asked, data or source


def _card(weight: Path) -> tuple[TrainRecipe, Card]:
    """The recipe of a weight, and its card.

    Raises:
        TrainingError: it is no weight, or its card tells no recipe or no data.
        ModelError: nothing lies there.
    """
    if weight.is_file() and weight.suffix != ".safetensors":
        raise TrainingError(
            f"{weight} is a file; give --reproduce the folder or the name of a weight, or a recipe with --recipe."
        )
    card = weights.resolve(f"file:{weight}" if weight.exists() else str(weight))
    try:
        recipe = TrainRecipe.from_json(card.recipe | {"model": card.recipe.get("model") or card.name})
        stated = card.data[0].licence
        with suppress(TrainingError):
            return dataclasses.replace(recipe, licence=licence_named(stated)), card
        return dataclasses.replace(recipe, licence=f"{OTHER}{stated}"), card
    except (TypeError, AttributeError, IndexError, ValueError) as problem:
        raise TrainingError(
            f"The card of {card.name} does not tell how it was trained ({problem}); choose another weight."
        ) from problem


def _check_source(weight: Path, source: str) -> None:
    """Raises:
    TrainingError: the data are others than those the weight learnt from.
    """
    card = _card(weight)[1]
    if sources.find(source).sha256 != card.data[0].sha256:
        raise TrainingError(
            f"{source} is not what {card.name} learnt from: {card.data[0].name}, {card.data[0].count:,} pictures, "
            f"sha256 {card.data[0].sha256[:12]}…; give that with --data, or train without --reproduce."
        )


def _shown(recipe: TrainRecipe, source: str, out: Path, resume: bool, tensorboard: bool = False) -> Path:
    """Train, with a view of it on the terminal."""
    cancel = threading.Event()
    if FIRST:
        report = examine(source, recipe)
        if report.problem:
            raise TrainingError(report.problem)
        if report.findings:
            print(report.text(), file=sys.stderr)
    with _signals(cancel), Terminal(out, recipe, quiet=not FIRST) as view:
        return train(
            recipe, source, out, resume=resume, on_step=view.step, on_line=view.line, cancel=cancel,
            tensorboard=tensorboard,
        )  # fmt: skip


@contextmanager
def _signals(cancel: threading.Event) -> Generator[None, None, None]:
    """Within the block the first Ctrl-C or SIGTERM sets `cancel`; the second one acts as usual."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    usual = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def stop(number: int, frame: Any) -> None:
        cancel.set()
        signal.signal(number, usual[signal.Signals(number)])

    for number in usual:
        signal.signal(number, stop)
    try:
        yield
    finally:
        for number, handler in usual.items():
            signal.signal(number, handler)


def _cross_validate(recipe: TrainRecipe, source: str, out: Path, folds: int, resume: bool) -> Path:
    """Train `folds` times; leaves folds.json with every score, and prints their table."""
    recipe = dataclasses.replace(recipe, folds=folds, holdout=0.0)
    rows: list[dict[str, float]] = []
    for fold in range(folds):
        part = out / f"fold-{fold + 1}"
        begun = (part / checkpoint.FILE).exists()
        if begun and not resume:
            raise TrainingError(f"{out} already holds a cross-validation; add --resume, or name another folder.")
        _shown(dataclasses.replace(recipe, fold=fold), source, part, begun)
        if Run(part).status().state == "stopped":
            raise Cancelled(f"The cross-validation was stopped in part {fold + 1}; go on with --resume.")
        rows.append(next((line["holdout"] for line in reversed(Run(part).log()) if "holdout" in line), {}))
    runs.replace(out / "folds.json", json.dumps(rows, indent=2, allow_nan=False))
    print(table(rows))
    return out


def table(rows: list[dict[str, float]]) -> str:
    """The scores of a cross-validation, one line a fold, and mean ± standard deviation (n − 1) over them."""
    columns = [name for name in rows[0] if all(name in row for row in rows)]
    if not columns:
        return "These pictures are too small to be measured."
    lines = [["fold", *columns]]
    lines += [[str(k), *(f"{row[name]:.4g}" for name in columns)] for k, row in enumerate(rows, 1)]
    spread = {name: [row[name] for row in rows] for name in columns}
    lines.append(["mean ± sd", *(f"{fmean(values):.4g} ± {stdev(values):.2g}" for values in spread.values())])
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join("  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True)) for line in lines)


def main() -> None:
    """`python -m genrestore.training`: the loop without the rest of the application."""
    parser = argparse.ArgumentParser(
        prog="python -m genrestore.training", description="Train a preset on pictures of your own."
    )
    parser.add_argument("preset", nargs="?", help=", ".join(names()))
    parser.add_argument("--data", help="folder of pictures, .zip, .npy, .npz, or torchvision:NAME@ROOT")
    parser.add_argument("--out", type=Path, help="folder of the run; its name becomes the model's")
    parser.add_argument("--licence", help="of the pictures: own, CC0-1.0, CC-BY-4.0, … or 'other: words'")
    parser.add_argument("--resume", action="store_true", help="go on from the checkpoint in --out")
    parser.add_argument("--recipe", type=Path, help="JSON file with a recipe, instead of a preset")
    parser.add_argument("--reproduce", type=Path, help="a weight whose recipe is run again, instead of a preset")
    parser.add_argument("--folds", type=int, help="cross-validate with so many parts")
    parser.add_argument("--doctor", action="store_true", help="only look at the pictures and say what is wrong")
    parser.add_argument("--dry-run", action="store_true", help="only try a few steps and say how long it will take")
    parser.add_argument("--json", action="store_true", help="what --dry-run says, for programs")
    parser.add_argument("--threads", type=int, help="processor threads to use")
    parser.add_argument("--tensorboard", action="store_true", help="also write TensorBoard's files into --out")
    for name in COMMON:
        parser.add_argument(f"--{name.replace('_', '-')}", help=declared(TrainRecipe)[name].told)
    parser.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", help="any other field of the recipe"
    )
    given = vars(parser.parse_args())
    try:
        settings = settings_of(given.pop("set"), {name: given.pop(name) for name in COMMON})
        asked = {name: given[name] for name in ("preset", "data", "recipe")}
        doctor, dry, as_json = (given.pop(name) for name in ("doctor", "dry_run", "json"))
        if doctor:
            print(diagnosis(**asked, settings=settings))
        elif dry:
            use_threads(given["threads"])
            found = rehearsal(**asked, resume=given["out"] if given["resume"] else None, settings=settings)
            print(json.dumps(dataclasses.asdict(found)) if as_json else found.text)
        else:
            run(**given, settings=settings)
    except GenrestoreError as problem:
        print(problem, file=sys.stderr)
        raise SystemExit(2) from None
