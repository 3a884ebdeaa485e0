"""From what the Train tab asks for to a run that has begun. All that can be wrong is found before any time is spent."""

import dataclasses
import secrets
import shutil
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr
from gradio import utils

from genrestore.data import augment
from genrestore.errors import TrainingError
from genrestore.recipe import TrainRecipe
from genrestore.training import runs
from genrestore.ui.parts import jobs
from genrestore.ui.tabs.train import settings, watch
from genrestore.ui.words import Words

if TYPE_CHECKING:
    from genrestore.data.checks import Report

Wanted = tuple[str, str]  # where the pictures lie, as `dataset.read` takes it, and the preset; "" is not known yet

W = Words("start")


def missing(wanted: Wanted, name: str, licence: str | None) -> tuple[str, str]:
    """What a start lacks: (the element where to give it, the word that says so), or two empty texts."""
    needs = {
        "train-pictures": (wanted[0], "no_pictures"),
        "train-presets": (wanted[1], "no_model"),
        "train-name": (name.strip(), "no_name"),
        "train-licence": ((licence or "").strip(), "no_licence"),
    }
    return next(((place, word) for place, (given, word) in needs.items() if not given), ("", ""))


class Examination(jobs.Job):
    """One look of the data doctor."""

    def __init__(self, wanted: Wanted, leave_out: Sequence[str]) -> None:
        super().__init__(threading.Event())
        self.wanted = wanted
        self.leave_out = tuple(leave_out)
        self.found: Report | None = None

    def work(self) -> None:
        from genrestore.data import checks
        from genrestore.models import find

        reference, preset = self.wanted
        recipe = dataclasses.replace(find(preset).recipe, leave_out=self.leave_out)
        self.found = checks.examine(reference, recipe, progress=self.report, cancel=self.cancel)


class Rehearsal(jobs.Job):
    """A few steps of a training, measured in a process of their own."""

    def __init__(self, recipe: TrainRecipe, reference: str) -> None:
        super().__init__(threading.Event())
        self.recipe = recipe
        self.reference = reference
        self.found: runs.Estimate | None = None

    def work(self) -> None:
        self.found = runs.estimate(self.recipe, self.reference, self.cancel)


def recipe(
    wanted: Wanted, leave_out: Sequence[str], fields: Sequence[Any], request: gr.Request | None, **more: Any
) -> TrainRecipe:
    """What the page asks for; `more` are fields of the recipe.

    Raises:
        TrainingError: something is missing, or a field is out of its range or does not fit the net.
    """
    from genrestore.models import find

    for part, word in zip(wanted, ("no_pictures", "no_model"), strict=True):
        if not part:
            raise TrainingError(W.text(word, request))
    preset = find(wanted[1])
    asked = settings.recipe(preset.recipe, preset.own, fields, leave_out=tuple(leave_out), **more)
    for step in asked.augment:
        augment.find(step)
    import torch

    with torch.device("meta"):  # built without numbers, the net tells at once what of the recipe does not fit it
        preset.net(preset.config).phases(asked)
    return asked


def started(name: str, recipe: TrainRecipe, reference: str) -> runs.Run:
    """The run, begun.

    Raises:
        TrainingError: the name is not free, the pictures do not do, or another run is training.
    """
    from genrestore.data import checks

    if runs.place(name).exists():
        raise TrainingError(f"A run named {name} lies here already; choose another name.")
    report = checks.examine(reference, recipe)
    if report.problem:
        raise TrainingError(report.problem)
    upload = Path(reference)
    if not upload.is_relative_to(Path(utils.get_upload_folder()).resolve()):
        return runs.start(name, recipe, reference)
    # A folder for this start alone: of two that ask for one name at once, the one that is refused takes only its own away.
    place = watch.kept(name) / secrets.token_hex(8)
    try:
        return runs.start(name, recipe, _kept(upload, place))
    except (TrainingError, OSError):
        shutil.rmtree(place, ignore_errors=True)
        with suppress(OSError):
            place.parent.rmdir()  # if the other start has nothing in it
        raise


def _kept(upload: Path, place: Path) -> str:
    """Where the pictures of a run will stay: what was uploaded gets a second name outside of Gradio's cache."""
    path = place / upload.name
    place.mkdir(parents=True)
    try:
        path.hardlink_to(upload)
    except OSError:  # another disk
        shutil.copyfile(upload, path)
    return str(path)
