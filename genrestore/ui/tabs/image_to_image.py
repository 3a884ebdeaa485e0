"""A tab that makes of a picture another one: choose it, set what the task and the model take, watch, compare, take the file."""

import functools
import math
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from html import escape
from pathlib import Path
from typing import Any, NamedTuple

import gradio as gr
import numpy as np

from genrestore import weights
from genrestore.errors import GenrestoreError, ModelError, SettingError
from genrestore.pictures import image
from genrestore.setting import Option, options
from genrestore.tasks.task import Task
from genrestore.ui.parts import chooser, compare, jobs, more, picker, recipes, slots
from genrestore.ui.parts.compare import Compare
from genrestore.ui.parts.mask_editor import MaskEditor
from genrestore.ui.parts.toasts import with_toasts
from genrestore.ui.words import Words
from genrestore.ui.words.sentences import label, translated

STEPS = 20  # of a slider
FORMATS = {"input": None, "png": "PNG", "jpeg": "JPEG", "webp": "WEBP", "tiff": "TIFF"}

W = Words("image_to_image")

OUTPUTS = ("source", "stage", "status", "go", "stop", "download")


class Seen(NamedTuple):
    """What is known of an upload before the work."""

    width: int
    height: int
    like: image.Picture  # one pixel, its clearest, for what formats ask: kind, depth, transparency


class Job(jobs.Job):
    """One call."""

    def __init__(
        self,
        tab: "Tab",
        source: Path,
        picture: image.Picture,
        kind: str | None,
        told: dict[str, bool] | None = None,
        **settings: Any,
    ) -> None:
        super().__init__(threading.Event())
        self.tab, self.source, self.picture = tab, source, picture
        self.kind = kind  # format of the file; None is the picture's own
        self.tell = told or {}  # what the file says beside the picture
        self.settings = settings
        self.view: dict[str, Any] | None = None  # for the slider
        self.size = (0, 0)  # of the result

    def work(self) -> None:
        from genrestore.pipelines import find

        told: dict[str, Any] = {"progress": self.report, "preview": self.preview, "cancel": self.cancel}
        made = find(self.tab.task.name)(self.picture, **self.settings, **told)
        result = replace(made, format=self.kind) if self.kind else made
        self.fraction = 1.0
        self.size = result.width, result.height
        self.file = jobs.written(result, self.tab.name(self.source, self.picture, result), **self.tell)
        whole = result.width * result.height <= compare.FULL * 1e6  # then the slider shows the file itself
        self.view = Compare.value(self.source, self.file if whole else result)


class Tab:
    """The tab of a task. One whose call takes other things extends it.

    Handlers are given the chosen picture, the format, the model, what `lay` and `lay_settings` laid out, the fields of the
    model's own conditions, and what files are to tell; they return or yield one entry for every name in OUTPUTS.
    """

    def __init__(self, task: Task) -> None:
        self.task = task
        self.own = [one for one in options(task.options) if one.setting.group]
        self.parts = 0  # that `lay` and `lay_settings` laid out

    # ---- what a task may have otherwise ----

    def lay(self) -> list[Any]:
        """The components of what a call takes, inside the layout that is open."""
        return [_field(one, f"{self.task.name}-{one.name}") for one in self.own]

    def lay_settings(self) -> list[Any]:
        """The same, of what is seldom changed."""
        return []

    def lay_quote(self) -> Any:
        """Where `quoted` speaks, if the task has something to say before the work."""
        return None

    def settings(self, given: Sequence[Any]) -> dict[str, Any]:
        """What the components of `lay` and `lay_settings` say, as arguments of the call.

        Raises:
            SettingError: a value is out of its range.
        """
        return {one.name: one.value(value) for one, value in zip(self.own, given, strict=True)}

    def size(self, seen: Seen, settings: dict[str, Any], model: str) -> tuple[int, int]:
        """Width and height of the result.

        Raises:
            GenrestoreError: what is asked for cannot be.
        """
        return seen.width, seen.height

    def name(self, source: Path, before: image.Picture, after: image.Picture) -> str:
        """The file's name."""
        return image.beside(source, self.task.done, image.suffix(after)).name

    def again(self, settings: dict[str, Any]) -> list[Any]:
        """What the components of `lay` and `lay_settings` are to show of a recipe's settings."""
        return [_shown(one, settings) for one in self.own]

    # ---- handlers ----

    def restored(self, request: gr.Request, value: object) -> list[Any]:
        """What the list of models and the components are to show, where a result of this tab was chosen."""
        nothing = [gr.skip()] * (1 + self.parts)
        if not chooser.chosen(value):
            return nothing
        recipe = recipes.read(MaskEditor.file(value), self.task.name, request)
        return nothing if recipe is None else [recipes.restored(recipe, request), *self.again(recipe.settings)]

    def arrived(self, value: object) -> list[Any]:
        """Another picture was chosen: show it. What was running for the one before is cancelled by the event itself."""
        gone = {"download": gr.DownloadButton(visible=False), **_idle()}
        try:
            return _change(stage=Compare.value(MaskEditor.file(value)), **gone)
        except GenrestoreError as problem:
            gr.Warning(escape(translated(problem)), title="")
            return _change(source={}, stage=None, **gone)

    def waiting(self, request: gr.Request) -> list[Any]:
        """The button was pressed: say so at once, because jobs of other visitors may come first."""
        return _change(**_busy(jobs.W.text("waiting", request)))

    def run(self, request: gr.Request, value: object, kind: str, model: str, *given: Any) -> Iterator[list[Any]]:
        """Make the picture and tell how far it is.

        Gradio closes this generator when Cancel is pressed and when the visitor leaves; the job is stopped then.
        """
        cancel = None
        try:
            if not chooser.chosen(value):
                gr.Warning(W.text("none", request), title="")
                yield _change(**_idle())
                return
            path = MaskEditor.file(value)
            settings = self.asked(model, given)
            self.plan(seen(path), settings, kind, model)
            job = Job(self, path, image.load(path), FORMATS[kind], recipes.told(given[-1]), model=model, **settings)
            cancel = job.cancel
            yield _change(**_busy(jobs.W.text("starting", request)))
            started = time.monotonic()
            for _ in job.follow():
                yield _change(status=jobs.bar(job.fraction, job.stage(request), job.glimpse))
            assert job.file is not None
            seconds, size = f"{time.monotonic() - started:.1f}", told_bytes(job.file.stat().st_size)
            done = W.text("done", request, size=told_size(*job.size), seconds=seconds, bytes=size)
            button = gr.DownloadButton(W.text("download", request, name=job.file.name), value=job.file, visible=True)
            lost = [escape(translated(note, request)) for note in job.picture.notes]
            yield _change(stage=job.view, download=button, **{**_idle(), "status": "<br>".join([done, *lost])})
        except Exception:  # `with_toasts` tells it
            yield _change(**_idle())
            raise
        finally:
            if cancel is not None:
                cancel.set()

    def stopped(self) -> list[Any]:
        """Cancel was pressed, or the job got no place in the queue."""
        return _change(**_idle())

    def taking(self, model: str) -> list[Any]:
        """Another model was chosen: the fields of its conditions."""
        return slots.shown(self.conditions(model))

    def quoted(self, request: gr.Request, value: object, kind: str, model: str, *given: Any) -> str:
        """What will come of it, or why it cannot be."""
        raise NotImplementedError

    # ---- what they share ----

    def conditions(self, model: str) -> tuple[Option, ...]:
        """What the model takes besides; nothing where there is no such model, which its use will say."""
        try:
            return weights.resolve(model, self.task.name).inputs
        except ModelError:
            return ()

    def asked(self, model: str, given: Sequence[Any]) -> dict[str, Any]:
        """The arguments of the call.

        Raises:
            SettingError: a value is out of its range.
        """
        count = len(given) - slots.COUNT - 1
        return {**self.settings(given[:count]), **slots.read(self.conditions(model), given[count:-1])}

    def plan(self, found: Seen, settings: dict[str, Any], kind: str, model: str) -> None:
        """Raises:
        GenrestoreError: what is asked for cannot be, or its format cannot hold it.
        """
        if kind not in FORMATS:
            raise SettingError(f"Save as one of {', '.join(FORMATS)}, not {str(kind)[:40]!r}.")
        image.output(found.like, format=FORMATS[kind], size=self.size(found, settings, model))

    # ---- layout ----

    def build(self) -> gr.Dropdown:
        """Lay out the tab inside the gr.Tab that is open; returns its list of models."""
        name = self.task.name
        with gr.Row():
            with gr.Column(scale=1, min_width=300):
                source = chooser.chooser(name)
                parts = self.lay()
                formats = [(W(one), one) for one in FORMATS]
                kind = gr.Dropdown(formats, value="input", label=W("format"), elem_id=f"{name}-format")
                with gr.Accordion(W("settings"), open=False):
                    model = picker.picker(name)
                    more.more(name, model)
                    told = slots.laid(f"{name}-condition")
                    parts += self.lay_settings()
                    told_in_file = recipes.field(name)
                quote = self.lay_quote()
                go = gr.Button(label(self.task.title), variant="primary", elem_id=f"{name}-go")
                stop = gr.Button(W("stop"), visible=False, elem_id=f"{name}-stop")
                status = gr.HTML(elem_id=f"{name}-status", elem_classes="picture-status", padding=False)
            with gr.Column(scale=3, min_width=320):
                stage = Compare(label=W("result"), elem_id=f"{name}-result")
                download = gr.DownloadButton(visible=False, elem_id=f"{name}-download", elem_classes="picture-download")

        outputs = [source, stage, status, go, stop, download]  # in the order of OUTPUTS
        settings = [source, kind, model, *parts, *told, told_in_file]
        quiet: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
        running = go.click(self.waiting, None, outputs, queue=False, **quiet).then(
            with_toasts(self.run), settings, outputs, **quiet
        )
        running.failure(self.stopped, None, outputs, queue=False, **quiet)
        jobs.cancel_at([stop.click, source.upload], running)
        stop.click(self.stopped, None, outputs, queue=False, **quiet)
        source.upload(with_toasts(self.arrived), source, outputs, **quiet)
        self.parts = len(parts)
        source.upload(with_toasts(self.restored), source, [model, *parts], **quiet)
        model.change(with_toasts(self.taking), model, told, **quiet)
        if quote is not None:
            # One event for all, so that a quote that took long cannot come after a newer one. A result on the stage is among
            # them because its run has measured the speed.
            asked = [part.change for part in (*settings, stage)]
            gr.on(asked, with_toasts(self.quoted), settings, quote, trigger_mode="always_last", **quiet)
        return model


def _field(one: Option, elem_id: str) -> Any:
    """The component of an option, with its name and one line that explains it."""
    named: dict[str, Any] = {"label": label(one.setting.label), "info": label(one.setting.help), "elem_id": elem_id}
    if one.setting.choices:
        return gr.Dropdown(list(one.setting.choices), value=one.usual, **named)
    if one.kind == "bool":
        return gr.Checkbox(one.usual, **named)
    if one.kind == "str":
        return gr.Textbox(one.usual, **named)
    low, high = one.setting.bounds
    if one.kind == "float" and math.isfinite(low) and math.isfinite(high):
        return gr.Slider(low, high, value=one.usual, step=(high - low) / STEPS, **named)
    return gr.Number(one.usual, precision=0 if one.kind == "int" else None, **named)


def _shown(one: Option, settings: dict[str, Any]) -> Any:
    """What the component of an option is to show of a recipe's settings."""
    try:
        return gr.update(value=one.value(settings[one.name])) if one.name in settings else gr.skip()
    except SettingError:
        return gr.skip()


def _change(**named: Any) -> list[Any]:
    """What an event alters on the page; what is not named stays as it is."""
    return [named.get(name, gr.skip()) for name in OUTPUTS]


def _idle() -> dict[str, Any]:
    return {"go": gr.Button(visible=True), "stop": gr.Button(visible=False), "status": ""}


def _busy(text: str) -> dict[str, Any]:
    return {"go": gr.Button(visible=False), "stop": gr.Button(visible=True), "status": jobs.bar(0.0, text)}


@functools.lru_cache(maxsize=64)
def seen(path: Path) -> Seen:
    """An upload's path holds the hash of its content, so it cannot change."""
    picture = image.load(path)
    alpha = picture.pixels[..., -1] if picture.alpha is not None else None
    y, x = np.unravel_index(int(alpha.argmin()), alpha.shape) if alpha is not None else (0, 0)
    like = image.Picture(picture.pixels[y : y + 1, x : x + 1].copy(), picture.format)
    return Seen(picture.width, picture.height, like)


def told_size(width: int, height: int) -> str:
    return f"{width} × {height}"


def told_bytes(count: int) -> str:
    if count < 1e6:
        return f"{count / 1e3:.0f} kB"
    if count < 1e9:
        return f"{count / 1e6:.{int(count < 1e7)}f} MB"
    return f"{count / 1e9:.1f} GB"
