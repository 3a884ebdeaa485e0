"""Damaged files of every format that is read: a right Picture or one sentence, the same twice, in bounded time and memory.

The same twice, with memory poisoned in two ways: what a decoder leaves unwritten would be memory of something else, such
as another visitor's picture.
"""

import io
import struct
import zlib
from pathlib import Path
from typing import Any

import fuzzing
import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from genrestore.errors import ImageError
from genrestore.pictures import image
from genrestore.pictures.image import Limits, Picture

SEEDS = 12  # of each file; 1 700 were tried, and only the decoder of HEIC fell over: it now has a process of its own
LIMITS = Limits(bytes=1 << 20, megapixels=4, side=8192)  # a header may claim any size, and decoding takes time
REPRO = Path(__file__).parent / "repro"
HEIC = REPRO.joinpath("orientation.heic").read_bytes()


def read(path: Path) -> bytes:
    """For the harness: everything that is read from a file, and what is written again."""
    picture = image.load(path, limits=LIMITS, frame=min(2, image.header(path, limits=LIMITS).frames))
    seen = repr((picture.pixels.shape, picture.pixels.dtype, picture.exif, picture.icc, picture.xmp, picture.text))
    written = image.encode(picture) if picture.pixels.size < 100_000 else b""
    return seen.encode() + picture.pixels.tobytes() + written


def pixels(channels: int = 3, dtype: Any = np.uint8) -> np.ndarray:
    y, x = np.mgrid[:24, :32]
    planes = np.stack([x * 8, y * 10, x * y // 3, 255 - y * 3], -1)[..., :channels]
    return planes.astype(np.uint8) if dtype == np.uint8 else planes.astype(np.uint16) * 257


def pillow(drawn: Image.Image, kind: str, **options: Any) -> bytes:
    file = io.BytesIO()
    drawn.save(file, kind, **options)
    return file.getvalue()


def tiled() -> bytes:
    """A grey TIFF of 24 × 32 pixels in four tiles, which all lie at one place."""
    tile = bytes(range(256))
    tags: dict[int, tuple[int, ...]] = {256: (24,), 257: (32,), 258: (8,), 259: (1,), 262: (1,), 277: (1,)}
    tags |= {322: (16,), 323: (16,), 324: (8,) * 4, 325: (len(tile),) * 4}
    behind = 8 + len(tile) + 2 + 12 * len(tags) + 4
    rows, values = b"", b""
    for tag, numbers in sorted(tags.items()):
        place = numbers[0] if len(numbers) == 1 else behind + len(values)
        rows += struct.pack("<HHII", tag, 4, len(numbers), place)
        values += struct.pack(f"<{len(numbers)}I", *numbers) if len(numbers) > 1 else b""
    directory = struct.pack("<H", len(tags)) + rows + bytes(4) + values
    return struct.pack("<4sI", b"II*\0", 8 + len(tile)) + tile + directory


def corpus() -> dict[str, bytes]:
    drawn, clear = Image.fromarray(pixels()), Image.fromarray(pixels(4))
    grey = drawn.convert("L")
    tags = Image.Exif()
    tags[0x010F], tags[0x0112] = "Camera", 6
    tags.get_ifd(0x8769)[0x927C] = b"a maker note, II*\0\xa2\3\0\0"
    beside: dict[str, Any] = {"exif": tags.tobytes(), "icc_profile": b"no profile", "xmp": b"<x/>"}
    text = PngImagePlugin.PngInfo()
    text.add_text("Title", "Hafen")
    text.add_itxt("Author", "作者", zip=True)
    frames = [grey, grey.rotate(90), grey.rotate(180)]
    sixteen = Picture(pixels(3, np.uint16))
    return {
        "baseline.jpg": pillow(drawn, "JPEG", comment=b"Hafen", **beside),
        "progressive.jpg": pillow(drawn, "JPEG", progressive=True, quality=90),
        "422.jpg": pillow(drawn, "JPEG", subsampling=1),
        "grey.jpg": pillow(grey, "JPEG"),
        "cmyk.jpg": pillow(drawn.convert("CMYK"), "JPEG"),
        "restarts.jpg": pillow(drawn, "JPEG", restart_marker_blocks=1),
        "rgb.png": pillow(drawn, "PNG", pnginfo=text, dpi=(72, 72), **beside),
        "palette.png": pillow(drawn.quantize(16), "PNG", transparency=3),
        "16.png": image.encode(sixteen),
        "animated.png": pillow(frames[0], "PNG", save_all=True, append_images=frames[1:]),
        "lossy.webp": pillow(drawn, "WEBP", **beside),
        "alpha.webp": pillow(clear, "WEBP"),
        "lossless.webp": pillow(clear, "WEBP", lossless=True),
        "animated.webp": pillow(frames[0], "WEBP", save_all=True, append_images=frames[1:]),
        "photo.avif": pillow(drawn, "AVIF", **beside),
        "alpha.avif": pillow(clear, "AVIF"),
        "photo.heic": HEIC,
        "raw.tif": pillow(drawn, "TIFF", **beside),
        "lzw.tif": pillow(drawn, "TIFF", compression="tiff_lzw"),
        "packbits.tif": pillow(grey, "TIFF", compression="packbits"),
        "deflate.tif": image.encode(sixteen, format="TIFF"),
        "fax.tif": pillow(drawn.convert("1"), "TIFF", compression="group4"),
        "jpeg.tif": pillow(drawn, "TIFF", compression="jpeg"),
        "pages.tif": pillow(frames[0], "TIFF", save_all=True, append_images=frames[1:]),
        "tiles.tif": tiled(),
        "palette.gif": pillow(drawn.quantize(16), "GIF", comment=b"Hafen"),
        "animated.gif": pillow(frames[0], "GIF", save_all=True, append_images=frames[1:], disposal=2),
        "rgb.bmp": pillow(drawn, "BMP"),
        "palette.bmp": pillow(drawn.quantize(16), "BMP"),
        "rle.bmp": rle8(),
        "565.bmp": bitfields(),
    }


def bmp(width: int, height: int, bits: int, compression: int, between: bytes, body: bytes) -> bytes:
    """A BMP by hand; a palette or masks lie between header and body."""
    head = struct.pack("<IiiHHIIiiII", 40, width, height, 1, bits, compression, len(body), 0, 0, 0, 0) + between
    return struct.pack("<2sIII", b"BM", 14 + len(head) + len(body), 0, 14 + len(head)) + head + body


def rle8() -> bytes:
    """24 × 32 pixels in runs."""
    runs = b"".join(bytes([20, k, 0, 4, 1, 2, 3, 4, 0, 0]) for k in range(32)) + b"\0\1"
    return bmp(24, 32, 8, 1, b"".join(bytes([k, 255 - k, k // 2, 0]) for k in range(256)), runs)


def bitfields() -> bytes:
    """8 × 6 pixels with 5, 6 and 5 bits a colour."""
    return bmp(8, 6, 16, 3, struct.pack("<3I", 0xF800, 0x7E0, 0x1F), np.arange(48, dtype="<u2").tobytes())


def check(files: dict[str, bytes], folder: Path) -> None:
    """Every file is read rightly or refused in a sentence, the same twice."""
    paths: list[Path] = []
    for name, content in files.items():
        paths.append(folder / name)
        paths[-1].write_bytes(content)
    found = fuzzing.outcomes("test_fuzz_pictures:read", paths)
    broken = {path.name: outcome for path, outcome in zip(paths, found, strict=True) if outcome.startswith("broke")}
    assert not broken, broken


def test_damaged_pictures(tmp_path: Path) -> None:
    files = corpus()
    damaged = {
        f"{seed}-{name}": fuzzing.mutated(content, seed) for name, content in files.items() for seed in range(SEEDS)
    }
    sealed = {f"sealed-{name}": resealed(content) for name, content in damaged.items() if name.endswith(".png")}
    check(files | damaged | sealed, tmp_path)


def resealed(content: bytes) -> bytes:
    """A damaged PNG whose checksums are right again, so that the damage reaches the decoder."""
    whole, at = bytearray(content), 8
    while at + 12 <= len(whole):
        end = at + 8 + int.from_bytes(whole[at : at + 4], "big")
        whole[end : end + 4] = zlib.crc32(whole[at + 4 : end]).to_bytes(4, "big")
        at = end + 4
    return bytes(whole)


def test_the_corpus_is_read() -> None:
    """Damage would mean little to files that are refused whole."""
    refused = set[str]()
    for name, content in corpus().items():
        try:
            image.load(content)
        except ImageError:
            refused.add(name)
    assert refused == {
        "animated.png", "animated.webp", "animated.gif", "pages.tif",  # one must be chosen
        "fax.tif", "jpeg.tif",  # decoders that leave broken strips unwritten
    }  # fmt: skip


@pytest.mark.parametrize("name", ["heap_leak.tif", "heap_leak_jpeg_RGB.tif"])
def test_memory_of_others_does_not_come_back(name: str) -> None:
    """A code word that is no fax, and a frame that is too short for its strip: both decoders wrote nothing, and what had
    been in memory before came back as pixels, another visitor's picture among it."""
    with pytest.raises(ImageError, match="fax, JPEG"):
        image.load(REPRO / name)
