"""The keyboard's place in a tab: when what has the focus goes, what stands nearest gets it, and never the page as a whole."""

from pathlib import Path

import gradio as gr


def keep() -> gr.HTML:
    """Keep the focus within the gr.Tab that is open; drawn by focus.js, seen by nobody."""
    return gr.HTML(
        html_template="<span hidden></span>",
        css_template=".html-container:has(> &) { padding: 0; }",
        js_on_load=Path(__file__).with_suffix(".js").read_text("utf-8"),
        apply_default_css=False,
        elem_classes="keeps-focus",
    )
