"""Picture: the one path from a file to pixels and back, with everything the file carried.

`load` takes a file, its bytes, a PIL image or an array; `save` and `encode` write it. Whatever is wrong with an input
comes out as one ImageError; what is wrong with its metadata does not. Read: JPEG, PNG, WebP, AVIF, HEIC, TIFF, GIF and
BMP, told by content, not by suffix. Written: the same but HEIC and GIF, whose 256 colours hold no result; `output` tells
which, before the work.

Samples stay as they are in 8 and 16 bit, grey or RGB, with or without alpha. Palettes become RGB, 1 bit becomes 8-bit
grey, CMYK and Lab become 8-bit sRGB; AVIF and HEIC of 10 or 12 bits are read as 8. Other depths are an error.
"""

import hashlib
import io
import os
import re
import secrets
import warnings
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image, PngImagePlugin, TiffImagePlugin, UnidentifiedImageError

from genrestore.errors import ImageError, MaskError, SettingError
from genrestore.paths import expanded, space
from genrestore.pictures import codec, colour, ifd, jpeg, structure, xmp
from genrestore.pictures.boxes import SRGB, Cicp
from genrestore.pictures.codec import Pixels
from genrestore.pictures.heif import HeifImage
from genrestore.pictures.jpeg import JpegCoding
from genrestore.pictures.structure import METADATA, Parts
from genrestore.recipe import RunRecipe

if TYPE_CHECKING:
    from torch import Tensor

# `load` holds its own limits against the header; Pillow's alarm at 89 megapixels would only print beside them.
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)
warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")  # odd metadata, which are left out in silence

QUALITY = {"JPEG": 95, "WEBP": 90, "AVIF": 90}  # where neither the caller nor the input says one
LONGEST = {"JPEG": 65_500, "WEBP": 16_383, "AVIF": 65_535, "BMP": 65_535}  # pixels a side that a format can hold
OPAQUE = ("JPEG", "BMP")  # formats without transparency, as we write them
SEGMENT = {"exif": 65_533, "xmp": 65_504}  # bytes that a JPEG can hold of it; more is left out
SUFFIXES = {  # of a format, the first is the one that `suffix` gives
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".jfif": "JPEG",
    ".png": "PNG",
    ".webp": "WEBP",
    ".avif": "AVIF",
    ".tif": "TIFF",
    ".tiff": "TIFF",
    ".bmp": "BMP",
}
ONE_COLOUR = 1 / 32  # of white: what the opaque part of a mask may differ by and still be of one colour
SIGNATURES = {
    "JPEG": rb"\xff\xd8\xff",
    "PNG": rb"\x89PNG\r\n\x1a\n",
    "WEBP": rb"RIFF....WEBP",
    "AVIF": rb"....ftyp(avi[fs]|.{8}.*avi[fs])",
    "HEIF": rb"....ftyp(hei[cxms]|hev[cxms]|mif1|msf1)",
    "TIFF": rb"II[*+]\0|MM\0[*+]",
    "GIF": rb"GIF8[79]a",
    "BMP": rb"BM",
}
FOREIGN = {  # what people try, and what they can do
    rb"....ftyp": "a video; save one frame of it as PNG",
    rb"%PDF": "a PDF document; export the page as PNG",
    rb"\s*(<[?!][^<]*>\s*)*<svg": "an SVG drawing; export it as PNG in the size you need",
    rb"8BPS": "a Photoshop document; export it as PNG or TIFF",
    rb"\xff\x0a|\0\0\0\x0cJXL ": "a JPEG XL picture; export it as PNG",
    rb"\s*<(!doctype html|html)": "a web page; save the picture itself",
}
LOST = {  # what a result cannot keep, as the user is told
    structure.GAIN_MAP: "The gain map, which brightens the picture on HDR screens, is left out: it fits only the "
    "unchanged picture.",
    structure.MOTION: "The video that lies behind the photo is left out.",
    structure.VIEWS: "Further pictures behind the first one, such as a depth map or a second view, are left out.",
    structure.EXTENDED: "Large attachments of the metadata (extended XMP, such as a depth map) are left out.",
    structure.HDR: "The picture is HDR (PQ or HLG), which only PNG can tell; in other formats it looks dark.",
}
FALLBACK = {"HEIF": "JPEG"}  # what is written for a format that is only read; else PNG
SEEK = 2e9  # pixels that may be decoded to reach one frame of an animation, about 20 s
TIFF_BYTES = 2**32 - (64 << 20)  # of samples, four a pixel; its offsets have 32 bits, and noise does not shrink
RECIPE = "genrestore"  # the text of a PNG that says how it was made
MOST_RECIPE = 512 << 10  # bytes of that; large masks are left out of it
AROUND_RECIPE = 600  # bytes that XMP puts round it
NAME_BYTES = 255  # of a file name, on nearly every file system


@dataclass(frozen=True)
class Limits:
    """What `load` takes in; more is an ImageError before anything is decoded."""

    bytes: int  # of the file
    megapixels: float
    side: int  # pixels
    frames: int = 1  # who raises it gets the first frame of an animation

    @classmethod
    def local(cls) -> "Limits":
        """One's own machine: as much as Pillow decodes."""
        return cls(bytes=512 << 20, megapixels=178, side=65_535)

    @classmethod
    def public(cls) -> "Limits":
        """A page that strangers use."""
        return cls(bytes=64 << 20, megapixels=50, side=16_384)


def limits() -> Limits:
    """The limits in force: public on a Hugging Face Space or with GENRESTORE_PUBLIC=1, else local."""
    public = bool(space()) or os.environ.get("GENRESTORE_PUBLIC") == "1"
    return Limits.public() if public else Limits.local()


@dataclass(frozen=True, eq=False)
class Picture:
    """Upright pixels and what their file carried.

    Attributes:
        pixels: (H, W, C) uint8 or uint16; C = 1 grey, 2 grey + alpha, 3 RGB, 4 RGBA; alpha is not multiplied in.
        format: Pillow's name of the input's format; "PNG" where there was no file.
        exif: the block from its TIFF header on; its orientation is 1.
        icc: the colour profile.
        xmp: XML.
        dpi: pixels per inch across and down.
        text: the text chunks of a PNG; the comment of a JPEG or GIF under "Comment".
        jpeg: the coding of a JPEG.
        lossless: whether the file held every sample exactly, so that the result should too.
        cicp: how to read the colours, where PNG, AVIF or HEIC tell it by number and it is not sRGB; `icc` says the same
            to formats that hold no numbers.
        orientation: how the pixels lay in the file, 1 to 8; a browser may show them so.
        lost: what the file held beside the picture and no result can keep: keys of LOST.
        sha256: of the file, in hexadecimal; "" where there was none.
        frame: the one that was taken of several.
        recipe: how the pixels were made of that file; None where they are the file's.
    """

    pixels: Pixels
    format: str = "PNG"
    exif: bytes | None = None
    icc: bytes | None = None
    xmp: bytes | None = None
    dpi: tuple[float, float] | None = None
    text: dict[str, str] = field(default_factory=dict[str, str])
    jpeg: JpegCoding | None = None
    lossless: bool = True
    cicp: Cicp | None = None
    orientation: int = 1
    lost: tuple[str, ...] = ()
    sha256: str = ""
    frame: int | None = None
    recipe: RunRecipe | None = None

    def __post_init__(self) -> None:
        shape, kind = self.pixels.shape, self.pixels.dtype
        assert len(shape) == 3 and 1 <= shape[2] <= 4 and kind in (np.uint8, np.uint16), f"{shape} {kind} is no picture"

    @property
    def width(self) -> int:
        return self.pixels.shape[1]

    @property
    def height(self) -> int:
        return self.pixels.shape[0]

    @property
    def channels(self) -> int:
        return self.pixels.shape[2]

    @property
    def peak(self) -> int:
        """The value of white: 255 or 65,535."""
        return int(np.iinfo(self.pixels.dtype).max)

    @property
    def colour(self) -> Pixels:
        """(H, W, 1 or 3): the pixels without alpha."""
        return self.pixels[..., :1] if self.channels < 3 else self.pixels[..., :3]

    @property
    def alpha(self) -> Pixels | None:
        """(H, W, 1), where there is one."""
        return self.pixels[..., -1:] if self.channels in (2, 4) else None

    @property
    def transparent(self) -> bool:
        """Whether anything shows through; an alpha channel that is opaque everywhere is no transparency."""
        return self.alpha is not None and bool((self.alpha < self.peak).any())

    @property
    def notes(self) -> tuple[str, ...]:
        """A sentence for each thing that results cannot keep."""
        return tuple(LOST[key] for key in self.lost)

    def with_pixels(self, pixels: Pixels) -> "Picture":
        """The same file with other pixels; size, depth and channels may differ."""
        return replace(self, pixels=pixels)

    def without_recipe(self) -> "Picture":
        """The picture without a word of how it was made, in this call or one before."""
        text = {key: value for key, value in self.text.items() if key != RECIPE}
        return replace(self, recipe=None, text=text, xmp=xmp.extended(self.xmp, None, ""))

    def stripped(self) -> "Picture":
        """The picture without EXIF, places, texts and XMP: colours, resolution and how it was made by a net stay."""
        known = xmp.told(self.xmp).source
        kept = xmp.extended(None, None, known if known in xmp.STRENGTHS else "")
        return replace(self, exif=None, xmp=kept, text={}, lost=())

    def rgb8(self) -> npt.NDArray[np.uint8]:
        """(H, W, 3) uint8: alpha dropped, grey repeated, 16 bit rounded to 8."""
        colour = codec.eight(self.colour)
        return np.ascontiguousarray(np.broadcast_to(colour, (self.height, self.width, 3)))

    def pil(self) -> Image.Image:
        """A PIL image with the metadata in `info`. Pillow has no 16-bit colour: that is rounded to 8 bit."""
        image = _pil8(self)
        if self.pixels.dtype == np.uint16 and self.channels == 1:
            image = Image.frombytes("I;16", (self.width, self.height), self.pixels.astype("<u2").tobytes())
        image.info = {**_texts(self), **_pillow_metadata(self, "")}
        return image


# --- in --------------------------------------------------------------------------------------------------------------

Source = Picture | Image.Image | str | Path | bytes | npt.NDArray[Any]
_in_force = limits  # `load` has an argument of that name


def load(source: Source, *, limits: Limits | None = None, frame: int | None = None, called: str = "picture") -> Picture:
    """The picture in a file, in bytes, in a PIL image or in an array (H, W) or (H, W, C); a Picture stays as it is.

    Size and frames are checked on the header, before anything is decoded. The orientation that EXIF tells, or XMP where
    EXIF does not, is applied to the pixels and reset; thumbnails, which show the old picture, and metadata that are
    broken or beyond METADATA are left out.

    Args:
        frame: of an animation or a document of pages, the one to take, from 1 on.
        called: what errors say that it is.

    Raises:
        ImageError: there is no such file, or it is too large, damaged, or no picture of a known format; or it holds
            several frames or pages and `frame` names none of them.
    """
    allowed, name = limits or _in_force(), f"The {called}"
    try:
        if isinstance(source, Picture):
            return source
        if isinstance(source, np.ndarray):
            return Picture(_array(source))
        if isinstance(source, Image.Image):
            _check_size(name, source.size, allowed)
            pixels = codec.decode(source, b"")
            return _picture(source, pixels, _pillow_parts(source))
        if not isinstance(source, bytes):
            name = _short(Path(source).name) if called == "picture" else f"{name} {_short(Path(source).name)}"
        data = _bytes(source, allowed, called)
        return _decode(name, data, allowed, frame)
    except ImageError:
        raise
    except Exception as problem:  # decoders raise nearly everything at damaged files
        raise ImageError(_reason(name, problem)) from problem


class Header(NamedTuple):
    """What a file tells before anything is decoded: Pillow's name of its format, the upright size, frames or pages, how
    the pixels lie (1 to 8), and whether whoever reads EXIF alone finds them so."""

    format: str
    width: int
    height: int
    frames: int
    orientation: int = 1
    certain: bool = True


def header(source: str | Path | bytes, *, limits: Limits | None = None) -> Header:
    """The header of a file within the limits; `frames` of it can be asked for with `load(…, frame=k)`.

    Raises:
        ImageError: as `load`, but for damage behind the header and for too many frames.
    """
    allowed, name = limits or _in_force(), "The picture"
    try:
        if not isinstance(source, bytes):
            name = _short(Path(source).name)
        with _opened(name, _bytes(source, allowed), allowed, 1) as (image, parts, count):
            orientation = parts.orientation or 1
            width, height = image.size[:: -1 if orientation > 4 else 1]
            return Header(_format(image), width, height, count, orientation, parts.certain)
    except ImageError:
        raise
    except Exception as problem:
        raise ImageError(_reason(name, problem)) from problem


def recipe(source: Picture | str | Path | bytes, *, limits: Limits | None = None) -> RunRecipe | None:
    """How a picture was made, as its file tells, which may be anybody's; None where it tells nothing. Nothing is decoded.

    Raises:
        ImageError: as `header`.
        SettingError: what it tells makes no sense.
    """
    if isinstance(source, Picture):
        text, packet, made = source.text, source.xmp, source.recipe
    else:
        allowed, name, made = limits or _in_force(), "The picture", None
        try:
            if not isinstance(source, bytes):
                name = _short(Path(source).name)
            with _opened(name, _bytes(source, allowed), allowed, 1) as (image, parts, _):
                text, packet = _text(parts.text or _pillow_text(image)), parts.xmp
        except ImageError:
            raise
        except Exception as problem:
            raise ImageError(_reason(name, problem)) from problem
    told = text.get(RECIPE) or xmp.told(packet).recipe
    return made or (RunRecipe.parse(told) if told else None)


def _format(image: Image.Image) -> str:
    return {None: "PNG", "MPO": "JPEG"}.get(image.format, image.format or "PNG")


def _reason(name: str, problem: Exception) -> str:
    text = " ".join(str(problem).split()).strip(". ")
    if isinstance(problem, Image.DecompressionBombError | MemoryError):
        return f"{name} is too large to decode; scale it down first."
    if isinstance(problem, EOFError) or "truncated" in text.lower():
        return f"{name} is cut off before its end; download or copy it again."
    if isinstance(problem, UnidentifiedImageError) or not text:
        text = "its header makes no sense"
    return f"{name} cannot be read ({text}); save it again as PNG or JPEG in a picture editor."


def _bytes(source: str | Path | bytes, allowed: Limits, called: str = "picture") -> bytes:
    if isinstance(source, bytes):
        return source
    path = expanded(source)
    name = _short(path)
    try:
        if path.is_dir():
            raise ImageError(f"{name} is a folder; name a picture in it.")
        if not path.is_file():
            raise ImageError(f"There is no {called} {name}; check the name.")
        with path.open("rb") as file:
            return file.read(allowed.bytes + 1)
    except OSError as problem:
        reason = f"{name} cannot be opened ({problem.strerror}); check the name and your rights."
        raise ImageError(reason) from problem


def _short(path: str | Path) -> str:
    """A path or name as it is told: on one line, and its end alone where it is longer than any real one."""
    text = " ".join(str(path).split())
    return text if len(text) <= 2 * NAME_BYTES else "…" + text[-40:]


def _decode(name: str, data: bytes, allowed: Limits, frame: int | None) -> Picture:
    with _opened(name, data, allowed, frame) as (image, parts, count):
        if frame is None and count > allowed.frames:
            raise ImageError(
                f"{name} holds {count} frames or pages; choose one of them by its number, 1 to {count}, "
                "or save the one you want as PNG."
            )
        if frame is not None and not 1 <= frame <= count:
            raise ImageError(f"{name} holds {count} frames or pages; choose a number from 1 to {count}, not {frame}.")
        if frame is not None and frame > 1 and image.format != "TIFF":
            if frame * image.width * image.height > SEEK:
                raise ImageError(f"Frame {frame} of {name} lies behind too many large ones; save it as PNG.")
            image.seek(frame - 1)
        if parts.icc:  # CMYK is converted by it
            image.info["icc_profile"] = parts.icc
        pixels = codec.decode(image, parts.pixels)
        digest = hashlib.sha256(data).hexdigest()
        return replace(_picture(image, pixels, parts), sha256=digest, frame=frame if count > 1 else None)


@contextmanager
def _opened(name: str, data: bytes, allowed: Limits, frame: int | None) -> Generator[tuple[Image.Image, Parts, int]]:
    """A file whose header has been read and found within the limits: image, parts, number of frames."""
    if not data:
        raise ImageError(f"{name} is empty (0 bytes); choose another file.")
    if len(data) > allowed.bytes:
        raise ImageError(f"{name} has more than {allowed.bytes / (1 << 20):.3g} MB, the limit here; save it smaller.")
    kind = _kind(name, data)
    parts = structure.take_apart(data, kind, max(0, (frame or 1) - 1))
    if parts.size:
        _check_size(name, parts.size, allowed)
    with _open(parts, kind) as image:
        _check_size(name, image.size, allowed)
        if kind == "AVIF":  # Pillow tells how the container turns the pixels, which it has left as they are
            exif = image.info.get("exif", b"").removeprefix(b"Exif\0\0")
            parts.orientation = ifd.orientation(exif) if exif else 1
        elif kind == "GIF":
            parts.xmp = _kept(image, "xmp")
        elif kind in ("JPEG", "BMP"):
            parts.dpi = image.info.get("dpi") or parts.dpi
        yield image, parts, parts.frames or int(getattr(image, "n_frames", 1))


def _open(parts: Parts, kind: str) -> Image.Image:
    if kind != "HEIF":
        return Image.open(io.BytesIO(parts.pixels), formats=[kind])
    if parts.size is None or parts.shown is None:
        raise ValueError("it does not say how large it is")
    return HeifImage(parts.pixels, parts.shown, parts.size[0] * parts.size[1])


def _kind(name: str, data: bytes) -> str:
    """Pillow's name of the format, by the first bytes."""
    for kind, signature in SIGNATURES.items():
        if re.match(signature, data[:64], re.DOTALL):
            return kind
    for signature, what in FOREIGN.items():
        if re.match(signature, data[:2048], re.DOTALL | re.IGNORECASE):
            raise ImageError(f"{name} is {what}.")
    raise ImageError(f"{name} is not a picture of a known format; use JPEG, PNG, WebP, AVIF, HEIC, TIFF, GIF or BMP.")


def _check_size(name: str, size: tuple[int, int], allowed: Limits) -> None:
    width, height = size
    if width * height > allowed.megapixels * 1e6:
        limit = f"{allowed.megapixels:g} megapixels"
    elif max(size) > allowed.side:
        limit = f"{allowed.side} pixels a side"
    else:
        return
    raise ImageError(f"{name} is {width}×{height}; the limit here is {limit}: scale it down first.")


def _array(array: npt.NDArray[Any]) -> Pixels:
    pixels = array[..., None] if array.ndim == 2 else array
    if pixels.dtype == np.bool_:
        pixels = pixels.astype(np.uint8) * 255
    if pixels.ndim != 3 or not 1 <= pixels.shape[2] <= 4 or pixels.dtype.str[1:] not in ("u1", "u2") or not pixels.size:
        given = f"An array {array.shape} of {array.dtype}"
        raise ImageError(f"{given} is no picture; give (H, W, 1 to 4) of uint8 or uint16.")
    return pixels.astype(pixels.dtype.newbyteorder("="), copy=False)


def _picture(image: Image.Image, pixels: Pixels, parts: Parts) -> Picture:
    """The picture of an opened image from its samples and the parts of its file."""
    orientation = parts.orientation or 1
    pixels = codec.upright(pixels, orientation)
    channels = 1 if pixels.shape[2] < 3 else 3
    exif, icc, cicp = parts.exif, parts.icc, parts.cicp and colour.normal(parts.cicp)
    if icc is None and (parts.gamma or parts.primaries):
        icc = colour.profile(parts.primaries, 1 / parts.gamma if parts.gamma else None, channels)
    if cicp not in (None, SRGB):
        icc = icc or colour.profile_of(cicp, channels)
    if image.mode in ("CMYK", "LAB"):
        icc = cicp = None
    lost = {*parts.lost, *([structure.HDR] if cicp and cicp.transfer in colour.HDR else [])}
    return Picture(
        pixels,
        format=_format(image),
        exif=exif and ifd.refit(exif, pixels.shape[1], pixels.shape[0]),
        icc=icc,
        xmp=parts.xmp and structure.upright_xmp(parts.xmp),
        dpi=_dpi(parts.dpi, orientation),
        text=_text(parts.text or _pillow_text(image)),
        jpeg=jpeg.coding(image, parts.pixels, orientation),
        lossless=parts.lossless,
        cicp=cicp,
        orientation=orientation,
        lost=tuple(sorted(lost)),
    )


# --- metadata --------------------------------------------------------------------------------------------------------


def _kept(image: Image.Image, key: str) -> bytes | None:
    value = image.info.get(key)
    return value if isinstance(value, bytes) and 0 < len(value) <= METADATA else None


def _pillow_parts(image: Image.Image) -> Parts:
    """What a PIL image, once decoded, still tells of its file."""

    exif = _kept(image, "exif")
    if isinstance(image, TiffImagePlugin.TiffImageFile):  # Pillow has turned the pixels
        exif = _tiff_exif(image)
    exif = exif and exif.removeprefix(b"Exif\0\0")
    orientation = ifd.orientation(exif) if exif else None
    exif = exif and ifd.sound(exif)
    xmp = _kept(image, "xmp")
    if orientation is None and xmp and not isinstance(image, TiffImagePlugin.TiffImageFile):
        orientation = structure.xmp_orientation(xmp)
    kind = image.format or "PNG"
    return Parts(
        b"",
        exif=exif,
        orientation=orientation,
        icc=_kept(image, "icc_profile"),
        xmp=xmp,
        dpi=image.info.get("dpi"),
        lossless=kind not in ("JPEG", "MPO", "AVIF", "WEBP", "HEIF"),
    )


def _tiff_exif(image: TiffImagePlugin.TiffImageFile) -> bytes | None:
    """What a TIFF tells about its picture, as an EXIF block; its tags about strips and samples stay behind."""
    source, kept = image.getexif(), Image.Exif()
    for tag in ifd.DESCRIPTIVE & set(source):
        kept[tag] = source[tag]
    for tag in (ifd.EXIF, ifd.GPS):
        inner = {key: value for key, value in source.get_ifd(tag).items() if key != ifd.INTEROPERABILITY}
        if inner:
            kept[tag] = inner
    return kept.tobytes() if kept else None


def _pillow_text(image: Image.Image) -> dict[str, str]:
    found: dict[str, str] = dict(image.text) if isinstance(image, PngImagePlugin.PngImageFile) else {}
    if isinstance(told := image.info.get(RECIPE), str):  # of a result that a caller holds as Pillow's image
        found[RECIPE] = told
    comment = image.info.get("comment")
    if isinstance(comment, bytes):
        found["Comment"] = comment.decode("utf-8", "replace")
    return found


def _text(found: dict[str, str]) -> dict[str, str]:
    text = {key: str(value) for key, value in found.items() if key != "XML:com.adobe.xmp"}
    while sum(len(key) + len(value) for key, value in text.items()) > METADATA:
        del text[max(text, key=lambda key: len(key) + len(text[key]))]
    return text


def _dpi(value: Any, orientation: int) -> tuple[float, float] | None:
    try:
        across, down = float(value[0]), float(value[1])
    except (TypeError, ValueError, IndexError, ZeroDivisionError):
        return None
    if orientation > 4:
        across, down = down, across
    return (across, down) if 0.01 < across < 1e5 and 0.01 < down < 1e5 else None


def _fitting_icc(picture: Picture) -> bytes | None:
    """The profile, unless it is for another number of colours than the pixels now have."""
    return picture.icc if picture.icc and picture.icc[16:20] == (b"GRAY" if picture.channels < 3 else b"RGB ") else None


def _texts(picture: Picture) -> dict[str, str]:
    """The text chunks of a PNG, with the recipe."""
    told = picture.recipe.text(MOST_RECIPE) if picture.recipe else None
    return {**picture.text, **({RECIPE: told} if told else {})}


def _xmp(picture: Picture, kind: str) -> bytes | None:
    """XMP with the recipe, but of a PNG, which has it as a text, and with the source of what was made."""
    packet = picture.xmp and structure.upright_xmp(picture.xmp)
    made = picture.recipe
    if made is None:
        return packet
    bare = xmp.extended(packet, None, made.source)
    most = SEGMENT["xmp"] - len(bare or b"") - AROUND_RECIPE if kind == "JPEG" else MOST_RECIPE
    told = None if kind == "PNG" else made.text(most)
    whole = xmp.extended(packet, told, made.source)
    if kind == "JPEG" and len(whole or b"") > SEGMENT["xmp"]:  # then what the photo brought goes first
        return bare if len(bare or b"") <= SEGMENT["xmp"] else packet
    return whole


def _metadata(picture: Picture, kind: str) -> dict[str, Any]:
    """What is written beside the pixels, true for them as they now are."""
    return {
        "exif": picture.exif and ifd.refit(picture.exif, picture.width, picture.height),
        "icc": _fitting_icc(picture),
        "xmp": _xmp(picture, kind),
        "dpi": picture.dpi,
    }


def _pillow_metadata(picture: Picture, kind: str) -> dict[str, Any]:
    """By the names that Pillow uses, in `info` and in `save`."""
    known = _metadata(picture, kind)
    known["icc_profile"] = known.pop("icc")
    known["exif"] = known["exif"] and b"Exif\0\0" + known["exif"]
    return {key: value for key, value in known.items() if value}


# --- out -------------------------------------------------------------------------------------------------------------


def output(
    picture: Picture, path: str | Path | None = None, *, format: str | None = None, size: tuple[int, int] | None = None
) -> str:
    """Pillow's name of the format that `save` will write to `path`, or `encode` without one: ask before the work.

    By default that is what the suffix says and, without suffix, the input's format if it can hold the result, else PNG.

    Args:
        format: as for `save`.
        size: (width, height) of the result, where it is not the picture's.

    Raises:
        ImageError: the format is unknown or cannot hold the picture (size, transparency), or nothing can be written at
            `path`: it is a folder, its folder does not exist or may not be written to, or its name is too long.
    """
    wanted = format
    if path is not None:
        path = expanded(path)
        _check_place(path)
        wanted = format or path.suffix or None
    width, height = size or (picture.width, picture.height)
    if wanted is None:
        own = FALLBACK.get(picture.format, picture.format)
        return own if own in SUFFIXES.values() and not _hindrance(picture, own, width, height) else "PNG"
    kind = SUFFIXES.get("." + wanted.lower().removeprefix("."))
    if kind is None:
        raise ImageError(f"Pictures cannot be written as {wanted[:40]!r}; choose one of {', '.join(SUFFIXES)}.")
    if hindrance := _hindrance(picture, kind, width, height):
        raise ImageError(hindrance)
    return kind


def _hindrance(picture: Picture, kind: str, width: int, height: int) -> str | None:
    """Why a format cannot hold the picture at this size, if it cannot."""
    if kind == "TIFF" and width * height * 4 * picture.pixels.itemsize > TIFF_BYTES:
        return f"TIFF holds 4 GB, too little for {width}×{height}; choose PNG."
    if max(width, height) > LONGEST.get(kind, 2**31 - 1):
        return f"{kind} holds {LONGEST[kind]} pixels a side, the picture is {width}×{height}; choose PNG or TIFF."
    if kind in OPAQUE and picture.transparent:
        return f"{kind} holds no transparency; choose PNG or WebP."
    return None


def _check_place(path: Path) -> None:
    called = _short(path)
    if "\0" in called:
        raise ImageError("The file name holds a zero byte; choose another name.")
    if len(os.fsencode(path.name)) > NAME_BYTES:
        raise ImageError(f"The file name {path.name[:40]}… is too long; choose one of at most {NAME_BYTES} bytes.")
    try:
        if path.is_dir():
            raise ImageError(f"{called} is a folder; add a file name.")
        if not path.parent.is_dir():
            raise ImageError(f"{called} cannot be written (there is no folder {_short(path.parent)}); create it first.")
        if not os.access(path.parent, os.W_OK | os.X_OK):
            raise ImageError(f"{called} cannot be written (its folder is read-only for you); choose another place.")
    except OSError as problem:
        raise ImageError(f"{called} cannot be written ({problem.strerror}); choose another place.") from problem


def suffix(picture: Picture, size: tuple[int, int] | None = None) -> str:
    """The suffix for the format that is written by default, for a result of `size` (width, height)."""
    return suffix_of(output(picture, size=size))


def suffix_of(kind: str) -> str:
    """The first one of a format."""
    return next(suffix for suffix, other in SUFFIXES.items() if other == kind)


def beside(source: str | Path, word: str, suffix: str) -> Path:
    """photo.jpg → photo.repaired.jpg in the same folder, its stem shortened where the name would be too long."""
    path, ending = Path(source), f".{word}{suffix}"
    stem = os.fsencode(path.stem)[: NAME_BYTES - len(os.fsencode(ending))].decode(errors="ignore")
    return path.with_name(stem + ending)


def save(
    picture: Picture,
    path: str | Path,
    *,
    format: str | None = None,
    quality: int | None = None,
    recipe: bool = True,
    strip: bool = False,
) -> Path:
    """Write the picture; a file that is already there is replaced whole or not at all.

    PNG and TIFF keep 16 bit; for the others it is rounded to 8. JPEG keeps the coefficients of blocks that have not
    been changed since `load`, as far as their tables allow. A channel of alpha that is opaque everywhere is left out
    where the format has none.

    Args:
        format: "JPEG", "png", ".webp" …; by default as `output` tells.
        quality: 1 to 100, for JPEG, WebP and AVIF. By default a JPEG keeps its tables and subsampling, what came from a
            lossless file is lossless in WebP, and QUALITY holds for the rest. PNG, TIFF and BMP are always lossless.
        recipe: whether the file says how a result was made; see `genrestore.replay`.
        strip: leave out what the photo brought along: EXIF with its place, XMP, texts. Colours and orientation stay right.

    Raises:
        ImageError: as `output`, or the file cannot be written.
        SettingError: the quality is out of its range.
    """
    path = expanded(path)
    kind = output(picture, path, format=format)
    picture = _as_wanted(picture, recipe, strip)
    part = path.with_name(f".{secrets.token_hex(8)}.part")  # in the same folder, for only there a rename is at once
    try:
        with part.open("xb") as file:
            _write(picture, file, kind, quality)
        part.replace(path)
    except OSError as problem:
        raise ImageError(f"{path} cannot be written ({problem.strerror}); choose another place.") from problem
    finally:
        part.unlink(missing_ok=True)
    return path


def encode(
    picture: Picture,
    *,
    format: str | None = None,
    quality: int | None = None,
    recipe: bool = True,
    strip: bool = False,
) -> bytes:
    """The bytes of the file that `save` would write, with the same arguments and errors."""
    file = io.BytesIO()
    _write(_as_wanted(picture, recipe, strip), file, output(picture, format=format), quality)
    return file.getvalue()


def _as_wanted(picture: Picture, recipe: bool, strip: bool) -> Picture:
    picture = picture.stripped() if strip else picture
    return picture if recipe else picture.without_recipe()


def _write(picture: Picture, file: BinaryIO, kind: str, quality: int | None) -> None:
    if quality is not None and not 1 <= quality <= 100:
        raise SettingError(f"The quality {quality} is out of range; choose 1 to 100.")
    if kind in OPAQUE and picture.alpha is not None:  # opaque everywhere, else `output` would have refused it
        picture = picture.with_pixels(picture.colour)
    pixels = picture.pixels
    if kind == "PNG":
        codec.write_png(file, pixels, **_metadata(picture, kind), text=_texts(picture), cicp=picture.cicp)
        return
    if kind == "TIFF":
        if pixels.dtype == np.uint16 and picture.channels == 2:  # few programs read it, and Pillow does not
            pixels = pixels[..., (0, 0, 0, 1)]
        codec.write_tiff(file, pixels, **_metadata(picture, kind))
        return
    options = _pillow_metadata(picture, kind) | _coding(picture, kind, quality)
    drawn = None
    if kind == "JPEG":
        for name, longest in SEGMENT.items():
            if len(options.get(name, b"")) > longest:
                del options[name]
        if picture.jpeg and quality is None:
            drawn = jpeg.redrawn(picture.jpeg, picture.pixels)
    try:
        _save_pillow(drawn or _pil8(picture), file, kind, options)
    except (OSError, ValueError, SystemError) as problem:
        if isinstance(problem, OSError) and problem.errno:  # the disk, not the encoder
            raise
        raise ImageError(f"{kind} cannot hold this picture ({problem}); choose PNG or TIFF.") from problem


def _save_pillow(drawn: Image.Image, file: BinaryIO, kind: str, options: dict[str, Any]) -> None:
    try:
        drawn.save(file, kind, **options)
    except OSError as problem:
        if problem.errno or not options.get("progressive"):
            raise
        # Pillow's buffer for a progressive JPEG is 2 bytes a pixel, too few for the noisiest pictures.
        file.seek(0)
        file.truncate()
        drawn.save(file, kind, **options | {"progressive": False})


def _coding(picture: Picture, kind: str, quality: int | None) -> dict[str, Any]:
    """Pillow's options for how to code the pixels."""
    if kind == "JPEG":
        comment = picture.text.get("Comment", "").encode()[:65_000]
        options: dict[str, Any] = {"comment": comment} if comment else {}
        if picture.jpeg:
            options |= {"subsampling": picture.jpeg.subsampling, "progressive": picture.jpeg.progressive}
        if picture.jpeg and quality is None:
            return options | {"qtables": picture.jpeg.tables}
        quality = quality or QUALITY[kind]
        return {"subsampling": 0 if quality >= 90 else 2, **options, "quality": quality}
    if kind == "WEBP" and quality is None and picture.lossless:
        # `exact` keeps colours under full transparency. Speed before size: 2 s for 12 megapixels, not 6 s.
        return {"lossless": True, "exact": True, "method": 1, "quality": 0}
    if kind == "AVIF":
        return {"quality": quality or QUALITY[kind], "speed": 8}
    return {"quality": quality or QUALITY[kind]} if kind == "WEBP" else {}


def _pil8(picture: Picture) -> Image.Image:
    pixels = np.ascontiguousarray(codec.eight(picture.pixels))
    return Image.fromarray(pixels[..., 0] if picture.channels == 1 else pixels)


# --- tensors and masks -----------------------------------------------------------------------------------------------


def to_tensor(picture: Picture) -> "Tensor":
    """(1, C, H, W) float32 in [0, 1]."""
    import torch

    planes = np.moveaxis(picture.pixels, 2, 0).astype(np.float32, order="C")
    planes /= picture.peak
    return torch.from_numpy(planes)[None]  # pyright: ignore[reportUnknownMemberType]


def from_tensor(tensor: "Tensor", like: Picture) -> Picture:
    """(1, C, H, W), clamped to [0, 1] and rounded to the depth of `like`, with its metadata; undoes `to_tensor`."""
    planes = tensor.detach()[0].float().cpu().numpy()
    pixels = np.empty((*planes.shape[1:], len(planes)), like.pixels.dtype)
    for channel, plane in enumerate(planes):
        pixels[..., channel] = np.rint(np.nan_to_num(plane).clip(0, 1) * like.peak)
    return like.with_pixels(pixels)


def pil_of(tensor: "Tensor") -> Image.Image:
    """A PIL image of (1, 3, H, W) in [0, 1]."""
    pixels = (tensor.detach()[0] * 255).round().clamp(0, 255).byte().permute(1, 2, 0)
    return Image.fromarray(pixels.cpu().numpy())


def load_mask(source: Source, size: tuple[int, int], called: str = "mask") -> npt.NDArray[np.bool_]:
    """(H, W) bool, True = fill: the mask of any mode for a picture of `size` (width, height).

    White is to be filled where it is opaque. Where everything opaque has one colour, alpha alone tells: a painted layer is
    to be filled, whatever its colour; where it is the ground, larger than half and along most of the edge, the hole that
    was erased in it. A mask of the same shape in another size (but for a pixel of rounding) is resized to the nearest
    pixel.

    Args:
        called: what errors say that it is.

    Raises:
        ImageError: it cannot be read.
        MaskError: it has another shape, or marks nothing.
    """
    mask = load(source, called=called)
    marked = _marked(mask)
    width, height = size
    if abs(mask.width * height - mask.height * width) > max(width, height, mask.width, mask.height):
        sizes = f"{mask.width}×{mask.height}, the picture {width}×{height}"
        raise MaskError(f"The {called} is {sizes}; give it the shape of the picture.")
    if (mask.width, mask.height) != (width, height):
        rows, columns = np.arange(height) * mask.height // height, np.arange(width) * mask.width // width
        marked = marked[rows][:, columns]
    if not marked.any():
        if mask.alpha is not None and not mask.alpha.any():
            raise MaskError(
                f"The {called} marks nothing, for it is transparent everywhere; paint white what it should mark."
            )
        raise MaskError(f"The {called} marks nothing; paint white what it should mark.")
    return marked


def _marked(mask: Picture) -> npt.NDArray[np.bool_]:
    """(H, W): what a mask means to have filled."""
    white: npt.NDArray[np.bool_] = 2 * mask.colour.sum(axis=2, dtype=np.uint32) >= mask.peak * mask.colour.shape[2]
    if mask.alpha is None:
        return white
    alpha = mask.alpha[..., 0].astype(np.uint32)
    if not alpha.any():
        return np.zeros(alpha.shape, np.bool_)
    opaque: npt.NDArray[np.bool_] = 2 * alpha >= alpha.max()  # a layer may be faint as a whole
    colours = mask.colour[opaque]
    if opaque.all() or int(np.ptp(colours, axis=0).max()) > mask.peak * ONE_COLOUR:
        return white & opaque
    edge = np.concatenate([opaque[0], opaque[-1], opaque[:, 0], opaque[:, -1]])
    return ~opaque if opaque.mean() > 0.5 and edge.mean() > 0.5 else opaque
