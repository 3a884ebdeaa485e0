"""Picture files taken apart, as plain bytes: what a decoder shall see of a file, and what else the file holds.

A decoder is shown the pixels alone, so that broken metadata can neither refuse a good picture nor cost time and memory,
and of a TIFF one page in a directory of our own. What would cost far more to unpack than its size tells raises
ValueError here, before anything is unpacked; so does what makes no sense. Broken metadata are left out.
"""

import re
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field

from genrestore.pictures import boxes, ifd, png
from genrestore.pictures.boxes import Cicp
from genrestore.pictures.ifd import SUBFILE

METADATA = 1 << 20  # bytes that are kept of EXIF, of XMP, of an ICC profile, and of all texts together
PARTS = 10_000  # segments, chunks or extension blocks of one file; honest files have a few hundred
SCANS = 64  # of one JPEG; encoders write about ten, and each one costs a pass over the whole picture
HEADER = 32 << 20  # bytes of a JPEG that are not pixels
PACKED = 64  # compressed texts and profiles of one PNG that are unpacked, METADATA each
PAGES = 1_000  # of one TIFF that are counted
TILES = 300_000  # strips or tiles of one TIFF

# What a result cannot keep, because it belongs to the unchanged pixels or stands beside them.
GAIN_MAP, MOTION, VIEWS, EXTENDED, HDR = "gain map", "motion", "views", "extended", "hdr"


@dataclass
class Parts:
    """A file taken apart.

    Attributes:
        pixels: the file as its decoder shall see it; of a TIFF the one page that was asked for.
        frames: pictures in it; None where the decoder tells.
        size: (width, height) where it must be checked even before the decoder is opened.
        shown: what will be seen of it, where the decoder does not tell that before it decodes.
        exif: the block from its TIFF header on.
        orientation: how the pixels lie, 1 to 8; None where the file does not say.
        certain: whether whoever reads EXIF alone finds the same orientation.
        gamma: the exponent of the samples, as PNG's gAMA tells it (0.45 …).
        primaries: x and y of white, red, green, blue, as PNG's cHRM tells them.
        lost: what a result cannot keep: keys of LOST in image.py.
    """

    pixels: bytes
    frames: int | None = 1
    size: tuple[int, int] | None = None
    shown: tuple[int, int] | None = None
    exif: bytes | None = None
    orientation: int | None = None
    certain: bool = True
    icc: bytes | None = None
    xmp: bytes | None = None
    dpi: tuple[float, float] | None = None
    text: dict[str, str] = field(default_factory=dict[str, str])
    cicp: Cicp | None = None
    gamma: float | None = None
    primaries: tuple[float, ...] | None = None
    lossless: bool = True
    lost: tuple[str, ...] = ()


def take_apart(data: bytes, kind: str, frame: int = 0) -> Parts:
    """The parts of a file of `kind`, by Pillow's names. `frame` counts from 0 and matters for TIFF.

    Raises:
        ValueError: to unpack the file would cost far more time or memory than its size tells, or it is not of `kind`.
    """
    match kind:
        case "JPEG":
            parts = _jpeg(data)
        case "PNG":
            parts = _png(data)
        case "GIF":
            parts = Parts(data, frames=_gif_frames(data))
        case "TIFF":
            parts = _tiff(data, frame)
        case "WEBP":
            parts = _webp(data)
        case "AVIF" | "HEIF":
            parts = _heif(data, kind)
        case _:
            parts = Parts(data)
    exif = parts.exif
    if exif and kind != "TIFF":
        parts.exif = ifd.sound(exif)
        if parts.orientation is None:
            parts.orientation = ifd.orientation(exif)
        parts.certain = parts.exif is not None and ifd.certain(exif)
        parts.dpi = parts.dpi or (parts.exif and ifd.resolution(parts.exif)) or None
    if parts.orientation is None and parts.xmp and (found := xmp_orientation(parts.xmp)):
        parts.orientation, parts.certain = found, found == 1
    return parts


def _kept(value: bytes | None) -> bytes | None:
    return value if value and len(value) <= METADATA else None


# --- JPEG ------------------------------------------------------------------------------------------------------------

JPEG_MARKER = re.compile(rb"\xff([\x01-\xcf\xd8-\xfe])", re.DOTALL)
START_OF_SCAN, END_OF_IMAGE, COMMENT, JFIF, ADOBE = 0xDA, 0xD9, 0xFE, 0xE0, 0xEE
APP1, APP2, APPLICATION = 0xE1, 0xE2, range(0xE0, 0xF0)
BARE = (0x01, 0xD8)  # markers without a length
XMP_HEADER, EXTENDED_HEADER = b"http://ns.adobe.com/xap/1.0/\0", b"http://ns.adobe.com/xmp/extension/\0"
ICC_HEADER, MPF_HEADER, GAIN_MAP_HEADER = b"ICC_PROFILE\0", b"MPF\0", b"urn:iso:std:iso:ts:21496:-1\0"
VIDEO = re.compile(rb"ftyp(mp4|isom|qt  |3gp|avc|MSNV|iso)|MotionPhoto_Data")


def _jpeg(data: bytes) -> Parts:
    kept, exif, xmp, profile, texts, lost = [b"\xff\xd8"], None, None, dict[int, bytes](), dict[str, str](), set[str]()
    views = False
    begin = end = None  # of the scans
    for code, at, length in _segments(data):
        if code == END_OF_IMAGE:
            end = at
        if code == START_OF_SCAN:
            begin = at - 2 if begin is None else begin
        if begin is not None or code == END_OF_IMAGE or code in BARE:
            continue
        body = data[at + 2 : at + length]
        if code == APP1 and body.startswith(b"Exif\0\0"):
            exif = exif or body[6:]
        elif code == APP1 and body.startswith(XMP_HEADER):
            xmp = xmp or body.removeprefix(XMP_HEADER)
        elif code == APP1 and body.startswith(EXTENDED_HEADER):
            lost.add(EXTENDED)
        elif code == APP2 and body.startswith(ICC_HEADER) and len(body) > 14:
            profile.setdefault(body[12], body[14:])
        elif code == APP2 and body.startswith(GAIN_MAP_HEADER):
            lost.add(GAIN_MAP)
        elif code == APP2 and body.startswith(MPF_HEADER):
            views = True
        elif code == COMMENT:
            texts["Comment"] = body.decode("utf-8", "replace")
        elif code not in APPLICATION or (code == JFIF and body[:4] == b"JFIF") or code == ADOBE:
            kept.append(data[at - 2 : at + length])
    if begin is not None:
        kept.append(data[begin:end])
    behind = data[end:] if end is not None else b""
    xmp, found = _xmp(xmp)
    lost |= found
    if views and b"hdrgainmap" in behind:  # how Apple's own gain map is called in its XMP
        lost.add(GAIN_MAP)
    if VIDEO.search(behind):
        lost.add(MOTION)
    if views and not lost & {GAIN_MAP, MOTION}:
        lost.add(VIEWS)
    icc = b"".join(profile[k] for k in sorted(profile))
    return Parts(
        b"".join(kept), exif=_kept(exif), icc=_kept(icc), xmp=xmp, text=texts, lossless=False, lost=tuple(sorted(lost))
    )


def _segments(data: bytes) -> Iterator[tuple[int, int, int]]:
    """The marker, where it ends, and the length behind it, of each segment up to the end of the image."""
    at = parts = scans = header = 0
    while marker := JPEG_MARKER.search(data, at):
        code, at = marker[1][0], marker.end()
        if code == END_OF_IMAGE:
            yield code, at, 0
            return
        length = 0 if code in BARE else int.from_bytes(data[at : at + 2], "big")
        yield code, at, length
        at, parts, scans, header = at + length, parts + 1, scans + (code == START_OF_SCAN), header + length
        if parts > PARTS or scans > SCANS or header > HEADER:
            raise ValueError(f"it has more than {PARTS} parts, {SCANS} scans or {HEADER >> 20} MB of metadata")


# --- XMP -------------------------------------------------------------------------------------------------------------

ORIENTATION = re.compile(rb'tiff:Orientation(?:\s*=\s*["\']|>)\s*([1-8])')
TAG = re.compile(rb"<(/?)([\w.:-]*)[^<>]*?(/?)>")
ATTRIBUTE = re.compile(rb"\s([\w.:-]+)\s*=\s*(?:\"[^\"]*\"|'[^']*')")
# Names by which XMP tells of gain maps, videos and parts behind the picture, with the prefixes their makers prescribe.
CLAIMS = {
    GAIN_MAP: re.compile(rb"xmlns:hdrgm|hdrgm:.+"),
    MOTION: re.compile(rb"G?Camera:(MotionPhoto|MicroVideo).*"),
    EXTENDED: re.compile(rb"xmpNote:HasExtendedXMP"),
    "": re.compile(rb"G?Container:Directory"),  # lists what the others name
}


def _xmp(xmp: bytes | None) -> tuple[bytes | None, set[str]]:
    """XMP that claims no longer what is lost, and what that is; None where a claim has no end.

    Tag by tag, so that the time grows with the length alone, whatever stands in it.
    """
    if not (xmp := _kept(xmp)):
        return None, set()
    lost, pieces, at, within = set[str](), list[bytes](), 0, b""

    def claimed(name: bytes) -> bool:
        keys = {key for key, claim in CLAIMS.items() if claim.fullmatch(name)}
        lost.update(keys)
        return bool(keys)

    for tag in TAG.finditer(xmp):
        closing, name, empty = tag.groups()
        if within:  # an element that is left out
            if closing and name == within:
                at, within = tag.end(), b""
            continue
        if claimed(name):
            left, within = b"", b"" if closing or empty else name
        else:
            left = ATTRIBUTE.sub(lambda attribute: b"" if claimed(attribute[1]) else attribute[0], tag[0])
        if left != tag[0]:
            pieces += [xmp[at : tag.start()], left]
            at = tag.end()
    return None if within else b"".join(pieces) + xmp[at:], lost - {""}


def xmp_orientation(xmp: bytes) -> int | None:
    """How the pixels lie, from 1 (upright) to 8, if XMP says it."""
    found = ORIENTATION.search(xmp)
    return int(found[1]) if found else None


def upright_xmp(xmp: bytes) -> bytes:
    """XMP of a picture whose pixels have been turned."""
    return ORIENTATION.sub(lambda found: found[0][:-1] + b"1", xmp)


# --- PNG -------------------------------------------------------------------------------------------------------------

PIXELS = {b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND", b"acTL", b"fcTL", b"fdAT"}


def _png(data: bytes) -> Parts:
    kept, metadata, parts = [png.SIGNATURE], list[tuple[bytes, bytes]](), 0
    for chunk in png.chunks(data):
        if chunk.name in PIXELS:
            kept.append(chunk.whole)
        elif chunk.sound:
            metadata.append((chunk.name, chunk.body))
        parts += chunk.name not in (b"IDAT", b"fdAT")
        if parts > PARTS:
            raise ValueError(f"it has more than {PARTS} chunks")
    found, packed = Parts(b"".join(kept), frames=None), 0
    for name, body in metadata:
        packed += name in (b"iCCP", b"zTXt", b"iTXt")
        if packed > PACKED and name in (b"iCCP", b"zTXt", b"iTXt"):
            continue
        try:
            _png_chunk(found, name, body)
        except (ValueError, IndexError, struct.error, zlib.error):  # a chunk that makes no sense
            continue
    found.xmp, lost = _xmp(found.xmp)
    found.lost = tuple(sorted(lost))
    if found.cicp:  # each of these overrules what follows
        found.icc = None
    if found.cicp or found.icc:
        found.gamma = found.primaries = None
    return found


def _png_chunk(found: Parts, name: bytes, body: bytes) -> None:
    """Put what a chunk tells into its place."""
    match name:
        case b"eXIf":
            found.exif = _kept(body.removeprefix(b"Exif\0\0"))
        case b"iCCP":
            found.icc = _kept(_inflated(body[body.index(0) + 2 :]))
        case b"cICP":
            found.cicp = Cicp(*struct.unpack("4B", body))
        case b"sRGB":
            found.cicp = found.cicp or (None if found.icc else boxes.SRGB)
        case b"gAMA":
            found.gamma = struct.unpack(">I", body)[0] / 100_000 or None
        case b"cHRM":
            found.primaries = tuple(value / 100_000 for value in struct.unpack(">8I", body))
        case b"pHYs":
            across, down, unit = struct.unpack(">IIB", body)
            found.dpi = (across * 0.0254, down * 0.0254) if unit == 1 else None
        case b"tEXt" | b"zTXt" | b"iTXt":
            key, value = _png_text(name, body)
            if key == "XML:com.adobe.xmp":
                found.xmp = value.encode()
            elif value and sum(map(len, [key, value, *found.text, *found.text.values()])) <= METADATA:
                found.text[key] = value
        case _:
            pass


def _png_text(name: bytes, body: bytes) -> tuple[str, str]:
    key, value = body.split(b"\0", 1)
    if name == b"iTXt":
        packed, (_, _, value) = value[0], value[2:].split(b"\0", 2)
        return key.decode("latin-1"), (_inflated(value) if packed else value).decode("utf-8", "replace")
    return key.decode("latin-1"), (_inflated(value[1:]) if name == b"zTXt" else value).decode("latin-1")


def _inflated(packed: bytes) -> bytes:
    """Unpacked, or nothing where that is more than is kept."""
    unpacker = zlib.decompressobj()
    found = unpacker.decompress(packed, METADATA + 1)
    return found if len(found) <= METADATA and unpacker.eof else b""


# --- GIF -------------------------------------------------------------------------------------------------------------


def _gif_frames(data: bytes) -> int:
    def palette(flags: int) -> int:
        return 3 << (flags & 7) + 1 if flags & 0x80 else 0

    count = parts = 0
    try:
        at = 13 + palette(data[10])
        while data[at] in b"!,":  # an extension or a frame: a head, then blocks up to an empty one
            frame = data[at] == ord(",")
            count += frame
            at += 11 + palette(data[at + 9]) if frame else 2
            while data[at]:
                at, parts = at + data[at] + 1, parts + (not frame)
            at, parts = at + 1, parts + (not frame)
            if parts > PARTS:  # Pillow joins the blocks of a comment one by one, in quadratic time
                raise ValueError(f"it has more than {PARTS} extension blocks")
    except IndexError:  # cut off: decoding will say so
        pass
    return count


# --- TIFF ------------------------------------------------------------------------------------------------------------

WIDTH, HEIGHT, COMPRESSION, STRIPS, ROWS, STRIP_BYTES, PLANES = 0x0100, 0x0101, 0x0103, 0x0111, 0x0116, 0x0117, 0x011C
BITS, SAMPLES_MOST = 0x0102, 6  # Pillow knows no pixels of more samples
TILE_WIDTH, TILE_HEIGHT, TILE_OFFSETS, TILE_BYTES = 0x0142, 0x0143, 0x0144, 0x0145
SAMPLES, XMP, ICC = 0x0115, 0x02BC, 0x8773
# Width, height, bits, compression, colour, fill order, strips, samples, planes, predictor, palette, tiles, alpha, format.
STRUCTURE = {
    WIDTH, HEIGHT, BITS, COMPRESSION, 0x0106, 0x010A, STRIPS, SAMPLES, ROWS, STRIP_BYTES, PLANES, 0x013D, 0x0140,
    TILE_WIDTH, TILE_HEIGHT, TILE_OFFSETS, TILE_BYTES, 0x0152, 0x0153,
}  # fmt: skip


def _tiff(data: bytes, frame: int) -> Parts:
    """One page, behind a directory that holds its structure alone; its metadata become EXIF."""
    pages = _tiff_pages(data)
    page = {entry.tag: entry for entry in pages[min(frame, len(pages) - 1)]}
    if sum(entry.size for entry in page.values() if entry.tag in STRUCTURE) > 2 * len(data):
        raise ValueError("its directory claims more bytes than the file has")
    _check_strips(data, page)
    order = ifd.order_of(data)
    entries = [page[tag].raw for tag in sorted(STRUCTURE & set(page))]
    at = len(data) + len(data) % 2
    directory = struct.pack(order + "H", len(entries)) + b"".join(entries) + bytes(4)
    pixels = data[:4] + struct.pack(order + "I", at) + data[8:].ljust(at - 8, b"\0") + directory

    def body(tag: int) -> bytes | None:
        return _kept(data[page[tag].at : page[tag].at + page[tag].size]) if tag in page else None

    xmp, lost = _xmp(body(XMP))
    found = ifd.number(data, page[ifd.ORIENTATION]) if ifd.ORIENTATION in page else 0
    return Parts(
        pixels,
        frames=len(pages),
        exif=ifd.exif_of(data, list(page.values()), METADATA),
        orientation=found if 1 <= found <= 8 else None,
        icc=body(ICC),
        xmp=xmp,
        dpi=ifd.resolution(data, list(page.values())),
        lost=tuple(sorted(lost)),
    )


def _tiff_pages(data: bytes) -> list[list[ifd.Entry]]:
    """The directories of the pages that are pictures of their own, neither previews (bit 0 of the sub-file type) nor
    masks (bit 2)."""
    at, found, seen = ifd.first(data), list[list[ifd.Entry]](), set[int]()
    while at and at not in seen and len(seen) < PAGES:
        seen.add(at)
        entries, at = ifd.directory(data, at, STRUCTURE)
        hidden = any(entry.tag == SUBFILE and ifd.number(data, entry) & 5 for entry in entries)
        if hidden and len(seen) == 1:
            raise ValueError("its first page is only a preview, as in raw files of cameras")
        if any(entry.tag in STRUCTURE and entry.values > TILES for entry in entries):
            raise ValueError(f"it has more than {TILES} strips or tiles")
        if not hidden:
            found.append(entries)
    return found


def _check_strips(data: bytes, page: dict[int, ifd.Entry]) -> None:
    """Refuse a page some of whose strips or tiles are missing: its pixels would come from nowhere."""

    def value(tag: int, default: int) -> int:
        return ifd.number(data, page[tag]) if tag in page else default

    width, height = value(WIDTH, 0), value(HEIGHT, 0)
    if not width or not height:
        raise ValueError("it does not say how large it is")
    tiled = TILE_OFFSETS in page
    across, down = (value(TILE_WIDTH, 0), value(TILE_HEIGHT, 0)) if tiled else (width, value(ROWS, height) or height)
    if not across or not down:
        raise ValueError("it does not say how large its tiles are")
    if tiled and across * down > max(4 * width * height, 1 << 24):
        raise ValueError("its tiles are far larger than the picture")
    offsets, lengths = (TILE_OFFSETS, TILE_BYTES) if tiled else (STRIPS, STRIP_BYTES)
    bits, planes = (ifd.numbers(data, page[BITS], SAMPLES_MOST) if BITS in page else [1]), 1
    bits = bits if len(bits) > 1 else bits * min(value(SAMPLES, 1), SAMPLES_MOST)
    if value(PLANES, 1) == 2:
        bits, planes = bits[:1], len(bits)
    count = -(-width // across) * -(-height // down) * planes
    starts, sizes = (ifd.numbers(data, page[tag]) if tag in page else [] for tag in (offsets, lengths))
    if value(COMPRESSION, 1) == 1:  # then the picture's size tells how long they are, and many files say it wrongly
        row = -(-across * sum(bits) // 8)
        rows = [min(down, height)] * len(starts)
        if not tiled and len(rows) >= count:
            rows[count // planes - 1 :: count // planes] = [height - down * (count // planes - 1)] * planes
        sizes = [row * n for n in rows]
    strips = list(zip(starts, sizes, strict=False))[:count]
    if len(strips) < count or not all(0 < at < at + size <= len(data) for at, size in strips):
        raise EOFError("strips or tiles of it are missing")


# --- WebP ------------------------------------------------------------------------------------------------------------


def _webp(data: bytes) -> Parts:
    """The size of the canvas, of which Pillow allocates three before it tells it; the decoder tells all else."""
    found, lossless = Parts(data, frames=None), False
    at, parts = 12, 0
    while at + 8 <= len(data):
        name, length = struct.unpack_from("<4sI", data, at)
        body = data[at + 8 : at + 8 + min(length, METADATA + 1)]
        if name == b"VP8X" and len(body) >= 10:
            found.size = 1 + int.from_bytes(body[4:7], "little"), 1 + int.from_bytes(body[7:10], "little")
        elif name == b"VP8L" and len(body) >= 5:
            bits = int.from_bytes(body[1:5], "little")
            found.size = found.size or (1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF))
            lossless = True
        elif name == b"VP8 " and len(body) >= 10:
            across, down = struct.unpack_from("<HH", body, 6)
            found.size = found.size or (across & 0x3FFF, down & 0x3FFF)
        elif name == b"EXIF":
            found.exif = _kept(body.removeprefix(b"Exif\0\0"))
        elif name == b"ICCP":
            found.icc = _kept(body)
        elif name == b"XMP ":
            found.xmp = _kept(body)
        at, parts = at + 8 + length + length % 2, parts + 1
        if parts > PARTS:
            raise ValueError(f"it has more than {PARTS} chunks")
    found.xmp, lost = _xmp(found.xmp)
    found.lossless, found.lost = lossless, tuple(sorted(lost))
    return found


# --- AVIF and HEIC ---------------------------------------------------------------------------------------------------


def _heif(data: bytes, kind: str) -> Parts:
    """The decoder applies the rotation that the container tells; the orientation of EXIF is only for those who cannot."""
    meta = boxes.read(data)
    xmp, lost = _xmp(meta.xmp)
    beside = {GAIN_MAP: meta.gain_map, VIEWS: meta.depth, MOTION: meta.video}
    lost |= {key for key, there in beside.items() if there}
    return Parts(
        meta.pixels,
        frames=None if kind == "AVIF" else 1,  # of a HEIC the picture that is called the primary one
        size=meta.coded,
        shown=meta.size,
        exif=_kept(meta.exif),
        orientation=1,
        icc=_kept(meta.icc),
        xmp=xmp,
        cicp=meta.cicp,
        lossless=False,
        lost=tuple(sorted(lost)),
    )
