"""Samples in and out of files where Pillow falls short: 16-bit colour, CMYK by its profile, quick PNG, any TIFF.

Arrays are (H, W, C), uint8 or uint16; C = 1 grey, 2 grey + alpha, 3 RGB, 4 RGBA.
"""

import io
import struct
import sys
import zlib
from collections.abc import Iterator
from typing import Any, BinaryIO, cast

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageCms, TiffImagePlugin

from genrestore.pictures import ifd, png
from genrestore.pictures.boxes import SRGB, Cicp
from genrestore.pictures.ifd import BYTE, LONG, RATIONAL, SHORT, UNDEFINED

BLOCK = 1 << 20  # bytes of samples that are compressed at once
LEVEL = 3  # of zlib: a photo of 12 megapixels takes 1.7 s and is 8 % larger than at level 6, which takes 6 s

# In Pillow's words. libtiff's other decoders leave what a broken strip does not hold unwritten and Pillow does not hear
# of it, so that memory of something else comes back as pixels; so do its readers of YCbCr.
TIFF_CODINGS = ("raw", "tiff_lzw", "tiff_adobe_deflate", "tiff_deflate", "packbits")

Pixels = npt.NDArray[Any]


# --- from an opened image --------------------------------------------------------------------------------------------


def decode(image: Image.Image, data: bytes) -> Pixels:
    """The samples of an opened image; `data` is its file, or empty where there is none.

    Palettes become RGB, 1 bit becomes grey, CMYK and Lab become sRGB of 8 bit.

    Raises:
        ValueError: Pillow would read these samples wrongly without a word. Its decoders may raise anything else.
    """
    raw = _raw_mode(image)
    _check(image, raw)
    if data and raw.endswith((";16B", ";16L", ";16N")) and image.mode in ("RGB", "RGBA"):
        return _colour16(image, data, raw)
    image.load()
    kind, mode, clear = image.format, image.mode, image.has_transparency_data
    if mode.startswith("I;16"):
        grey = np.asarray(image).astype(np.uint16)[..., None]
        white_is_zero = isinstance(image, TiffImagePlugin.TiffImageFile) and image.tag_v2.get(0x0106) == 0
        return 65_535 - grey if white_is_zero else _with_clear(grey, image.info.get("transparency"))
    if mode == "CMYK":
        image = _srgb(image)
    elif mode in ("1", "L", "LA", "La"):
        image = image.convert("LA" if clear else "L")
    else:
        image = image.convert("RGBA" if clear else "RGB")
    pixels = np.asarray(image)
    if kind == "BMP" and mode == "RGBA" and not pixels[..., 3].any():  # the usual way not to fill in alpha
        pixels = np.ascontiguousarray(pixels[..., :3])
    return pixels if pixels.ndim == 3 else pixels[..., None]


def _raw_mode(image: Image.Image) -> str:
    """How the samples lie in the file, in Pillow's words such as "RGB;16B"; "" where there is no file."""
    tiles: list[Any] = getattr(image, "tile", [])
    arguments: Any = tiles[0].args if tiles else ""
    if isinstance(arguments, str):
        return arguments
    return str(arguments[0]) if arguments else ""


def _check(image: Image.Image, raw: str) -> None:
    if image.mode in ("F", "I") or raw == "I;12":
        raise ValueError("its samples have 12 or 32 bits, or are signed or floating-point")
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        tags = image.tag_v2
        if any(kind not in (1, 4) for kind in tags.get(0x0153, ())):  # sample format: unsigned, unknown
            raise ValueError("its samples are signed or floating-point")
        if 16 in tags.get(0x0102, ()) and image.mode in ("RGB", "RGBA") and (tags.get(0x011C) == 2 or "a" in raw):
            raise ValueError("its 16-bit colours lie in separate planes or are multiplied by alpha")
        if image.info.get("compression") not in TIFF_CODINGS:
            raise ValueError("TIFF coded as fax, JPEG or by other rare means is not read")
        if tags.get(0x0106) == 6:
            raise ValueError("TIFF with YCbCr colours is not read")
        if tags.get(0x0142, 0) * tags.get(0x0143, 0) > max(4 * image.width * image.height, 1 << 24):
            raise ValueError("its tiles are far larger than the picture")


def _colour16(image: Image.Image, data: bytes, raw: str) -> Pixels:
    """16-bit colour, of which Pillow keeps the upper bytes only.

    In the opposite byte order the lower bytes are the upper ones, so two readings give every sample exactly: 2.0 s for
    12 megapixels, where torchvision's decoder takes 1.4 s after an import of 5 s.
    """
    if raw == "LA;16B":  # four bytes a pixel, which one reading as RGBA gives
        _load_as(image, "RGBA")
        pixels = np.ascontiguousarray(image).view(">u2").astype(np.uint16)
    else:
        big = raw.endswith("B") or (raw.endswith("N") and sys.byteorder == "big")
        with Image.open(io.BytesIO(data), formats=[image.format or ""]) as again:
            again.seek(image.tell())
            _load_as(again, raw[:-1] + ("L" if big else "B"))
            pixels = np.asarray(again).astype(np.uint16)
        image.load()
        pixels |= np.asarray(image).astype(np.uint16) << 8
    return _with_clear(pixels, image.info.get("transparency"))


def _load_as(image: Image.Image, raw: str) -> None:
    tiles: list[Any] = getattr(image, "tile", [])
    for number, tile in enumerate(tiles):
        tiles[number] = tile._replace(args=raw if isinstance(tile.args, str) else (raw, *tile.args[1:]))
    image.load()


def _with_clear(pixels: Pixels, colour: Any) -> Pixels:
    """Turn the one colour that a 16-bit PNG calls transparent into an alpha channel."""
    if colour is None:
        return pixels
    clear = (pixels == np.array(colour, pixels.dtype)).all(axis=2, keepdims=True)
    return np.concatenate([pixels, np.where(clear, 0, 65_535).astype(pixels.dtype)], axis=2)


def _srgb(image: Image.Image) -> Image.Image:
    """CMYK by its profile, or by Pillow's plain rule where the profile is missing or broken."""
    try:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(image.info["icc_profile"]))
        srgb = cast(Any, ImageCms.createProfile("sRGB"))  # pyright: ignore[reportUnknownMemberType]
        turned = ImageCms.profileToProfile(image, profile, srgb, outputMode="RGB")
        return turned or image.convert("RGB")
    except (KeyError, TypeError, OSError, ImageCms.PyCMSError):
        return image.convert("RGB")


# --- on arrays -------------------------------------------------------------------------------------------------------


def upright(pixels: Pixels, orientation: int) -> Pixels:
    """The samples as they are to be seen, by an EXIF orientation of 1 to 8."""
    if orientation > 4:
        pixels = pixels.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return np.ascontiguousarray(pixels)


def eight(pixels: Pixels) -> npt.NDArray[np.uint8]:
    """Rounded to 8 bit: x / 257, in whole numbers."""
    if pixels.dtype == np.uint8:
        return pixels
    parts = (block.astype(np.uint32) * 255 + 32_895 >> 16 for block in _blocks(pixels))
    return np.concatenate([part.astype(np.uint8) for part in parts])


# --- to a file -------------------------------------------------------------------------------------------------------


def _blocks(pixels: Pixels) -> Iterator[Pixels]:
    """Whole rows, about BLOCK bytes of them at once."""
    rows = max(1, BLOCK // pixels[0].nbytes)
    return (pixels[top : top + rows] for top in range(0, len(pixels), rows))


def write_png(
    file: BinaryIO,
    pixels: Pixels,
    *,
    exif: bytes | None = None,
    icc: bytes | None = None,
    xmp: bytes | None = None,
    dpi: tuple[float, float] | None = None,
    text: dict[str, str] | None = None,
    cicp: Cicp | None = None,
) -> None:
    """Write a PNG of 8 or 16 bit; keys of `text` that PNG cannot hold (1 to 79 Latin letters) are left out."""
    height, width, channels = pixels.shape

    def chunk(name: bytes, body: bytes) -> None:
        file.write(png.chunk(name, body))

    file.write(png.SIGNATURE)
    colour_type = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8 * pixels.itemsize, colour_type, 0, 0, 0))
    if cicp and cicp != SRGB:
        chunk(b"cICP", bytes(cicp))
    if icc:
        chunk(b"iCCP", b"ICC profile\0\0" + zlib.compress(icc))
    elif cicp == SRGB:
        chunk(b"sRGB", b"\0")
    if dpi:
        chunk(b"pHYs", struct.pack(">IIB", round(dpi[0] / 0.0254), round(dpi[1] / 0.0254), 1))  # pixels per metre
    if exif:
        chunk(b"eXIf", exif)
    for key, value in [*(text or {}).items(), ("XML:com.adobe.xmp", (xmp or b"").decode("utf-8", "replace"))]:
        name, body = key.encode("latin-1", "ignore"), value.replace("\0", "").encode("utf-8", "replace")
        if 0 < len(name) < 80 and len(name) == len(key) and b"\0" not in name and body:
            chunk(b"iTXt", name + bytes(5) + body)

    packer, step = zlib.compressobj(LEVEL), channels * pixels.itemsize
    above = np.zeros((1, width * step), np.uint8)
    for block in _blocks(pixels):
        rows = np.ascontiguousarray(block, f">u{block.itemsize}").view(np.uint8).reshape(len(block), -1)
        up, left = np.concatenate([above, rows[:-1]]), np.zeros_like(rows)
        left[:, step:] = rows[:, :-step]
        mean = (up >> 1) + (left >> 1) + (up & left & 1)
        # Average suits photos, Up suits drawings; every eighth row tells which leaves the smaller differences.
        filters = [(2, rows - up), (3, rows - mean)]
        number, filtered = min(filters, key=lambda pair: int(np.abs(pair[1][::8].view(np.int8).astype(np.int16)).sum()))
        chunk(b"IDAT", packer.compress(np.insert(filtered, 0, number, axis=1).tobytes()))
        above = rows[-1:]
    chunk(b"IDAT", packer.flush())
    chunk(b"IEND", b"")


def write_tiff(
    file: BinaryIO,
    pixels: Pixels,
    *,
    exif: bytes | None = None,
    icc: bytes | None = None,
    xmp: bytes | None = None,
    dpi: tuple[float, float] | None = None,
) -> None:
    """Write a TIFF of 8 or 16 bit, deflated, at the beginning of a file that can seek.

    EXIF is a TIFF without a picture: the file begins with it, byte for byte, and the new first directory takes over its
    descriptive tags, whose offsets hold as they are.
    """
    height, width, channels = pixels.shape
    entries: dict[int, bytes] = {}  # tag → its 12 bytes in the directory
    if exif:
        first, _ = ifd.directory(exif, ifd.first(exif))
        kept = ifd.DESCRIPTIVE | {ifd.EXIF, ifd.GPS}
        entries = {entry.tag: entry.raw for entry in first if entry.tag in kept}
    order = ifd.order_of(exif) if exif else "<"
    file.write(exif or b"II*\0\0\0\0\0")

    def put(body: bytes) -> int:
        file.write(bytes(file.tell() % 2))  # values begin at even offsets
        at = file.tell()
        file.write(body)
        return at

    def tag(number: int, kind: int, *values: int) -> None:
        letter = {BYTE: "B", SHORT: "H", LONG: "I", RATIONAL: "I", UNDEFINED: "B"}[kind]
        body = struct.pack(f"{order}{len(values)}{letter}", *values)
        place = body.ljust(4, b"\0") if len(body) <= 4 else struct.pack(order + "I", put(body))
        entries[number] = struct.pack(order + "HHI", number, kind, len(body) // ifd.SIZES[kind]) + place

    offsets: list[int] = []
    lengths: list[int] = []
    for block in _blocks(pixels):
        changes = block.copy()
        changes[:, 1:] -= block[:, :-1]  # each sample less its left neighbour
        body = zlib.compress(changes.astype(f"{order}u{block.itemsize}", copy=False).tobytes(), LEVEL)
        offsets.append(put(body))
        lengths.append(len(body))
    tag(0x0100, LONG, width)
    tag(0x0101, LONG, height)
    tag(0x0102, SHORT, *[8 * pixels.itemsize] * channels)
    tag(0x0103, SHORT, 8)  # deflate
    tag(0x0106, SHORT, 1 if channels < 3 else 2)  # grey, RGB
    tag(0x0111, LONG, *offsets)
    tag(0x0115, SHORT, channels)
    tag(0x0116, LONG, max(1, BLOCK // pixels[0].nbytes))  # rows of a strip
    tag(0x0117, LONG, *lengths)
    tag(0x013D, SHORT, 2)  # predictor: the left neighbour
    if channels in (2, 4):
        tag(0x0152, SHORT, 2)  # the last channel is alpha, not multiplied into the others
    if dpi:
        tag(0x011A, RATIONAL, round(dpi[0] * 1000), 1000)
        tag(0x011B, RATIONAL, round(dpi[1] * 1000), 1000)
        tag(0x0128, SHORT, 2)  # per inch
    if xmp:
        tag(0x02BC, BYTE, *xmp)
    if icc:
        tag(0x8773, UNDEFINED, *icc)
    directory = b"".join(entries[number] for number in sorted(entries))
    at = put(struct.pack(order + "H", len(entries)) + directory + bytes(4))
    file.seek(4)
    file.write(struct.pack(order + "I", at))
