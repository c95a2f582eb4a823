"""Rows of words from their letters: fastText's character n-grams.

Bojanowski, Grave, Joulin, Mikolov, "Enriching Word Vectors with Subword Information" (2017):
a word is put between "<" and ">", each of its n-grams is hashed to a bucket, and the word's row
is the mean of its buckets' rows (and of its own row, where the training saw it). gensim hashes.
"""

from collections.abc import Sequence

import numpy as np

from embedders.errors import MissingExtraError
from embedders.vectors import FloatRows, IndexArray

CHUNK_WORDS = 1024
# the end of a sentence is no word: fastText gives it no n-grams
END = "</s>"


class Subwords:
    """The buckets of a fastText model; safe in many threads.

    Args:
        rows: float32 (buckets, d).
        shortest: letters of the shortest n-gram.
        longest: letters of the longest; 0 is a model without n-grams.

    Raises:
        MissingExtraError: gensim is not installed.
    """

    def __init__(self, rows: FloatRows, shortest: int, longest: int) -> None:
        try:
            from gensim.models.fasttext import ft_ngram_hashes
        except ModuleNotFoundError as error:
            raise MissingExtraError("a fastText .bin model", "gensim", "words") from error
        self.rows, self.shortest, self.longest = rows, shortest, longest
        self._hashes = ft_ngram_hashes

    def buckets(self, word: str) -> list[int]:
        """The bucket of each n-gram of a word; none where it is too short."""
        if not len(self.rows) or word == END:
            return []
        found: list[int] = self._hashes(word, self.shortest, self.longest, len(self.rows))
        return found

    def compose(self, word: str) -> FloatRows | None:
        """The mean row of a word's n-grams, float32 (d,); None where it has none."""
        buckets = self.buckets(word)
        if not buckets:
            return None
        return np.asarray(self.rows[buckets].mean(axis=0, dtype=np.float64), dtype=np.float32)

    def complete(self, words: Sequence[str], own: FloatRows) -> FloatRows:
        """Rows of known words, float32 (n, d), each the mean of its own row and its n-grams'."""
        rows = np.empty_like(own)
        for start in range(0, len(words), CHUNK_WORDS):
            stop = min(start + CHUNK_WORDS, len(words))
            buckets = [self.buckets(word) for word in words[start:stop]]
            rows[start:stop] = self._means(buckets, own[start:stop])
        return rows

    def _means(self, buckets: Sequence[list[int]], own: FloatRows) -> FloatRows:
        sizes = np.array([len(found) for found in buckets], dtype=np.intp)
        sums = own.copy()
        flat: IndexArray = np.array([b for found in buckets for b in found], dtype=np.intp)
        if len(flat):
            # reduceat cannot give the sum of nothing
            some = sizes > 0
            starts = (np.cumsum(sizes) - sizes)[some]
            sums[some] += np.add.reduceat(self.rows[flat], starts, axis=0)
        return np.asarray(sums / (sizes[:, None] + 1), dtype=np.float32)
