"""The Inpaint tab: open a picture, paint over what should go, repair it, compare, take the file."""

import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np

import genrestore
from genrestore import image
from genrestore.errors import SettingError
from genrestore.ui import job as jobs
from genrestore.ui import picker
from genrestore.ui.compare import Compare
from genrestore.ui.mask_editor import MaskEditor
from genrestore.ui.said import said
from genrestore.ui.shown import shown
from genrestore.ui.words import Words

STRATEGIES = ("crop", "whole")  # of tasks.inpaint, which a page that is being built cannot ask: it loads torch
FORMATS = {"input": None, "png": "PNG", "webp": "WEBP", "tiff": "TIFF"}  # the last three lose nothing
EDITOR = "inpaint-editor"
SHOW = """() => setTimeout(() => document.querySelector("#inpaint-result").scrollIntoView({behavior: "smooth"}), 500)"""

W = Words(
    "inpaint",
    {
        "editor": ("Picture and mask", "图片与遮罩"),
        "settings": ("Settings", "设置"),
        "strategy": ("What the model looks at", "模型参考的范围"),
        "crop": ("The surroundings of each mark", "每处标记的周围"),
        "whole": ("The whole picture", "整张图片"),
        "format": ("Save as", "保存格式"),
        "format_hint": (
            "JPEG changes every pixel a little; PNG, lossless WebP and TIFF keep them exactly.",
            "JPEG 会轻微改变所有像素；PNG、无损 WebP 和 TIFF 则原样保留。",
        ),
        "input": ("As opened", "与原图相同"),
        "png": ("PNG", "PNG"),
        "webp": ("WebP, lossless", "WebP（无损）"),
        "tiff": ("TIFF", "TIFF"),
        "go": ("Repair", "修复"),
        "stop": ("Cancel", "取消"),
        "result": ("Before and after", "前后对比"),
        "download": ("Download {name}", "下载 {name}"),
        "onward": ("Continue with this result", "继续处理此结果"),
        "no_picture": (
            "There is no picture yet: choose a photo or an example first.",
            "还没有图片：请先选择照片或示例。",
        ),
        "no_mask": (
            "Nothing is marked yet: paint over what should go, then press Repair.",
            "尚未标记任何区域：请先涂抹要去除的部分，再点“修复”。",
        ),
        "much": (
            "{share} % of the picture is marked, and all of it would be made up. If that is meant, press Repair once more; "
            "if the rest should go, press Invert.",
            "已标记图片的 {share}%，这些区域都会重新生成。若确实如此，请再点一次“修复”；若要去除的是其余部分，请点“反选”。",
        ),
        "starting": ("Starting …", "正在开始…"),
        "running": ("{percent} %", "{percent}%"),
        "writing": ("Writing the file …", "正在写入文件…"),
        "kept": (
            "{changed} of {all} samples changed outside the mask.",
            "遮罩外的 {all} 个采样值中有 {changed} 个发生了改变。",
        ),
        "encoded": (
            "Outside the mask, saving as {format} changed {changed} of {all} samples, and the repair {repair}. "
            "To keep them all, choose PNG in the settings.",
            "遮罩外的 {all} 个采样值中，保存为 {format} 改变了 {changed} 个，修复本身改变了 {repair} 个。"
            "如需全部保留，请在设置中选择 PNG。",
        ),
        "unlike": (
            "The repair changed {repair} of {all} samples outside the mask; {format} stores them in another bit depth.",
            "修复改变了遮罩外 {all} 个采样值中的 {repair} 个；{format} 以不同的位深保存。",
        ),
        "took": (" {seconds} s.", "用时 {seconds} 秒。"),
        "wide": (
            "Wide parts were filled with pieces of the picture.",
            "较大的区域用图片自身的内容填补。",
        ),
        "even": (
            "Parts in even surroundings were filled smoothly.",
            "周围平整的区域已平滑填补。",
        ),
        "alone": (
            "A wide part has too little round it to copy from and was filled smoothly.",
            "有一处较大的区域周围可供复制的内容太少，已平滑填补。",
        ),
    },
)

OUTPUTS = ("status", "go", "stop", "stage", "line", "download", "again", "result", "sure")


class Job(jobs.Job):
    """One repair."""

    def __init__(
        self, source: Path, picture: image.Picture, mask: np.ndarray, kind: str | None, **settings: Any
    ) -> None:
        super().__init__(threading.Event())
        self.source = source
        self.picture = picture
        self.mask = mask
        self.kind = kind  # format of the file; None is the picture's own
        self.settings = settings
        self.view: dict[str, Any] | None = None  # for the slider
        self.reasons: set[str] = set()  # of tasks.inpaint.REASONS, why wide parts were filled as they were
        self.changed: tuple[int | None, int, int] = (0, 0, 0)  # samples outside the mask: see _count

    def work(self) -> None:
        from genrestore.tasks.inpaint import repair

        repaired, parts = repair(self.picture, self.mask, **self.settings, progress=self.report, cancel=self.cancel)
        self.reasons = {part.reason for part in parts}
        self.fraction = 1.0
        output = replace(repaired, format=self.kind, lossless=True) if self.kind else repaired
        self.file = jobs.written(output, _name(self.source, output))
        self.changed = self._count(repaired, image.load(self.file))
        self.view = Compare.value(self.source, self.file)

    def _count(self, repaired: image.Picture, decoded: image.Picture) -> tuple[int | None, int, int]:
        """How many samples outside the mask changed in the file and by the repair, and how many there are in all.

        None in the first place: the file's format has another depth or other channels, so they cannot be compared.
        """
        from genrestore.tasks.inpaint import changed_outside

        by_repair, everything = changed_outside(self.picture, repaired, self.mask)
        alike = decoded.pixels.shape == repaired.pixels.shape and decoded.pixels.dtype == repaired.pixels.dtype
        in_file = changed_outside(self.picture, decoded, self.mask)[0] if alike else None
        return in_file, by_repair, everything


# ---- handlers: each returns or yields one entry for every name in OUTPUTS ----


def _change(**named: Any) -> list[Any]:
    """What an event alters on the page; what is not named stays as it is."""
    return [named.get(name, gr.skip()) for name in OUTPUTS]


def _idle() -> dict[str, Any]:
    return {"go": gr.Button(visible=True), "stop": gr.Button(visible=False), "status": gr.HTML(visible=False)}


@shown
def run(
    value: dict[str, Any] | None, model: str, strategy: str, kind: str, sure: bool, request: gr.Request
) -> Iterator[list[Any]]:
    """Repair what is painted, and tell how far it is. Where that is most of the picture and the visitor has not been asked
    whether it is meant, so that he is not `sure`, ask.

    Gradio closes this generator when Cancel is pressed and when the visitor leaves; the job is stopped then.
    """
    from genrestore.tasks.inpaint import marked

    if not isinstance(value, dict) or "file" not in value:
        gr.Warning(W.text("no_picture", request), title="")
        return
    if kind not in FORMATS:
        raise SettingError(f"Save as one of {', '.join(FORMATS)}, not {str(kind)[:40]!r}.")
    picture, mask, forbidden = MaskEditor.read(value)
    if not mask.any():
        gr.Warning(W.text("no_mask", request), title="")
        return
    image.output(picture, format=FORMATS[kind])  # says what the format cannot hold, before the work
    share, ask = marked(mask)
    if ask and not sure:
        gr.Warning(W.text("much", request, share=round(100 * share)), title="")
        yield _change(sure=True)
        return
    settings = {"model": _model(model), "strategy": strategy, "forbidden": forbidden}
    job = Job(MaskEditor.file(value), picture, mask, FORMATS[kind], **settings)
    yield _change(go=gr.Button(visible=False), stop=gr.Button(visible=True), status=_progress(0.0, request))
    started = time.monotonic()
    try:
        for _ in job.follow():
            yield _change(status=_progress(job.fraction, request))
        assert job.file is not None
        yield _change(
            stage=gr.update(value=job.view, visible=True),
            line=gr.Markdown(_line(job, time.monotonic() - started, request), visible=True),
            download=gr.DownloadButton(W.text("download", request, name=job.file.name), value=job.file, visible=True),
            again=gr.Button(visible=True),
            result=str(job.file),
            **_idle(),
        )
    except Exception:
        yield _change(**_idle())
        raise
    finally:
        job.cancel.set()


def stopped() -> list[Any]:
    """Cancel was pressed."""
    return _change(**_idle())


def fresh() -> list[Any]:
    """Another picture was opened: what belongs to the one before goes, and its repair is cancelled by the event itself."""
    gone = {"line": gr.Markdown(visible=False), "download": gr.DownloadButton(value=None, visible=False)}
    return _change(
        stage=gr.update(value=None, visible="hidden"),
        again=gr.Button(visible=False),
        result=None,
        sure=False,
        **gone,
        **_idle(),
    )


def onward(result: str | None) -> Any:
    """Open the last result in the editor."""
    return MaskEditor.value(Path(result)) if result else gr.skip()


def _model(name: str) -> str:
    """`name`, if the picker offers it. A path or a Hub reference is not: a page must not choose what is read."""
    known = [picker.AUTO, picker.EXEMPLAR, *(card.name for card in genrestore.models("inpaint"))]
    if name not in known:
        raise SettingError(f"Choose one of the models {', '.join(known)}, not {str(name)[:40]!r}.")
    return name


def _name(source: Path, output: image.Picture) -> str:
    """photo.jpg → photo.repaired.jpg; the suffix tells the format."""
    return f"{source.stem.removesuffix('.repaired')}.repaired{image.suffix(output)}"


# ---- what the page says ----


def _progress(fraction: float, request: gr.Request) -> Any:
    key = "starting" if not fraction else "running" if fraction < 1 else "writing"
    text = W.text(key, request, percent=round(100 * fraction))
    return gr.HTML(jobs.bar(fraction, text), visible=True)


def _line(job: Job, seconds: float, request: gr.Request) -> str:
    assert job.file is not None
    in_file, by_repair, everything = job.changed
    key = "unlike" if in_file is None else "encoded" if in_file > by_repair else "kept"
    numbers = {"changed": f"{in_file or 0:,}", "repair": f"{by_repair:,}", "all": f"{everything:,}"}
    kind = job.file.suffix[1:].upper().replace("JPG", "JPEG")
    facts = W.text(key, request, format=kind, **numbers) + W.text("took", request, seconds=f"{seconds:.1f}")
    how = [W.text(reason, request) for reason in ("wide", "even", "alone") if reason in job.reasons]
    return "  \n".join([facts, *how, *(said(note, request) for note in job.picture.notes)])


# ---- layout ----


def build() -> gr.Dropdown:
    """Lay out the tab inside the gr.Tab that is open; returns its list of models."""
    editor = MaskEditor(elem_id=EDITOR, label=W("editor"), examples=jobs.EXAMPLES, names=jobs.NAMES)
    with gr.Row(equal_height=True):
        go = gr.Button(W("go"), variant="primary", elem_id="inpaint-go")
        stop = gr.Button(W("stop"), visible=False, scale=0, min_width=140, elem_id="inpaint-stop")
        status = gr.HTML(visible=False, elem_id="inpaint-status")
    with gr.Accordion(W("settings"), open=False, elem_id="inpaint-settings"):
        with gr.Row():
            model = picker.picker("inpaint")
            strategy = gr.Radio(
                [(W(name), name) for name in STRATEGIES], value="crop", label=W("strategy"), elem_id="inpaint-strategy"
            )
        kind = gr.Radio(
            [(W(name), name) for name in FORMATS],
            value="input",
            label=W("format"),
            info=W("format_hint"),
            elem_id="inpaint-format",
        )
    with gr.Column(elem_classes="of-picture"):
        stage = Compare(label=W("result"), elem_id="inpaint-result")
        stage.visible = "hidden"
        line = gr.Markdown(visible=False, elem_id="inpaint-line")
        with gr.Row():
            download = gr.DownloadButton(visible=False, elem_id="inpaint-download")
            again = gr.Button(W("onward"), visible=False, elem_id="inpaint-onward")
    result, sure = gr.State(None), gr.State(False)

    parts = {
        "status": status, "go": go, "stop": stop,
        "stage": stage, "line": line, "download": download, "again": again, "result": result, "sure": sure,
    }  # fmt: skip
    outputs = [parts[name] for name in OUTPUTS]
    quiet: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
    running = go.click(run, [editor, model, strategy, kind, sure], outputs, js=MaskEditor.latest(EDITOR), **quiet)
    stop.click(stopped, None, outputs, cancels=[running], queue=False, **quiet)
    editor.upload(fresh, None, outputs, cancels=[running], queue=False, **quiet)
    line.change(None, None, None, js=SHOW, **quiet)
    again.click(onward, result, editor, **quiet)
    return model
