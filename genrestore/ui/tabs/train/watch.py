"""The runs as the Train tab shows them: what the browser (watch.js) asks once a second, and what it may order.

A run is addressed by its name among this user's runs, never by a path. Every question first checks who asks.
"""

import base64
import dataclasses
import math
import shutil
import threading
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any, cast

import gradio as gr

import genrestore
from genrestore import errors, tasks
from genrestore.card import Card
from genrestore.errors import ModelError, TrainingError
from genrestore.paths import home
from genrestore.recipe import TrainRecipe
from genrestore.training import judge, runs
from genrestore.training.runs import Run, Status
from genrestore.ui.parts import picker
from genrestore.ui.parts.component import address, component
from genrestore.ui.server.access import Access
from genrestore.ui.words import Words
from genrestore.ui.words.sentences import translated

POINTS = 1500  # of one curve that are sent at once
EVENTS = 50  # that are sent at once

W = Words("watch")


def build(access: Access) -> gr.HTML:
    """The panel, inside the layout that is open. Its value is {"run": name}: the run to show, or the one to open elsewhere."""
    return component(
        "tabs/train/watch",
        shared=("parts/controls",),
        server_functions=[access.guarded(question) for question in (look, picture, order, weight)],
        elem_id="watch",
        words=W.by_language(),
    )


# ---- what the browser may ask ----


def look(data: dict[str, Any]) -> dict[str, Any]:
    """All runs in short, and the one that `data` names in full; an unknown name or none takes the newest.

    `data["from"]` is where in the log of `data["run"]` the last answer ended, so that a log of any length is sent once.
    """
    found = {run.name: run for run in runs.every()}
    states = {name: run.status() for name, run in found.items()}
    answer: dict[str, Any] = {"runs": [_short(run, states[name]) for name, run in found.items()]}
    if found:
        asked = data.get("run")
        name = asked if isinstance(asked, str) and asked in found else next(iter(found))
        start = data.get("from") if name == asked else 0
        answer["run"] = _full(found[name], states[name], start if isinstance(start, int) and start >= 0 else 0)
    return answer


def picture(data: dict[str, Any]) -> dict[str, Any]:
    """The picture that a run drew at `data["step"]`, or that of its nearest training pictures where the step is "nearest"."""
    run, step = find(data), data.get("step")
    paths = dict(run.samples())
    path = run.folder / "nearest.webp" if step == "nearest" else paths.get(step) if isinstance(step, int) else None
    if path is None or not path.is_file():
        raise TrainingError("This picture is no longer there; choose another step.")
    return {"url": f"data:image/webp;base64,{base64.b64encode(path.read_bytes()).decode()}"}


def order(data: dict[str, Any]) -> dict[str, Any]:
    """Pause, resume, stop or delete a run."""
    run, word = find(data), data.get("word")
    live = run.status().live
    if word in ("pause", "stop") and live:
        run.ask(word)
    elif word == "resume" and live:
        runs.go_on(run)
    elif word == "resume":
        recipe, pictures = run.recipe()
        runs.start(run.name, recipe, pictures, resume=True)
    elif word == "delete" and not live:
        shutil.rmtree(run.folder)
        shutil.rmtree(kept(run.name), ignore_errors=True)
    else:
        raise TrainingError(
            f"{run.name} {'is being trained; stop it first' if live else 'has ended; resume it first'}."
        )
    return {}


def weight(data: dict[str, Any]) -> dict[str, Any]:
    """Where the browser finds the file of a run's weight, under the run's name."""
    run = find(data)
    path = run.folder / "model.safetensors"
    if not path.is_file():
        raise TrainingError(f"{run.name} has no weight yet; wait for its first checkpoint.")
    gr.set_static_paths([path])
    return {"url": address(path), "name": f"{run.name}.safetensors"}


def find(data: object) -> Run:
    """The run that `data["run"]` names.

    Raises:
        ModelError: none of this user's has that name.
    """
    name = cast("dict[str, Any]", data).get("run") if isinstance(data, dict) else None
    known = {run.name: run for run in runs.every()}
    if not isinstance(name, str) or name not in known:
        raise errors.unknown("training", str(name)[:64], known, "Choose one from the list.")
    return known[name]


def kept(name: str) -> Path:
    """The folder of the pictures that were uploaded for a run: Gradio forgets them, and a resumed run needs them."""
    return home() / "pictures" / name


# ---- what is answered ----


def _short(run: Run, status: Status) -> dict[str, Any]:
    begun = (run.folder / "recipe.json").stat().st_mtime
    return {"name": run.name, "state": status.state, "step": status.step, "steps": status.steps, "begun": begun}


def _full(run: Run, status: Status, start: int) -> dict[str, Any]:
    lines, begin, end = run.log_from(start)
    nearest = run.nearest()
    drawn = run.folder / "nearest.webp"
    facts = {key: getattr(status, key) for key in ("state", "step", "steps", "seconds", "left", "speed", "lr")}
    return {
        **_finite(facts),
        "message": translated(status.message),
        "name": run.name,
        "asked": run.asked(),
        "how": _judged(run.folder, (run.folder / "recipe.json").stat().st_mtime_ns).now(),
        **_model(run),
        "lines": [_told(line) for line in _finite(_thinned(lines))],
        "from": end,
        "anew": begin == 0,  # the lines are all that there are
        "samples": [step for step, _ in run.samples()],
        "nearest": _finite(nearest) if nearest and drawn.is_file() else None,
    }


class _Judged:
    """The verdict on a run, made anew where its log has grown. A long log is read once, and thinly remembered."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.lock = threading.Lock()
        self.end = -1  # of the log as it was judged
        self.steps: list[dict[str, Any]] = []  # every `stride`-th line of losses
        self.others: list[dict[str, Any]] = []
        self.stride = 1
        self.count = 0  # of all lines of losses
        self.verdict: dict[str, Any] = {}

    def now(self) -> dict[str, Any]:
        with self.lock:
            lines, begin, end = self.run.log_from(max(0, self.end))
            if begin == 0:
                self.steps, self.others, self.stride, self.count = [], [], 1, 0
            if end != self.end:
                self._remember(lines)
                self.verdict = dataclasses.asdict(judge.judge([*self.steps, *self.others], self._recipe()))
            self.end = end
            return self.verdict

    def _remember(self, lines: list[dict[str, Any]]) -> None:
        for line in lines:
            if "losses" not in line:
                self.others.append(line)
                continue
            if self.count % self.stride == 0:
                self.steps.append(line)
            self.count += 1
            if len(self.steps) > POINTS:
                self.steps, self.stride = self.steps[::2], 2 * self.stride

    def _recipe(self) -> TrainRecipe | None:
        with suppress(TrainingError):
            return self.run.recipe()[0]
        return None  # what was asked is no longer known


@lru_cache(maxsize=32)
def _judged(folder: Path, begun: int) -> _Judged:
    """Of the run in `folder` that was begun then; another one of its name is another run."""
    return _Judged(Run(folder))


def _model(run: Run) -> dict[str, Any]:
    """What the run's model is for, once it has a weight, else nothing; and the step from which the page offers it, if later."""
    with suppress(ModelError):
        card = Card.read(run.folder)
        if card.weights.is_file() and card.name in [other.name for other in genrestore.list_models(card.task)]:
            tab = tasks.find(tasks.find(card.task).tab)
            return {
                "tab": tab.name,
                "title": translated(tab.title),
                "invents": tasks.find(card.task).invents,
                "unripe": 0 if picker.ripe(card) else picker.RIPE,
            }
    return {"tab": "", "title": "", "invents": True, "unripe": 0}


def _thinned(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Every n-th step and measurement, so that POINTS of each are left, with the last ones and the last events."""
    steps = [line for line in lines if "losses" in line]
    measured = [line for line in lines if "holdout" in line]
    events = [line for line in lines if "event" in line]
    few = [*_few(steps), *_few(measured), *events[-EVENTS:]]
    return sorted(few, key=lambda line: line.get("step", 0)) if len(few) < len(lines) else lines


def _told(line: dict[str, Any]) -> dict[str, Any]:
    """A line of the log in the visitor's language: what happened, and whom a loss belongs to."""
    if "event" in line:
        return line | {"event": translated(line["event"])}
    return (
        line | {"losses": {translated(name): value for name, value in line["losses"].items()}}
        if "losses" in line
        else line
    )


def _few(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """At most POINTS, evenly spread, the last one among them."""
    apart = math.ceil(len(lines) / POINTS) or 1
    return lines[::-1][::apart][::-1]


def _finite(value: Any) -> Any:
    """`value` as JSON for a browser, which has no number for what is none."""
    if isinstance(value, dict):
        return {key: _finite(part) for key, part in cast("dict[str, Any]", value).items()}
    if isinstance(value, list):
        return [_finite(part) for part in cast("list[Any]", value)]
    return None if isinstance(value, float) and not math.isfinite(value) else value
