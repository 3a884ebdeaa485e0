"""The Upscale tab: choose a picture, see what enlarging it will cost, watch it, compare, take the file."""

import functools
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from html import escape
from pathlib import Path
from typing import Any, NamedTuple

import gradio as gr
import numpy as np

import genrestore
from genrestore.errors import GenrestoreError, SettingError
from genrestore.pictures import image
from genrestore.ui import compare, picker
from genrestore.ui import job as jobs
from genrestore.ui.compare import Compare
from genrestore.ui.mask_editor import MaskEditor, frame, inspect
from genrestore.ui.said import said
from genrestore.ui.shown import shown
from genrestore.ui.words import Words

SCALES = (2, 3, 4)
SCALE = 4
FORMATS = {"input": None, "png": "PNG", "jpeg": "JPEG", "webp": "WEBP", "tiff": "TIFF"}

W = Words(
    "upscale",
    {
        "source": ("Picture", "图片"),
        "choose": ("Choose a picture", "选择图片"),
        "drop": ("or drop or paste one here", "也可拖放或粘贴到此处"),
        "change": ("Click, drop or paste to change it", "点击、拖放或粘贴以更换"),
        "sending": ("Sending the file …", "正在上传…"),
        "reading": ("Reading the picture …", "正在读取图片…"),
        "examples": ("Examples", "示例"),
        "scale": ("Scale", "倍数"),
        "settings": ("Settings", "设置"),
        "width": ("Width in pixels", "宽度（像素）"),
        "height": ("Height in pixels", "高度（像素）"),
        "size_hint": (
            "Fill in one or both to set the size yourself; with one, the proportions stay. 0 means: as the scale says.",
            "填写其一或两项即可自定尺寸，只填一项时保持比例；0 表示按倍数。",
        ),
        "format": ("Save as", "保存格式"),
        "input": ("As opened", "与原图相同"),
        "png": ("PNG", "PNG"),
        "jpeg": ("JPEG", "JPEG"),
        "webp": ("WebP", "WebP"),
        "tiff": ("TIFF", "TIFF"),
        "go": ("Upscale", "放大"),
        "stop": ("Cancel", "取消"),
        "result": ("Before and after", "前后对比"),
        "download": ("Download {name}", "下载 {name}"),
        "none": ("Choose a picture or an example first.", "请先选择一张图片或示例。"),
        "quote": (
            "{before} → **{after}** ({megapixels} megapixels)  \nTakes {time} and {memory} of memory",
            "{before} → **{after}**（{tenthousands} 万像素）  \n需{time}，内存 {memory}",
        ),
        "done": ("{size} in {seconds} s, {bytes}", "{size}，用时 {seconds} 秒，{bytes}"),
    },
)

OUTPUTS = ("source", "stage", "status", "go", "stop", "download")


class Job(jobs.Job):
    """One enlargement."""

    def __init__(self, source: Path, picture: image.Picture, kind: str | None, **settings: Any) -> None:
        super().__init__(threading.Event())
        self.source = source
        self.picture = picture
        self.kind = kind  # format of the file; None is the picture's own
        self.settings = settings
        self.view: dict[str, Any] | None = None  # for the slider
        self.size = (0, 0)  # of the result

    def work(self) -> None:
        enlarged = genrestore.upscale(self.picture, **self.settings, progress=self.report, cancel=self.cancel)
        result = replace(enlarged, format=self.kind) if self.kind else enlarged
        self.fraction = 1.0
        self.size = result.width, result.height
        self.file = jobs.written(result, _name(self.source, self.picture, result))
        whole = result.width * result.height <= compare.FULL * 1e6  # then the slider shows the file itself
        self.view = Compare.value(self.source, self.file if whole else result)


# ---- handlers: all but `quoted` return or yield one entry for every name in OUTPUTS ----


def _change(**named: Any) -> list[Any]:
    """What an event alters on the page; what is not named stays as it is."""
    return [named.get(name, gr.skip()) for name in OUTPUTS]


def _idle() -> dict[str, Any]:
    return {"go": gr.Button(visible=True), "stop": gr.Button(visible=False), "status": ""}


def _busy(text: str) -> dict[str, Any]:
    return {"go": gr.Button(visible=False), "stop": gr.Button(visible=True), "status": jobs.bar(0.0, text)}


@shown
def arrived(value: object) -> list[Any]:
    """Another picture was chosen: show it. What was running for the one before is cancelled by the event itself."""
    gone = {"download": gr.DownloadButton(visible=False), **_idle()}
    try:
        return _change(stage=Compare.value(MaskEditor.file(value)), **gone)
    except GenrestoreError as problem:
        gr.Warning(escape(said(problem)), title="")
        return _change(source={}, stage=None, **gone)


@shown
def quoted(
    value: object, scale: int, width: float | None, height: float | None, kind: str, model: str, request: gr.Request
) -> str:
    """The picture or the settings changed: the result's size and what it will take, or why it cannot be."""
    if not _is_chosen(value):
        return W.text("none", request)
    try:
        seen = _seen(MaskEditor.file(value))
        cost = _cost(seen, scale, width, height, kind, model)
    except GenrestoreError as problem:
        return escape(said(problem, request))
    return W.text(
        "quote",
        request,
        before=_size(seen.width, seen.height),
        after=_size(cost.width, cost.height),
        megapixels=f"{cost.megapixels:.1f}" if cost.megapixels >= 1 else f"{cost.megapixels:.2g}",
        tenthousands=f"{100 * cost.megapixels:,.0f}",
        time=jobs.duration(cost.seconds, request),
        memory=_bytes(cost.peak_bytes),
    )


def waiting(request: gr.Request) -> list[Any]:
    """Upscale was pressed: say so at once, because jobs of other visitors may come first."""
    return _change(**_busy(jobs.W.text("waiting", request)))


@shown
def run(
    value: object, scale: int, width: float | None, height: float | None, kind: str, model: str, request: gr.Request
) -> Iterator[list[Any]]:
    """Enlarge the picture and tell how far it is.

    Gradio closes this generator when Cancel is pressed and when the visitor leaves; the job is stopped then.
    """
    cancel = None
    try:
        if not _is_chosen(value):
            gr.Warning(W.text("none", request), title="")
            yield _change(**_idle())
            return
        path = MaskEditor.file(value)
        _cost(_seen(path), scale, width, height, kind, model)
        size = {"width": _whole(width), "height": _whole(height)}
        job = Job(path, image.load(path), FORMATS[kind], scale=scale, model=model, **size)
        cancel = job.cancel
        yield _change(**_busy(jobs.W.text("starting", request)))
        started = time.monotonic()
        for _ in job.follow():
            yield _change(status=jobs.bar(job.fraction, job.stage(request)))
        assert job.file is not None
        seconds = f"{time.monotonic() - started:.1f}"
        done = W.text("done", request, size=_size(*job.size), seconds=seconds, bytes=_bytes(job.file.stat().st_size))
        button = gr.DownloadButton(W.text("download", request, name=job.file.name), value=job.file, visible=True)
        lost = [escape(said(note, request)) for note in job.picture.notes]
        yield _change(stage=job.view, download=button, **{**_idle(), "status": "<br>".join([done, *lost])})
    except Exception:  # `shown` tells it
        yield _change(**_idle())
        raise
    finally:
        if cancel is not None:
            cancel.set()


def stopped() -> list[Any]:
    """Cancel was pressed, or the job got no place in the queue."""
    return _change(**_idle())


def _is_chosen(value: object) -> bool:
    return isinstance(value, dict) and "file" in value


def _file(path: Path) -> dict[str, Any]:
    return gr.FileData(path=str(path), orig_name=path.name).model_dump()


class Seen(NamedTuple):
    """What is known of an upload before the work."""

    width: int
    height: int
    like: image.Picture  # one pixel, its clearest, for what formats ask: kind, depth, transparency


@functools.lru_cache(maxsize=64)
def _seen(path: Path) -> Seen:
    """An upload's path holds the hash of its content, so it cannot change."""
    picture = image.load(path)
    alpha = picture.pixels[..., -1] if picture.alpha is not None else None
    y, x = np.unravel_index(int(alpha.argmin()), alpha.shape) if alpha is not None else (0, 0)
    like = image.Picture(picture.pixels[y : y + 1, x : x + 1].copy(), picture.format)
    return Seen(picture.width, picture.height, like)


def _cost(seen: Seen, scale: int, width: float | None, height: float | None, kind: str, model: str) -> Any:
    """The quote of the task.

    Raises:
        GenrestoreError: what is asked for cannot be, or its format cannot hold it.
    """
    from genrestore.pipelines import upscale

    if kind not in FORMATS:
        raise SettingError(f"Save as one of {', '.join(FORMATS)}, not {str(kind)[:40]!r}.")
    cost = upscale.quote(seen.width, seen.height, scale, model, to_width=_whole(width), to_height=_whole(height))
    image.output(seen.like, format=FORMATS[kind], size=(cost.width, cost.height))
    return cost


def _whole(number: float | None) -> int | None:
    return int(number) if number else None


def _name(source: Path, before: image.Picture, after: image.Picture) -> str:
    """photo.jpg → photo.x4.jpg, or photo.1920x1080.jpg where the result is no whole multiple."""
    times, rest = divmod(after.width, before.width)
    label = f"x{times}" if not rest and after.height == times * before.height else f"{after.width}x{after.height}"
    return f"{source.stem}.{label}{image.suffix(after)}"


# ---- what the page says ----


def _size(width: int, height: int) -> str:
    return f"{width} × {height}"


def _bytes(count: int) -> str:
    if count < 1e6:
        return f"{count / 1e3:.0f} kB"
    if count < 1e9:
        return f"{count / 1e6:.{int(count < 1e7)}f} MB"
    return f"{count / 1e9:.1f} GB"


# ---- layout ----


def build() -> gr.Dropdown:
    """Lay out the tab inside the gr.Tab that is open; returns its list of models."""
    with gr.Row():
        with gr.Column(scale=1, min_width=300):
            source = gr.HTML(
                {"examples": [_file(path) for path in jobs.EXAMPLES]},
                label=W("source"),
                html_template=_beside("html"),
                css_template=_beside("css"),
                js_on_load=_beside("js"),
                apply_default_css=False,
                server_functions=[inspect, frame],
                elem_id="upscale-source",
                words=W.both(jobs.NAMES),
            )
            scales = [(f"{times}×", times) for times in SCALES]
            scale = gr.Radio(scales, value=SCALE, label=W("scale"), elem_id="upscale-scale")
            kind = gr.Dropdown(
                [(W(name), name) for name in FORMATS], value="input", label=W("format"), elem_id="upscale-format"
            )
            with gr.Accordion(W("settings"), open=False):
                model = picker.picker("upscale")
                with gr.Row():
                    # No bounds: Gradio would refuse in English and leave an old quote; `quoted` says what is wrong.
                    width = gr.Number(0, label=W("width"), precision=0, min_width=100, elem_id="upscale-width")
                    height = gr.Number(0, label=W("height"), precision=0, min_width=100, elem_id="upscale-height")
                gr.Markdown(W("size_hint"))
            quote = gr.Markdown(W("none"), elem_id="upscale-quote")
            go = gr.Button(W("go"), variant="primary", elem_id="upscale-go")
            stop = gr.Button(W("stop"), visible=False, elem_id="upscale-stop")
            status = gr.HTML(elem_id="upscale-status", padding=False)
        with gr.Column(scale=3, min_width=320):
            stage = Compare(label=W("result"), elem_id="upscale-result")
            download = gr.DownloadButton(visible=False, elem_id="upscale-download")

    outputs = [source, stage, status, go, stop, download]  # in the order of OUTPUTS
    settings = [source, scale, width, height, kind, model]
    quiet: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
    running = go.click(waiting, None, outputs, queue=False, **quiet).then(run, settings, outputs, **quiet)
    running.failure(stopped, None, outputs, queue=False, **quiet)
    jobs.cancel_at([stop.click, source.upload], running)
    stop.click(stopped, None, outputs, queue=False, **quiet)
    source.upload(arrived, source, outputs, **quiet)
    # One event for all, so that a quote that took long cannot come after a newer one. A result on the stage is among
    # them because its run has measured the speed.
    asked = [part.change for part in (*settings, stage)]
    gr.on(asked, quoted, settings, quote, trigger_mode="always_last", **quiet)
    return model


def _beside(kind: str) -> str:
    return Path(__file__).with_suffix(f".{kind}").read_text("utf-8")
