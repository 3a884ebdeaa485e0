"""The structure of picture files, as plain bytes: a look at it before anything is unpacked, and EXIF changed in place.

Pillow unpacks what a file tells it to, and small files can tell it to take gigabytes or hours; `frames` refuses those
first. EXIF is changed in its place because maker notes hold absolute offsets, which a rewritten block would break.
What makes no sense raises ValueError.
"""

import re
import struct
from collections.abc import Iterator
from typing import NamedTuple

PARTS = 10_000  # segments, chunks or extension blocks of one file; honest files have a few hundred
SCANS = 64  # of one JPEG; encoders write about ten, and each one costs a pass over the whole picture
HEADER = 32 << 20  # bytes of a JPEG that are not pixels
PAGES = 1_000  # of one TIFF that are counted
TILES = 300_000  # strips or tiles of one TIFF
TAGS = 2_000  # of one directory
DIRECTORIES = 16  # nested in one block, and blocks in one file

Buffer = bytes | bytearray | memoryview


# --- directories: TIFF and EXIF are made of them ---------------------------------------------------------------------

TIFF_HEADER = re.compile(rb"II\*\0|MM\0\*")
SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8}  # bytes by type
BYTE, SHORT, LONG, RATIONAL, UNDEFINED, POINTER = 1, 3, 4, 5, 7, 13  # types
SUBFILE, STRIPS, TILE_OFFSETS, ORIENTATION = 0x00FE, 0x0111, 0x0144, 0x0112  # tags
THUMBNAIL, THUMBNAIL_BYTES, WIDTH, HEIGHT = 0x0201, 0x0202, 0xA002, 0xA003
EXIF, GPS, INTEROPERABILITY = NESTED = 0x8769, 0x8825, 0xA005
# Description, make, model, software, date, artist, host, ratings, copyright, Windows' title to subject.
DESCRIPTIVE = {0x010E, 0x010F, 0x0110, 0x0131, 0x0132, 0x013B, 0x013C, 0x4746, 0x4749, 0x8298, *range(0x9C9B, 0x9CA0)}


class Entry(NamedTuple):
    """One tag of a directory: so many `values` of type `kind`, `size` bytes in all, which begin at `at`."""

    tag: int
    kind: int
    values: int
    size: int
    at: int
    raw: bytes  # the 12 bytes in the directory


def order_of(block: Buffer) -> str:
    """The byte order of a block, as `struct` writes it."""
    return "<" if bytes(block[:2]) == b"II" else ">"


def directory(block: Buffer, at: int) -> tuple[list[Entry], int]:
    """The tags of the directory at `at` whose values lie inside the block, and where the next one begins (0: none)."""
    order, entries = order_of(block), list[Entry]()
    try:
        (count,) = struct.unpack_from(order + "H", block, at)
        if count > TAGS:
            raise ValueError(f"a directory claims {count} tags")
        for place in range(at + 2, at + 2 + 12 * count, 12):
            tag, kind, values, where = struct.unpack_from(order + "HHII", block, place)
            size = SIZES.get(kind, 0) * values
            start = where if size > 4 else place + 8
            if 0 < size <= len(block) - start:
                entries.append(Entry(tag, kind, values, size, start, bytes(block[place : place + 12])))
        return entries, struct.unpack_from(order + "I", block, at + 2 + 12 * count)[0]
    except struct.error:  # cut off; what stands before the cut counts, as it does for Pillow
        return entries, 0


def _number(block: Buffer, entry: Entry) -> int:
    """The first value of a tag of whole numbers, else 0."""
    form = {BYTE: "B", SHORT: "H", LONG: "I", POINTER: "I"}.get(entry.kind)
    return struct.unpack_from(order_of(block) + form, block, entry.at)[0] if form else 0


def first(block: Buffer) -> int:
    """Where the first directory begins."""
    if not TIFF_HEADER.match(block) or len(block) < 8:
        raise ValueError("it does not begin as TIFF or EXIF does")
    return struct.unpack_from(order_of(block) + "I", block, 4)[0]


def _nested(block: Buffer) -> Iterator[list[Entry]]:
    """The first directory, then those inside it: EXIF, GPS, interoperability."""
    waiting, seen = [first(block)], set[int]()
    while waiting:
        at = waiting.pop()
        if at not in seen:
            seen.add(at)
            if len(seen) > DIRECTORIES:
                raise ValueError(f"it nests more than {DIRECTORIES} directories")
            entries, _ = directory(block, at)
            waiting += [_number(block, entry) for entry in entries if entry.tag in NESTED]
            yield entries


# --- a look before unpacking -----------------------------------------------------------------------------------------


def frames(data: bytes, kind: str) -> int:
    """How many pictures a GIF or TIFF holds; 1 for other kinds, whose header Pillow asks.

    Raises:
        ValueError: to unpack the file would cost far more time or memory than its size tells, or it is not of `kind`.
    """
    _check_tags(data)
    if kind == "JPEG":
        _check_jpeg(data)
    elif kind == "PNG":
        _check_png(data)
    elif kind == "GIF":
        return _gif_frames(data)
    elif kind == "TIFF":
        return _tiff_pages(data)
    return 1


def _check_tags(data: bytes) -> None:
    """Refuse tags that claim more than the file has: thousands may share one value, and a reader copies it for each.

    Looks behind every TIFF header in the file, because each format keeps its EXIF block at another place.
    """
    for number, header in enumerate(TIFF_HEADER.finditer(data)):
        block = memoryview(data)[header.start() :]
        claimed = sum(entry.size for entries in _nested(block) for entry in entries) if len(block) >= 8 else 0
        if claimed > 2 * len(block) or number >= DIRECTORIES:
            raise ValueError("its metadata claim more bytes than the file has")


JPEG_MARKER = re.compile(rb"\xff([\x01-\xcf\xd8-\xfe])", re.DOTALL)
START_OF_SCAN, END_OF_IMAGE = 0xDA, 0xD9
BARE = (0x01, 0xD8)  # markers without a length


def _check_jpeg(data: bytes) -> None:
    at = parts = scans = header = 0
    while marker := JPEG_MARKER.search(data, at):
        code, at = marker[1][0], marker.end()
        if code == END_OF_IMAGE:
            break
        length = 0 if code in BARE else int.from_bytes(data[at : at + 2], "big")
        at, parts, scans, header = at + length, parts + 1, scans + (code == START_OF_SCAN), header + length
        if parts > PARTS or scans > SCANS or header > HEADER:
            raise ValueError(f"it has more than {PARTS} parts, {SCANS} scans or {HEADER >> 20} MB of metadata")


PNG_HEADER = b"\x89PNG\r\n\x1a\n"


def _check_png(data: bytes) -> None:
    at, parts = len(PNG_HEADER), 0
    while at + 8 <= len(data):
        length, name = struct.unpack_from(">I4s", data, at)
        at, parts = at + 12 + length, parts + (name != b"IDAT")
        if parts > PARTS:
            raise ValueError(f"it has more than {PARTS} chunks")


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


def _tiff_pages(data: bytes) -> int:
    """The pages that are pictures of their own, neither previews (bit 0 of the sub-file type) nor masks (bit 2)."""
    at, count = first(data), 0
    for page in range(PAGES):
        entries, at = directory(data, at)
        hidden = any(entry.tag == SUBFILE and _number(data, entry) & 5 for entry in entries)
        count += not hidden
        if any(entry.tag in (STRIPS, TILE_OFFSETS) and entry.values > TILES for entry in entries):
            raise ValueError(f"it has more than {TILES} strips or tiles")
        if page == 0 and hidden:
            raise ValueError("its first page is only a preview, as in raw files of cameras")
        if at == 0:
            break
    return count


# --- EXIF ------------------------------------------------------------------------------------------------------------


def orientation(exif: bytes) -> int:
    """How the pixels lie, from 1 (upright) to 8; `exif` begins with its TIFF header."""
    found = [_number(exif, entry) for entry in next(_nested(exif)) if entry.tag == ORIENTATION]
    return found[-1] if found and 1 <= found[-1] <= 8 else 1


def refit(exif: bytes, width: int, height: int) -> bytes:
    """The block made true for upright pixels of this size, without its thumbnail; all else stays in its place."""
    block, order = bytearray(exif), order_of(exif)
    wanted = {ORIENTATION: 1, WIDTH: width, HEIGHT: height}
    for entry in (entry for entries in _nested(exif) for entry in entries if entry.tag in wanted):
        if entry.values == 1 and entry.kind in (SHORT, LONG):
            form = "H" if entry.kind == SHORT and wanted[entry.tag] < 1 << 16 else "I"
            struct.pack_into(order + form, block, entry.at, wanted[entry.tag])
    at = first(exif)
    _, second = directory(exif, at)
    if second:  # the directory of the thumbnail, which would show the picture as it was
        values = {entry.tag: _number(exif, entry) for entry in directory(exif, second)[0]}
        start, length = values.get(THUMBNAIL, 0), values.get(THUMBNAIL_BYTES, 0)
        if start >= 8:
            block[start : start + length] = bytes(len(block[start : start + length]))
        struct.pack_into(order + "I", block, at + 2 + 12 * struct.unpack_from(order + "H", exif, at)[0], 0)
    return bytes(block)


# --- WebP ------------------------------------------------------------------------------------------------------------


def webp_lossless(data: bytes) -> bool:
    """Whether the pixels of a WebP are coded without loss."""
    at = 12
    while at + 8 <= len(data):
        name, length = struct.unpack_from("<4sI", data, at)
        if name in (b"VP8L", b"VP8 "):
            return name == b"VP8L"
        at += 8 + length + length % 2
    return False
