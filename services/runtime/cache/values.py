"""Values: what a model made of one input, packed.

A header of 24 bytes, all numbers little-endian: version (1 byte), flags (1: truncated,
2: composed), 2 bytes of zero, then 4 bytes each for dimension, rows, regions, tokens and the
CRC-32 of the key and everything else here. Then the rows as float32, then each region as five
float64: x, y, width, height, quality. With the key in the checksum, the value of another key
is a damaged one.
"""

import struct
import zlib

import numpy as np

from embedders.base import Region
from services.runtime.encoding import Embedded

VERSION = 1
HEADER = struct.Struct("<BBHIIIII")
CHECKED = struct.Struct("<BBHIIII")
ROW_BYTES, REGION_BYTES = 4, 40
TRUNCATED, COMPOSED = 1, 2


def pack(key: str, found: Embedded) -> bytes:
    """The value of a key."""
    count, dim = found.rows.shape
    flags = TRUNCATED * found.truncated | COMPOSED * found.composed
    body = np.ascontiguousarray(found.rows, "<f4").tobytes() + _pack_regions(found)
    fields = (VERSION, flags, 0, dim, count, len(found.regions), found.tokens)
    return HEADER.pack(*fields, _checksum(key, CHECKED.pack(*fields), body)) + body


def unpack(key: str, value: bytes, dim: int) -> Embedded | None:
    """What was packed; its rows are read-only. None where it is damaged or of another dimension."""
    if len(value) < HEADER.size:
        return None
    version, flags, _, width, count, regions, tokens, checksum = HEADER.unpack_from(value)
    end = HEADER.size + count * width * ROW_BYTES
    if version != VERSION or width != dim or regions not in (0, count):
        return None
    if len(value) != end + regions * REGION_BYTES:
        return None
    view = memoryview(value)
    if _checksum(key, view[: CHECKED.size], view[HEADER.size :]) != checksum:
        return None
    rows = np.frombuffer(value, "<f4", count * width, HEADER.size).reshape(count, width)
    return Embedded(
        rows.astype(np.float32, copy=False),
        _unpack_regions(value, end) if regions else (),
        tokens,
        bool(flags & TRUNCATED),
        bool(flags & COMPOSED),
    )


def _checksum(key: str, head: bytes | memoryview, body: bytes | memoryview) -> int:
    return zlib.crc32(body, zlib.crc32(head, zlib.crc32(key.encode())))


def _pack_regions(found: Embedded) -> bytes:
    if not found.regions:
        return b""
    numbers = [(r.x, r.y, r.width, r.height, r.quality) for r in found.regions]
    return np.array(numbers, "<f8").tobytes()


def _unpack_regions(value: bytes, start: int) -> list[Region]:
    numbers = np.frombuffer(value, "<f8", offset=start).reshape(-1, 5)
    return [Region(*place) for place in numbers.tolist()]
