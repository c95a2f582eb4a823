"""fastText's own .bin: words, and rows of character n-grams that make words not seen.

Layout, little-endian: magic, version; twelve int32 and a double of arguments; the dictionary;
a flag "quantised"; the input matrix (words, then buckets) with its shape; the output matrix,
which is not read. gensim's reader does not end on a file that was cut off within a word, hence
this one; rows are the same.
"""

import mmap
import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from embedders.errors import ModelFormatError
from embedders.formats.opening import is_gzip, open_read
from embedders.formats.text import MAX_DIM
from embedders.subwords import Subwords
from embedders.vectors import FloatRows
from embedders.vocabulary import Vocabulary, check_finite

VERSION = 12
HEAD = struct.Struct("<2i12id")
SIZES = struct.Struct("<3i2q")
ENTRY = struct.Struct("<qb")
SHAPE = struct.Struct("<?2q")
MAX_WORD_BYTES = 65_536
# shorter than this no dictionary entry can be: an end of word, a count and a kind
MIN_ENTRY_BYTES = 1 + ENTRY.size


def read_fasttext(path: Path, limit: int = 0) -> Vocabulary:
    """Words in the order of the file, the most frequent first, with their counts and subwords.

    Args:
        limit: keep only so many words (0: all); words beyond are composed like unseen ones.

    Raises:
        ModelFormatError: quantised, supervised, pruned or damaged; says what and where.
        MissingExtraError: gensim is not installed.
    """
    with open_read(path) as file:
        if is_gzip(path):
            return _Reader(path, file.read()).read(limit)
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
            return _Reader(path, mapped).read(limit)


@dataclass(slots=True)
class _Reader:
    path: Path
    data: bytes | mmap.mmap
    position: int = 0

    def read(self, limit: int) -> Vocabulary:
        _, version, dim, *_, buckets, shortest, longest, _, _ = self._unpack(HEAD)
        if version != VERSION:
            raise self._damaged(f"version {version}, only {VERSION} is read")
        words, counts = self._dictionary()
        matrix = self._matrix(len(words), dim, buckets if longest else 0)
        kept = words[: limit or None]
        try:
            subwords = Subwords(matrix[len(words) :].copy(), shortest, longest)
            rows = subwords.complete(kept, matrix[: len(kept)])
            return Vocabulary(kept, rows, counts[: len(kept)], subwords=subwords)
        except ModelFormatError as error:
            raise ModelFormatError(f"{self.path}: {error}") from None

    def _dictionary(self) -> tuple[list[str], NDArray[np.int64]]:
        size, words, labels, _, pruned = self._unpack(SIZES)
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
        quantised, rows, columns = self._unpack(SHAPE)
        if quantised:
            raise self._damaged("a quantised model (.ftz); use the .bin that it was made from")
        fits = columns == dim and 0 < dim <= MAX_DIM and rows >= words
        # a model without n-grams has no use for its buckets, but may have them
        if not fits or (buckets and rows != words + buckets):
            raise self._damaged(f"a matrix {rows} x {columns} for {words} words of {dim} numbers")
        if 4 * rows * columns > len(self.data) - self.position:
            raise self._damaged(f"cut off: a matrix {rows} x {columns} does not fit in the rest")
        flat = np.frombuffer(self.data, "<f4", (words + buckets) * dim, self.position)
        matrix: FloatRows = flat.reshape(words + buckets, dim).astype(np.float32)
        check_finite(matrix)
        return matrix

    def _unpack(self, layout: struct.Struct) -> tuple[int, ...]:
        stop = self.position + layout.size
        if stop > len(self.data):
            raise self._damaged("cut off")
        found = layout.unpack(self.data[self.position : stop])
        self.position = stop
        return found

    def _damaged(self, what: str) -> ModelFormatError:
        return ModelFormatError(f"{self.path}: fastText model, byte {self.position}: {what}")
