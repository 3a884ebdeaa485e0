"""What the page asks the server of a picture beside the events: its size, a frame, a copy to draw, a mask's pixels, an object."""

import base64
import io
import math
from typing import Any

from gradio.context import LocalContext
from PIL import Image

from genrestore.errors import GenrestoreError
from genrestore.pictures import image, xmp
from genrestore.pictures import select as selection
from genrestore.ui.parts import browsers, frames
from genrestore.ui.parts.compare import WEBP_SIDE
from genrestore.ui.parts.mask_editor import recent
from genrestore.ui.parts.mask_editor.checks import entries, outline_of, uploaded, url
from genrestore.ui.server import uploads
from genrestore.ui.words.sentences import translated

PREVIEW = 2048  # pixels a side of what the browser gets at first of a picture that it cannot draw itself
DETAIL = 16e6  # most pixels of what it gets of one for a closer look


def inspect(file: object) -> dict[str, Any]:
    """For the page: the size of the picture as the server reads it, and whether browsers do the same, and whether it
    tells how it was made; or what is wrong. Of a file with several frames, what `frame` tells of the first.
    """
    try:
        path = uploaded(file)
        if frames.count(path) > 1:
            return frame({"file": file, "frame": 1})
        picture = recent.load(path)
    except GenrestoreError as problem:
        return {"problem": translated(problem)}
    facts = {"width": picture.width, "height": picture.height, "alike": browsers.agree(path)}
    told = image.RECIPE in picture.text or xmp.told(picture.xmp).recipe is not None
    return facts | ({"told": True} if told else {})


def frame(asked: object) -> dict[str, Any]:
    """For the page: of a file with several frames, the one whose number is asked for, as a file of its own that takes the
    place of the whole; or what is wrong.
    """
    given = entries(asked)
    try:
        path = uploaded(given.get("file"))
        picture, alone = frames.single(path, number := given.get("frame"))
        facts = {"file": alone, "frame": number, "frames": frames.count(path)}
    except GenrestoreError as problem:
        return {"problem": translated(problem)}
    except OSError as problem:
        if problem.errno not in uploads.FULL:
            raise
        return {"problem": uploads.W.text("disk_full", LocalContext.request.get(None))}
    return {"width": picture.width, "height": picture.height, "alike": False, **facts}


def preview(file: object) -> dict[str, Any]:
    """For the editor: a small copy of a picture that the browser cannot draw, such as a TIFF, or may not turn."""
    return _copy(file, closer=False)


def detail(file: object) -> dict[str, Any]:
    """For the editor: a copy that holds every pixel of such a picture, up to DETAIL of them."""
    return _copy(file, closer=True)


def _copy(file: object, *, closer: bool) -> dict[str, Any]:
    try:
        picture = recent.load(uploaded(file))
    except GenrestoreError as problem:
        return {"problem": translated(problem)}
    data, kind = drawable(picture, closer=closer)
    return {"url": f"data:image/{kind};base64," + base64.b64encode(data).decode("ascii")}


def drawable(picture: image.Picture, *, closer: bool = False) -> tuple[bytes, str]:
    """A copy that every browser draws: 8 bits, at most PREVIEW pixels a side or, for a closer look, DETAIL pixels in all, and
    no other loss. The file, "png" or "webp".

    Of 12 megapixels in colour, WebP took as long as PNG's lowest level and two thirds of its bytes, and ten times as long at
    more effort without being smaller; but it holds no grey, whose colour profile would not fit.
    """
    small = picture.pil()
    profile = small.info.get("icc_profile")
    if small.mode == "I;16":
        small = Image.fromarray(picture.rgb8()[..., 0])
    longer, pixels = max(small.size), small.width * small.height
    factor = min(WEBP_SIDE / longer, math.sqrt(DETAIL / pixels)) if closer else PREVIEW / longer
    if factor < 1:
        size = (max(1, round(small.width * factor)), max(1, round(small.height * factor)))
        small = small.resize(size, Image.Resampling.LANCZOS, reducing_gap=2.0)
    data = io.BytesIO()
    if small.mode in ("L", "LA"):
        small.save(data, "PNG", compress_level=1, icc_profile=profile)
        return data.getvalue(), "png"
    small.save(data, "WEBP", lossless=True, method=0, quality=0, exact=True, icc_profile=profile)
    return data.getvalue(), "webp"


def mask(files: object) -> dict[str, Any]:
    """For the editor: a mask's file as `image.load_mask` reads it, a PNG of one bit a pixel; or why it cannot be used."""
    given = entries(files)
    try:
        picture = recent.load(uploaded(given.get("picture")))
        marked = image.load_mask(uploaded(given.get("mask")), (picture.width, picture.height))
    except GenrestoreError as problem:
        return {"problem": translated(problem)}
    return {"url": url(marked)}


def select(asked: object) -> dict[str, Any]:
    """For the editor: the object that a line through the points of `outline` goes round, or that a single one touches, as a
    PNG of one bit a pixel for a box of the picture; or why there is none.
    """
    given = entries(asked)
    try:
        picture = recent.load(uploaded(given.get("file")))
        found, (top, left, bottom, right) = selection.select(picture.rgb8(), outline_of(given.get("outline")))
    except GenrestoreError as problem:
        return {"problem": translated(problem)}
    return {"url": url(found), "left": left, "top": top, "width": right - left, "height": bottom - top}
