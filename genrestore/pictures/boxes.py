"""The boxes of AVIF and HEIC (ISO/IEC 14496-12 and 23008-12): size, colour and metadata of the primary picture.

Broken boxes are passed over; the decoder tells what is wrong with the picture.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

BOXES = 100_000  # of one file
ITEMS = 10_000  # of one file; a photograph of 100 megapixels in tiles of 512² has 400


class Cicp(NamedTuple):
    """How to read colours, by the numbers of ITU-T H.273; PNG's cICP holds the same four."""

    primaries: int
    transfer: int
    matrix: int
    full_range: int


DEPTH = (b":auxid:2\0", b"portraiteffectsmatte\0", b"disparity\0")  # how auxiliary pictures for blurring are called
SRGB = Cicp(1, 13, 0, 1)
UNSAID = 2  # the number for "unspecified"


@dataclass
class Meta:
    """What a file tells about its primary picture.

    Attributes:
        pixels: the file without EXIF, as its decoder shall see it.
        coded: (width, height) of what is decoded.
        size: of what is to be seen of it, cropped and turned.
    """

    pixels: bytes
    coded: tuple[int, int] | None = None
    size: tuple[int, int] | None = None
    exif: bytes | None = None
    xmp: bytes | None = None
    icc: bytes | None = None
    cicp: Cicp | None = None
    gain_map: bool = False
    depth: bool = False
    video: bool = False


def _boxes(data: bytes, at: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Name, begin and end of the content of each box."""
    for _ in range(BOXES):
        if at + 8 > end:
            return
        size, name = struct.unpack_from(">I4s", data, at)
        begin = at + 8
        if size == 1 and at + 16 <= end:
            size, begin = struct.unpack_from(">Q", data, at + 8)[0], at + 16
        stop = end if size == 0 else min(at + size, end)
        if stop < begin:
            return
        yield name, begin, stop
        at = stop


def read(data: bytes) -> Meta:
    """The parts of an AVIF or HEIC file."""
    meta = Meta(data)
    try:
        for name, begin, end in _boxes(data, 0, len(data)):
            if name == b"meta" and meta.coded is None:
                _read_meta(meta, data, begin + 4, end)
            meta.video |= name == b"mpvd"
    except (struct.error, LookupError, ValueError):  # cut off or senseless
        pass
    return meta


def _read_meta(meta: Meta, data: bytes, begin: int, end: int) -> None:
    found = {name: (at, stop) for name, at, stop in _boxes(data, begin, end)}
    primary = _primary(data, *found[b"pitm"])
    kinds = dict(_items(data, *found[b"iinf"]))
    held = data[begin:end]
    meta.gain_map = b"hdrgainmap\0" in held or any(kind == b"tmap" for kind, _, _ in kinds.values())
    meta.depth = any(name in held for name in DEPTH)
    if b"iprp" in found:
        _properties(meta, data, *found[b"iprp"], primary)
    if b"iloc" in found:
        where = _places(data, *found[b"iloc"], found.get(b"idat", (0, 0))[0])
        for number, (kind, content, _) in kinds.items():
            at, length = where.get(number, (0, 0))
            if length and kind == b"Exif" and meta.exif is None:
                skip = 4 + struct.unpack_from(">I", data, at)[0]
                meta.exif = data[at + skip : at + length].removeprefix(b"Exif\0\0")
            elif length and kind == b"mime" and content.startswith(b"application/rdf+xml") and meta.xmp is None:
                meta.xmp = data[at : at + length]
    hidden = bytearray(data)
    for kind, _, at in kinds.values():
        if kind == b"Exif":  # Pillow would parse and rewrite it
            hidden[at : at + 4] = b"skip"
    meta.pixels = bytes(hidden)


def _primary(data: bytes, at: int, end: int) -> int:
    return struct.unpack_from(">I" if data[at] else ">H", data, at + 4)[0]


def _items(data: bytes, at: int, end: int) -> Iterator[tuple[int, tuple[bytes, bytes, int]]]:
    """Number, (kind, content type, where the kind stands) of each item."""
    at += 6 if data[at] == 0 else 8
    for name, begin, stop in _boxes(data, at, end):
        if name == b"infe" and data[begin] >= 2:
            long = data[begin] > 2
            number = struct.unpack_from(">I" if long else ">H", data, begin + 4)[0]
            place = begin + (10 if long else 8)
            _, _, content = data[place + 4 : stop].partition(b"\0")
            yield number, (data[place : place + 4], content, place)


def _properties(meta: Meta, data: bytes, at: int, end: int, primary: int) -> None:
    found = {name: (begin, stop) for name, begin, stop in _boxes(data, at, end)}
    properties = list(_boxes(data, *found[b"ipco"]))
    version, flags = data[found[b"ipma"][0]], data[found[b"ipma"][0] + 3]
    at = found[b"ipma"][0] + 4
    count, at = struct.unpack_from(">I", data, at)[0], at + 4
    for _ in range(min(count, ITEMS)):
        number = struct.unpack_from(">I" if version else ">H", data, at)[0]
        at += 4 if version else 2
        links, at = data[at], at + 1
        for _ in range(links):
            index = (struct.unpack_from(">H", data, at)[0] & 0x7FFF) if flags & 1 else data[at] & 0x7F
            at += 2 if flags & 1 else 1
            if number == primary and 0 < index <= len(properties):
                _property(meta, data, *properties[index - 1])


def _property(meta: Meta, data: bytes, name: bytes, begin: int, end: int) -> None:
    if name == b"ispe":
        meta.coded = meta.size = struct.unpack_from(">II", data, begin + 4)
    elif name == b"clap":
        across, across_parts, down, down_parts = struct.unpack_from(">4I", data, begin)
        if across >= across_parts > 0 and down >= down_parts > 0:
            meta.size = across // across_parts, down // down_parts
    elif name == b"irot" and data[begin] & 1 and meta.size:
        meta.size = meta.size[1], meta.size[0]
    elif name == b"colr" and data[begin : begin + 4] == b"nclx":
        primaries, transfer, matrix, full = struct.unpack_from(">HHHB", data, begin + 4)
        if max(primaries, transfer, matrix) < 256:
            meta.cicp = Cicp(primaries, transfer, matrix, full >> 7)
    elif name == b"colr" and data[begin : begin + 4] in (b"prof", b"rICC"):
        meta.icc = data[begin + 4 : end]


def _places(data: bytes, at: int, end: int, inside: int) -> dict[int, tuple[int, int]]:
    """Begin and length of each item that lies in one piece in the file or, from `inside` on, in the box `idat`."""
    version, sizes = data[at], struct.unpack_from(">H", data, at + 4)[0]
    offset_size, length_size, base_size = sizes >> 12, sizes >> 8 & 15, sizes >> 4 & 15
    index_size = sizes & 15 if version in (1, 2) else 0
    at += 6

    def take(count: int) -> int:
        nonlocal at
        at += count
        if at > end:
            raise ValueError("the table of items ends too early")
        return int.from_bytes(data[at - count : at], "big")

    found = dict[int, tuple[int, int]]()
    for _ in range(min(take(4 if version == 2 else 2), ITEMS)):
        number = take(4 if version == 2 else 2)
        method = take(2) & 15 if version in (1, 2) else 0
        take(2)  # in which file the data lie: this one
        base, pieces = take(base_size), take(2)
        if pieces == 1 and method in (0, 1):
            take(index_size)
            begin = base + take(offset_size) + (inside if method == 1 else 0)
            found[number] = begin, take(length_size)
        else:
            take(pieces * (index_size + offset_size + length_size))
    return found
