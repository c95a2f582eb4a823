"""fastText's own .bin: words, and rows of character n-grams that make words not seen.

Layout, little-endian: magic, version; twelve int32 and a double of arguments; the dictionary;
a flag "quantised"; the input matrix (words, then buckets) with its shape; the output matrix,
which is not read. Versions 11 and 12 are alike; the files before them begin with the arguments,
and have neither the count of pruned entries nor the flag. gensim's reader does not end on a file
that was cut off within a word, hence this one; rows are the same.
"""

import mmap
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from embedders.errors import ModelFormatError
from embedders.formats.opening import is_gzip, open_read
from embedders.formats.rows import RowCheck, sound_rows
from embedders.formats.text import MAX_DIM
from embedders.subwords import Subwords
from embedders.vectors import FloatRows
from embedders.vocabulary import Vocabulary, check_finite

MAGIC = b"\xba\x16\x4f\x2f"
VERSIONS = (11, 12)
START = struct.Struct("<4si")
HEAD = struct.Struct("<12id")
SIZES = struct.Struct("<3iq")
PRUNED = struct.Struct("<q")
ENTRY = struct.Struct("<qb")
FLAG = struct.Struct("<?")
SHAPE = struct.Struct("<2q")
LOSSES, KINDS = range(1, 5), range(1, 4)
MAX_LETTERS = 1000
MAX_WORD_BYTES = 65_536
# shorter than this no dictionary entry can be: an end of word, a count and a kind
MIN_ENTRY_BYTES = 1 + ENTRY.size


def read_fasttext(path: Path, limit: int = 0, check: RowCheck | None = None) -> Vocabulary:
    """Words in the order of the file, the most frequent first, with their counts and subwords.

    Args:
        limit: keep only so many words (0: all); words beyond are composed like unseen ones.
        check: what becomes of bad rows; None refuses them.

    Raises:
        ModelFormatError: quantised, supervised, pruned or damaged; says what and where.
        MissingExtraError: gensim is not installed.
    """
    check = check or RowCheck(path)
    with open_read(path) as file:
        if is_gzip(path):
            return _Reader(path, file.read()).read(limit, check)
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
            return _Reader(path, mapped).read(limit, check)


def begins_like_fasttext(head: bytes) -> bool:
    """Whether a file begins as fastText's do; the oldest have no mark, but sensible arguments."""
    if head.startswith(MAGIC):
        return True
    if len(head) < HEAD.size:
        return False
    dim, window, *_, loss, kind, buckets, shortest, longest, _, thinning = HEAD.unpack_from(head)
    return (
        0 < dim <= MAX_DIM
        and window >= 0
        and loss in LOSSES
        and kind in KINDS
        and buckets >= 0
        and 0 <= shortest <= MAX_LETTERS
        and 0 <= longest <= MAX_LETTERS
        and 0 <= thinning <= 1
    )


@dataclass(slots=True)
class _Reader:
    path: Path
    data: bytes | mmap.mmap
    position: int = 0
    marked: bool = True

    def read(self, limit: int, check: RowCheck) -> Vocabulary:
        self._start()
        dim, *_, buckets, shortest, longest, _, _ = self._unpack(HEAD)
        words, counts = self._dictionary()
        matrix = self._matrix(len(words), dim, buckets if longest else 0)
        buckets_rows = matrix[len(words) :].copy()
        check_finite(buckets_rows)
        words, counts = words[: limit or None], counts[: limit or None]
        own = matrix[: len(words)]
        kept = sound_rows(words, own, check)
        subwords = Subwords(buckets_rows, shortest, longest)
        try:
            whole = Vocabulary.of_sound(words, own, kept, counts, notes=check.notes())
            rows = subwords.complete(whole.keys, whole.vectors)
            return Vocabulary(whole.keys, rows, whole.counts, subwords=subwords, notes=whole.notes)
        except ModelFormatError as error:
            raise ModelFormatError(f"{self.path}: {error}") from None

    def _start(self) -> None:
        self.marked = self.data[: len(MAGIC)] == MAGIC
        if not self.marked:
            return
        _, version = self._unpack(START)
        if version not in VERSIONS:
            known = " and ".join(map(str, VERSIONS))
            raise self._damaged(f"version {version}; {known} are read, and files without one")

    def _dictionary(self) -> tuple[list[str], NDArray[np.int64]]:
        size, words, labels, _ = self._unpack(SIZES)
        pruned = self._unpack(PRUNED)[0] if self.marked else 0
        if labels > 0:
            raise self._damaged("a supervised model; only word vectors are read")
        if pruned > 0:
            raise self._damaged("a pruned model; use the one that it was made from")
        if size != words or not 0 < size <= len(self.data) // MIN_ENTRY_BYTES:
            raise self._damaged(f"{size} entries, {words} of them words")
        found = [self._word() for _ in range(size)]
        return [word for word, _ in found], np.array([count for _, count in found], np.int64)

    def _word(self) -> tuple[str, int]:
        end = self.data.find(b"\0", self.position, self.position + MAX_WORD_BYTES)
        if end < 0:
            raise self._damaged("no end of a word found")
        # fastText cuts long words without regard to letters; gensim reads them like this
        word = self.data[self.position : end].decode("utf-8", "backslashreplace")
        self.position = end + 1
        return word, self._unpack(ENTRY)[0]

    def _matrix(self, words: int, dim: int, buckets: int) -> FloatRows:
        quantised = self.marked and self._unpack(FLAG)[0]
        rows, columns = self._unpack(SHAPE)
        if quantised:
            raise self._damaged("a quantised model (.ftz); use the .bin that it was made from")
        fits = columns == dim and 0 < dim <= MAX_DIM and rows >= words
        # a model without n-grams has no use for its buckets, but may have them
        if not fits or (buckets and rows != words + buckets):
            raise self._damaged(f"a matrix {rows} x {columns} for {words} words of {dim} numbers")
        if 4 * rows * columns > len(self.data) - self.position:
            raise self._damaged(f"cut off: a matrix {rows} x {columns} does not fit in the rest")
        flat = np.frombuffer(self.data, "<f4", (words + buckets) * dim, self.position)
        return flat.reshape(words + buckets, dim).astype(np.float32)

    def _unpack(self, layout: struct.Struct) -> tuple[Any, ...]:
        stop = self.position + layout.size
        if stop > len(self.data):
            raise self._damaged("cut off")
        found = layout.unpack(self.data[self.position : stop])
        self.position = stop
        return found

    def _damaged(self, what: str) -> ModelFormatError:
        return ModelFormatError(f"{self.path}: fastText model, byte {self.position}: {what}")
