"""Moving the keyboard's place: a handler's answer can name the component that gets the focus."""

import itertools
from pathlib import Path
from typing import Any

import gradio as gr

_number = itertools.count(1)


def mover() -> gr.HTML:
    """What moves the focus, seen by nobody: an output that takes what `to` gives."""
    return gr.HTML(
        html_template="<span hidden></span>",
        css_template=".html-container:has(> &) { padding: 0; }",
        js_on_load=Path(__file__).with_suffix(".js").read_text("utf-8"),
        apply_default_css=False,
        elem_classes="moves-focus",
    )


def to(elem_id: str) -> dict[str, Any]:
    """What moves the focus to the first control of a component."""
    return {"to": elem_id, "number": next(_number)}  # the number makes it another value than the last one
