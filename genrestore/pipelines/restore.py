"""Restore a picture: noise and JPEG blocks taken out, tile by tile; size, transparency and metadata stay."""

import threading
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from genrestore import runtime
from genrestore.errors import SettingError
from genrestore.pictures import image as pictures
from genrestore.pictures.image import Picture
from genrestore.pipelines import number
from genrestore.pipelines.upscale import Faithful, run

ROWS = 256  # that are weakened at once


def restore(
    image: Picture | Image.Image | str | Path | bytes,
    *,
    model: str = "auto",
    strength: float = 1.0,
    frame: int | None = None,
    progress: runtime.Progress | None = None,
    cancel: threading.Event | None = None,
) -> Any:
    """Take noise and the blocks of JPEG out of a picture. How strong they are, the net estimates, place by place.

    Grey stays grey, transparency stays as it is, and colours that it hides are not looked at.

    Args:
        image: a Picture, a PIL image, a path, or the bytes of a file; any size, 8 or 16 bits.
        strength: how much of the change is made, 0 to 1.
        frame: of an animation or a document of pages, the one to take, from 1 on.

    Returns: a Picture for a Picture, a PIL image for anything else.

    Raises:
        ImageError, SettingError, ModelError: an argument does not allow it.
        Cancelled: `cancel` was set.
    """
    if not 0 <= (share := number("strength", strength)) <= 1:
        raise SettingError(f"strength must lie between 0 and 1, not {strength}.")
    source = pictures.load(image, frame=frame)
    chosen = runtime.load(model, task="restore", pixels=source.width * source.height)
    pixels = source.pixels.copy()
    into = pixels[..., : source.colour.shape[2]]
    run(Faithful(**vars(chosen)), source.pixels, into, 1, progress or (lambda share, text: None), cancel)
    if share < 1:
        for top in range(0, source.height, ROWS):
            part = slice(top, top + ROWS)
            before = source.colour[part].astype(np.float32)
            into[part] = np.rint(before + share * (into[part] - before))
    result = source.with_pixels(pixels)
    return result if isinstance(image, Picture) else result.pil()
