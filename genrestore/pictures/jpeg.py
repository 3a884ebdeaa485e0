"""JPEG written again so that blocks nobody touched keep their coefficients.

Decoding to RGB and encoding again blurs the colours of a 4:2:0 picture (they are interpolated, then averaged) and cuts
what lies outside RGB; eight times over that costs 15 dB. So what is not touched is taken from the samples as the file
holds them: brightness in full, colours at their own resolution. An encoder with the same tables then finds nearly the
same coefficients.
"""

import io
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, JpegImagePlugin

from genrestore.pictures import codec
from genrestore.pictures.codec import Pixels

NARROW = 8  # pixels; below, libjpeg repeats colours instead of interpolating them


@dataclass(frozen=True)
class JpegCoding:
    """How a JPEG was written, so that writing it again loses as little as possible.

    Attributes:
        tables: quantisation of brightness and of colour, 64 numbers each, of the upright picture.
        subsampling: Pillow's number, of the upright picture: 0 = 4:4:4, 1 = 4:2:2, 2 = 4:2:0.
        progressive: whether it came in several scans.
        file: the JPEG without metadata.
        orientation: how its pixels lie, 1 to 8.
    """

    tables: list[list[int]]
    subsampling: int
    progressive: bool
    file: bytes | None = field(default=None, compare=False, repr=False)
    orientation: int = field(default=1, compare=False)


def coding(image: Image.Image, file: bytes, orientation: int) -> JpegCoding | None:
    """The coding of an opened image that lies in `orientation`; None where it is no JPEG of grey or RGB."""
    if not isinstance(image, JpegImagePlugin.JpegImageFile) or image.mode not in ("L", "RGB"):
        return None
    tables = [list(image.quantization[component[3]]) for component in image.layer[:2]]
    subsampling = JpegImagePlugin.get_sampling(image)
    if orientation > 4:  # rows and columns change places; Pillow cannot write 1×2, what 2×1 becomes
        tables = [np.array(table).reshape(8, 8).T.ravel().tolist() for table in tables]
        subsampling = subsampling if subsampling == 2 else 0
    return JpegCoding(tables, max(0, subsampling), bool(image.info.get("progressive")), file or None, orientation)


def redrawn(coding: JpegCoding, pixels: Pixels) -> Image.Image | None:
    """The picture for the encoder, in YCbCr: untouched pixels as the JPEG held them, the others converted.

    None where there is nothing to take from the JPEG: another size, grey, or samples that are not YCbCr.
    """
    if coding.file is None or pixels.shape[2] != 3 or pixels.dtype != np.uint8:
        return None
    with Image.open(io.BytesIO(coding.file), formats=["JPEG"]) as image:
        size = image.size[:: -1 if coding.orientation > 4 else 1]
        if size != (pixels.shape[1], pixels.shape[0]) or image.mode != "RGB" or not _is_ycbcr(image):
            return None
        before = codec.upright(codec.decode(image, b""), coding.orientation)
    held = codec.upright(_held(coding), coding.orientation)
    differs = before != pixels
    touched = differs[..., 0] | differs[..., 1] | differs[..., 2]
    rows, columns = (np.flatnonzero(touched.any(axis=axis)) for axis in (1, 0))
    if len(rows):
        box = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        new = np.asarray(Image.fromarray(pixels[box]).convert("YCbCr"))
        held[box][touched[box]] = new[touched[box]]
    return Image.fromarray(held, "YCbCr")


def _is_ycbcr(image: Image.Image) -> bool:
    """By libjpeg's rule: what Adobe's marker says, else a JFIF marker or names of components other than R, G, B."""
    if "adobe_transform" in image.info and "jfif" not in image.info:
        return image.info["adobe_transform"] == 1
    components = image.layer if isinstance(image, JpegImagePlugin.JpegImageFile) else []
    return "jfif" in image.info or [component[0] for component in components] != [*b"RGB"]


def _held(coding: JpegCoding) -> npt.NDArray[np.uint8]:
    """(H, W, 3), one's own: the samples in the JPEG, as they lie there; a colour for several pixels is repeated.

    The encoder averages what it shall put together, so repeated colours come out as they were. Where it will put other
    pixels together than the JPEG does, colours are interpolated instead.
    """
    held = np.array(_ycbcr(coding.file))
    height, width, _ = held.shape
    turned = coding.orientation
    with Image.open(io.BytesIO(coding.file or b""), formats=["JPEG"]) as image:
        subsampling = JpegImagePlugin.get_sampling(image)
    mirrored_across, mirrored_down = turned in (2, 3, 7, 8), turned in (3, 4, 6, 7)
    aligned = not ((mirrored_across and width % 2) or (mirrored_down and height % 2))
    if not aligned or subsampling != coding.subsampling or subsampling == 0 or min(width, height) < NARROW:
        return held
    if subsampling == 2:  # at half the size the decoder gives colours as they are
        colours = np.asarray(_ycbcr(coding.file, (width // 2, height // 2)))[..., 1:]
    else:
        colours = _narrowed(held[..., 1:])
    for down in range(2 if subsampling == 2 else 1):
        for across in range(2):
            part = held[down :: 2 if subsampling == 2 else 1, across::2, 1:]
            part[:] = colours[: part.shape[0], : part.shape[1]]
    return held


def _ycbcr(file: bytes | None, size: tuple[int, int] | None = None) -> Image.Image:
    with Image.open(io.BytesIO(file or b""), formats=["JPEG"]) as image:
        image.draft("YCbCr", size)  # pyright: ignore[reportArgumentType]
        image.load()
        assert image.mode == "YCbCr"
        return image.copy()


def _narrowed(wide: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    """(H, W, C) → (H, ⌈W/2⌉, C): the samples that libjpeg has interpolated to twice the width.

    It makes of a, b, c next to b: (a + 3 b + 1) >> 2 and (3 b + c + 2) >> 2; the first and the last stay as they are.
    Going from left to right, both pixels that know b leave one value for it, or seldom two.
    """
    columns = np.ascontiguousarray(np.moveaxis(wide, 1, 0)).astype(np.int16)
    found = columns[::2].copy()
    for k in range(1, len(found)):
        left, before, here = found[k - 1], columns[2 * k - 1], columns[2 * k]
        if 2 * k + 1 == len(columns) - 1 and k == len(found) - 1:
            found[k] = columns[-1]
            continue
        lowest, highest = -((1 + left - 4 * here) // 3), (4 * here + 2 - left) // 3
        found[k] = np.clip(np.clip(lowest, 4 * before - 2 - 3 * left, 4 * before + 1 - 3 * left), lowest, highest)
    return np.moveaxis(found.clip(0, 255).astype(np.uint8), 0, 1)
