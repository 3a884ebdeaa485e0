"""Whether browsers show a file as the server reads it: the right way up, and at all."""

from pathlib import Path

from genrestore.errors import ImageError
from genrestore.pictures import image

DRAWN = ("JPEG", "PNG", "WEBP", "GIF", "BMP")  # every browser draws these
TURNED = ("JPEG",)  # every browser turns these by their EXIF


def agree(path: Path) -> bool:
    """Whether every browser shows the picture at `path` as `image.load` reads it; else the server must draw it for them.

    Browsers differ about other formats than JPEG, and where the orientation stands in XMP, in a box of the container or
    in EXIF that is broken. The size need not tell: a picture turned by half is as wide as before.
    """
    try:
        found = image.header(path)
    except ImageError:
        return False
    return found.format in DRAWN and found.certain and (found.format in TURNED or found.orientation == 1)
