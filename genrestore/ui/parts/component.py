"""Parts of the page that the browser draws, each from the files of one name."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import gradio as gr

UI = Path(__file__).parents[1]


def component(name: str, value: Any = None, *, shared: Sequence[str] = (), **props: Any) -> gr.HTML:
    """`name`.html, .css and .js as a component, inside the layout that is open; what is not there is left out.

    Args:
        name: of the files, with their folder below `ui`, such as "parts/compare".
        shared: other such names, whose scripts run before its own in the same scope, and whose styles come before its own.
        props: of gr.HTML; those that it does not know are for the script, such as `words` by language.
    """
    shared = ("parts/language", *shared) if "words" in props else shared
    files = {
        "html_template": text_of(f"{name}.html"),
        "css_template": "\n".join(filter(None, (text_of(f"{one}.css") for one in (*shared, name)))),
        "js_on_load": "\n".join(filter(None, (text_of(f"{one}.js") for one in (*shared, name)))),
    }
    return gr.HTML(value, apply_default_css=False, **{key: text for key, text in files.items() if text}, **props)


def text_of(name: str) -> str:
    """The text of a file below `ui`, or nothing."""
    path = UI / name
    return path.read_text("utf-8") if path.is_file() else ""


def address(path: Path) -> str:
    """Where the page finds a file that is served as it is; relative, so that the page may live below a sub-path."""
    return f"gradio_api/file={quote(path.resolve().as_posix())}"
