"""Directories of tags, of which TIFF and EXIF are made, as plain bytes; EXIF is changed in its place.

Maker notes hold absolute offsets, which a rewritten block would break. Only directories that are reached from the
header count: what else looks like one is part of a maker note. What makes no sense raises ValueError.
"""

import re
import struct
from collections.abc import Collection, Iterator
from typing import NamedTuple

TAGS = 2_000  # of one directory
DIRECTORIES = 16  # nested in one block

Buffer = bytes | bytearray | memoryview


# --- directories -----------------------------------------------------------------------------------------------------

TIFF_HEADER = re.compile(rb"II\*\0|MM\0\*")
SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8}  # bytes by type
BYTE, SHORT, LONG, RATIONAL, UNDEFINED, POINTER = 1, 3, 4, 5, 7, 13  # types
WHOLE = {BYTE: "B", SHORT: "H", LONG: "I", POINTER: "I"}  # types of whole numbers, as `struct` writes them
SUBFILE, ORIENTATION, RESOLUTION, RESOLUTION_DOWN, UNIT = 0x00FE, 0x0112, 0x011A, 0x011B, 0x0128  # tags
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


def directory(block: Buffer, at: int, needed: Collection[int] = ()) -> tuple[list[Entry], int]:
    """The tags of the directory at `at` whose values lie inside the block, and where the next one begins (0: none).

    Raises:
        ValueError: it claims absurdly many tags.
        EOFError: some tags are `needed`, and the directory or the values of one of them are cut off.
    """
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
            elif tag in needed:
                raise EOFError("the values of a tag are cut off")
    except struct.error:  # cut off; what stands before the cut counts, as it does for Pillow
        if needed:
            raise EOFError("a directory is cut off") from None
        return entries, 0
    following = block[at + 2 + 12 * count : at + 6 + 12 * count]
    return entries, int.from_bytes(following, "little" if order == "<" else "big") if len(following) == 4 else 0


def numbers(block: Buffer, entry: Entry, most: int | None = None) -> list[int]:
    """The values of a tag of whole numbers, or the first so many of them; none where it holds something else."""
    form = WHOLE.get(entry.kind)
    count = entry.values if most is None else min(most, entry.values)
    return list(struct.unpack_from(f"{order_of(block)}{count}{form}", block, entry.at)) if form else []


def number(block: Buffer, entry: Entry) -> int:
    """The first value of a tag of whole numbers, else 0."""
    return next(iter(numbers(block, entry, 1)), 0)


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
            waiting += [number(block, entry) for entry in entries if entry.tag in NESTED]
            yield entries


# --- EXIF ------------------------------------------------------------------------------------------------------------


def sound(exif: bytes) -> bytes | None:
    """The block, or None where it tells nothing or would cost far more to read than its size tells.

    Thousands of tags may share one value, and a reader copies it for each.
    """
    try:
        sizes = [entry.size for entries in _nested(exif) for entry in entries]
    except ValueError:
        return None
    return exif if 0 < sum(sizes) <= 2 * len(exif) else None


def orientation(exif: bytes) -> int | None:
    """How the pixels lie, from 1 (upright) to 8, where the first directory tells it; whatever is broken behind that."""
    found = [number(exif, entry) for entry in _orientations(exif)]
    return found[-1] if found and 1 <= found[-1] <= 8 else None


def certain(exif: bytes) -> bool:
    """Whether every reader finds the same orientation: there is none, or it stands there once, as it should be written."""
    found = _orientations(exif)
    return not found or (len(found) == 1 and (found[0].kind, found[0].values) == (SHORT, 1))


def _orientations(exif: bytes) -> list[Entry]:
    try:
        return [entry for entry in next(_nested(exif)) if entry.tag == ORIENTATION]
    except ValueError:
        return []


def resolution(block: bytes, entries: list[Entry] | None = None) -> tuple[float, float] | None:
    """Pixels per inch across and down, by the first directory or by the given one."""
    entries = next(_nested(block)) if entries is None else entries
    found = {entry.tag: entry for entry in entries}
    unit = number(block, found[UNIT]) if UNIT in found else 2
    values = list[float]()
    for tag in (RESOLUTION, RESOLUTION_DOWN):
        if tag in found and found[tag].kind == RATIONAL:
            above, below = struct.unpack_from(order_of(block) + "II", block, found[tag].at)
            values.append(above / below * {2: 1.0, 3: 2.54}.get(unit, 0) if below else 0.0)
    return (values[0], values[1]) if len(values) == 2 and all(values) else None


def exif_of(tiff: bytes, entries: list[Entry], most: int) -> bytes | None:
    """What a page of a TIFF tells about its picture, as a block of its own; None where it is more than `most` bytes.

    What is broken is left out.
    """
    order, first_at = order_of(tiff), 8
    kept = {entry.tag: entry for entry in entries if entry.tag in DESCRIPTIVE}
    inner = dict[int, dict[int, Entry]]()
    for entry in entries:
        if entry.tag in (EXIF, GPS):
            try:
                found, _ = directory(tiff, number(tiff, entry))
            except ValueError:
                continue
            inner[entry.tag] = {part.tag: part for part in found if part.tag not in NESTED}
    if sum(entry.size for part in (kept, *inner.values()) for entry in part.values()) > most:
        return None
    inner = {tag: part for tag, part in inner.items() if part}
    if not kept and not inner:
        return None

    def packed(at: int, part: dict[int, Entry], pointers: dict[int, int]) -> bytes:
        """A directory at `at` and the values behind it."""
        rows, values = list[bytes](), b""
        behind = at + 2 + 12 * (len(part) + len(pointers)) + 4
        for tag in sorted({*part, *pointers}):
            if tag in pointers:
                rows.append(struct.pack(order + "HHII", tag, LONG, 1, pointers[tag]))
            elif (entry := part[tag]).size <= 4:
                rows.append(entry.raw)
            else:
                rows.append(entry.raw[:8] + struct.pack(order + "I", behind + len(values)))
                values += tiff[entry.at : entry.at + entry.size] + bytes(entry.size % 2)
        return struct.pack(order + "H", len(rows)) + b"".join(rows) + bytes(4) + values

    length = len(packed(first_at, kept, dict.fromkeys(inner, 0)))
    pointers, blocks = dict[int, int](), b""
    for tag, part in inner.items():
        pointers[tag] = first_at + length + len(blocks)
        blocks += packed(pointers[tag], part, {})
    return tiff[:4] + struct.pack(order + "I", first_at) + packed(first_at, kept, pointers) + blocks


def refit(exif: bytes, width: int, height: int) -> bytes:
    """The block made true for upright pixels of this size, without its thumbnail; all else stays in its place."""
    block, order = bytearray(exif), order_of(exif)
    wanted = {ORIENTATION: 1, WIDTH: width, HEIGHT: height}
    for entry in (entry for entries in _nested(exif) for entry in entries if entry.tag in wanted):
        if entry.tag == ORIENTATION:  # read whatever its type, so that it must be reset whatever that is
            if form := WHOLE.get(entry.kind):
                struct.pack_into(order + form, block, entry.at, 1)
        elif entry.values == 1 and entry.kind in (SHORT, LONG):
            form = "H" if entry.kind == SHORT and wanted[entry.tag] < 1 << 16 else "I"
            struct.pack_into(order + form, block, entry.at, wanted[entry.tag])
    at = first(exif)
    _, second = directory(exif, at)
    if second:  # the directory of the thumbnail, which would show the picture as it was
        values = {entry.tag: number(exif, entry) for entry in directory(exif, second)[0]}
        start, length = values.get(THUMBNAIL, 0), values.get(THUMBNAIL_BYTES, 0)
        if start >= 8:
            block[start : start + length] = bytes(len(block[start : start + length]))
        struct.pack_into(order + "I", block, at + 2 + 12 * struct.unpack_from(order + "H", exif, at)[0], 0)
    return bytes(block)
