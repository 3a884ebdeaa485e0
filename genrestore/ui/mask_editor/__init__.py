"""Stage on which a visitor opens a picture, paints what to repair, and sees it repaired: a reusable component, drawn by the
scripts beside it.

The picture's file reaches the server as it is, byte for byte; the page sees a copy. The mask comes as a PNG of the
picture's full size. What repairs have made of the picture lies on the server without loss, and the next one starts from
there. All of it is checked here, because anybody can send anything.
"""

import base64
import binascii
import io
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal, cast

import gradio as gr
import numpy as np
from gradio import utils
from gradio.context import LocalContext
from PIL import Image, UnidentifiedImageError

from genrestore import image
from genrestore import select as selection
from genrestore.errors import GenrestoreError, ImageError, MaskError
from genrestore.tasks.growth import EDGE, HAND, LARGEST_GROWTH
from genrestore.ui import frames, shown, uploads, upright, words
from genrestore.ui import job as jobs
from genrestore.ui.mask_editor import recent
from genrestore.ui.said import said

PREVIEW = 2048  # pixels a side of what the browser gets of a picture that it cannot draw itself
MASK_BYTES = 24 * 2**20  # of the PNG; one bit a pixel, as the editor writes it, needs 12 MB for 100 megapixels of noise
MOST_POINTS = 2000  # of a line that is drawn round an object; the page sends fewer
FARTHEST = 2**20  # pixels that such a point may lie from the corner
HEADER = "data:image/png;base64,"
UNFIT = "What was repaired so far does not fit this picture; open the photo again."
SCRIPTS = (
    "state.js",
    "mask.js",
    "png.js",
    "growth.js",
    "opening.js",
    "view.js",
    "painting.js",
    "wand.js",
    "object.js",
    "keys.js",
    "pointers.js",
    "history.js",
    "stage.js",
    "candidates.js",
    "old.js",
    "keep.js",
    "page.js",
)  # in the order in which they are put together; the last one acts, the others only define

W = words.Words(
    "mask_editor",
    {
        "tools": ("Painting", "绘制"),
        "tool": ("Tool", "工具"),
        "brush": ("Brush", "画笔"),
        "eraser": ("Eraser", "橡皮"),
        "rectangle": ("Box", "矩形"),
        "lasso": ("Lasso", "套索"),
        "object": ("Object", "对象"),
        "object_hint": (
            "Select an object: click on it, or draw a line roughly round it",
            "选择对象：点击它，或大致圈出它",
        ),
        "wand": ("Wand", "魔棒"),
        "wand_hint": (
            "Select all connected pixels of one colour; pull to the right for more",
            "选取颜色相近的相连区域，向右拖动可扩大",
        ),
        "forbid": ("Do not copy", "禁止复制"),
        "forbid_hint": (
            "Mark what must not be copied into the repair, such as a second person",
            "标出修复时不可复制的内容，例如另一个人",
        ),
        "move": ("Move", "移动"),
        "size": ("Size", "大小"),
        "tolerance": ("Tolerance", "容差"),
        "growth": ("Margin", "边缘余量"),
        "growth_by": ("Pixels of the margin round what you paint", "涂抹区域边缘余量的像素数"),
        "growth_hint": (
            "What you paint gets a margin of so many pixels, so that nothing stays along its edge; it is shown paler",
            "涂抹区域四周会多留若干像素，避免留下残边；余量以浅色显示",
        ),
        "undo": ("Undo", "撤销"),
        "redo": ("Redo", "重做"),
        "help": ("Help", "帮助"),
        "close": ("Close", "关闭"),
        "other": ("Other photo", "换一张"),
        "repair": ("Repair", "开始修复"),
        "stop": ("Cancel", "取消"),
        "download": ("Download {name}", "下载 {name}"),
        "hint": (
            "Paint over what should go. Grass, water and walls can be continued; a face or anything unique is lost.",
            "请涂抹要去除的部分。草地、水面和墙壁可以自然延续；人脸等独一无二的内容无法复原。",
        ),
        "format": ("Save as", "保存格式"),
        "before": ("Before", "处理前"),
        "after": ("After", "处理后"),
        "before_hint": ("Hold to see the photo as it was (Q)", "按住查看原图（Q）"),
        "wipe": ("Compare", "对比"),
        "divider": ("Border between before and after", "前后对比分界线"),
        "full": ("Full screen", "全屏"),
        "actual": ("Actual size", "实际大小"),
        "onward": ("Continue in Upscale", "在“放大”中打开"),
        "actions": ("What to do next", "下一步操作"),
        "details": ("Details", "详情"),
        "candidates": ("Other fills", "其他填补结果"),
        "damage": ("Find damage", "查找损伤"),
        "old": ("Mend an old photo", "修复老照片"),
        "old_hint": (
            "Finds scratches, dust, creases and stains, fills them and takes out some of the grain; each step can be undone",
            "查找划痕、灰尘、折痕和污渍，加以填补，并减轻颗粒；每一步都可以撤销",
        ),
        "step": ("{step}: {text}", "{step}：{text}"),
        "finding": ("Looking for damage", "查找损伤"),
        "filling": ("Filling it", "填补"),
        "cleaning": ("Taking out grain", "减轻颗粒"),
        "damage_found": ("Damage marked", "已标记损伤"),
        "undamaged": (
            "No damage was found; paint over what should go.",
            "未发现损伤；请涂抹要去除的部分。",
        ),
        "seeking": ("Looking for other fills …", "正在寻找其他填补结果…"),
        "guesses": ("Where it guessed", "显示推测部分"),
        "guesses_hint": (
            "Colours the places where the fills differ: what is there was made up",
            "标出各填补结果不一致之处：这些内容是推测出来的",
        ),
        "repaired": ("Repaired", "已修复"),
        "failed": ("The repair did not come through; try again.", "修复未能完成，请重试。"),
        "expired": (
            "That step is no longer on the server, so it cannot be shown again.",
            "该步骤已不在服务器上，无法再次显示。",
        ),
        "stage": (
            "Picture to paint on. Arrow keys move the crosshair, Enter puts the pen down or lifts it, ? shows all keys.",
            "绘制区域。方向键移动十字光标，Enter 键落笔或抬笔，问号键查看帮助。",
        ),
        "lead": ("Choose a photo, then paint over what should go", "选择一张照片，再涂抹要去除的部分"),
        "choose": ("Choose a photo", "选择照片"),
        "camera": ("Camera", "拍照"),
        "back": ("Back to the picture", "返回图片"),
        "drop": ("or drop it here, or paste it with Ctrl+V", "也可拖放到这里，或按 Ctrl+V 粘贴"),
        "examples": ("Examples", "示例"),
        "example": ("Example: {name}", "示例：{name}"),
        "snap": ("Take the photo", "拍摄"),
        "leave": ("Cancel", "取消"),
        "change": ("Mask and view", "遮罩与视图"),
        "rest": ("More", "更多"),
        "clear": ("Clear", "清除"),
        "invert": ("Invert", "反选"),
        "grow": ("Grow marks", "扩大标记"),
        "shrink": ("Shrink marks", "收缩标记"),
        "by": ("Pixels to grow or shrink the marks by", "标记扩大或收缩的像素数"),
        "load": ("Load mask", "载入遮罩"),
        "load_hint": ("Load a mask; it is taken as it is, without a margin", "载入遮罩，原样使用，不加余量"),
        "save": ("Save mask", "保存遮罩"),
        "save_hint": (
            "Save the marks as a mask, their margin included",
            "将标记保存为遮罩，包含边缘余量",
        ),
        "in": ("Zoom in", "放大"),
        "out": ("Zoom out", "缩小"),
        "fit": ("Fit", "适应"),
        "note": ("{name} · {w} × {h} · {share} % marked", "{name} · {w} × {h} · 已标记 {share}%"),
        "note_done": ("{name} · {w} × {h}", "{name} · {w} × {h}"),
        "only_spared": (
            "The stripes only say what must not be copied: now mark what should go.",
            "条纹只表示不要从这里复制；请再标记要去除的部分。",
        ),
        "note_empty": ("{name} · {w} × {h} · nothing marked yet", "{name} · {w} × {h} · 尚未标记"),
        "opening": ("Opening …", "正在打开…"),
        "sending": ("Sending the file …", "正在上传…"),
        "opened": ("Picture opened, {w} by {h} pixels", "已打开图片，{w} × {h} 像素"),
        "painted": ("Painted", "已绘制"),
        "pen_down": ("Pen down", "已落笔"),
        "undone": ("Undone", "已撤销"),
        "redone": ("Redone", "已重做"),
        "cleared": ("Cleared", "已清除"),
        "inverted": ("Inverted", "已反选"),
        "selecting": ("Finding the edges …", "正在识别边缘…"),
        "selected": ("Object selected", "已选择对象"),
        "forbidden": ("Marked as not to be copied", "已标为禁止复制"),
        "grown": ("Grown", "已扩大"),
        "margin": ("Margin set", "已设置余量"),
        "no_margin": ("Margin taken off", "已取消余量"),
        "shrunk": ("Shrunk", "已收缩"),
        "mask_loaded": ("Mask loaded", "已载入遮罩"),
        "lost": ("The picture is no longer on the server; choose it again.", "图片已不在服务器上，请重新选择。"),
        "camera_refused": (
            "The browser refused the camera; allow it beside the address, or choose a file.",
            "浏览器拒绝使用相机，请在地址栏旁允许，或选择文件。",
        ),
        "camera_absent": ("No camera was found; choose a file instead.", "未找到相机，请选择文件。"),
        "camera_insecure": (
            "Browsers give the camera only to pages opened through https or on this machine; choose a file instead.",
            "浏览器仅允许 https 或本机页面使用相机，请选择文件。",
        ),
        "help_tools": (
            "Brush, eraser, box, lasso, object, wand, do not copy, move",
            "画笔、橡皮、矩形、套索、对象、魔棒、禁止复制、移动",
        ),
        "help_size": ("Smaller or larger brush", "减小或增大画笔"),
        "help_zoom": ("Zoom in, out, fit, single pixels", "放大、缩小、适应、原始像素"),
        "help_arrows": ("Move the crosshair", "移动十字光标"),
        "help_fine": ("Move it by one pixel", "移动一个像素"),
        "help_pen": ("Pen down, pen up; so does Space at the crosshair", "落笔或抬笔，十字光标处也可用空格键"),
        "help_before": ("Hold to see the photo as it was", "按住查看原图"),
        "help_escape": ("Drop an unfinished stroke", "放弃未完成的笔画"),
        "help_paste": ("Open a picture from the clipboard", "打开剪贴板中的图片"),
        "help_object": (
            "Object: click on it, or draw a line roughly round it",
            "对象：点击它，或大致圈出它",
        ),
        "help_wand": (
            "Wand: click a colour; pull to the right to take in more, to the left for less",
            "魔棒：点击一种颜色，向右拖动扩大，向左缩小",
        ),
        "help_forbid": (
            "Do not copy: mark what must not appear in the repair, such as a second person",
            "禁止复制：标出不应出现在修复处的内容，例如另一个人",
        ),
        "help_pressure": ("A pen that is pressed harder paints wider", "触控笔压得越重，笔画越宽"),
        "help_right": ("Right mouse button or Alt erases", "右键或按住 Alt 擦除"),
        "help_space": (
            "Hold Space and drag to move; Ctrl and the wheel zoom, the wheel alone once you have painted",
            "按住空格拖动可移动；按住 Ctrl 滚动滚轮缩放，绘制后直接滚动即可缩放",
        ),
        "help_fingers": (
            "One finger paints, two move and zoom; beside a pen they only move",
            "单指绘制，双指移动和缩放；使用触控笔时手指只移动图片",
        ),
    },
)


class MaskEditor:
    """`MaskEditor(...)` lays out a gr.HTML; handlers get its value and give it to `MaskEditor.read`.

    The value is {"file": a Gradio file, "mask": data URL, "forbid": data URL or None, "painted": data URL or None, "grow":
    pixels, "w": width, "h": height, "state": what repairs have made of it, "kind": one of the formats, "run" and "of": the
    names of this question and of what is shown, "sure": whether more than half is meant}, or None while there is no picture.
    What is painted is grown by a margin unless the visitor wants none; the mask is what it grew to. `repair` is set off
    when the picture is to be repaired, `damage` and `clean` when an `old` photo is to be looked at or its grain taken out,
    `resave` when what is repaired already is to be written in another format; the editor is their first input, and `asked` or
    `latest` give it; so do `others`, which asks for other fills of a repair, and `take`, which puts one into the picture.
    A handler returns `MaskEditor.answer(value, …)` to a `MaskEditor.ear(elem_id)` of its event, as often as there is something
    to tell; the page drops what answers a question that it no longer asks.

    Not a subclass of gr.HTML, because Gradio writes a .pyi file beside every subclass that it meets.
    """

    def __new__(
        cls,
        *,
        elem_id: str,
        label: Any = None,
        examples: Sequence[Path] = (),
        formats: Sequence[str] = (),
        names: Sequence[words.Words] = (),
        functions: Sequence[Callable[..., Any]] = (),
        old: bool = False,
    ) -> gr.HTML:
        """The empty editor, inside the layout that is open; `label` names it to screen readers, `names` the formats and, by
        the stems of their files, the examples. Of `functions`, the page asks `stop` to end the work of a name, and
        `outlook` where a repair may fail. `old`: it offers to find damage and to mend old photos."""
        gr.set_static_paths([*examples, *filter(Path.is_file, map(_marked, examples))])
        return gr.HTML(
            {
                "examples": list(map(_example, examples)),
                "formats": list(formats),
                "old": old,
                "growth": {"edge": EDGE, "hand": HAND, "most": LARGEST_GROWTH},
            },
            label=label,
            elem_id=elem_id,
            html_template=_beside("editor.html"),
            css_template=_beside("editor.css"),
            js_on_load=script(),
            apply_default_css=False,
            server_functions=[inspect, frame, preview, mask, select, *functions],
            words=W.both(jobs.W, shown.W, *names),
        )

    @staticmethod
    def ear(elem_id: str) -> gr.HTML:
        """What the answers of one event go to, seen by nobody. Each event has its own: where two answers come to one at a time,
        the page hears but the last."""
        heard = f"{_stage(elem_id)}.answered(props.value.answer)"
        return gr.HTML(
            html_template="<span></span>",
            js_on_load=f'watch("value", () => props.value?.answer && {heard});',
            apply_default_css=False,
            visible="hidden",
        )

    @staticmethod
    def latest(elem_id: str) -> str:
        """JavaScript that waits for the upload and the last stroke before an event is sent; for `repair` see `asked`."""
        return f"async (_, ...others) => [await {_stage(elem_id)}.value(), ...others]"

    @staticmethod
    def asked(elem_id: str, event: str = "repair") -> str:
        """The same for `repair`, whose answers are for what was marked at that moment, for `others` and for `take`."""
        return f"async (_, ...others) => [await {_stage(elem_id)}.asked.{event}(), ...others]"

    @staticmethod
    def failed(elem_id: str, event: Literal["repair", "resave", "take"] = "repair") -> str:
        """JavaScript for when no answer will come."""
        return f"() => {_stage(elem_id)}.failed.{event}()"

    @staticmethod
    def file(value: object) -> Path:
        """The picture's file.

        Raises:
            ImageError: the value names none, or one that was not uploaded here.
        """
        return _uploaded(_entries(value).get("file"))

    @staticmethod
    def photo(value: object) -> image.Picture:
        """The picture as it was opened; its pixels are not to be written to.

        Raises:
            ImageError: as `file`, or it cannot be read.
        """
        return recent.load(MaskEditor.file(value))

    @staticmethod
    def read(value: object) -> tuple[image.Picture, np.ndarray, dict[str, Any]]:
        """The picture; what is to be filled, (H, W) bool of its size, which may be nothing; and how that is said to
        `tasks.inpaint.repair`: `mask`, what the visitor marked, `grow`, `hole`, what that grew to, and `forbidden`.

        Raises:
            ImageError: no uploaded picture, or one that cannot be read.
            MaskError: no mask, or one that is no PNG, too large, of another size, or not grown from what was marked.
        """
        picture = MaskEditor.photo(value)
        entries = _entries(value)
        hole = _mask(entries.get("mask"), picture)
        forbidden = None if (url := entries.get("forbid")) is None else _mask(url, picture)
        if (url := entries.get("painted")) is None:
            return picture, hole, {"mask": hole, "grow": 0, "hole": None, "forbidden": forbidden}
        painted, grow = _mask(url, picture), entries.get("grow")
        if type(grow) is not int or not 0 < grow <= LARGEST_GROWTH or (painted & ~hole).any():
            raise MaskError("The mask is not what was painted, grown; paint it in the editor.")
        return picture, hole, {"mask": painted, "grow": grow, "hole": hole, "forbidden": forbidden}

    @staticmethod
    def reached(value: object, picture: image.Picture) -> tuple[image.Picture, np.ndarray]:
        """What repairs have made of the picture so far, and where they filled it, (H, W) bool; all else is as in its file.

        Raises:
            ImageError: it is no longer on the server, or does not fit the picture.
            MaskError: as for `read`.
        """
        state = _entries(value).get("state")
        if state is None:
            return picture, np.zeros((picture.height, picture.width), bool)
        touched = _mask(_entries(state).get("touched"), picture)
        base = image.load(_uploaded(_entries(state).get("base"))).pixels
        pixels, count = picture.pixels.copy(), int(touched.sum())
        if base.shape != (*_sheet(count), picture.channels) or base.dtype != pixels.dtype:
            raise ImageError(UNFIT)
        pixels[touched] = base.reshape(-1, picture.channels)[:count]
        return picture.with_pixels(pixels), touched

    @staticmethod
    def state(repaired: image.Picture, touched: np.ndarray) -> dict[str, Any]:
        """What the page sends back for `reached`: which pixels were filled, and those without loss, line by line in a PNG, so
        that it costs what was filled, wherever that lies.

        Raises:
            OSError: the disk is full.
        """
        filled = repaired.pixels[touched]
        sheet = np.zeros((*_sheet(len(filled)), repaired.channels), filled.dtype)
        sheet.reshape(-1, repaired.channels)[: len(filled)] = filled
        base = jobs.written(image.Picture(sheet), "base.png")
        return {"base": gr.FileData(path=str(base), orig_name=base.name).model_dump(), "touched": url(touched)}

    @staticmethod
    def refilled(value: object, now: image.Picture, touched: np.ndarray) -> image.Picture:
        """What was repaired so far, `now`, with another fill of a part of what was filled, `touched`.

        Raises:
            ImageError: the fill is no longer on the server, or does not fit.
        """
        fill = _entries(_entries(value).get("fill"))
        pixels = image.load(_uploaded(fill.get("file"))).pixels
        height, width, _ = pixels.shape
        match fill.get("at"):
            case [int(top), int(left)] if top >= 0 and left >= 0:
                there = np.s_[top : top + height, left : left + width]
            case _:
                raise ImageError(UNFIT)
        result = now.pixels.copy()
        inside = _mask(fill.get("inside"), image.Picture(pixels))
        if result[there].shape != pixels.shape or result.dtype != pixels.dtype or (inside & ~touched[there]).any():
            raise ImageError(UNFIT)
        result[there][inside] = pixels[inside]
        return now.with_pixels(result)

    @staticmethod
    def answer(value: object, **facts: Any) -> dict[str, Any]:
        """What a handler tells of the question in `value`.

        Args:
            facts: while it works `fraction` (0 to 1) and `text`; at its end `scene`, what it made of the picture; of `damage`,
                `marks`, a mask; or
                `problem`, a sentence, with `ask` where the visitor may mean it all the same; or nothing, if it failed. To
                `resave`, `rewritten` with the new parts of that scene, or `unwritten` with the problem, None if it failed.
                To `others`, all `offers` so far, and at last `complete`. To `take`, `taken` with the parts of a scene, or
                `untaken` with the problem.
        """
        asked = _entries(value)
        return {"answer": {"run": asked.get("run"), "of": asked.get("of"), **facts}}


def inspect(file: object) -> dict[str, Any]:
    """For the page: the size of the picture as the server reads it, and whether browsers do the same; or what is wrong. Of a
    file with several frames, what `frame` tells of the first.
    """
    try:
        path = _uploaded(file)
        if frames.count(path) > 1:
            return frame({"file": file, "frame": 1})
        picture = recent.load(path)
    except GenrestoreError as problem:
        return {"problem": said(problem)}
    return {"width": picture.width, "height": picture.height, "alike": upright.alike(path)}


def frame(asked: object) -> dict[str, Any]:
    """For the page: of a file with several frames, the one whose number is asked for, as a file of its own that takes the
    place of the whole; or what is wrong.
    """
    entries = _entries(asked)
    try:
        path = _uploaded(entries.get("file"))
        picture, alone = frames.single(path, number := entries.get("frame"))
        facts = {"file": alone, "frame": number, "frames": frames.count(path)}
    except GenrestoreError as problem:
        return {"problem": said(problem)}
    except OSError as problem:
        if problem.errno not in uploads.FULL:
            raise
        return {"problem": uploads.W.text("disk_full", LocalContext.request.get(None))}
    return {"width": picture.width, "height": picture.height, "alike": False, **facts}


def preview(file: object) -> dict[str, Any]:
    """For the editor: a small copy of a picture that the browser cannot draw, such as a TIFF, or may not turn."""
    try:
        picture = recent.load(_uploaded(file))
    except GenrestoreError as problem:
        return {"problem": said(problem)}
    data, kind = drawable(picture)
    return {"url": f"data:image/{kind};base64," + base64.b64encode(data).decode("ascii")}


def drawable(picture: image.Picture) -> tuple[bytes, str]:
    """A copy that every browser draws: 8 bits, PREVIEW pixels a side at most, and no other loss. The file, "png" or "webp".

    Of 3 megapixels in colour, WebP took half the time of PNG's lowest level and four fifths of its bytes; but it holds no grey,
    whose colour profile would not fit.
    """
    small = picture.pil()
    profile = small.info.get("icc_profile")
    if small.mode == "I;16":
        small = Image.fromarray(picture.rgb8()[..., 0])
    small.thumbnail((PREVIEW, PREVIEW), Image.Resampling.LANCZOS, reducing_gap=2.0)
    data = io.BytesIO()
    if small.mode in ("L", "LA"):
        small.save(data, "PNG", compress_level=1, icc_profile=profile)
        return data.getvalue(), "png"
    small.save(data, "WEBP", lossless=True, method=0, exact=True, icc_profile=profile)
    return data.getvalue(), "webp"


def mask(files: object) -> dict[str, Any]:
    """For the editor: a mask's file as `image.load_mask` reads it, a PNG of one bit a pixel; or why it cannot be used."""
    entries = _entries(files)
    try:
        picture = recent.load(_uploaded(entries.get("picture")))
        marked = image.load_mask(_uploaded(entries.get("mask")), (picture.width, picture.height))
    except GenrestoreError as problem:
        return {"problem": said(problem)}
    return {"url": url(marked)}


def select(asked: object) -> dict[str, Any]:
    """For the editor: the object that a line through the points of `outline` goes round, or that a single one touches, as a
    PNG of one bit a pixel for a box of the picture; or why there is none.
    """
    entries = _entries(asked)
    try:
        picture = recent.load(_uploaded(entries.get("file")))
        found, (top, left, bottom, right) = selection.select(picture.rgb8(), _outline(entries.get("outline")))
    except GenrestoreError as problem:
        return {"problem": said(problem)}
    return {"url": url(found), "left": left, "top": top, "width": right - left, "height": bottom - top}


def url(marked: np.ndarray) -> str:
    """A mask (H, W; bool) as the page takes and sends it: a PNG of one bit a pixel in a data URL."""
    data = io.BytesIO()
    Image.fromarray(marked).save(data, "PNG")
    return HEADER + base64.b64encode(data.getvalue()).decode("ascii")


def _sheet(count: int) -> tuple[int, int]:
    """(height, width) of the sheet, nearly square, that holds so many pixels."""
    width = math.isqrt(max(count - 1, 0)) + 1
    return -(-count // width), width


def _outline(points: object) -> list[tuple[float, float]]:
    """Points (x, y) as the browser sent them.

    Raises:
        MaskError: they are none, too many, or no numbers.
    """
    given = cast("list[Any]", points) if isinstance(points, list) else []
    pairs = [tuple(point) for point in given if isinstance(point, list) and len(cast("list[Any]", point)) == 2]
    fit = 0 < len(pairs) == len(given) <= MOST_POINTS
    if not (fit and all(type(side) in (int, float) and abs(side) < FARTHEST for pair in pairs for side in pair)):
        raise MaskError(f"An outline is a list of 1 to {MOST_POINTS} points of two numbers; draw it in the editor.")
    return cast("list[tuple[float, float]]", pairs)


def _entries(value: object) -> dict[str, Any]:
    """What the browser sent, if it is an object; else an empty one."""
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def _uploaded(file: object) -> Path:
    """The path of a file that Gradio took from a visitor, or that the page itself offers."""
    path = _entries(file).get("path")
    if not isinstance(path, str) or "\0" in path:
        raise ImageError("No picture was uploaded; choose a photo first.")
    found = Path(path).resolve()
    if not (found.is_relative_to(Path(utils.get_upload_folder()).resolve()) or utils.is_static_file(found)):
        raise ImageError("This picture was not uploaded here; choose a photo first.")
    if not _there(found):
        raise ImageError("The picture is no longer on the server; choose it again.")
    return found


def _there(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # such as a name that is too long for any file
        return False


def _mask(url: object, picture: image.Picture) -> np.ndarray:
    if not isinstance(url, str) or not url.startswith(HEADER):
        raise MaskError("The mask must be a PNG in a data URL; paint it in the editor.")
    if len(url) > len(HEADER) + MASK_BYTES * 4 // 3:
        raise MaskError(f"The mask is larger than {MASK_BYTES // 2**20} MB; send it as PNG with one bit a pixel.")
    try:
        data = base64.b64decode(url[len(HEADER) :], validate=True)
        with Image.open(io.BytesIO(data), formats=["PNG"]) as opened:  # reads the header only
            size = opened.size
    except (binascii.Error, UnidentifiedImageError, Image.DecompressionBombError, OSError, ValueError, SyntaxError):
        raise MaskError("The mask is not a PNG; paint it in the editor.") from None
    if size != (picture.width, picture.height):
        sizes = f"{size[0]}×{size[1]}, the picture {picture.width}×{picture.height}"
        raise MaskError(f"The mask is {sizes}; paint it on this picture again.")
    mask = image.load(data)
    return mask.colour.max(axis=2) > mask.peak // 2


def _stage(elem_id: str) -> str:
    return f"document.querySelector('#{elem_id} .mask-editor').editor"


def _example(path: Path) -> dict[str, Any]:
    """What the page is told of an example: its file, and that of a mask to begin with, where there is one."""
    mask = _marked(path)
    known = gr.FileData(path=str(mask)).model_dump() if mask.is_file() else None
    return {"photo": gr.FileData(path=str(path)).model_dump(), "mask": known}


def _marked(example: Path) -> Path:
    return example.with_suffix(".mask.png")


def script() -> str:
    """What the browser runs for each editor: the files of SCRIPTS as one function's body."""
    return "\n".join(map(_beside, SCRIPTS))


def _beside(name: str) -> str:
    return Path(__file__).with_name(name).read_text("utf-8")
