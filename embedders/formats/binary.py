"""The binary format of the word2vec tool: header "n d\\n", then key, space, d float32 each."""

import mmap
import re
from pathlib import Path

import numpy as np

from embedders.errors import ModelFormatError
from embedders.formats.opening import is_gzip, open_read
from embedders.formats.text import read_header
from embedders.vectors import FloatRows
from embedders.vocabulary import Vocabulary

MAX_KEY_BYTES = 65_536
MAX_HEADER_BYTES = 64


def read_word2vec_binary(path: Path, limit: int = 0) -> Vocabulary:
    """Little-endian float32 rows; a line feed after each row (the original tool's) is optional.

    Args:
        limit: read only so many rows (0: all).

    Raises:
        ModelFormatError: naming row and byte (of the unpacked content).
    """
    with open_read(path) as file:
        if is_gzip(path):
            return _BinaryReader(path, file.read()).read(limit)
        # mapped: GoogleNews has 3.6 GB, and every row is copied once anyway
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
            return _BinaryReader(path, mapped).read(limit)


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

    def read(self, limit: int) -> Vocabulary:
        wanted = min(self.count, limit) if limit else self.count
        keys: list[str] = []
        rows = np.empty((wanted, self.dim), dtype=np.float32)
        position = self.start
        for row in range(wanted):
            position = self._read_row(row, position, keys, rows)
        if wanted == self.count and re.search(rb"\S", self.data[position : position + 64]):
            raise self._damaged(wanted, position, f"more bytes follow the {self.count} rows")
        self._check(keys, rows)
        return Vocabulary(keys, rows)

    def _read_row(self, row: int, position: int, keys: list[str], rows: FloatRows) -> int:
        space = self.data.find(b" ", position, position + MAX_KEY_BYTES)
        if space < 0:
            raise self._damaged(row, position, "no end of the key found")
        stop = space + 1 + 4 * self.dim
        if stop > len(self.data):
            raise self._damaged(row, position, "cut off within a row")
        try:
            keys.append(self.data[position:space].lstrip(b"\n").decode("utf-8"))
        except UnicodeDecodeError as error:
            raise self._damaged(row, position, f"the key is not UTF-8: {error.reason}") from None
        rows[row] = np.frombuffer(self.data, "<f4", self.dim, space + 1)
        return stop

    def _check(self, keys: list[str], rows: FloatRows) -> None:
        try:
            Vocabulary(keys, rows)
        except ModelFormatError as error:
            raise ModelFormatError(f"{self.path}: {error}") from None

    def _damaged(self, row: int, position: int, what: str) -> ModelFormatError:
        return ModelFormatError(f"{self.path}: row {row}, byte {position}: {what}")
