"""Where a tab takes its picture from: chosen, dropped anywhere on the tab, pasted, or an example."""

from pathlib import Path
from typing import Any

import gradio as gr

from genrestore.ui.parts import examples
from genrestore.ui.parts.component import component
from genrestore.ui.parts.mask_editor import frame, inspect
from genrestore.ui.words import Words

W = Words("chooser")


def chooser(task: str) -> gr.HTML:
    """The part, inside the layout that is open. Its value is {file}, a gr.FileData, once a picture is chosen; see `chosen`."""
    return component(
        "parts/chooser",
        {"examples": [_file(path) for path in examples.PHOTOS]},
        label=W("source"),
        server_functions=[inspect, frame],
        elem_id=f"{task}-source",
        words=W.by_language(examples.W),
        task=task,
    )


def chosen(value: object) -> bool:
    """Whether a picture is chosen."""
    return isinstance(value, dict) and "file" in value


def _file(path: Path) -> dict[str, Any]:
    return gr.FileData(path=str(path), orig_name=path.name).model_dump()
