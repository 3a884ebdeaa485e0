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
from genrestore.ui import begin, findings, focus, picker, settings, slots, watch
from genrestore.ui import job as jobs
from genrestore.ui.access import Access
from genrestore.ui.mask_editor import MaskEditor
from genrestore.ui.said import said
from genrestore.ui.shown import shown
from genrestore.ui.words import Words

if TYPE_CHECKING:
    from genrestore.registry import Preset

ARCHIVES = (".zip", ".npz", ".npy")
UPLOAD = 2**32 - 1  # bytes of an upload where the page is for this computer only; what a zip can hold
OWN = "own"  # of LICENCES: the pictures are the visitor's
LEFT_OUT = ("broken",)  # kinds of flawed pictures that are left out unless the visitor wants them

W = Words(
    "train",
    {
        "new": ("New training", "新的训练"),
        "step_pictures": ("1 · Pictures", "1 · 图片"),
        "step_model": ("2 · What to train", "2 · 训练什么"),
        "step_name": ("3 · Name, licence, time", "3 · 名称、许可与时间"),
        # the drop area
        "drop": ("Drop a folder of pictures here", "将图片文件夹拖到这里"),
        "kinds": (
            "or many files, a .zip, .npz or .npy; sub-folders become classes",
            "也可拖入多个文件、.zip、.npz 或 .npy；子文件夹即类别",
        ),
        "change": ("Drop or choose others to replace them", "拖放或选择其他文件以更换"),
        "folder": ("Choose a folder", "选择文件夹"),
        "files": ("Choose files", "选择文件"),
        "reading": ("Looking through the folder …", "正在查看文件夹…"),
        "packing": ("Packing … {percent} %", "正在打包… {percent}%"),
        "sending": ("Sending {size} …", "正在上传 {size}…"),
        "packed": ("{count} pictures sent.", "已上传 {count} 张图片。"),
        "packed_others": (
            "{count} pictures sent; {others} other files were left out or hold captions.",
            "已上传 {count} 张图片；其余 {others} 个文件未采用，或为文字说明。",
        ),
        "no_picture": ("There is no picture in it; training takes {suffixes}.", "其中没有图片；训练可用 {suffixes}。"),
        "too_many": (
            "These are {count} files, more than the 65,535 that can be sent at once; send fewer, or an .npz.",
            "共 {count} 个文件，超过一次可上传的 65,535 个；请减少文件，或使用 .npz。",
        ),
        "too_large": (
            "These are {size}, more than the {limit} that can be sent; send fewer or smaller pictures.",
            "共 {size}，超过可上传的 {limit}；请减少或缩小图片。",
        ),
        "unreadable": (
            "The browser cannot read {name}; check that it is still there and that you may read it.",
            "浏览器无法读取 {name}，请确认文件仍在且有读取权限。",
        ),
        "server_folder": ("Or a folder of this computer", "或本机文件夹"),
        "server_folder_hint": (
            "Nothing is copied. Also a .zip, .npz or .npy, or a set of torchvision such as torchvision:CIFAR10@/data.",
            "不会复制文件。也可填写 .zip、.npz、.npy，或 torchvision:CIFAR10@/data 等数据集。",
        ),
        "examining": ("Examining the pictures …", "正在检查图片…"),
        "cancel": ("Cancel", "取消"),
        "leave_out": ("Leave out", "排除"),
        "leave_out_hint": ("Pictures that the model is not trained on.", "不参与训练的图片。"),
        # the presets
        "loading": ("Loading …", "正在加载…"),
        "facts": ("{name} · {size} px · {steps} steps", "{name} · {size} 像素 · {steps} 步"),
        "compress": ("To compress pictures", "压缩图片"),
        # the rest
        "name": ("Name of the model", "模型名称"),
        "name_hint": ("You find it under this name in the other tabs.", "在其他标签页中以此名称显示。"),
        "licence": ("Licence of the pictures", "图片的许可"),
        "licence_hint": (
            "As their owner states it; what is not in the list as “other: its words”. The model's card tells it.",
            "按图片所有者的声明选择；列表中没有的写作“other: 内容”。会写入模型卡。",
        ),
        "own": ("They are mine", "我自己的图片"),
        "public-domain": ("Public domain", "公有领域"),
        "unknown": ("Not known", "不清楚"),
        # how long it will take
        "measuring": ("Measuring how long it will take: a few steps are tried …", "正在试跑几步，测算所需时间…"),
        "takes": (
            "It will take about {time} on this computer: {steps} steps of {each}.",
            "在这台电脑上约需 {time}：共 {steps} 步，每步 {each}。",
        ),
        "takes_part": (
            "It ends after {time}, when about {done} of {steps} steps are done.",
            "将在 {time} 后结束，届时约完成 {steps} 步中的 {done} 步。",
        ),
        "stale": ("How long it will take must be measured anew.", "设置已更改，需要重新测算所需时间。"),
        "occupied": (
            "Another training is running. Once it has ended or is paused, it can be measured how long this one takes.",
            "另一项训练正在进行。待其结束或暂停后，才能测算本次所需的时间。",
        ),
        "measure": ("How long will it take?", "需要多长时间？"),
        "ms": ("{n} ms", "{n} 毫秒"),
        "seconds": ("{n} s", "{n} 秒"),
        "minutes": ("{n} min", "{n} 分钟"),
        "hours": ("{h} h {n} min", "{h} 小时 {n} 分钟"),
        "days": ("{d} days {h} h", "{d} 天 {h} 小时"),
        "advanced": ("Advanced", "高级设置"),
        "preview": ("Preview what the model will see", "预览模型看到的图片"),
        "preview_hint": ("Left: your pictures; right of each: as the model sees it.", "左侧为原图，右侧为模型看到的样子。"),
        "go": ("Train", "开始训练"),
        "checking": ("Checking …", "正在检查…"),
    },
)  # fmt: skip

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

    @shown
    def taken(
        self,
        profile: gr.OAuthProfile | None,
        request: gr.Request,
        value: object,
        wanted: begin.Wanted,
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

    @shown
    def named(
        self, profile: gr.OAuthProfile | None, request: gr.Request, text: str, wanted: begin.Wanted, licence: str | None
    ) -> Any:
        """A folder of this computer was named: what is wanted now, and the licence; a set that others made is nobody's own."""
        self.access.check(profile, request)
        if not self.access.local:
            raise SettingError(
                "Folders of this server can be named at that computer only; drop the pictures on the page."
            )
        text = text.strip()
        if not text:
            raise TrainingError(begin.W.text("no_pictures", request))
        if text.startswith("torchvision:"):
            return (text, wanted[1]), None if licence == OWN else licence
        return (str(expanded(text).resolve()), wanted[1]), licence or OWN

    @shown
    def prefilled(self, profile: gr.OAuthProfile | None, request: gr.Request, preset: str, wanted: begin.Wanted) -> Any:
        """Another preset was chosen: what is wanted now, and all settings as the preset has them."""
        self.access.check(profile, request)
        from genrestore.models import find

        chosen = find(preset)
        own = slots.shown(options(chosen.own), chosen.recipe.own)
        return (wanted[0], preset), *settings.values(chosen.recipe), *own

    @shown
    def suggested(
        self, profile: gr.OAuthProfile | None, request: gr.Request, wanted: begin.Wanted, name: str, last: str
    ) -> Any:
        """Something else is wanted: a name for it, unless the visitor gave one."""
        self.access.check(profile, request)
        now = _name(wanted) if wanted[0] else ""
        return now if name.strip() in ("", last) else name, now

    @shown
    def examined(self, profile: gr.OAuthProfile | None, request: gr.Request, wanted: begin.Wanted) -> Iterator[Any]:
        """Something else is wanted: what the data doctor says of it and whether it will do, and how far he is."""
        self.access.check(profile, request)
        if not all(wanted):
            return
        job = begin.Examination(wanted, LEFT_OUT)
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

    @shown
    def judged(
        self, profile: gr.OAuthProfile | None, request: gr.Request, wanted: begin.Wanted, leave_out: list[str]
    ) -> Iterator[Any]:
        """Other flawed pictures are to be left out: what the data doctor says now."""
        self.access.check(profile, request)
        job = begin.Examination(wanted, leave_out)
        try:
            for _ in job.follow():
                yield gr.skip()
            assert job.found is not None
            yield findings.html(job.found, request), not job.found.problem
        finally:
            job.cancel.set()

    @shown
    def timed(
        self,
        profile: gr.OAuthProfile | None,
        request: gr.Request,
        ready: bool,
        wanted: begin.Wanted,
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
        self, wanted: begin.Wanted, leave_out: list[str], fields: Sequence[Any], request: gr.Request
    ) -> Iterator[Any]:
        """What is told of the time, and the pace."""
        recipe = begin.recipe(wanted, leave_out, fields, request)
        if any(run.status().state in ("preparing", "training") for run in runs.every()):
            yield _told(W.text("occupied", request)), UNKNOWN
            return
        job = begin.Rehearsal(dataclasses.replace(recipe, minutes=0.0), wanted[0])
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

    @shown
    def measured(
        self,
        profile: gr.OAuthProfile | None,
        request: gr.Request,
        wanted: begin.Wanted,
        leave_out: list[str],
        *fields: Any,
    ) -> Iterator[Any]:
        """The visitor asks how long it will take."""
        self.access.check(profile, request)
        yield from self._measured(wanted, leave_out, fields, request)

    @shown
    def retimed(
        self,
        profile: gr.OAuthProfile | None,
        request: gr.Request,
        pace: Pace,
        wanted: begin.Wanted,
        leave_out: list[str],
        *fields: Any,
    ) -> Any:
        """A setting changed: how long it will take now, or that it must be measured anew."""
        self.access.check(profile, request)
        if pace == UNKNOWN:
            return gr.skip()
        try:
            recipe = begin.recipe(wanted, leave_out, fields, request)
        except GenrestoreError:  # half typed; a start tells what is wrong
            return ""
        return _told(_takes(recipe, pace, request))

    @shown
    def previewed(
        self,
        profile: gr.OAuthProfile | None,
        request: gr.Request,
        wanted: begin.Wanted,
        leave_out: list[str],
        *fields: Any,
    ) -> Any:
        """A few of the pictures as the net will see them."""
        self.access.check(profile, request)
        from genrestore.data import dataset
        from genrestore.models import find
        from genrestore.registry import channels

        recipe = begin.recipe(wanted, leave_out, fields, request)
        pictures = dataset.read(wanted[0], recipe).of(channels(find(recipe.model).config))
        return gr.Markdown(visible=True), gr.Image(dataset.preview(pictures, recipe), visible=True)

    @shown
    def begun(
        self,
        profile: gr.OAuthProfile | None,
        request: gr.Request,
        wanted: begin.Wanted,
        name: str,
        licence: str | None,
        leave_out: list[str],
        *fields: Any,
    ) -> Iterator[list[Any]]:
        """Train was pressed: say what is missing, or check everything, start the run, show it."""
        self.access.check(profile, request)
        place, word = begin.missing(wanted, name, licence)
        if place:
            gr.Warning(begin.W.text(word, request))
            yield _change(focus=focus.to(place))
            return
        yield _change(status=gr.HTML(_told(W.text("checking", request)), visible=True))
        idle = {"status": gr.HTML(visible=False)}
        try:
            named = licence_named(licence or "")
            recipe = begin.recipe(wanted, leave_out, fields, request, licence=named, data=Path(wanted[0]).stem)
            run = begin.started(name.strip(), recipe, wanted[0])
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

    @shown
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
        return gr.Tabs(selected=tab), *(
            picker.chosen(shown, tab, name) if kind == tab else gr.skip() for kind, shown in self.pickers.items()
        )


def _change(**named: Any) -> list[Any]:
    """What an event alters on the page; what is not named stays as it is."""
    return [named.get(name, gr.skip()) for name in OUTPUTS]


def _name(wanted: begin.Wanted) -> str:
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

        groups: dict[str, list[dict[str, Any]]] = {name: [] for name in tasks.names() if tasks.find(name).tab in tabs}
        for preset in map(find, names()):
            if preset.task in groups:
                groups[preset.task].append(_facts(preset))
        return {
            "tasks": [
                {"wish": said(tasks.find(name).wish), "presets": facts} for name, facts in groups.items() if facts
            ]
        }

    return presets


def _facts(preset: "Preset") -> dict[str, Any]:
    return {
        "name": preset.name,
        "makes": said(preset.makes),
        "advice": said(preset.advice),
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
        access.note()
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
                pictures = _html(
                    "pictures", suffixes=sorted(SUFFIXES), limit=limit(page.access), elem_id="train-pictures"
                )
                folder = _folder() if page.access.local else None
                report = gr.HTML(css_template=_beside("findings.css"), apply_default_css=False, elem_id="train-report")
                cancel = gr.Button(W("cancel"), visible=False, elem_id="train-cancel")
                leave_out = gr.CheckboxGroup(
                    label=W("leave_out"), info=W("leave_out_hint"), visible=False, elem_id="train-leave-out"
                )
            with gr.Column(min_width=320):
                gr.Markdown(f"## {W('step_model')}")
                preset = _html(
                    "presets",
                    server_functions=[watch.guarded(page.access, presets(page.pickers))],
                    elem_id="train-presets",
                )
        gr.Markdown(f"## {W('step_name')}")
        with gr.Row():
            name = gr.Textbox(label=W("name"), info=W("name_hint"), max_length=64, min_width=280, elem_id="train-name")
            kinds = [(W(one) if one in W.pairs else one, one) for one in sorted(LICENCES, key=lambda one: one != OWN)]
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
        time = gr.HTML(css_template=_beside("train.css"), apply_default_css=False, elem_id="train-time")
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


def _html(kind: str, **props: Any) -> gr.HTML:
    """A part of the tab that the browser draws, from the files of its name beside this one."""
    html, css, js = (_beside(f"{kind}.{suffix}") for suffix in ("html", "css", "js"))
    return gr.HTML(
        html_template=html, css_template=css, js_on_load=js, apply_default_css=False, words=W.both(), **props
    )


def _beside(name: str) -> str:
    return Path(__file__).with_name(name).read_text("utf-8")
