"""PNG files without the metadata that no picture needs.

Pillow unpacks colour profiles and texts while it opens a PNG, and refuses the whole picture where
they are larger than its guard against zlib bombs. Here they are left out before: nothing reads
them, but for the two kinds of text that may tell how the picture is turned. Those stay up to
1 MiB. The chunks that make the picture are not touched ("Portable Network Graphics", 5 and 11).
"""

import zlib
from collections.abc import Iterator
from typing import NamedTuple

SIGNATURE = b"\x89PNG\r\n\x1a\n"
PROFILE, TEXTS = b"iCCP", frozenset({b"tEXt", b"zTXt", b"iTXt"})
#: keywords of texts from which Pillow reads the orientation
TURNING = (b"XML:com.adobe.xmp\0", b"Raw profile type exif\0")
MAX_TEXT_BYTES = 1 << 20
MAX_KEYWORD_BYTES = 80


class _Chunk(NamedTuple):
    """A chunk of a file: its kind, and where it begins and ends, checksum included."""

    kind: bytes
    start: int
    stop: int


def without_metadata(data: bytes) -> bytes:
    """The same file, but for chunks of a PNG that hold its colour profile or texts."""
    if not data.startswith(SIGNATURE):
        return data
    chunks = list(_chunks(data))
    kept = [chunk for chunk in chunks if not _is_metadata(chunk.kind)]
    # of several texts with one keyword Pillow takes the last
    last = {word: chunk for chunk in chunks for word in TURNING if _is_text(data, chunk, word)}
    kept += [chunk for chunk in last.values() if _is_small(data, chunk)]
    if len(kept) == len(chunks):
        return data
    end = chunks[-1].stop
    parts = [data[chunk.start : chunk.stop] for chunk in sorted(kept, key=lambda c: c.start)]
    return b"".join([SIGNATURE, *parts, data[end:]])


def _chunks(data: bytes) -> Iterator[_Chunk]:
    """The chunks up to the end or to a damaged one, which Pillow then names."""
    position = len(SIGNATURE)
    while position + 12 <= len(data):
        stop = position + 12 + int.from_bytes(data[position : position + 4])
        if stop > len(data):
            return
        yield _Chunk(data[position + 4 : position + 8], position, stop)
        position = stop


def _is_metadata(kind: bytes) -> bool:
    return kind == PROFILE or kind in TEXTS


def _is_text(data: bytes, chunk: _Chunk, keyword: bytes) -> bool:
    return chunk.kind in TEXTS and data.startswith(keyword, chunk.start + 8)


def _is_small(data: bytes, chunk: _Chunk) -> bool:
    """Whether a text has at most 1 MiB, unpacked."""
    body = data[chunk.start + 8 : chunk.stop - 4]
    if len(body) > MAX_TEXT_BYTES:
        return False
    packed = _packed(chunk.kind, body)
    if packed is None:
        return True
    unpacking = zlib.decompressobj()
    try:
        unpacking.decompress(packed, MAX_TEXT_BYTES)
    except zlib.error:
        return False
    return unpacking.eof


def _packed(kind: bytes, body: bytes) -> bytes | None:
    """The compressed part of a text; None where it has none."""
    _, _, rest = body.partition(b"\0")
    if kind == b"zTXt":
        return rest[1:]
    # iTXt: a flag, a method, a language and a translated keyword stand before the text
    if kind == b"iTXt" and rest[:1] == b"\1":
        return rest[2:].split(b"\0", 2)[-1]
    return None
