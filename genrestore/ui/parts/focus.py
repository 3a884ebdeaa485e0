"""Moving the keyboard's place: a handler's answer can name the component that gets the focus."""

import itertools
from typing import Any

import gradio as gr

from genrestore.ui.parts.component import component

_number = itertools.count(1)


def mover() -> gr.HTML:
    """What moves the focus, seen by nobody: an output that takes what `to` gives."""
    return component("parts/focus", elem_classes="moves-focus")


def to(elem_id: str) -> dict[str, Any]:
    """What moves the focus to the first control of a component."""
    return {"to": elem_id, "number": next(_number)}  # the number makes it another value than the last one
