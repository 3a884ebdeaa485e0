"""What the Train tab says to those who cannot train."""

import gradio as gr

from genrestore.ui.parts.component import component
from genrestore.ui.server.access import Access
from genrestore.ui.words import Words

COMMAND = "genrestore app"
W = Words("closed")


def note(access: Access) -> gr.HTML:
    """Why a visitor cannot train here and how to get there, inside the layout that is open."""
    text = f"<h2>{W.html('off')}</h2><p>{W.html('off_hint')}</p><pre>{COMMAND}</pre>"
    return component(
        "tabs/train/closed", f"<section>{W.html('owner') if access.owner else text}</section>", elem_id="train-off"
    )
