"""What the browser sends, checked: anybody can send anything."""

import base64
import binascii
import io
from pathlib import Path
from typing import Any, cast

import numpy as np
from PIL import Image, UnidentifiedImageError

from genrestore.errors import ImageError, MaskError
from genrestore.pictures import image
from genrestore.ui.server import uploads

MASK_BYTES = 24 * 2**20  # of the PNG; one bit a pixel, as the editor writes it, needs 12 MB for 100 megapixels of noise
MOST_POINTS = 2000  # of a line that is drawn round an object; the page sends fewer
FARTHEST = 2**20  # pixels that such a point may lie from the corner
HEADER = "data:image/png;base64,"


def url(marked: np.ndarray) -> str:
    """A mask (H, W; bool) as the page takes and sends it: a PNG of one bit a pixel in a data URL."""
    data = io.BytesIO()
    Image.fromarray(marked).save(data, "PNG")
    return HEADER + base64.b64encode(data.getvalue()).decode("ascii")


def outline_of(points: object) -> list[tuple[float, float]]:
    """Points (x, y) as the browser sent them.

    Raises:
        MaskError: they are none, too many, or no numbers.
    """
    given = cast("list[Any]", points) if isinstance(points, list) else []
    pairs = [tuple(point) for point in given if isinstance(point, list) and len(cast("list[Any]", point)) == 2]
    fit = 0 < len(pairs) == len(given) <= MOST_POINTS
    if not (fit and all(type(side) in (int, float) and abs(side) < FARTHEST for pair in pairs for side in pair)):
        raise MaskError(f"An outline is a list of 1 to {MOST_POINTS} points of two numbers; draw it in the editor.")
    return cast("list[tuple[float, float]]", pairs)


def entries(value: object) -> dict[str, Any]:
    """What the browser sent, if it is an object; else an empty one."""
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def uploaded(file: object) -> Path:
    """The path of a file that Gradio took from a visitor, or that the page itself offers.

    Raises:
        ImageError: it is no such file, or gone.
    """
    path = entries(file).get("path")
    if not isinstance(path, str) or "\0" in path:
        raise ImageError("No picture was uploaded; choose a photo first.")
    found = Path(path).resolve()
    if not uploads.is_here(found):
        raise ImageError("This picture was not uploaded here; choose a photo first.")
    if not _there(found):
        raise ImageError("The picture is no longer on the server; choose it again.")
    return found


def _there(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # such as a name that is too long for any file
        return False


def mask_of(url: object, picture: image.Picture) -> np.ndarray:
    """What a PNG in a data URL marks, (H, W) bool of the picture's size.

    Raises:
        MaskError: it is none, too large, or of another size.
    """
    if not isinstance(url, str) or not url.startswith(HEADER):
        raise MaskError("The mask must be a PNG in a data URL; paint it in the editor.")
    if len(url) > len(HEADER) + MASK_BYTES * 4 // 3:
        raise MaskError(f"The mask is larger than {MASK_BYTES // 2**20} MB; send it as PNG with one bit a pixel.")
    try:
        data = base64.b64decode(url[len(HEADER) :], validate=True)
        with Image.open(io.BytesIO(data), formats=["PNG"]) as opened:  # reads the header only
            size = opened.size
    except (binascii.Error, UnidentifiedImageError, Image.DecompressionBombError, OSError, ValueError, SyntaxError):
        raise MaskError("The mask is not a PNG; paint it in the editor.") from None
    if size != (picture.width, picture.height):
        sizes = f"{size[0]}×{size[1]}, the picture {picture.width}×{picture.height}"
        raise MaskError(f"The mask is {sizes}; paint it on this picture again.")
    mask = image.load(data)
    return mask.colour.max(axis=2) > mask.peak // 2
