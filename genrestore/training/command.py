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
from genrestore.errors import Cancelled, TrainingError
from genrestore.licences import OTHER, licence_named
from genrestore.models import find, names
from genrestore.paths import home, replace
from genrestore.recipe import TrainRecipe, changed
from genrestore.setting import named
from genrestore.training import checkpoint, loggers, runs
from genrestore.training.distributed import RANK, SIZE
from genrestore.training.estimate import estimate
from genrestore.training.options import FIELDS, OPTIONS
from genrestore.training.runs import Estimate, Run
from genrestore.training.train import train

THREADS = 256  # that may be asked for on any machine: more only wait for one another
FIRST, ALONE = RANK == 0, SIZE == 1  # the process that speaks; there is no other


def call(given: dict[str, Any]) -> None:
    """Do what a command line asks for: a value for each of `options.OPTIONS`, None where nothing was said."""
    settings: dict[str, Any] = {**named(given.pop("set") or [], "lr=0.001")}
    settings |= {name: value for name in FIELDS if (value := given.pop(name)) is not None}
    check, dry, as_json, log = (given.pop(name) for name in ("check", "dry_run", "json", "log"))
    asked = {name: given[name] for name in ("preset", "data", "recipe")}
    use_threads(given.pop("threads"))
    if check:
        recipe, source = _asked(**asked, settings=settings)
        print(examine(source, recipe).text())
    elif dry:
        found = rehearsal(**asked, resume=given["out"] if given["resume"] else None, settings=settings)
        print(json.dumps(dataclasses.asdict(found)) if as_json else found.text)
    else:
        run(**given, settings=settings, log="terminal" if log is None else log)


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
    log: str = "terminal",
) -> Path:
    """`train` as both command lines offer it: loggers show what happens, and Ctrl-C or SIGTERM ends it with a checkpoint.

    Args:
        preset: its name; or else one of the following says what to train.
        recipe: a JSON file with a recipe, or a run's recipe.json, which also knows the data.
        reproduce: folder or name of a weight, whose recipe is run again on the same data.
        resume: go on with the run in `out`; its own recipe.json is used where neither preset nor recipe is given.
        out: folder of the run; by default one among the user's runs, named after preset and data.
        folds: train so many times, each time with another part kept aside, and print mean ± standard deviation.
        settings: fields of the recipe to change; texts are read as their types.
        log: names of loggers, between commas.

    Returns: the folder of the run.

    Raises: as `train`.
    """
    loggers.chosen(log)  # refused before the pictures are read
    stated = {} if licence is None else {"licence": licence}
    wanted, source = _asked(preset, data, recipe, stated | (settings or {}), reproduce, out if resume else None)
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
        return _cross_validate(wanted, source, out, folds, resume, log)
    return _checked(wanted, source, out, resume, log)


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
    wanted, source = _asked(preset, data, recipe, settings or {}, resumed=resume)
    return estimate(wanted, source, done=checkpoint.read(resume)["progress"]["step"] if resume else 0)


def _asked(
    preset: str | None, data: str | None, recipe: Path | None, settings: dict[str, Any], reproduce: Path | None = None,
    resumed: Path | None = None,
) -> tuple[TrainRecipe, str]:  # fmt: skip
    """What to train, with the settings that were given, and on what.

    Raises:
        TrainingError: that is not said, or said twice.
    """
    wanted, source = _wanted(preset, recipe, reproduce, resumed)
    source = data or source
    if source is None:
        raise TrainingError("Say where the pictures lie with --data: a folder, a .zip, a .npy or an .npz.")
    return changed(wanted, settings, find(wanted.model).own), source


def _wanted(
    preset: str | None, recipe: Path | None, reproduce: Path | None, resumed: Path | None
) -> tuple[TrainRecipe, str | None]:
    """The recipe that was named, and where its pictures lie if it knows."""
    if sum(given is not None for given in (preset, recipe, reproduce)) > 1:
        raise TrainingError("Give a preset, --recipe or --reproduce, one of them.")
    if reproduce is not None:
        return _card(reproduce)[0], None
    if preset is not None:
        return find(preset).recipe, None
    path = recipe or (resumed / "recipe.json" if resumed else None)
    if path is None:
        raise TrainingError(f"Name what to train: {', '.join(names())}.")
    if resumed and not path.exists():
        raise TrainingError(f"There is no file {path}; name the preset that was trained there.")
    return runs.read_recipe(path)


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


def _checked(recipe: TrainRecipe, source: str, out: Path, resume: bool, log: str) -> Path:
    """Train, after a look at the pictures."""
    cancel = threading.Event()
    if FIRST:
        report = examine(source, recipe)
        if report.problem:
            raise TrainingError(report.problem)
        if report.findings:
            print(report.text(), file=sys.stderr)
    with _signals(cancel):
        return train(recipe, source, out, resume=resume, loggers=loggers.chosen(log), cancel=cancel)


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


def _cross_validate(recipe: TrainRecipe, source: str, out: Path, folds: int, resume: bool, log: str) -> Path:
    """Train `folds` times; leaves folds.json with every score, and prints their table."""
    recipe = dataclasses.replace(recipe, folds=folds, holdout=0.0)
    rows: list[dict[str, float]] = []
    for fold in range(folds):
        part = out / f"fold-{fold + 1}"
        begun = (part / checkpoint.FILE).exists()
        if begun and not resume:
            raise TrainingError(f"{out} already holds a cross-validation; add --resume, or name another folder.")
        _checked(dataclasses.replace(recipe, fold=fold), source, part, begun, log)
        if Run(part).status().state == "stopped":
            raise Cancelled(f"The cross-validation was stopped in part {fold + 1}; go on with --resume.")
        rows.append(next((line["holdout"] for line in reversed(Run(part).log()) if "holdout" in line), {}))
    replace(out / "folds.json", json.dumps(rows, indent=2, allow_nan=False))
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
    for name, one in OPTIONS.items():
        usual = f" (default: {one.usual})" if one.usual else ""
        how: dict[str, Any] = {"help": f"{one.help}{usual}".replace("%", "%%")}
        if name == "preset":
            how["nargs"] = "?"
        elif one.kind is bool:
            how["action"] = "store_true"
        elif one.kind is list:
            how |= {"action": "append", "metavar": "NAME=VALUE"}
        else:
            how["type"] = str if name in FIELDS else one.kind  # `changed` reads the fields
        parser.add_argument(*([name] if name == "preset" else one.flags(name)), **how)
    call(vars(parser.parse_args()))
