"""A small PNG without an image library: not every installation has one."""

import struct
import zlib

SIGNATURE = b"\x89PNG\r\n\x1a\n"
RGB_8_BIT = b"\x08\x02\0\0\0"


def grey_png(side: int) -> bytes:
    """A grey RGB picture, `side` x `side` pixels (PNG specification, W3C 2003)."""
    rows = (b"\0" + b"\x80\x80\x80" * side) * side
    head = struct.pack(">2I", side, side) + RGB_8_BIT
    chunks = [(b"IHDR", head), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    return SIGNATURE + b"".join(_chunk(kind, data) for kind, data in chunks)


def _chunk(kind: bytes, data: bytes) -> bytes:
    checksum = zlib.crc32(kind + data)
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", checksum)
