"""Before/after slider for two pictures, with zoom and pan: drawn by compare.js and compare.css."""

from io import BytesIO
from pathlib import Path
from typing import Any

import gradio as gr
from gradio import processing_utils, utils
from PIL import Image

from genrestore.pictures import image
from genrestore.ui.parts import browsers
from genrestore.ui.parts.component import component
from genrestore.ui.words import Words

PREVIEW = 2048  # pixels a side of what is shown at first
FULL = 12.0  # megapixels up to which the whole picture is there to zoom into
WEBP_SIDE = 16383  # pixels, the format's limit
# What all browsers draw alike; of BMP they do not show every kind, and for CMYK they have colours of their own.
BROWSER_FORMATS = ("JPEG", "MPO", "PNG", "WEBP")
BROWSER_MODES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "I;16")

W = Words("compare")


class Compare:
    """`Compare(...)` lays out a gr.HTML; handlers return `Compare.value(before, after)` to it.

    Not a subclass of gr.HTML, because Gradio writes a .pyi file beside every subclass that it meets.
    """

    def __new__(cls, *, label: Any = None, elem_id: str | None = None) -> gr.HTML:
        """The empty slider, inside the layout that is open; `label` names it to screen readers."""
        return component(
            "parts/compare", shared=("parts/full_screen",), label=label, elem_id=elem_id, words=W.by_language()
        )

    @staticmethod
    def value(before: image.Source, after: image.Source | None = None) -> dict[str, Any]:
        """What the slider shows: both pictures in one box, or `before` alone while there is no `after`.

        A path is shown as it is where every browser draws it as the server reads it; of all else a copy goes into Gradio's
        cache.

        Raises:
            ImageError: a path that is not a picture.
        """
        return {"before": _view(before), "after": None if after is None else _view(after)}


def _view(source: image.Source) -> dict[str, Any]:
    """One picture for compare.js: its true size, a quick preview, and the full file where there is one to zoom into."""
    picture = image.load(source)
    full = None
    if picture.width * picture.height <= FULL * 1e6 and max(picture.width, picture.height) <= WEBP_SIDE:
        if isinstance(source, str | Path) and drawn_alike(Path(source)):
            full = processing_utils.save_file_to_cache(source, _cache())
        else:
            full = _save(_drawn(picture))
    preview = full
    if preview is None or max(picture.width, picture.height) > PREVIEW:
        preview = preview_of(picture)
    return {
        "width": picture.width,
        "height": picture.height,
        "preview": gr.FileData(path=preview).model_dump(),
        "full": gr.FileData(path=full).model_dump() if full else None,
    }


def preview_of(picture: image.Picture) -> str:
    """A copy that every browser draws, of PREVIEW pixels a side at most; its path."""
    small = _drawn(picture)
    small.thumbnail((PREVIEW, PREVIEW), Image.Resampling.LANCZOS, reducing_gap=2.0)
    return _save(small)


def drawn_alike(path: Path) -> bool:
    """Whether every browser draws the file as the server reads it: upright, and in the same colours."""
    if not browsers.agree(path):
        return False
    with Image.open(path, formats=browsers.DRAWN) as file:
        return file.format in BROWSER_FORMATS and file.mode in BROWSER_MODES


def _drawn(picture: image.Picture) -> Image.Image:
    """In 8 bits, for the screen only."""
    drawn = picture.pil()
    return Image.fromarray(picture.rgb8()) if drawn.mode == "I;16" else drawn


def _save(drawn: Image.Image) -> str:
    """Write into Gradio's cache, quickly and with no loss that an eye finds; the path."""
    data = BytesIO()
    if drawn.mode in ("L", "RGB"):
        drawn.save(data, "JPEG", quality=95, subsampling=0, icc_profile=drawn.info.get("icc_profile"))
        return processing_utils.save_bytes_to_cache(data.getvalue(), "view.jpg", _cache())
    drawn.save(data, "WEBP", quality=95, method=0, icc_profile=drawn.info.get("icc_profile"))
    return processing_utils.save_bytes_to_cache(data.getvalue(), "view.webp", _cache())


def _cache() -> str:
    return utils.get_upload_folder()
