"""The keyboard's place in a tab: when what has the focus goes, what stands nearest gets it, and never the page as a whole."""

import itertools
from pathlib import Path
from typing import Any

import gradio as gr

_number = itertools.count(1)


def keep() -> gr.HTML:
    """Keep the focus within the gr.Tab that is open; drawn by focus.js, seen by nobody. Takes what `to` gives as its value."""
    return gr.HTML(
        html_template="<span hidden></span>",
        css_template=".html-container:has(> &) { padding: 0; }",
        js_on_load=Path(__file__).with_suffix(".js").read_text("utf-8"),
        apply_default_css=False,
        elem_classes="keeps-focus",
    )


def to(elem_id: str) -> dict[str, Any]:
    """What moves the focus to the first control of a component."""
    return {"to": elem_id, "number": next(_number)}  # the number makes it another value than the last one
