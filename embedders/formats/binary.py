"""The binary format of the word2vec tool: header "n d\\n", then key, space, d float32 each."""

import mmap
import re
from pathlib import Path

import numpy as np

from embedders.errors import ModelFormatError
from embedders.formats.opening import is_gzip, open_read
from embedders.formats.rows import RowCheck, sound_rows
from embedders.formats.text import read_header
from embedders.vectors import FloatRows
from embedders.vocabulary import Vocabulary

MAX_KEY_BYTES = 65_536
MAX_HEADER_BYTES = 64


def read_word2vec_binary(path: Path, limit: int = 0, check: RowCheck | None = None) -> Vocabulary:
    """Little-endian float32 rows; a line feed after each row (the original tool's) is optional.

    Args:
        limit: read only so many rows (0: all).
        check: what becomes of bad rows; None refuses them.

    Raises:
        ModelFormatError: naming row and byte (of the unpacked content).
    """
    check = check or RowCheck(path)
    with open_read(path) as file:
        if is_gzip(path):
            return _BinaryReader(path, file.read()).read(limit, check)
        # mapped: GoogleNews has 3.6 GB, and every row is copied once anyway
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
            return _BinaryReader(path, mapped).read(limit, check)


class _BinaryReader:
    def __init__(self, path: Path, data: bytes | mmap.mmap) -> None:
        self.path, self.data = path, data
        end = data.find(b"\n", 0, MAX_HEADER_BYTES) + 1
        self.count, self.dim = read_header(path, data[:end])
        self.start = end
        # before any memory is asked for: a header may claim whatever it likes
        least = self.count * (self.dim * 4 + 2)
        if least > len(data) - end + 1:
            raise ModelFormatError(
                f"{path}: cut off: the header says {self.count} rows of dimension {self.dim}, at "
                f"least {least} bytes, but only {len(data) - end} follow it"
            )

    def read(self, limit: int, check: RowCheck) -> Vocabulary:
        count = min(self.count, limit) if limit else self.count
        keys: list[str | None] = []
        starts: list[int] = []
        rows = np.empty((count, self.dim), dtype=np.float32)
        position = self.start
        for row in range(count):
            starts.append(position)
            position = self._read_row(row, position, keys, rows)
        if count == self.count and re.search(rb"\S", self.data[position : position + 64]):
            raise self._damaged(count, position, f"more bytes follow the {self.count} rows")
        kept = sound_rows(keys, rows, check, lambda row: f"row {row}, byte {starts[row]}")
        return Vocabulary.of_sound(keys, rows, kept, notes=check.notes())

    def _read_row(self, row: int, position: int, keys: list[str | None], rows: FloatRows) -> int:
        space = self.data.find(b" ", position, position + MAX_KEY_BYTES)
        if space < 0:
            raise self._damaged(row, position, "no end of the key found")
        stop = space + 1 + 4 * self.dim
        if stop > len(self.data):
            raise self._damaged(row, position, "cut off within a row")
        try:
            keys.append(self.data[position:space].lstrip(b"\n").decode("utf-8"))
        except UnicodeDecodeError:
            keys.append(None)
        rows[row] = np.frombuffer(self.data, "<f4", self.dim, space + 1)
        return stop

    def _damaged(self, row: int, position: int, what: str) -> ModelFormatError:
        return ModelFormatError(f"{self.path}: row {row}, byte {position}: {what}")
