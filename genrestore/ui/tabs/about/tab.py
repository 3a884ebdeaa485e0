"""The About tab: what becomes of one's pictures, whose photographs we use, and the program."""

from pathlib import Path

import gradio as gr
from PIL import Image

import genrestore
from genrestore.ui.parts import examples
from genrestore.ui.parts.component import address, component
from genrestore.ui.words import Words

W = Words("about")
say = W.html


def build() -> gr.HTML:
    """Lay out the tab inside the gr.Tab that is open."""
    return component(
        "tabs/about/about",
        f"<p>{say('privacy')}</p>"
        f"<h2>{say('photos')}</h2><p>{say('photos_hint')}</p><div class='photos'>{''.join(map(photo, examples.PHOTOS))}</div>"
        f"<h2>{say('program')}</h2><p>genrestore {genrestore.__version__}, Apache-2.0</p>",
        elem_id="about",
    )


def photo(path: Path) -> str:
    """One example photograph with its name as HTML."""
    with Image.open(path) as picture:
        room = f"width='{picture.width}' height='{picture.height}'"  # keeps its place until it is there
    return (
        f"<figure><img src='{address(path)}' {room} alt='' loading='lazy'>"
        f"<figcaption>{examples.W.html(path.stem)}</figcaption></figure>"
    )
