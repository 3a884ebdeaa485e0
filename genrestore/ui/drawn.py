"""Parts of the page that the browser draws, each from the files of one name."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gradio as gr

HERE = Path(__file__).parent


def drawn(name: str, value: Any = None, *, scripts: Sequence[str] = (), **props: Any) -> gr.HTML:
    """NAME.html, NAME.css and NAME.js of this folder as a component, inside the layout that is open; what is not there is left
    out.

    Args:
        scripts: other names, whose scripts run before its own in the same scope.
        props: of gr.HTML; those that it does not know are for the script.
    """
    files = {
        "html_template": beside(f"{name}.html"),
        "css_template": beside(f"{name}.css"),
        "js_on_load": "\n".join(filter(None, (beside(f"{one}.js") for one in (*scripts, name)))),
    }
    return gr.HTML(value, apply_default_css=False, **{key: text for key, text in files.items() if text}, **props)


def beside(name: str) -> str:
    """The text of a file of this folder, or nothing."""
    path = HERE / name
    return path.read_text("utf-8") if path.is_file() else ""
