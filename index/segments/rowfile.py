"""The files of a segment that are ours: its rows, and its keys.

Both begin with 64 bytes: 8 of magic with the format version, then little-endian uint64 counts.
A row file goes on with float32 rows, so that they are aligned when it is memory-mapped. A key
file goes on with slots int64 (n,), id offsets (n + 1,), modality codes uint8 (n,) and the text
of the ids.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from embedders.vectors import FloatRows
from index.errors import StorageError
from index.segments.ids import PackedIds

_ROWS_MAGIC = b"LSROWS\x00\x01"
_KEYS_MAGIC = b"LSKEYS\x00\x01"
_HEADER_BYTES = 64


@dataclass(frozen=True, slots=True)
class Keys:
    """Whose rows a segment holds: slots int64 (n,), ids, modality codes uint8 (n,)."""

    slots: NDArray[np.int64]
    ids: PackedIds
    codes: NDArray[np.uint8]


def write_rows(path: Path, blocks: Iterable[FloatRows], dim: int) -> int:
    """Writes blocks of float32 (b, dim); the number of rows."""
    count = 0
    with path.open("wb") as file:
        file.write(_header(_ROWS_MAGIC, 0, dim))
        for block in blocks:
            file.write(np.ascontiguousarray(block, dtype="<f4").reshape(-1).data)
            count += len(block)
        file.seek(0)
        file.write(_header(_ROWS_MAGIC, count, dim))
    return count


def map_rows(path: Path) -> FloatRows:
    """Rows float32 (n, dim), memory-mapped and read-only.

    Raises:
        StorageError: not such a file.
    """
    count, dim, _ = _read_header(path, _ROWS_MAGIC)
    if path.stat().st_size != _HEADER_BYTES + count * dim * 4:
        raise StorageError(f"{path} is cut short")
    mapped = np.memmap(path, dtype="<f4", mode="r", offset=_HEADER_BYTES, shape=(count, dim))
    return mapped.view(np.ndarray)


def write_keys(path: Path, keys: Keys) -> None:
    """Writes a key file."""
    offsets = keys.ids.offsets
    with path.open("wb") as file:
        file.write(_header(_KEYS_MAGIC, len(keys.slots), len(keys.ids.text), offsets.itemsize))
        for column in (keys.slots, offsets, keys.codes, keys.ids.text):
            file.write(column.tobytes())


def read_keys(path: Path) -> Keys:
    """Reads a key file into memory.

    Raises:
        StorageError: not such a file.
    """
    count, text_bytes, offset_bytes = _read_header(path, _KEYS_MAGIC)
    data = np.fromfile(path, dtype=np.uint8, offset=_HEADER_BYTES)
    sizes = (count * 8, (count + 1) * offset_bytes, count, text_bytes)
    if offset_bytes not in (4, 8) or len(data) != sum(sizes):
        raise StorageError(f"{path} is cut short")
    slots, offsets, codes, text = np.split(data, np.cumsum(sizes)[:-1])
    kind = "<u4" if offset_bytes == 4 else "<u8"
    return Keys(slots.view("<i8"), PackedIds(text, offsets.view(kind)), codes)


def _header(magic: bytes, *counts: int) -> bytes:
    return (magic + np.array(counts, dtype="<u8").tobytes()).ljust(_HEADER_BYTES, b"\0")


def _read_header(path: Path, magic: bytes) -> tuple[int, int, int]:
    with path.open("rb") as file:
        header = file.read(_HEADER_BYTES)
    if len(header) < _HEADER_BYTES or header[:8] != magic:
        raise StorageError(f"{path} is not such a file, or of another format version")
    first, second, third = np.frombuffer(header, dtype="<u8", count=3, offset=8).tolist()
    return first, second, third
