"""image.py with ifd.py and codec.py: a right Picture or one ImageError comes in, and all of it goes out."""

import contextlib
import io
import os
import random
import struct
import tracemalloc
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms, ImageOps, PngImagePlugin, TiffImagePlugin

from genrestore.errors import ImageError, MaskError, SettingError
from genrestore.pictures import codec, ifd, image
from genrestore.pictures.image import Limits, Picture, encode, load, load_mask, save

pytestmark = [  # pytest lifts the filters that image.py sets
    pytest.mark.filterwarnings("ignore::UserWarning:PIL"),
    pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning"),
]

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf tiff:Orientation="6" dc:title="Harbour"/></x:xmpmeta>'


def noise(height: int = 37, width: int = 53, channels: int = 3, dtype: Any = np.uint8, seed: int = 0) -> np.ndarray:
    high = np.iinfo(dtype).max
    return np.random.default_rng(seed).integers(0, high, (height, width, channels), dtype=dtype, endpoint=True)


def smooth(height: int = 48, width: int = 64) -> np.ndarray:
    y, x = np.mgrid[:height, :width]
    return np.stack([x * 4, y * 5, x + y], -1).astype(np.uint8)


def pillow(pixels: np.ndarray | Image.Image, kind: str, **options: Any) -> bytes:
    file = io.BytesIO()
    drawn = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    drawn.save(file, kind, **options)
    return file.getvalue()


def exif(orientation: int = 1, order: str = "<") -> bytes:
    """An EXIF block with a maker note at a fixed offset, the size of the picture, GPS and a thumbnail."""

    def directory(*entries: tuple[int, int, int, int], following: int = 0) -> bytes:
        rows = [
            struct.pack(order + "HHI", tag, kind, count)
            + (struct.pack(order + "HH", value, 0) if kind == 3 else struct.pack(order + "I", value))
            for tag, kind, count, value in entries
        ]
        return struct.pack(order + "H", len(rows)) + b"".join(rows) + struct.pack(order + "I", following)

    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", 8)
    first = [(0x010F, 2, 7, 300), (0x0112, 3, 1, orientation), (0x8769, 4, 1, 100), (0x8825, 4, 1, 200)]
    block = (head + directory(*first, following=240)).ljust(100, b"\0")
    block += directory((0x927C, 7, 20, 320), (0xA002, 4, 1, 53), (0xA003, 3, 1, 37))
    block = block.ljust(200, b"\0") + directory((0x0000, 1, 4, 0x02020000))
    block = block.ljust(240, b"\0") + directory((0x0201, 4, 1, 360), (0x0202, 4, 1, 12))
    return (
        block.ljust(300, b"\0")
        + b"Camera\0".ljust(20, b"\0")
        + b"maker note, at 320..".ljust(40, b"\0")
        + b"a thumbnail!"
    )


def chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def png(header: tuple[int, int, int, int, int], rows: bytes, *before: bytes) -> bytes:
    """A PNG by hand: (width, height, depth, colour type, interlace), filtered rows, chunks before them."""
    width, height, depth, kind, interlace = header
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, interlace))
    return b"\x89PNG\r\n\x1a\n" + head + b"".join(before) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def tiff(tags: dict[int, tuple[int, ...]], body: bytes = b"") -> bytes:
    """A TIFF by hand: short or long tags, one strip."""
    tags = {259: (1,), 262: (1,), 277: (1,), 278: (10_000,), 273: (8,), 279: (len(body),), **tags}
    at, entries, values = 8 + len(body), b"", b""
    for tag, numbers in sorted(tags.items()):
        if len(numbers) == 1:
            entries += struct.pack("<HHII", tag, 4, 1, numbers[0])
        else:
            entries += struct.pack("<HHII", tag, 4, len(numbers), at + 6 + 12 * len(tags) + len(values))
            values += struct.pack(f"<{len(numbers)}I", *numbers)
    return struct.pack("<2sHI", b"II", 42, at) + body + struct.pack("<H", len(tags)) + entries + bytes(4) + values


# --- samples stay as they are ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("size", [(1, 1), (37, 53), (1500, 300)])
def test_lossless_round_trip(kind: str, dtype: type, channels: int, size: tuple[int, int]) -> None:
    pixels = noise(*size, channels, dtype)
    again = load(encode(Picture(pixels), format=kind))
    if (kind, dtype, channels) == ("TIFF", np.uint16, 2):  # as grey RGBA, which more programs read
        pixels = pixels[..., (0, 0, 0, 1)]
    assert again.format == kind and again.pixels.dtype == dtype
    np.testing.assert_array_equal(again.pixels, pixels)


@settings(deadline=None)
@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 4), st.sampled_from(["u1", "u2"]), st.integers(0, 99))
def test_png_round_trip_of_any_picture(height: int, width: int, channels: int, dtype: str, seed: int) -> None:
    """Flat and wild rows, so that both filters are chosen."""
    pixels = noise(height, width, channels, np.dtype(dtype), seed)
    pixels[: height // 2] = seed
    np.testing.assert_array_equal(load(encode(Picture(pixels))).pixels, pixels)


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_others_read_what_we_write(kind: str, dtype: type, channels: int) -> None:
    pixels = noise(300, 400, channels, dtype)
    pixels[..., 3:] = np.iinfo(dtype).max  # OpenCV multiplies alpha into some
    data = encode(Picture(pixels, exif=exif(order=">"), icc=SRGB, dpi=(300, 300), xmp=XMP), format=kind)
    read = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    assert read is not None
    read = read.reshape(pixels.shape)
    if kind == "TIFF":  # its last channel is called alpha, else it is anything
        assert Image.open(io.BytesIO(data)).getexif().get(0x0152) == (2 if channels == 4 else None)
    np.testing.assert_array_equal(read if channels == 1 else read[..., [2, 1, 0, 3][:channels]], pixels)


@pytest.mark.parametrize("kind", ["png", "tiff"])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_16_bit_of_others(kind: str, channels: int) -> None:
    """Pillow alone keeps 8 of the 16 bits of colour, without a word."""
    pixels = noise(40, 60, channels, np.uint16)
    _, data = cv2.imencode(f".{kind}", pixels if channels == 1 else pixels[..., [2, 1, 0, 3][:channels]])
    np.testing.assert_array_equal(load(data.tobytes()).pixels, pixels)


@pytest.mark.parametrize(("kind", "channels"), [(0, 1), (4, 2), (2, 3), (6, 4)])
def test_16_bit_interlaced_png(kind: int, channels: int) -> None:
    pixels = noise(13, 11, channels, np.uint16)
    passes = [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1)]
    rows = b"".join(
        b"\0" + row.astype(">u2").tobytes()
        for top, left, down, across in passes
        for row in pixels[top::down, left::across]
    )
    np.testing.assert_array_equal(load(png((11, 13, 16, kind, 1), rows)).pixels, pixels)


@pytest.mark.parametrize(("kind", "channels"), [(0, 1), (2, 3)])
def test_16_bit_png_with_a_transparent_colour(kind: int, channels: int) -> None:
    """Equal in the upper byte is not equal: only the exact colour is transparent."""
    pixels = np.full((1, 3, channels), 0x1234, np.uint16)
    pixels[0, 1] = 0x1235
    rows = b"\0" + pixels.astype(">u2").tobytes()
    read = load(png((3, 1, 16, kind, 0), rows, chunk(b"tRNS", b"\x12\x34" * channels)))
    np.testing.assert_array_equal(read.pixels[..., :-1], pixels)
    np.testing.assert_array_equal(read.pixels[0, :, -1], [0, 65_535, 0])


@pytest.mark.parametrize("compression", [None, "tiff_lzw", "tiff_adobe_deflate", "packbits"])
@pytest.mark.parametrize("order", ["<", ">"])
def test_16_bit_grey_tiff(compression: str | None, order: str) -> None:
    pixels = noise(20, 30, 1, np.uint16)
    mode = "I;16" if order == "<" else "I;16B"
    drawn = Image.frombytes(mode, (30, 20), pixels.astype(order + "u2").tobytes())
    np.testing.assert_array_equal(load(pillow(drawn, "TIFF", compression=compression)).pixels, pixels)


def test_16_bit_tiff_where_white_is_zero() -> None:
    pixels = noise(4, 5, 1, np.uint16)
    data = tiff({256: (5,), 257: (4,), 258: (16,), 262: (0,)}, (65_535 - pixels).astype("<u2").tobytes())
    np.testing.assert_array_equal(load(data).pixels, pixels)


# --- every mode ------------------------------------------------------------------------------------------------------


def palette(transparency: bytes | int | None = None) -> bytes:
    drawn = Image.fromarray(np.array([[0, 1, 2]], np.uint8), "L").convert("P")
    drawn.putpalette([10, 20, 30, 40, 50, 60, 70, 80, 90])
    return pillow(drawn, "PNG") if transparency is None else pillow(drawn, "PNG", transparency=transparency)


MODES: dict[str, tuple[bytes, list[list[int]]]] = {
    "palette": (palette(), [[10, 20, 30], [40, 50, 60], [70, 80, 90]]),
    "one clear": (palette(1), [[10, 20, 30, 255], [40, 50, 60, 0], [70, 80, 90, 255]]),
    "half clear": (palette(b"\0\x80\xff"), [[10, 20, 30, 0], [40, 50, 60, 128], [70, 80, 90, 255]]),
    "1 bit": (pillow(Image.fromarray(np.array([[False, True, False]])), "PNG"), [[0], [255], [0]]),
    "1 bit clear": (png((3, 1, 1, 0, 0), b"\0\x40", chunk(b"tRNS", b"\0\1")), [[0, 255], [255, 0], [0, 255]]),
    "2 bit": (png((3, 1, 2, 0, 0), b"\0\x1b"), [[0], [85], [170]]),
    "grey clear": (png((2, 1, 8, 0, 0), b"\0\7\x09", chunk(b"tRNS", b"\0\7")), [[7, 0], [9, 255]]),
    "RGB clear": (png((1, 1, 8, 2, 0), b"\0\1\2\3", chunk(b"tRNS", b"\0\1\0\2\0\3")), [[1, 2, 3, 0]]),
    "grey alpha": (pillow(np.array([[[9, 8]]], np.uint8), "PNG"), [[9, 8]]),
    "hidden colour": (pillow(np.array([[[9, 8, 7, 0]]], np.uint8), "PNG"), [[9, 8, 7, 0]]),
    "gif": (pillow(np.array([[[9, 8, 7]]], np.uint8), "GIF"), [[9, 8, 7]]),
    "bmp": (pillow(np.array([[[9, 8, 7]]], np.uint8), "BMP"), [[9, 8, 7]]),
    "cmyk": (pillow(Image.new("CMYK", (1, 1), (0, 255, 255, 0)), "TIFF"), [[255, 0, 0]]),
}


@pytest.mark.parametrize("name", MODES)
def test_modes(name: str) -> None:
    data, expected = MODES[name]
    np.testing.assert_array_equal(load(data).pixels, np.array([expected], np.uint8))


def test_lab_becomes_srgb() -> None:
    lab = Image.frombytes("LAB", (2, 1), bytes([255, 0, 0, 136, 81, 70]))  # white; pure red (a = 81, b = 70)
    np.testing.assert_allclose(load(pillow(lab, "TIFF")).pixels[0], [[255, 255, 255], [255, 0, 0]], atol=6)


def grey_cmyk_profile() -> bytes:
    """A CMYK profile by which every ink only darkens; Pillow's plain rule would make colours."""
    nodes = bytearray()
    for node in range(16):
        inks = [node >> 3 & 1, node >> 2 & 1, node >> 1 & 1]
        nodes += bytes([0 if node & 1 else 255 - 60 * sum(inks), 128, 128])  # L, a, b
    line = bytes(range(256))
    matrix = struct.pack(">9i", *[65_536 if k % 4 == 0 else 0 for k in range(9)])
    table = b"mft1" + bytes(4) + bytes([4, 3, 2, 0]) + matrix + 4 * line + bytes(nodes) + 3 * line
    white = b"XYZ " + bytes(4) + struct.pack(">3i", 63_190, 65_536, 54_061)
    parts, at, directory = [(b"wtpt", white), (b"A2B0", table)], 128 + 4 + 24, b""
    for name, body in parts:
        directory += name + struct.pack(">II", at, len(body))
        at += len(body)
    head = struct.pack(">I4sI4s4s4s", at, b"lcms", 0x02400000, b"prtr", b"CMYK", b"Lab ") + bytes(12) + b"acsp"
    head = head.ljust(68, b"\0") + struct.pack(">3i", 63_190, 65_536, 54_061)
    return head.ljust(128, b"\0") + struct.pack(">I", 2) + directory + white + table


@pytest.mark.parametrize("kind", ["JPEG", "TIFF"])
def test_cmyk_is_converted_by_its_profile(kind: str) -> None:
    drawn = Image.new("CMYK", (16, 16), (255, 0, 0, 0))
    plain, profiled = load(pillow(drawn, kind)), load(pillow(drawn, kind, icc_profile=grey_cmyk_profile()))
    assert plain.pixels[8, 8, 0] < 5 and plain.pixels[8, 8, 1] > 250, "cyan, by the plain rule"
    assert np.ptp(profiled.pixels[8, 8].astype(int)) < 3 and 150 < profiled.pixels[8, 8, 0] < 220, (
        "grey, by the profile"
    )
    assert profiled.icc is None and profiled.jpeg is None
    broken = load(pillow(drawn, kind, icc_profile=b"no profile at all"))
    np.testing.assert_array_equal(broken.pixels, plain.pixels)


PLANES16 = {256: (2,), 257: (1,), 258: (16, 16, 16), 262: (2,), 277: (3,), 284: (2,)}


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (pillow(Image.fromarray(np.ones((2, 2), np.float32)), "TIFF"), "floating-point"),
        (pillow(Image.fromarray(np.ones((2, 2), np.int32)), "TIFF"), "32 bits"),
        (tiff({256: (2,), 257: (1,), 258: (8,), 339: (2,)}, b"\xff\1"), "signed"),
        (tiff({256: (2,), 257: (1,), 258: (12,)}, b"abc"), "12"),
        (tiff({**PLANES16, 273: (8, 12, 16), 279: (4, 4, 4)}, bytes(12)), "planes"),
        (pillow(Image.new("YCbCr", (2, 1)), "TIFF"), "YCbCr"),
        (pillow(Image.new("YCbCr", (2, 1)), "TIFF", compression="tiff_lzw"), "YCbCr"),
        (tiff({256: (2,), 257: (1,), 258: (8,), 254: (1,)}, b"ab"), "preview"),
    ],
)
def test_samples_that_would_be_read_wrongly_are_an_error(data: bytes, words: str) -> None:
    with pytest.raises(ImageError, match=words):
        load(data)


# --- orientation and metadata ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF", "JPEG", "AVIF"])
def test_orientation_is_applied_and_reset(orientation: int, kind: str) -> None:
    pixels = smooth()
    tags = Image.Exif()
    tags[0x0112] = orientation
    options = {"lossless": True} if kind == "WEBP" else {}
    data = pillow(pixels, kind, exif=tags.tobytes(), **options)
    expected = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
    picture = load(data)
    np.testing.assert_array_equal(picture.pixels, np.asarray(expected))
    if kind in ("PNG", "WEBP", "TIFF"):  # and the independent truth, written out
        turned = [pixels, pixels[:, ::-1], pixels[::-1, ::-1], pixels[::-1], pixels.swapaxes(0, 1)]
        turned += [np.rot90(pixels, -1), np.rot90(pixels, 2).swapaxes(0, 1), np.rot90(pixels)]
        np.testing.assert_array_equal(picture.pixels, turned[orientation - 1])
    again = load(encode(picture))
    assert picture.exif is None or ifd.orientation(picture.exif) == 1
    assert again.pixels.shape == picture.pixels.shape, "turned twice"


@pytest.mark.parametrize("order", ["<", ">"])
def test_exif_is_changed_in_its_place(order: str) -> None:
    """Maker notes hold offsets from the block's begin, so nothing may move; the thumbnail shows the old picture."""
    before = exif(6, order)
    picture = load(pillow(noise(), "PNG", exif=b"Exif\0\0" + before, dpi=(100, 200)))
    after = picture.exif or b""
    assert picture.pixels.shape == (53, 37, 3) and len(after) == len(before)
    assert picture.dpi and [round(value) for value in picture.dpi] == [200, 100], "turned with the pixels"
    assert after[300:360] == before[300:360] and after[360:] == bytes(12)
    tags = Image.open(io.BytesIO(encode(picture))).getexif()
    assert (
        tags[0x0112] == 1
        and tags[0x010F] == "Camera"
        and tags.get_ifd(0x8825)[0] == b"\0\0\2\2"[:: 1 if order == "<" else -1]
    )
    assert tags.get_ifd(0x8769)[0x927C] == b"maker note, at 320.." and not tags.get_ifd(0xFFFE)
    inner = Image.open(io.BytesIO(encode(picture.with_pixels(noise(74, 106))))).getexif().get_ifd(0x8769)
    assert (inner[0xA002], inner[0xA003]) == (106, 74), "the size of what is written"


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "JPEG", "WEBP", "AVIF"])
@pytest.mark.parametrize("target", ["PNG", "TIFF", "JPEG", "WEBP", "AVIF"])
def test_metadata_are_kept(kind: str, target: str) -> None:
    first = Picture(smooth(), exif=exif(), icc=SRGB, xmp=XMP, dpi=(300, 150), text={"Comment": "a harbour – 港口"})
    picture = load(encode(load(encode(first, format=kind)), format=target))
    tags = picture.pil().getexif()
    assert tags[0x010F] == "Camera" and tags.get_ifd(0x8769)[0x927C] == b"maker note, at 320.."
    assert picture.icc == SRGB and picture.xmp is not None and b'dc:title="Harbour"' in picture.xmp
    assert b'tiff:Orientation="6"' not in picture.xmp, "another place that could turn the picture again"
    with_dpi, with_text = {"PNG", "TIFF", "JPEG"}, {"PNG", "JPEG"}
    if {kind, target} <= with_dpi:
        assert picture.dpi and [round(value) for value in picture.dpi] == [300, 150]
    if {kind, target} <= with_text:
        assert picture.text == first.text


def test_png_texts_are_kept_and_limited() -> None:
    texts = {"Title": "Hafen", "Workflow": "{}" * 9, "Author": "作者"}
    written = PngImagePlugin.PngInfo()
    for key, value in [*texts.items(), ("Huge", "x" * (image.METADATA + 1))]:
        written.add_text(key, value)
    picture = load(pillow(smooth(), "PNG", pnginfo=written))
    assert picture.text == texts
    odd = {"": "no key", "k" * 80: "long key", "键": "not Latin", "empty": "", "zero": "a\0b"}
    assert load(encode(picture.with_pixels(noise()), format="png")).text == texts
    assert load(encode(Picture(noise(), text=odd))).text == {"zero": "ab"}


def test_a_profile_for_other_colours_is_left_out() -> None:
    picture = Picture(noise(channels=1), icc=SRGB)
    assert load(encode(picture)).icc is None and load(encode(picture.with_pixels(noise()))).icc == SRGB


def test_jpeg_keeps_its_tables() -> None:
    """Written with the same tables, an unchanged photo hardly changes: most coefficients fall where they were."""
    pixels = cv2.GaussianBlur(noise(256, 256), (0, 0), 2)
    for quality, subsampling, progressive in [(60, 2, True), (90, 1, False), (97, 0, False)]:
        data = pillow(pixels, "JPEG", quality=quality, subsampling=subsampling, progressive=progressive)
        first = load(data)
        again = load(encode(first))
        assert first.jpeg and first.jpeg == again.jpeg
        assert (first.jpeg.subsampling, first.jpeg.progressive) == (subsampling, progressive)
        difference = np.abs(first.pixels.astype(int) - again.pixels)
        assert difference.mean() < 0.6, f"quality {quality}: mean change {difference.mean():.2f}"
        assert abs(len(encode(first)) / len(data) - 1) < 0.1
        chosen = load(encode(first, quality=30))
        assert chosen.jpeg and chosen.jpeg.tables != first.jpeg.tables and chosen.jpeg.subsampling == subsampling


def test_webp_is_lossless_when_the_input_was() -> None:
    pixels = smooth()
    lossless = load(pillow(pixels, "WEBP", lossless=True, icc_profile=SRGB * 30))  # the profile lies before the pixels
    lossy = load(pillow(pixels, "WEBP", quality=50))
    assert lossless.lossless and not lossy.lossless
    clear = np.dstack([noise(), np.zeros((37, 53), np.uint8)])  # colours under full transparency count too
    for picture, kept in [
        (lossless, True),
        (lossy, False),
        (Picture(clear), True),
        (load(pillow(pixels, "JPEG")), False),
    ]:
        again = load(encode(picture, format="webp"))
        assert again.lossless == kept and (not kept or (again.pixels == picture.pixels).all())
    assert not load(encode(lossless, quality=80)).lossless


@pytest.mark.parametrize("progressive", [True, False])
def test_jpeg_of_noise_at_full_quality(progressive: bool) -> None:
    """The largest JPEG there is for its pixels: the encoder's buffer must hold it."""
    picture = Picture(noise(512, 512), jpeg=image.JpegCoding([[1] * 64] * 2, 0, progressive))
    again = load(encode(picture, format="jpg"))
    assert np.abs(again.pixels.astype(int) - picture.pixels).max() <= 4


# --- what cannot be read ---------------------------------------------------------------------------------------------


def animation(kind: str, frames: int = 3) -> bytes:
    pictures = [Image.fromarray(noise(seed=k)) for k in range(frames)]
    return pillow(pictures[0], kind, save_all=True, append_images=pictures[1:])


BAD: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "empty"),
    "text": (b"hello, this is no picture at all", "not a picture"),
    "one byte": (b"\xff", "not a picture"),
    "svg": (b'<?xml version="1.0"?>\n<!-- c -->\n<svg xmlns="http://www.w3.org/2000/svg"/>', "SVG.*export it as PNG"),
    "heic": (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "cannot be read"),
    "pdf": (b"%PDF-1.7", "PDF.*export"),
    "video": (b"\0\0\0\x18ftypisom\0\0\0\0", "video.*frame"),
    "web page": (b"<!DOCTYPE html><html>", "web page"),
    "gif animation": (animation("GIF"), "3 frames.*save the one"),
    "webp animation": (animation("WEBP", 4), "4 frames"),
    "png animation": (animation("PNG"), "3 frames"),
    "avif animation": (animation("AVIF", 2), "2 frames"),
    "pages": (animation("TIFF", 5), "5 frames or pages"),
    "bigtiff": (b"II\x2b\0\x08\0\0\0" + bytes(50), "cannot be read"),
    "only a header": (b"\x89PNG\r\n\x1a\n", "cut off|cannot be read"),
    "no pixels": (png((0, 0, 8, 2, 0), b""), "cannot be read"),
    "few pixels": (png((9, 9, 8, 2, 0), b"\0\0\0"), "cut off|cannot be read"),
    "bomb": (png((50_000, 50_000, 8, 2, 0), b""), "too large"),
    "large": (png((13_350, 13_350, 8, 2, 0), b""), "13350×13350.*178 megapixels"),
    "gif bomb": (b"GIF89a\xff\xff\xff\xff\0\0\0,\0\0\0\0\xff\xff\xff\xff\0\x02\0;", "too large"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_files_say_what_is_wrong(name: str) -> None:
    data, words = BAD[name]
    with pytest.raises(ImageError, match=words) as caught:
        load(data)
    assert str(caught.value).endswith(".") and "\n" not in str(caught.value) and "object at 0x" not in str(caught.value)


def test_bad_paths(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="is a folder"):
        load(tmp_path)
    with pytest.raises(ImageError, match="There is no picture"):
        load(tmp_path / "missing.png")
    with pytest.raises(ImageError):
        load("x" * 5000)
    with pytest.raises(ImageError):
        load("nul\0.png")
    with pytest.raises(ImageError):
        load(None)  # pyright: ignore[reportArgumentType]


def test_content_decides_not_the_suffix(tmp_path: Path) -> None:
    path = tmp_path / "photo.png"
    path.write_bytes(pillow(smooth(), "JPEG"))
    assert load(str(path)).format == "JPEG" and image.suffix(load(path)) == ".jpg"


def test_a_preview_after_the_picture_is_no_second_page() -> None:
    small = TiffImagePlugin.ImageFileDirectory_v2()
    small[254] = 1
    preview = Image.new("L", (4, 4))
    preview.encoderinfo = {"tiffinfo": small}
    data = io.BytesIO()
    with TiffImagePlugin.AppendingTiffWriter(data) as file:
        Image.fromarray(smooth()).save(file, "TIFF")
        file.newFrame()
        preview.save(file, "TIFF", tiffinfo=small)
        file.newFrame()
    np.testing.assert_array_equal(load(data.getvalue()).pixels, smooth())


def test_a_phones_second_picture_is_no_animation() -> None:
    """MPO: a JPEG with a depth map or a second view behind it."""
    data = pillow(Image.fromarray(smooth()), "MPO", save_all=True, append_images=[Image.fromarray(smooth())])
    picture = load(data)
    assert picture.format == "JPEG" and picture.jpeg and not picture.lossless


def tag_bomb(size: int, count: int) -> bytes:
    """Tags that all claim the whole block: Pillow copies it for each."""
    entries = b"".join(struct.pack("<HHII", (0x4000 + k) % 65_536, 7, size - 8, 8) for k in range(count))
    return (b"II*\0\x08\0\0\0" + struct.pack("<H", count) + entries + bytes(4)).ljust(size, b"\0")


def floods() -> dict[str, tuple[bytes, str]]:
    """Files and words of their error."""
    jpeg = pillow(np.zeros((64, 64, 3), np.uint8), "JPEG", progressive=True)
    scan = jpeg.rindex(b"\xff\xda")
    gif = pillow(np.zeros((8, 8), np.uint8), "GIF")
    first = gif.index(b",", 13)
    page = {256: (9,), 257: (9,), 258: (8,)}
    return {
        "many TIFF tags": (tag_bomb(1_000_000, 65_000), "65000 tags"),
        "depths": (tiff({**page, 258: (8,) * 400_000}, b"\0"), "strips"),
        "strips": (tiff({**page, 324: (8,) * 400_000}, b"\0"), "strips"),
        "tiles": (tiff({**page, 322: (40_000,), 323: (40_000,), 324: (8,)}, b"\0"), "tiles are far larger"),
        "scans": (jpeg[:-2] + jpeg[scan:-2] * 100 + jpeg[-2:], "64 scans"),
        "segments": (jpeg[:2] + b"\xff\xe5\0\2" * 20_000 + jpeg[2:], "10000 parts"),
        "metadata": (jpeg[:2] + (b"\xff\xe5\xff\xff" + bytes(65_533)) * 520 + jpeg[2:], "32 MB of metadata"),
        "chunks": (png((1, 1, 8, 0, 0), b"\0\0", chunk(b"prIv", b"") * 20_000), "10000 chunks"),
        "comments": (gif[:first] + b"!\xfe" + b"\1x" * 20_000 + b"\0" + gif[first:], "10000 extension"),
        "extensions": (gif[:first] + b"!\xfe\1x\0" * 20_000 + gif[first:], "10000 extension"),
    }


FLOODS = floods()


@pytest.mark.parametrize("name", FLOODS)
def test_small_files_that_would_take_much(name: str) -> None:
    """Each of these can make Pillow take minutes or gigabytes, if it is only made a little larger."""
    data, words = FLOODS[name]
    tracemalloc.start()
    try:
        with pytest.raises(ImageError, match=words):
            load(data)
        assert tracemalloc.get_traced_memory()[1] < 4 * len(data) + 20e6
    finally:
        tracemalloc.stop()


def with_exif(kind: str, block: bytes) -> bytes:
    """A picture of `kind` whose EXIF block is put in by hand."""
    if kind == "JPEG":
        data = pillow(smooth(), kind)
        return data[:2] + b"\xff\xe1" + struct.pack(">H", len(block) + 8) + b"Exif\0\0" + block + data[2:]
    if kind == "PNG":
        return png((1, 1, 8, 0, 0), b"\0\0", chunk(b"eXIf", block))
    described = Image.Exif()
    described[0x010E] = "x" * len(block)
    data = pillow(smooth(), kind, exif=described)
    at = data.index(b"MM\0*" if b"MM\0*" in data else b"II*\0")
    return data[:at] + block + data[at + len(block) :]


BROKEN_EXIF = {
    "claims": tag_bomb(60_000, 1_900),
    "nested": b"II*\0\x08\0\0\0"
    + b"".join(struct.pack("<HHHIII", 1, 0x8769, 4, 1, 8 + 18 * (k + 1), 0) for k in range(100)),
    "many tags": b"II*\0\x08\0\0\0\xff\xff" + bytes(1000),
    "no header": b"no EXIF at all, but long enough to be some",
    "ends": b"MM\0*\xff\xff\xff\xff",
}


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "AVIF"])
@pytest.mark.parametrize("name", BROKEN_EXIF)
def test_broken_exif_is_left_out(kind: str, name: str) -> None:
    """It used to refuse the picture, wherever in the file such bytes lay."""
    data = with_exif(kind, BROKEN_EXIF[name])
    assert BROKEN_EXIF[name] in data
    picture = load(data)
    assert picture.exif is None
    assert load(encode(picture)).pixels.shape == picture.pixels.shape


CANON = b"II*\0" + struct.pack("<I", 0x3A2)  # the last bytes of Canon's maker notes: taken for a directory once


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "AVIF", "TIFF"])
def test_maker_notes_that_look_like_directories(kind: str) -> None:
    block = exif().replace(b"maker note, at 320..", b"maker note, " + CANON) + b"\xff" * 3000
    first = Picture(smooth(), exif=block)
    picture = load(encode(first, format=kind))
    again = load(encode(picture))
    for read in (picture, again):
        note = read.pil().getexif().get_ifd(0x8769)[0x927C]
        assert note == b"maker note, " + CANON and read.pil().getexif()[0x010F] == "Camera"


def test_photo_of_a_canon() -> None:
    photo = Path(__file__).parent / "repro" / "canon_footer.jpg"
    picture = load(photo)
    assert picture.exif is not None and load(encode(picture)).exif == picture.exif
    for kind in ("png", "webp", "tiff"):
        assert load(encode(picture, format=kind)).exif is not None


def test_broken_metadata_of_png_are_left_out() -> None:
    """Profiles and texts that unpack to megabytes, wrong checksums, chunks that are too short."""
    bomb = zlib.compress(bytes(9 << 20))
    wrong = chunk(b"tEXt", b"Title\0Hafen")[:-1] + b"!"
    chunks = [
        chunk(b"iCCP", b"x\0\0" + bomb),
        chunk(b"zTXt", b"x\0\0" + bomb),
        chunk(b"iTXt", b"x\0\1\0\0\0" + bomb),
        chunk(b"iTXt", b"x\0\1\0\0\0no deflate"),
        chunk(b"gAMA", b"\0"),
        chunk(b"cHRM", bytes(32)),
        chunk(b"pHYs", b""),
        chunk(b"cICP", b"\1"),
        chunk(b"tEXt", b"no end"),
        wrong,
    ]
    picture = load(png((1, 1, 8, 0, 0), b"\0\7", *chunks, chunk(b"tEXt", b"Author\0Anna")))
    assert picture.pixels.ravel().tolist() == [7]
    assert picture.text == {"Author": "Anna"} and (picture.icc, picture.exif, picture.cicp) == (None, None, None)


def test_texts_of_png_that_unpack_to_gigabytes() -> None:
    """A thousand texts of a kilobyte, each a megabyte once unpacked."""
    text = chunk(b"zTXt", b"%d\0\0" + zlib.compress(bytes(1_000_000), 9))
    data = png((1, 1, 8, 0, 0), b"\0\0", *[text] * 1_000, chunk(b"tEXt", b"Title\0Hafen"))
    tracemalloc.start()
    try:
        assert load(data).text["Title"] == "Hafen"
        assert tracemalloc.get_traced_memory()[1] < 20e6
    finally:
        tracemalloc.stop()


def test_limits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    long = encode(Picture(np.zeros((10, 30_000, 3), np.uint8)))
    assert load(long).width == 30_000
    monkeypatch.setenv("GENRESTORE_PUBLIC", "1")
    assert image.limits() == Limits.public()
    with pytest.raises(ImageError, match=r"30000×10.*16384 pixels a side"):
        load(long)
    assert load(long, limits=Limits.local()).width == 30_000
    monkeypatch.setenv("GENRESTORE_PUBLIC", "0")
    assert image.limits() == Limits.local()
    monkeypatch.setenv("SPACE_ID", "someone/space")
    assert image.limits() == Limits.public()
    tight = Limits(bytes=1000, megapixels=0.01, side=200)
    with pytest.raises(ImageError, match=r"more than 0\.000954 MB"):
        load(encode(Picture(noise())), limits=tight)
    with pytest.raises(ImageError, match=r"0.01 megapixels"):
        load(encode(Picture(np.zeros((101, 100, 1), np.uint8))), limits=tight)
    with pytest.raises(ImageError, match=r"0.01 megapixels"):
        load(Image.new("L", (101, 100)), limits=tight)
    assert load(animation("GIF"), limits=Limits(bytes=10**6, megapixels=1, side=200, frames=3)).width == 53


# --- a thousand malformed files --------------------------------------------------------------------------------------


def corpus() -> dict[str, bytes]:
    pixels, tags = smooth(24, 32), b"Exif\0\0" + exif(6)
    drawn = Image.fromarray(pixels)
    text = PngImagePlugin.PngInfo()
    text.add_text("Title", "Hafen")
    text.add_itxt("Author", "作者", zip=True)
    return {
        "jpeg": pillow(pixels, "JPEG", exif=tags, icc_profile=SRGB, dpi=(72, 72)),
        "progressive": pillow(pixels, "JPEG", progressive=True),
        "cmyk": pillow(drawn.convert("CMYK"), "JPEG"),
        "png": pillow(pixels, "PNG", exif=tags, icc_profile=SRGB, pnginfo=text, dpi=(72, 72)),
        "palette": pillow(drawn.quantize(16), "PNG"),
        "png 16": encode(Picture(pixels.astype(np.uint16) * 257)),
        "webp": pillow(pixels, "WEBP", exif=tags),
        "webp lossless": pillow(pixels, "WEBP", lossless=True),
        "tiff": pillow(pixels, "TIFF"),
        "tiff lzw": pillow(pixels, "TIFF", compression="tiff_lzw"),
        "tiff 16": encode(Picture(pixels.astype(np.uint16) * 257, exif=exif()), format="TIFF"),
        "gif": pillow(drawn, "GIF", comment=b"Hafen"),
        "bmp": pillow(drawn, "BMP"),
        "avif": pillow(pixels, "AVIF", exif=tags),
    }


CORPUS = corpus()


def mutate(data: bytes, chance: random.Random) -> bytes:
    """Flip bits, cut, remove, insert, overwrite a length, or go on with another file."""
    broken, at = bytearray(data), chance.randrange(len(data))
    way = chance.randrange(10)
    if way < 4:
        for _ in range(chance.choice([1, 1, 2, 4, 16])):
            broken[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    elif way < 6:
        del broken[at:]
    elif way == 6:
        del broken[at : at + chance.randrange(1, 50)]
    elif way == 7:
        broken[at:at] = chance.randbytes(chance.randrange(1, 50))
    elif way == 8:
        broken[at % 200 : at % 200 + 4] = chance.choice(
            [b"\xff" * 4, bytes(4), b"\x7f" + b"\xff" * 3, b"\xff" * 3 + b"\x7f"]
        )
    else:
        other = CORPUS[chance.choice(list(CORPUS))]
        broken[at:] = other[chance.randrange(len(other)) :]
    return bytes(broken)


@pytest.mark.parametrize("name", CORPUS)
def test_a_thousand_malformed_files(name: str) -> None:
    """Only a Picture or an ImageError of one sentence comes out, and a Picture can be written again."""
    for seed in range(80):
        data = mutate(CORPUS[name], random.Random(f"{name} {seed}"))
        try:
            picture = load(data)
        except ImageError as problem:
            assert str(problem).endswith(".") and "\n" not in str(problem), seed
        else:
            assert load(encode(picture, format="PNG")).pixels.shape == picture.pixels.shape, seed
            encode(picture, format="TIFF")


@pytest.mark.parametrize("name", CORPUS)
def test_a_cut_file_is_an_error_not_half_a_picture(name: str) -> None:
    data = CORPUS[name]
    whole = load(data).pixels
    for cut in [*range(0, len(data), max(1, len(data) // 60)), len(data) - 2, len(data) - 1]:
        try:
            pixels = load(data[:cut]).pixels
        except ImageError:
            continue
        np.testing.assert_array_equal(pixels, whole, f"cut at {cut} of {len(data)}")  # the cut hit no pixel


@settings(deadline=None)
@given(st.binary(max_size=300), st.sampled_from([*CORPUS]))
def test_any_bytes_behind_a_known_beginning(tail: bytes, name: str) -> None:
    for data in (tail, CORPUS[name][:12] + tail):
        with contextlib.suppress(ImageError):
            load(data)


# --- other sources ---------------------------------------------------------------------------------------------------


def test_pil_images_and_arrays() -> None:
    drawn = Image.open(io.BytesIO(pillow(smooth(), "JPEG", exif=b"Exif\0\0" + exif(6), icc_profile=SRGB)))
    picture = load(drawn)
    assert picture.pixels.shape == (64, 48, 3) and picture.icc == SRGB and picture.format == "JPEG"
    assert load(picture) is picture
    back = picture.pil()
    assert back.getexif()[0x0112] == 1 and back.info["icc_profile"] == SRGB
    np.testing.assert_array_equal(np.asarray(back), picture.pixels)
    np.testing.assert_array_equal(load(back).pixels, picture.pixels)
    assert load(Image.new("P", (3, 2))).pixels.shape == (2, 3, 3)
    np.testing.assert_array_equal(load(np.array([[True, False]])).pixels[..., 0], [[255, 0]])
    np.testing.assert_array_equal(load(np.array([[1, 258]], ">u2")).pixels[..., 0], [[1, 258]])
    assert load(np.array([[1, 258]], ">u2")).pixels.dtype == np.uint16
    for wrong in (np.zeros((2, 2, 5), np.uint8), np.zeros((2, 2), np.float32), np.zeros((0, 2), np.uint8), np.zeros(3)):
        with pytest.raises(ImageError, match="no picture"):
            load(wrong)
    with pytest.raises(ImageError):
        load(Image.new("F", (3, 2)))


def test_parts_of_a_picture() -> None:
    for channels in (1, 2, 3, 4):
        picture = Picture(noise(channels=channels))
        assert (picture.width, picture.height, picture.channels, picture.peak) == (53, 37, channels, 255)
        parts = [picture.colour] if picture.alpha is None else [picture.colour, picture.alpha]
        np.testing.assert_array_equal(np.concatenate(parts, axis=2), picture.pixels)
        assert picture.rgb8().shape == (37, 53, 3) and (picture.rgb8()[..., :1] == picture.pixels[..., :1]).all()
    sixteen = noise(dtype=np.uint16, channels=1)
    np.testing.assert_array_equal(np.asarray(Picture(sixteen).pil()), sixteen[..., 0])


def test_16_bit_is_rounded_to_8() -> None:
    every = np.arange(65_536, dtype=np.uint16).reshape(256, 256, 1)
    np.testing.assert_array_equal(codec.eight(every), np.rint(every / 257))


# --- writing ---------------------------------------------------------------------------------------------------------


def test_save_chooses_the_format(tmp_path: Path) -> None:
    picture = load(pillow(smooth(), "JPEG"))
    for name, kind in [
        ("a.png", "PNG"),
        ("b.JPG", "JPEG"),
        ("c.tif", "TIFF"),
        ("d.webp", "WEBP"),
        ("e", "JPEG"),
        ("f.avif", "AVIF"),
    ]:
        path = save(picture, tmp_path / name)
        assert path == tmp_path / name and load(path).format == kind
    assert load(save(picture, tmp_path / "g.dat", format=".bmp")).format == "BMP"
    assert (
        image.suffix(load(pillow(smooth(), "GIF"))) == ".png"
        and load(encode(load(pillow(smooth(), "GIF")))).format == "PNG"
    )
    for wrong in (tmp_path / "x.gif", tmp_path / "x.xyz"):
        with pytest.raises(ImageError, match="choose one of"):
            save(picture, wrong)
    with pytest.raises(SettingError, match="1 to 100"):
        save(picture, tmp_path / "x.jpg", quality=0)
    assert len(encode(picture, quality=20)) < len(encode(picture, quality=90))


@pytest.mark.parametrize("channels", [2, 4])
def test_alpha_into_jpeg_is_refused(channels: int, tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"transparency.*PNG or WebP"):
        save(Picture(noise(channels=channels)), tmp_path / "a.jpg")
    assert not list(tmp_path.iterdir())


def test_what_a_format_cannot_hold() -> None:
    with pytest.raises(ImageError, match=r"WEBP holds 16383 pixels a side.*PNG or TIFF"):
        encode(Picture(np.zeros((1, 16_384, 3), np.uint8)), format="webp")
    with pytest.raises(ImageError, match=r"JPEG holds 65500 pixels a side.*PNG"):
        encode(Picture(np.zeros((1, 65_501, 3), np.uint8)), format="jpg")
    large = Picture(noise(), xmp=b"x" * 70_000, exif=exif() + bytes(70_000))
    again = load(encode(large, format="jpg"))
    assert (again.xmp, again.exif) == (None, None), "a JPEG cannot hold so much"


def test_save_replaces_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save(Picture(smooth()), tmp_path / "a.png")
    before = path.read_bytes()

    def fail(file: Any, pixels: np.ndarray, **metadata: Any) -> None:
        file.write(b"half a pict")
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(codec, "write_png", fail)
        with pytest.raises(ImageError, match="No space left on device"):
            save(Picture(noise()), path)
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]
    save(Picture(noise()), path)
    np.testing.assert_array_equal(load(path).pixels, noise())
    umask = os.umask(0)
    os.umask(umask)
    assert path.stat().st_mode & 0o777 == 0o666 & ~umask, "others may read it as any new file"
    with pytest.raises(ImageError, match="cannot be written"):
        save(Picture(noise()), tmp_path / "missing" / "a.png")
    for folder in (tmp_path, Path(tmp_path.anchor)):
        with pytest.raises(ImageError, match="is a folder"):
            save(Picture(noise()), folder)


@pytest.mark.parametrize("write", [codec.write_png, codec.write_tiff])
def test_large_pictures_are_written_block_by_block(write: Callable[..., None], tmp_path: Path) -> None:
    pixels = np.zeros((4000, 4000, 3), np.uint16)  # 96 MB
    tracemalloc.start()
    try:
        with (tmp_path / "large").open("wb") as file:
            write(file, pixels)
        assert tracemalloc.get_traced_memory()[1] < 20e6
    finally:
        tracemalloc.stop()


# --- tensors and masks -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_tensors_are_exact(dtype: type, channels: int) -> None:
    pixels = noise(channels=channels, dtype=dtype)
    pixels[:, :2, 0] = 0, np.iinfo(dtype).max
    picture = Picture(pixels, icc=SRGB)
    tensor = image.to_tensor(picture)
    assert tensor.shape == (1, channels, 37, 53) and tensor.min() == 0 and tensor.max() == 1
    again = image.from_tensor(tensor, picture)
    assert again.icc == SRGB and again.pixels.dtype == dtype
    np.testing.assert_array_equal(again.pixels, pixels)


def test_every_value_survives_the_tensor() -> None:
    every = Picture(np.arange(65_536, dtype=np.uint16).reshape(256, 256, 1))
    np.testing.assert_array_equal(image.from_tensor(image.to_tensor(every), every).pixels, every.pixels)


def test_tensors_are_clamped_and_rounded() -> None:
    import torch

    tensor = torch.tensor([-0.5, 0.4 / 255, 0.6 / 255, 1.5, torch.nan, torch.inf]).reshape(1, 1, 1, 6)
    picture = image.from_tensor(tensor.requires_grad_(), Picture(noise()))
    assert picture.pixels.ravel().tolist() == [0, 0, 1, 255, 0, 255]
    assert image.from_tensor(torch.ones(1, 3, 2, 2, dtype=torch.bfloat16), picture).pixels.min() == 255


HALF = np.zeros((20, 30), np.uint8)
HALF[:, 15:] = 255


@pytest.mark.parametrize(
    "mask",
    [
        HALF,
        HALF > 0,
        HALF.astype(np.uint16) * 257,
        Image.fromarray(HALF),
        Image.fromarray(HALF).convert("1"),
        Image.fromarray(HALF).convert("P"),
        Image.fromarray(HALF).convert("RGB"),
        Image.fromarray(HALF).convert("RGBA"),  # opaque everywhere: its colours count
        Image.fromarray(np.dstack([HALF * 0, HALF * 0, HALF * 0, HALF])),  # a layer painted in black
        pillow(HALF, "PNG"),
        pillow(HALF, "JPEG", quality=95),
        np.where(HALF > 0, 128, 127).astype(np.uint8),
    ],
    ids=["uint8", "bool", "uint16", "L", "1", "P", "RGB", "RGBA", "layer", "png", "jpeg", "narrow"],
)
def test_masks_of_any_mode(mask: Any) -> None:
    np.testing.assert_array_equal(load_mask(mask, (30, 20)), HALF > 0)


def test_masks_of_another_size() -> None:
    np.testing.assert_array_equal(load_mask(HALF, (60, 40)), np.kron(HALF, np.ones((2, 2))) > 0)
    np.testing.assert_array_equal(load_mask(np.kron(HALF, np.ones((3, 3), np.uint8)), (30, 20)), HALF > 0)
    preview = np.full((768, 1024), 255, np.uint8)
    assert load_mask(preview, (4000, 3000)).shape == (3000, 4000)
    assert load_mask(np.full((685, 1024), 255, np.uint8), (4001, 2675)).all(), "but for a pixel of rounding"
    for size in [(20, 30), (30, 30), (4000, 3000), (31, 20)]:
        if size == (31, 20):
            assert load_mask(HALF, size).shape == (20, 31)
            continue
        with pytest.raises(MaskError, match=rf"30×20.*{size[0]}×{size[1]}"):
            load_mask(HALF, size)


def test_masks_that_do_not_help() -> None:
    with pytest.raises(MaskError, match="marks nothing"):
        load_mask(HALF * 0, (30, 20))
    with pytest.raises(ImageError):
        load_mask(b"no picture", (30, 20))
