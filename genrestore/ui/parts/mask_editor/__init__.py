"""Stage on which a visitor opens a picture, paints what to repair, and sees it repaired: a reusable component, drawn by the
scripts beside it.

The picture's file reaches the server as it is, byte for byte; the page sees a copy. The mask comes as a PNG of the
picture's full size. What repairs have made of the picture lies on the server without loss, and the next one starts from
there. All of it is checked here, because anybody can send anything.
"""

from genrestore.ui.parts.mask_editor.checks import url
from genrestore.ui.parts.mask_editor.component import SCRIPTS, MaskEditor, W
from genrestore.ui.parts.mask_editor.questions import detail, drawable, frame, inspect, mask, preview, select

__all__ = ["SCRIPTS", "MaskEditor", "W", "detail", "drawable", "frame", "inspect", "mask", "preview", "select", "url"]
