"""Where a tab takes its picture from: chosen, dropped anywhere on the tab, pasted, or an example."""

from pathlib import Path
from typing import Any

import gradio as gr

from genrestore.ui import job as jobs
from genrestore.ui.mask_editor import frame, inspect
from genrestore.ui.words import Words

W = Words(
    "chooser",
    {
        "source": ("Picture", "图片"),
        "choose": ("Choose a picture", "选择图片"),
        "drop": ("or drop or paste one here", "也可拖放或粘贴到此处"),
        "change": ("Click, drop or paste to change it", "点击、拖放或粘贴以更换"),
        "sending": ("Sending the file …", "正在上传…"),
        "reading": ("Reading the picture …", "正在读取图片…"),
        "examples": ("Examples", "示例"),
    },
)


def chooser(task: str) -> gr.HTML:
    """The part, inside the layout that is open. Its value is {file}, a gr.FileData, once a picture is chosen; see `chosen`."""
    return gr.HTML(
        {"examples": [_file(path) for path in jobs.EXAMPLES]},
        label=W("source"),
        html_template=_beside("html"),
        css_template=_beside("css"),
        js_on_load=_beside("js"),
        apply_default_css=False,
        server_functions=[inspect, frame],
        elem_id=f"{task}-source",
        words=W.both(jobs.NAMES),
        task=task,
    )


def chosen(value: object) -> bool:
    """Whether a picture is chosen."""
    return isinstance(value, dict) and "file" in value


def _file(path: Path) -> dict[str, Any]:
    return gr.FileData(path=str(path), orig_name=path.name).model_dump()


def _beside(kind: str) -> str:
    return Path(__file__).with_suffix(f".{kind}").read_text("utf-8")
