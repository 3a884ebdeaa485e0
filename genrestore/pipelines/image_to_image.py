"""What all tasks share that make of a picture another one of its size: tiles through the net, all else kept."""

import threading
from typing import Any

from genrestore import runtime
from genrestore.pictures import image as pictures
from genrestore.pictures.image import Picture, Source
from genrestore.pipelines.made import signed
from genrestore.pipelines.upscale import Faithful, run


def translate(
    task: str,
    image: Source,
    *,
    model: str = "auto",
    frame: int | None = None,
    progress: runtime.Progress | None = None,
    preview: runtime.Preview | None = None,
    cancel: threading.Event | None = None,
    **conditions: Any,
) -> Any:
    """The picture as a net of the task makes it; size, transparency and metadata stay.

    Grey stays grey, transparency stays as it is, and colours that it hides are not looked at.

    Args:
        image: a Picture, a PIL image, a path, or the bytes of a file; any size, 8 or 16 bits.
        frame: of an animation or a document of pages, the one to take, from 1 on.
        preview: called with a PIL image of the part that is worked on after each step of a net that works in steps.
        conditions: what the net takes besides, see `runtime.Model.under`.

    Returns: a Picture for a Picture, a PIL image for anything else.

    Raises:
        ImageError, SettingError, ModelError: an argument does not allow it.
        Cancelled: `cancel` was set.
    """
    source = pictures.load(image, frame=frame)
    result, backend = made(task, source, model, progress, preview, cancel, conditions)
    result = signed(result, source, task, model, conditions, backend=backend)
    return result if isinstance(image, Picture) else result.pil()


def made(
    task: str,
    source: Picture,
    model: str,
    progress: runtime.Progress | None,
    preview: runtime.Preview | None,
    cancel: threading.Event | None,
    conditions: dict[str, Any],
) -> tuple[Picture, str]:
    """The whole change that a net of the task makes to a picture, and the backend that computed it."""
    chosen = runtime.load(model, task=task, pixels=source.width * source.height).under(**conditions)
    pixels = source.pixels.copy()
    into = pixels[..., : source.colour.shape[2]]
    told = progress or (lambda share, text: None)
    run(Faithful(**vars(chosen)), source.pixels, into, 1, told, cancel, preview)
    return source.with_pixels(pixels), chosen.backend
