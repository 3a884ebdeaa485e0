"""Restore a picture: noise and JPEG blocks taken out, tile by tile; size, transparency and metadata stay."""

import threading
from typing import Any

import numpy as np

from genrestore import runtime
from genrestore.pictures import image as pictures
from genrestore.pictures.image import Picture, Source
from genrestore.pipelines.arguments import settled
from genrestore.pipelines.image_to_image import made
from genrestore.pipelines.made import signed

ROWS = 256  # that are weakened at once


def restore(
    image: Source,
    *,
    model: str = "auto",
    strength: float = 1.0,
    frame: int | None = None,
    progress: runtime.Progress | None = None,
    preview: runtime.Preview | None = None,
    cancel: threading.Event | None = None,
    **conditions: Any,
) -> Any:
    """Take noise and the blocks of JPEG out of a picture. How strong they are, the net estimates, place by place.

    Grey stays grey, transparency stays as it is, and colours that it hides are not looked at.

    Args:
        image: a Picture, a PIL image, a path, or the bytes of a file; any size, 8 or 16 bits.
        strength: how much of the change is made, 0 to 1.
        frame: of an animation or a document of pages, the one to take, from 1 on.
        preview: called with a PIL image of the part that is worked on after each step of a net that works in steps.
        conditions: what the net takes besides, see `runtime.Model.under`.

    Returns: a Picture for a Picture, a PIL image for anything else.

    Raises:
        ImageError, SettingError, ModelError: an argument does not allow it.
        Cancelled: `cancel` was set.
    """
    share = settled("restore", strength=strength)["strength"]
    source = pictures.load(image, frame=frame)
    result, backend = made("restore", source, model, progress, preview, cancel, conditions)
    if share < 1:
        for top in range(0, source.height, ROWS):
            part = slice(top, top + ROWS)
            before, after = source.colour[part].astype(np.float32), result.colour[part]
            after[:] = np.rint(before + share * (after - before))
    result = signed(result, source, "restore", model, {"strength": share, **conditions}, backend=backend)
    return result if isinstance(image, Picture) else result.pil()
