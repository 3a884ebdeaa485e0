"""The Train tab: drop pictures, read what the data doctor says, choose what to train, watch.

Each handler and each server function first checks whether its visitor may train; see `access`. The panel that shows the
runs is `watch`, the fields of the recipe are `settings`.
"""

import dataclasses
import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr

import genrestore
from genrestore import tasks
from genrestore.data.sources import SUFFIXES
from genrestore.errors import GenrestoreError, SettingError, TrainingError
from genrestore.licences import LICENCES, licence_named
from genrestore.paths import expanded
from genrestore.pictures import image
from genrestore.recipe import TrainRecipe
from genrestore.setting import options
from genrestore.training import runs
from genrestore.ui.parts import focus, jobs, picker, slots
from genrestore.ui.parts.component import component
from genrestore.ui.parts.mask_editor import MaskEditor
from genrestore.ui.parts.toasts import with_toasts
from genrestore.ui.server.access import Access
from genrestore.ui.tabs.train import closed, findings, settings, start, watch
from genrestore.ui.words import Words
from genrestore.ui.words.sentences import translated

if TYPE_CHECKING:
    from genrestore.registry import Preset

ARCHIVES = (".zip", ".npz", ".npy")
UPLOAD = 2**32 - 1  # bytes of an upload where the page is for this computer only; what a zip can hold
OWN = "own"  # of LICENCES: the pictures are the visitor's
LEFT_OUT = ("broken",)  # kinds of flawed pictures that are left out unless the visitor wants them

W = Words("train")

OUTPUTS = ("status", "panel", "setup", "name", "suggested", "focus")  # of a start
Pace = tuple[str, float]  # a recipe whatever its length, and the seconds that one of its steps takes with all beside it
UNKNOWN: Pace = ("", 0.0)


# ---- handlers ----


class Page:
    """The handlers of one page, for those whom its `access` lets train."""

    def __init__(self, access: Access, pickers: Mapping[str, Any]) -> None:
        self.access = access
        self.pickers = pickers

    def entered(self, profile: gr.OAuthProfile | None) -> Any:
        """The page was opened: whether this visitor sees the tab, and whether the place for a new training is open."""
        training = any(run.status().live for run in runs.every())
        return gr.Column(visible=self.access.allows(profile)), gr.Accordion(open=not training)

    @with_toasts
    def taken(
        self,
        profile: gr.OAuthProfile | None,
        request: gr.Request,
        value: object,
        wanted: start.Wanted,
        licence: str | None,
    ) -> Any:
        """Pictures were uploaded: what is wanted now, and their licence, which is the visitor's own unless he says otherwise."""
        self.access.check(profile, request)
        path = MaskEditor.file(value)
        if path.suffix.lower() not in ARCHIVES:
            raise SettingError(
                f"Pictures come as {', '.join(ARCHIVES)}, not as {path.name}; choose them in the Train tab."
            )
        return (str(path), wanted[1]), licence or OWN

    @with_toasts
    def named(
        self, profile: gr.OAuthProfile | None, request: gr.Request, text: str, wanted: start.Wanted, licence: str | None
    ) -> Any:
        """A folder of this computer was named: what is wanted now, and the licence; a set that others made is nobody's own."""
        self.access.check(profile, request)
        if not self.access.local:
            raise SettingError(
                "Folders of this server can be named at that computer only; drop the pictures on the page."
            )
        text = text.strip()
        if not text:
            raise TrainingError(start.W.text("no_pictures", request))
        if text.startswith("torchvision:"):
            return (text, wanted[1]), None if licence == OWN else licence
        return (str(expanded(text).resolve()), wanted[1]), licence or OWN

    @with_toasts
    def prefilled(self, profile: gr.OAuthProfile | None, request: gr.Request, preset: str, wanted: start.Wanted) -> Any:
        """Another preset was chosen: what is wanted now, and all settings as the preset has them."""
        self.access.check(profile, request)
        from genrestore.models import find

        chosen = find(preset)
        own = slots.shown(options(chosen.own), chosen.recipe.own)
        return (wanted[0], preset), *settings.values(chosen.recipe), *own

    @with_toasts
    def suggested(
        self, profile: gr.OAuthProfile | None, request: gr.Request, wanted: start.Wanted, name: str, last: str
    ) -> Any:
        """Something else is wanted: a name for it, unless the visitor gave one."""
        self.access.check(profile, request)
        now = _name(wanted) if wanted[0] else ""
        return now if name.strip() in ("", last) else name, now

    @with_toasts
    def examined(self, profile: gr.OAuthProfile | None, request: gr.Request, wanted: start.Wanted) -> Iterator[Any]:
        """Something else is wanted: what the data doctor says of it and whether it will do, and how far he is."""
        self.access.check(profile, request)
        if not all(wanted):
            return
        job = start.Examination(wanted, LEFT_OUT)
        try:
            for _ in job.follow():
                bar = jobs.bar(job.fraction, W.text("examining", request))
                yield bar, gr.CheckboxGroup(visible=False), gr.Button(visible=True), False
            assert job.found is not None
            kinds = findings.kinds(job.found, request)
            group = gr.CheckboxGroup(kinds, value=[k for _, k in kinds if k in LEFT_OUT], visible=bool(kinds))
            yield findings.html(job.found, request), group, gr.Button(visible=False), not job.found.problem
        except Exception:
            yield "", gr.CheckboxGroup(visible=False), gr.Button(visible=False), False
            raise
        finally:
            job.cancel.set()

    @with_toasts
    def judged(
        self, profile: gr.OAuthProfile | None, request: gr.Request, wanted: start.Wanted, leave_out: list[str]
    ) -> Iterator[Any]:
        """Other flawed pictures are to be left out: what the data doctor says now."""
        self.access.check(profile, request)
        job = start.Examination(wanted, leave_out)
        try:
            for _ in job.follow():
                yield gr.skip()
            assert job.found is not None
            yield findings.html(job.found, request), not job.found.problem
        finally:
            job.cancel.set()

    @with_toasts
    def timed(
        self,
        profile: gr.OAuthProfile | None,
        request: gr.Request,
        ready: bool,
        wanted: start.Wanted,
        leave_out: list[str],
        *fields: Any,
    ) -> Iterator[Any]:
        """The pictures will do: how long the training will take, from a few measured steps. Or others came: not yet known."""
        self.access.check(profile, request)
        if not ready:
            yield "", UNKNOWN
            return
        yield from self._measured(wanted, leave_out, fields, request)

    def _measured(
        self, wanted: start.Wanted, leave_out: list[str], fields: Sequence[Any], request: gr.Request
    ) -> Iterator[Any]:
        """What is told of the time, and the pace."""
        recipe = start.recipe(wanted, leave_out, fields, request)
        if any(run.status().state in ("preparing", "training") for run in runs.every()):
            yield _told(W.text("occupied", request)), UNKNOWN
            return
        job = start.Rehearsal(dataclasses.replace(recipe, minutes=0.0), wanted[0])
        try:
            yield _told(W.text("measuring", request)), UNKNOWN
            for _ in job.follow():
                yield gr.skip()
            assert job.found is not None
            pace = _unhurried(recipe), job.found.seconds / job.found.steps
            yield _told(_takes(recipe, pace, request)), pace
        except Exception:
            yield "", UNKNOWN
            raise
        finally:
            job.cancel.set()

    @with_toasts
    def measured(
        self,
        profile: gr.OAuthProfile | None,
        request: gr.Request,
        wanted: start.Wanted,
        leave_out: list[str],
        *fields: Any,
    ) -> Iterator[Any]:
        """The visitor asks how long it will take."""
        self.access.check(profile, request)
        yield from self._measured(wanted, leave_out, fields, request)

    @with_toasts
    def retimed(
        self,
        profile: gr.OAuthProfile | None,
        request: gr.Request,
        pace: Pace,
        wanted: start.Wanted,
        leave_out: list[str],
        *fields: Any,
    ) -> Any:
        """A setting changed: how long it will take now, or that it must be measured anew."""
        self.access.check(profile, request)
        if pace == UNKNOWN:
            return gr.skip()
        try:
            recipe = start.recipe(wanted, leave_out, fields, request)
        except GenrestoreError:  # half typed; a start tells what is wrong
            return ""
        return _told(_takes(recipe, pace, request))

    @with_toasts
    def previewed(
        self,
        profile: gr.OAuthProfile | None,
        request: gr.Request,
        wanted: start.Wanted,
        leave_out: list[str],
        *fields: Any,
    ) -> Any:
        """A few of the pictures as the net will see them."""
        self.access.check(profile, request)
        from genrestore.data import dataset
        from genrestore.models import find
        from genrestore.registry import channels

        recipe = start.recipe(wanted, leave_out, fields, request)
        pictures = dataset.read(wanted[0], recipe).of(channels(find(recipe.model).config))
        return gr.Markdown(visible=True), gr.Image(dataset.preview(pictures, recipe), visible=True)

    @with_toasts
    def begun(
        self,
        profile: gr.OAuthProfile | None,
        request: gr.Request,
        wanted: start.Wanted,
        name: str,
        licence: str | None,
        leave_out: list[str],
        *fields: Any,
    ) -> Iterator[list[Any]]:
        """Train was pressed: say what is missing, or check everything, start the run, show it."""
        self.access.check(profile, request)
        place, word = start.missing(wanted, name, licence)
        if place:
            gr.Warning(start.W.text(word, request))
            yield _change(focus=focus.to(place))
            return
        yield _change(status=gr.HTML(_told(W.text("checking", request)), visible=True))
        idle = {"status": gr.HTML(visible=False)}
        try:
            named = licence_named(licence or "")
            recipe = start.recipe(wanted, leave_out, fields, request, licence=named, data=Path(wanted[0]).stem)
            run = start.started(name.strip(), recipe, wanted[0])
        except Exception:
            yield _change(**idle)
            raise
        now = _name(wanted)
        yield _change(
            **idle,
            panel={"run": run.name},
            setup=gr.Accordion(open=False),
            name=now,
            suggested=now,
            focus=focus.to("watch-run"),
        )

    @with_toasts
    def opened(self, profile: gr.OAuthProfile | None, request: gr.Request, value: object) -> Any:
        """A model was asked for in its own tab: that tab, and for each of `pickers` what it shows."""
        self.access.check(profile, request)
        name = watch.find(value).name
        card = next((card for card in genrestore.list_models() if card.name == name), None)
        if card and not picker.ripe(card):
            raise TrainingError(
                f"{name} has only begun to learn; its pictures mean something from step {picker.RIPE:,} on."
            )
        tab = tasks.find(card.task).tab if card else ""
        if tab not in self.pickers:
            raise TrainingError(f"{name} has no weight yet; wait for its first checkpoint.")
        return picker.opened(self.pickers, tab, name)


def _change(**named: Any) -> list[Any]:
    """What an event alters on the page; what is not named stays as it is."""
    return [named.get(name, gr.skip()) for name in OUTPUTS]


def _name(wanted: start.Wanted) -> str:
    """A free name for a model of these pictures."""
    return runs.free_name("-".join(part for part in (wanted[1], Path(wanted[0]).stem) if part))


def _told(text: str) -> str:
    """A line that a screen reader reads out when it changes."""
    return f"<p role='status'>{text}</p>"


def _unhurried(recipe: TrainRecipe) -> str:
    """What of a recipe decides how long a step takes."""
    return json.dumps(dataclasses.replace(recipe, steps=settings.USUAL.steps, stop=0, minutes=0.0, seed=0).to_json())


def _takes(recipe: TrainRecipe, pace: Pace, request: gr.Request | None) -> str:
    key, each = pace
    if key != _unhurried(recipe):
        return W.text("stale", request)
    steps = f"{recipe.last:,}"
    if recipe.minutes and recipe.minutes * 60 < recipe.last * each:
        done = f"{max(1, int(recipe.minutes * 60 / each)):,}"
        return W.text("takes_part", request, time=_time(recipe.minutes * 60, request), done=done, steps=steps)
    return W.text("takes", request, time=_time(recipe.last * each, request), steps=steps, each=_time(each, request))


def _time(seconds: float, request: gr.Request | None) -> str:
    """In two units at most."""
    if seconds < 1:
        return W.text("ms", request, n=round(1000 * seconds))
    if seconds < 59.5:
        return W.text("seconds", request, n=f"{seconds:.1f}".removesuffix(".0"))
    minutes = round(seconds / 60)
    if minutes < 100:
        return W.text("minutes", request, n=minutes)
    if minutes < 48 * 60:
        return W.text("hours", request, h=minutes // 60, n=minutes % 60)
    return W.text("days", request, d=round(minutes / 60) // 24, h=round(minutes / 60) % 24)


def presets(tabs: Collection[str]) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """For the browser: what can be trained, task by task, of the tasks that have one of the `tabs`; a model of another task
    could be used nowhere on the page.
    """

    def presets(_: dict[str, Any]) -> dict[str, Any]:
        from genrestore.models import find, names

        # What draws pictures comes first: it learns from any, and soon shows something.
        order = sorted(tasks.names(), key=lambda name: not tasks.find(name).invents)
        groups: dict[str, list[dict[str, Any]]] = {name: [] for name in order if tasks.find(name).tab in tabs}
        for preset in map(find, names()):
            if preset.task in groups:
                groups[preset.task].append(_facts(preset))
        return {
            "tasks": [
                {"wish": translated(tasks.find(name).wish), "presets": facts} for name, facts in groups.items() if facts
            ]
        }

    return presets


def _facts(preset: "Preset") -> dict[str, Any]:
    return {
        "name": preset.name,
        "makes": translated(preset.makes),
        "advice": translated(preset.advice),
        "size": preset.recipe.size,
        "steps": preset.recipe.steps,
    }


# ---- layout ----


def build(access: Access, tabs: gr.Tabs, pickers: Mapping[str, Any]) -> None:
    """Lay out the tab inside the gr.Tab that is open.

    Args:
        access: who may train; where nobody may, the tab only says why.
        tabs: all tabs, to go to another one.
        pickers: by task, what takes the name of a model to show.
    """
    if not access.anyone:
        closed.note(access)
    if access.closed:
        return
    if access.owner:
        gr.LoginButton(elem_id="train-sign-in")
    page = Page(access, pickers)
    with gr.Column(visible=access.anyone) as everything:
        setup = _lay(page, tabs)
    gr.on(None, page.entered, [], [everything, setup], show_progress="hidden", api_visibility="private")


def _lay(page: Page, tabs: gr.Tabs) -> gr.Accordion:
    """All that a visitor sees who may train; returns the place for a new training."""
    wanted, last, ready, pace = gr.State(("", "")), gr.State(""), gr.State(False), gr.State(UNKNOWN)
    with gr.Accordion(W("new"), elem_id="train-new") as setup:
        with gr.Row():
            with gr.Column(min_width=320):
                gr.Markdown(f"## {W('step_pictures')}")
                pictures = component(
                    "tabs/train/pictures",
                    shared=("parts/controls",),
                    words=W.by_language(),
                    suffixes=sorted(SUFFIXES),
                    limit=limit(page.access),
                    elem_id="train-pictures",
                )
                folder = _folder() if page.access.local else None
                report = component("tabs/train/findings", shared=("parts/controls",), elem_id="train-report")
                cancel = gr.Button(W("cancel"), visible=False, elem_id="train-cancel")
                leave_out = gr.CheckboxGroup(
                    label=W("leave_out"), info=W("leave_out_hint"), visible=False, elem_id="train-leave-out"
                )
            with gr.Column(min_width=320):
                gr.Markdown(f"## {W('step_model')}")
                preset = component(
                    "tabs/train/presets",
                    words=W.by_language(),
                    server_functions=[page.access.guarded(presets(page.pickers))],
                    elem_id="train-presets",
                )
        gr.Markdown(f"## {W('step_name')}")
        with gr.Row():
            name = gr.Textbox(label=W("name"), info=W("name_hint"), max_length=64, min_width=280, elem_id="train-name")
            kinds = [(W(one) if one in W else one, one) for one in sorted(LICENCES, key=lambda one: one != OWN)]
            licence = gr.Dropdown(
                kinds, value=OWN, allow_custom_value=True, label=W("licence"), info=W("licence_hint"),
                min_width=280, elem_id="train-licence",
            )  # fmt: skip
            fields = {key: settings.field(key) for key in settings.MAIN}
        with gr.Accordion(W("advanced"), open=False, elem_id="train-advanced"):
            own: list[Any] = []
            for heading, names in settings.ADVANCED.items():
                gr.Markdown(f"### {settings.W(heading)}")
                with gr.Row():
                    fields |= {key: settings.field(key) for key in names}
                    if heading == "losses":
                        own = slots.laid("train-own")
            look = gr.Button(W("preview"), elem_id="train-look")
            hint = gr.Markdown(W("preview_hint"), visible=False)
            preview = gr.Image(
                show_label=False, container=False, visible=False, interactive=False, buttons=[], elem_id="train-preview"
            )
        time = component("tabs/train/train", elem_id="train-time")
        with gr.Row():
            go = gr.Button(W("go"), variant="primary", min_width=240, scale=3, elem_id="train-go")
            measure = gr.Button(W("measure"), min_width=240, scale=1, elem_id="train-measure")
        status = gr.HTML(visible=False, elem_id="train-status")
    panel = watch.build(page.access)
    mover = focus.mover()  # last, for even what nobody sees takes a gap of the layout

    filled = [*(fields[key] for key in settings.NAMES), *own]
    outputs = [status, panel, setup, name, last, mover]  # in the order of OUTPUTS
    quiet: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
    found = [report, leave_out, cancel, ready]
    examining = wanted.change(page.examined, wanted, found, **quiet)
    timing = ready.change(page.timed, [ready, wanted, leave_out, *filled], [time, pace], **quiet)
    jobs.cancel_at(measure.click, timing)
    measuring = measure.click(page.measured, [wanted, leave_out, *filled], [time, pace], **quiet)
    changes = [part.change for part in (*filled, leave_out, pace)]  # settings may change while the pace is measured
    gr.on(changes, page.retimed, [pace, wanted, leave_out, *filled], time, trigger_mode="always_last", **quiet)
    wanted.change(page.suggested, [wanted, name, last], [name, last], **quiet)
    others = [pictures.upload, preset.input] + ([folder.submit] if folder is not None else [])
    jobs.cancel_at(others, examining, timing, measuring)
    # One after the other, for each reads what is wanted and writes it: at once, one's change would be lost.
    in_turn: dict[str, Any] = {"concurrency_id": "train-wanted", **quiet}
    pictures.upload(page.taken, [pictures, wanted, licence], [wanted, licence], **in_turn)
    preset.input(page.prefilled, [preset, wanted], [wanted, *filled], **in_turn)
    if folder is not None:
        folder.submit(page.named, [folder, wanted, licence], [wanted, licence], **in_turn)
    jobs.cancel_at(cancel.click, examining)
    cancel.click(_cancelled, None, found, queue=False, **quiet)
    leave_out.input(page.judged, [wanted, leave_out], [report, ready], trigger_mode="always_last", **quiet)
    look.click(page.previewed, [wanted, leave_out, *filled], [hint, preview], api_visibility="private")
    jobs.cancel_at(go.click, timing, measuring)
    go.click(page.begun, [wanted, name, licence, leave_out, *filled], outputs, **quiet)
    panel.open(page.opened, panel, [tabs, *page.pickers.values()], **quiet)
    return setup


def _folder() -> gr.Textbox:
    """The field that names a folder of this computer; on a page that others reach it is not there."""
    return gr.Textbox(
        label=W("server_folder"), info=W("server_folder_hint"), placeholder="/home/me/pictures", submit_btn=True,
        elem_id="train-folder",
    )  # fmt: skip


def _cancelled() -> tuple[Any, ...]:
    """Cancel was pressed while the pictures were examined."""
    return "", gr.CheckboxGroup(visible=False), gr.Button(visible=False), False


def limit(access: Access) -> int:
    """Bytes that one upload may have."""
    return UPLOAD if access.local else image.limits().bytes
