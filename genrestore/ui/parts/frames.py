"""One frame of an animation or one page of a document: the page works on it as on a picture of its own."""

from pathlib import Path
from typing import Any

import gradio as gr
from gradio import processing_utils, utils

from genrestore.errors import ImageError
from genrestore.pictures import image
from genrestore.ui.words import Words

W = Words("frames")


def count(path: Path) -> int:
    """How many frames or pages the file holds."""
    return image.header(path).frames


def single(path: Path, number: object) -> tuple[image.Picture, dict[str, Any]]:
    """Frame `number`, from 1 on, of a file: the picture, and the file that now holds it alone, without loss, as Gradio names it.

    Raises:
        ImageError: there is no such frame, or the file cannot be read.
        OSError: the disk is full.
    """
    if not isinstance(number, int) or isinstance(number, bool):
        raise ImageError("A frame is chosen by its number, from 1 on.")
    picture = image.load(path, frame=number)
    kind = "TIFF" if picture.format == "TIFF" else "PNG"  # both hold 16 bit; each keeps the metadata of its like
    name = f"{path.stem}.frame-{number}{'.tif' if kind == 'TIFF' else '.png'}"
    written = processing_utils.save_bytes_to_cache(image.encode(picture, format=kind), name, utils.get_upload_folder())
    return picture, gr.FileData(path=written, orig_name=name).model_dump()
