"""Whether browsers show a file as the server reads it: upright, and at all."""

from pathlib import Path

from PIL import ExifTags, Image

DRAWN = ("JPEG", "PNG", "WEBP", "GIF", "BMP")  # every browser draws these
TURNED = ("JPEG", "MPO")  # every browser turns these by their EXIF; MPO is a JPEG with more pictures behind it


def alike(path: Path) -> bool:
    """Whether every browser shows the picture at `path` as `image.load` reads it; else the server must draw it for them.

    Browsers differ about other formats than JPEG, and where the orientation stands in XMP or in a box of the container.
    The size need not tell: a picture turned by half is as wide as before.
    """
    try:
        with Image.open(path, formats=DRAWN) as opened:
            meant = _orientation(opened.getexif())  # Pillow takes it from XMP where EXIF has none
            plain = Image.Exif()
            plain.load(opened.info.get("exif", b""))
            return meant == (_orientation(plain) if opened.format in TURNED else 1)
    except Exception:  # no such format; or damaged metadata, of which every reader makes something else
        return False


def _orientation(exif: Image.Exif) -> object:
    """1 is upright; so is what is no orientation at all."""
    found = exif.get(ExifTags.Base.Orientation, 1)
    return found if found in range(1, 9) else 1
