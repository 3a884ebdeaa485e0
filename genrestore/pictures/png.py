"""The chunks that a PNG is made of: length, name, body, CRC-32."""

import struct
import zlib
from collections.abc import Iterator
from typing import NamedTuple

SIGNATURE = b"\x89PNG\r\n\x1a\n"


def chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(body, zlib.crc32(name)))


class Chunk(NamedTuple):
    name: bytes
    whole: bytes  # as it lies in the file, which may be cut off

    @property
    def body(self) -> bytes:
        return self.whole[8:-4]

    @property
    def sound(self) -> bool:
        """Whether it is all there, and its check sum is right."""
        return self.whole == chunk(self.name, self.body)


def chunks(data: bytes) -> Iterator[Chunk]:
    """Those of a file, up to the one that ends it."""
    at, name = len(SIGNATURE), b""
    while at + 8 <= len(data) and name != b"IEND":
        length, name = struct.unpack_from(">I4s", data, at)
        yield Chunk(name, data[at : at + 12 + length])
        at += 12 + length
