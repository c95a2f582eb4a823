"""Rows as text: word2vec's (a header "n d") and GloVe's (no header)."""

from codecs import BOM_UTF8
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain, islice
from pathlib import Path

import numpy as np

from embedders.errors import ModelFormatError
from embedders.formats.opening import open_read
from embedders.formats.rows import Fault, RowCheck
from embedders.vectors import FloatRows
from embedders.vocabulary import Vocabulary

CHUNK_LINES = 4096
HEAD_LINES = 1000
MAX_DIM = 65_536
LARGEST = float(np.finfo(np.float32).max)


def read_word2vec_text(path: Path, limit: int = 0, check: RowCheck | None = None) -> Vocabulary:
    """Header "n d", then a line "key x1 ... xd" for each key; fastText's .vec is the same.

    Args:
        limit: read only so many rows (0: all).
        check: what becomes of bad rows; None refuses them.

    Raises:
        ModelFormatError: naming the line.
    """
    with open_read(path) as file:
        count, dim = read_header(path, file.readline().removeprefix(BOM_UTF8))
        reader = _RowReader(check or RowCheck(path), dim, first_line=2)
        expected = min(count, limit) if limit else count
        reader.read(islice(file, expected) if limit else file)
    if len(reader.keys) + reader.check.rows != expected:
        raise ModelFormatError(
            f"{path}: the header says {count} rows, but {len(reader.keys)} were found: "
            "the file is cut off or its header is wrong"
        )
    return reader.vocabulary()


def read_glove_text(path: Path, limit: int = 0, check: RowCheck | None = None) -> Vocabulary:
    """A line "key x1 ... xd" for each key; d is that of most lines at the beginning.

    Raises:
        ModelFormatError: naming the line.
    """
    with open_read(path) as file:
        head = list(islice(file, HEAD_LINES))
        head[:1] = [head[0].removeprefix(BOM_UTF8)] if head else []
        lengths = Counter(len(line.split()) - 1 for line in head if line.strip())
        dim = lengths.most_common(1)[0][0] if lengths else 0
        if not 1 <= dim <= MAX_DIM:
            raise ModelFormatError(f"{path}: line 1: a key and numbers expected")
        reader = _RowReader(check or RowCheck(path), dim, first_line=1)
        rows = chain(head, file)
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


@dataclass
class _RowReader:
    """Reads lines in chunks: one numpy call parses the numbers of some thousand lines."""

    check: RowCheck
    dim: int
    first_line: int
    keys: list[str] = field(default_factory=list)
    chunks: list[FloatRows] = field(default_factory=list)
    seen: dict[str, int] = field(default_factory=dict)

    def vocabulary(self) -> Vocabulary:
        rows = self.chunks[0] if len(self.chunks) == 1 else np.concatenate(self.chunks)
        self.chunks.clear()
        return Vocabulary(self.keys, rows, notes=self.check.notes())

    def read(self, lines: Iterator[bytes]) -> None:
        start, blank = self.first_line, 0
        while chunk := list(islice(lines, CHUNK_LINES)):
            stripped = [line.rstrip(b" \t\r\n") for line in chunk]
            while stripped and not stripped[-1]:
                stripped.pop()
            if stripped and blank:
                self._note_blank(start - blank, blank)
            blank = len(chunk) - len(stripped) + (0 if stripped else blank)
            if stripped:
                self.chunks.append(self._parse(stripped, start))
            start += len(chunk)
        if not self.keys:
            why = f": {'; '.join(self.check.notes())}" if self.check.counts else ""
            raise ModelFormatError(f"{self.check.path}: no rows{why}")

    def _parse(self, lines: list[bytes], start: int) -> FloatRows:
        first_key = len(self.keys)
        split = [(number, self._take_key(line, number)) for number, line in enumerate(lines, start)]
        rows = [(number, text) for number, text in split if text is not None]
        parsed = self._numbers([text for _, text in rows])
        if parsed is not None:
            return parsed
        # slowly: one line at least is wrong
        keys = self.keys[first_key:]
        del self.keys[first_key:]
        kept = []
        for key, (number, text) in zip(keys, rows, strict=True):
            fault = _number_fault(text)
            if fault:
                self.check.fault(Fault.NUMBERS, f"line {number}", fault)
                del self.seen[key]
            else:
                self.keys.append(key)
                kept.append(text)
        parsed = self._numbers(kept)
        if parsed is None:
            raise self._damaged(start, f"numbers up to line {start + len(lines)} do not add up")
        return parsed

    def _numbers(self, texts: list[bytes]) -> FloatRows | None:
        """The numbers of lines, float32 (n, dim); None where one of them is not right."""
        try:
            # `sep` makes this the text parser: the deprecated use of the name is another
            flat = np.fromstring(b" ".join(texts).decode("latin-1"), dtype=np.float32, sep=" ")
        except ValueError:
            return None
        if flat.size != len(texts) * self.dim or not np.isfinite(flat).all():
            return None
        return flat.reshape(len(texts), self.dim)

    def _take_key(self, line: bytes, number: int) -> bytes | None:
        """Notes the key of a line and returns its numbers; None of a line that is passed over."""
        # counting is quicker than splitting, and catches a row whose neighbour makes up for it
        if line.count(b" ") == self.dim:
            raw, _, numbers = line.partition(b" ")
        else:
            found = self._split_odd(line, number)
            if found is None:
                return None
            raw, numbers = found
        if not raw:
            self._pass(Fault.NO_KEY, number, "there is no key before the numbers")
            return None
        try:
            key = raw.decode("utf-8")
        except UnicodeDecodeError as error:
            self._pass(Fault.UNDECODABLE, number, f"the key is not UTF-8: {error.reason}")
            return None
        earlier = self.seen.setdefault(key, number)
        if earlier != number:
            what = f"key {key!r} was on line {earlier} already"
            self._pass(Fault.REPEATED, number, what)
            return None
        self.keys.append(key)
        return numbers

    def _split_odd(self, line: bytes, number: int) -> tuple[bytes, bytes] | None:
        """Lines with tabs or doubled spaces, and keys with spaces (GloVe 840B has some)."""
        if not line:
            self._note_blank(number, 1)
            return None
        parts = line.rsplit(None, self.dim)
        if len(parts) == self.dim and line[:1] in (b" ", b"\t"):
            return b"", b" ".join(parts)
        # a number at the end of the key means a row that is too long, not a strange key
        inner = parts[0].rsplit(None, 1)[1:] if parts else []
        if len(parts) != self.dim + 1 or any(_is_number(part) for part in inner):
            found = max(len(line.split()) - 1, 0)
            what = f"{self.dim} numbers expected, {found} found"
            self._pass(Fault.NUMBERS, number, what)
            return None
        return parts[0].strip(b" \t"), b" ".join(parts[1:])

    def _note_blank(self, number: int, count: int) -> None:
        for line in range(number, number + count):
            self.check.fault(Fault.BLANK, f"line {line}", "a blank line between rows")

    def _pass(self, kind: Fault, number: int, what: str) -> None:
        self.check.fault(kind, f"line {number}", what)

    def _damaged(self, number: int, what: str) -> ModelFormatError:
        return ModelFormatError(f"{self.check.path}: line {number}: {what}")


def _number_fault(text: bytes) -> str:
    """What is wrong with the numbers of a line; "" of right ones."""
    for part in text.split():
        if not _is_number(part):
            return f"{part.decode('latin-1')!r} is not a number"
        if not abs(float(part)) <= LARGEST:
            return f"{part.decode()} is not a finite float32"
    return ""


def _is_number(part: bytes) -> bool:
    try:
        float(part)
    except ValueError:
        return False
    return b"_" not in part
