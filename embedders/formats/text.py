"""Rows as text: word2vec's (a header "n d") and GloVe's (no header)."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import numpy as np

from embedders.errors import ModelFormatError
from embedders.formats.opening import open_read
from embedders.vectors import FloatRows
from embedders.vocabulary import Vocabulary

CHUNK_LINES = 4096
MAX_DIM = 65_536
LARGEST = float(np.finfo(np.float32).max)


def read_word2vec_text(path: Path, limit: int = 0) -> Vocabulary:
    """Header "n d", then a line "key x1 ... xd" for each key; fastText's .vec is the same.

    Args:
        limit: read only so many rows (0: all).

    Raises:
        ModelFormatError: naming the line.
    """
    with open_read(path) as file:
        count, dim = read_header(path, file.readline())
        wanted = min(count, limit) if limit else count
        reader = _RowReader(path, dim, first_line=2)
        reader.read(islice(file, wanted) if limit else file)
    if len(reader.keys) != wanted:
        raise ModelFormatError(
            f"{path}: the header says {count} rows, but {len(reader.keys)} were found: "
            "the file is cut off or its header is wrong"
        )
    return reader.vocabulary()


def read_glove_text(path: Path, limit: int = 0) -> Vocabulary:
    """A line "key x1 ... xd" for each key; d is that of the first line.

    Raises:
        ModelFormatError: naming the line.
    """
    with open_read(path) as file:
        first = file.readline()
        dim = len(first.split()) - 1
        if not 1 <= dim <= MAX_DIM:
            raise ModelFormatError(f"{path}: line 1: a key and numbers expected")
        reader = _RowReader(path, dim, first_line=1)
        rows = _chain(first, file)
        reader.read(islice(rows, limit) if limit else rows)
    return reader.vocabulary()


def read_header(path: Path, line: bytes) -> tuple[int, int]:
    """Rows and dimension from "n d".

    Raises:
        ModelFormatError: not two whole numbers in a sensible range.
    """
    try:
        count, dim = (int(part) for part in line.split())
    except ValueError:
        raise ModelFormatError(f"{path}: line 1: header 'rows dimension' expected") from None
    if count < 1 or not 1 <= dim <= MAX_DIM:
        raise ModelFormatError(f"{path}: line 1: {count} rows of dimension {dim}")
    return count, dim


def _chain(first: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    yield first
    yield from rest


@dataclass
class _RowReader:
    """Reads lines in chunks: one numpy call parses the numbers of some thousand lines."""

    path: Path
    dim: int
    first_line: int
    keys: list[str] = field(default_factory=list)
    chunks: list[FloatRows] = field(default_factory=list)
    seen: dict[str, int] = field(default_factory=dict)

    def vocabulary(self) -> Vocabulary:
        rows = self.chunks[0] if len(self.chunks) == 1 else np.concatenate(self.chunks)
        self.chunks.clear()
        return Vocabulary(self.keys, rows)

    def read(self, lines: Iterator[bytes]) -> None:
        start = self.first_line
        while chunk := list(islice(lines, CHUNK_LINES)):
            stripped = [line.strip(b" \t\r\n") for line in chunk]
            while stripped and not stripped[-1]:
                stripped.pop()
            if stripped:
                self.chunks.append(self._parse(stripped, start))
            if len(stripped) < len(chunk):
                self._expect_blank(lines, start + len(chunk))
            start += len(chunk)
        if not self.keys:
            raise ModelFormatError(f"{self.path}: no rows")

    def _parse(self, lines: list[bytes], start: int) -> FloatRows:
        numbers = [self._take_key(line, start + i) for i, line in enumerate(lines)]
        try:
            # `sep` makes this the text parser: the deprecated use of the name is another
            flat = np.fromstring(b" ".join(numbers).decode("latin-1"), dtype=np.float32, sep=" ")
        except ValueError:
            flat = np.empty(0, dtype=np.float32)
        if flat.size != len(lines) * self.dim or not np.isfinite(flat).all():
            self._blame(numbers, start)
        rows: FloatRows = flat.reshape(len(lines), self.dim)
        return rows

    def _take_key(self, line: bytes, number: int) -> bytes:
        """Notes the key of a line and returns its numbers."""
        # counting is quicker than splitting, and catches a row whose neighbour makes up for it
        if line.count(b" ") == self.dim:
            raw, _, numbers = line.partition(b" ")
        else:
            raw, numbers = self._split_odd(line, number)
        try:
            key = raw.decode("utf-8")
        except UnicodeDecodeError as error:
            raise self._damaged(number, f"the key is not UTF-8: {error.reason}") from None
        earlier = self.seen.setdefault(key, number)
        if earlier != number:
            raise self._damaged(number, f"key {key!r} was on line {earlier} already")
        self.keys.append(key)
        return numbers

    def _split_odd(self, line: bytes, number: int) -> tuple[bytes, bytes]:
        """Lines with tabs or doubled spaces, and keys with spaces (GloVe 840B has some)."""
        # a number at the end of the key means a row that is too long, not a strange key
        parts = line.rsplit(None, self.dim)
        inner = parts[0].rsplit(None, 1)[1:] if parts else []
        if len(parts) != self.dim + 1 or any(_is_number(part) for part in inner):
            found = len(line.split()) - 1
            raise self._damaged(number, f"{self.dim} numbers expected, {max(found, 0)} found")
        return parts[0], b" ".join(parts[1:])

    def _blame(self, numbers: list[bytes], start: int) -> None:
        for i, fields in enumerate(numbers):
            for part in fields.split():
                if not _is_number(part):
                    raise self._damaged(start + i, f"{part.decode('latin-1')!r} is not a number")
                if not abs(float(part)) <= LARGEST:
                    raise self._damaged(start + i, f"{part.decode()} is not a finite float32")
        raise self._damaged(start, f"numbers up to line {start + len(numbers)} do not add up")

    def _expect_blank(self, lines: Iterator[bytes], number: int) -> None:
        for offset, line in enumerate(lines):
            if line.strip():
                raise self._damaged(number + offset, "rows go on after an empty line")

    def _damaged(self, number: int, what: str) -> ModelFormatError:
        return ModelFormatError(f"{self.path}: line {number}: {what}")


def _is_number(part: bytes) -> bool:
    try:
        float(part)
    except ValueError:
        return False
    return b"_" not in part
