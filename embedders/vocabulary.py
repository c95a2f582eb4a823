"""Keys and their vectors: what a lookup model knows."""

import hashlib
from collections.abc import Mapping, Sequence
from functools import cached_property
from threading import Lock
from typing import cast

import numpy as np
from numpy.typing import NDArray

from embedders.errors import ModelFormatError, UnknownKeyError
from embedders.spelling import SpellingIndex
from embedders.subwords import Subwords
from embedders.vectors import FloatRows, IndexArray

HASH_ROWS = 16_384


class Vocabulary:
    """Keys in order (the most frequent first, where that is known) and a row for each.

    Args:
        keys: distinct, not empty, without line feeds.
        vectors: float32 (n, d), finite.
        counts: int64 (n,), occurrences of each key; None where not known.
        metadata: what its file tells about its making.
        subwords: makes rows of words that are not among the keys, where the model can.
        notes: what the user should know of the file, such as rows that were passed over.

    Raises:
        ModelFormatError: keys and rows do not fit each other, or a key is not acceptable.
    """

    def __init__(
        self,
        keys: Sequence[str],
        vectors: FloatRows,
        counts: NDArray[np.int64] | None = None,
        metadata: Mapping[str, str] | None = None,
        subwords: Subwords | None = None,
        notes: Sequence[str] = (),
    ) -> None:
        self.keys = list(keys)
        self.vectors = np.ascontiguousarray(vectors, dtype=np.float32)
        # rows are handed out without copying
        self.vectors.flags.writeable = False
        self.counts = counts
        self.metadata = dict(metadata or {})
        self.subwords = subwords
        self.notes = tuple(notes)
        self._positions = {key: position for position, key in enumerate(self.keys)}
        self._lock = Lock()
        self._check()

    @classmethod
    def of_sound(
        cls,
        keys: Sequence[str | None],
        vectors: FloatRows,
        kept: IndexArray | None,
        counts: NDArray[np.int64] | None = None,
        metadata: Mapping[str, str] | None = None,
        notes: Sequence[str] = (),
    ) -> "Vocabulary":
        """The vocabulary of some of the rows; `kept` None is all of them.

        Args:
            keys: None only where the row is not kept.
            kept: positions of the rows, intp (m,).

        Raises:
            ModelFormatError: none is kept.
        """
        if kept is None:
            return cls(cast("Sequence[str]", keys), vectors, counts, metadata, notes=notes)
        if not len(kept):
            raise ModelFormatError(f"no row can be used: {'; '.join(notes)}")
        chosen = [cast("str", keys[position]) for position in kept]
        counts = None if counts is None else counts[kept]
        return cls(chosen, vectors[kept], counts, metadata, notes=notes)

    def __len__(self) -> int:
        return len(self.keys)

    def __contains__(self, key: str) -> bool:
        return key in self._positions

    @property
    def dim(self) -> int:
        """Numbers a row."""
        return int(self.vectors.shape[1])

    @property
    def nbytes(self) -> int:
        """Bytes of all rows."""
        return self.vectors.nbytes + (0 if self.subwords is None else self.subwords.rows.nbytes)

    @cached_property
    def revision(self) -> str:
        """SHA-256 of keys (joined by line feeds) and float32 little-endian rows.

        The same vectors have the same revision in whatever file format they came.
        """
        digest = hashlib.sha256("\n".join(self.keys).encode())
        digest.update(np.array(self.vectors.shape, dtype="<u8").tobytes())
        for start in range(0, len(self), HASH_ROWS):
            digest.update(self.vectors[start : start + HASH_ROWS].astype("<f4", copy=False).data)
        return digest.hexdigest()

    def position(self, key: str) -> int:
        """Row of a key.

        Raises:
            UnknownKeyError: with close spellings.
        """
        found = self._positions.get(key)
        if found is None:
            raise UnknownKeyError(key, self.suggest(key))
        return found

    def positions(self, keys: Sequence[str]) -> IndexArray:
        """Rows of keys, intp (len(keys),).

        Raises:
            UnknownKeyError: for the first that is not known.
        """
        return np.array([self.position(key) for key in keys], dtype=np.intp)

    def vector(self, key: str) -> FloatRows:
        """The row of a key, float32 (d,), read-only.

        Raises:
            UnknownKeyError
        """
        row: FloatRows = self.vectors[self.position(key)]
        return row

    def rows(self, keys: Sequence[str]) -> FloatRows:
        """The rows of keys, float32 (len(keys), d).

        Raises:
            UnknownKeyError
        """
        return self.vectors[self.positions(keys)]

    def suggest(self, key: str, n: int = 3) -> list[str]:
        """At most n keys that are spelt like this one, best first."""
        # built when first needed: most vocabularies are never asked a wrong key
        with self._lock:
            index = self._spelling
        return index.suggest(key, n)

    @cached_property
    def _spelling(self) -> SpellingIndex:
        return SpellingIndex(self.keys)

    def _check(self) -> None:
        if self.vectors.ndim != 2 or len(self.vectors) != len(self.keys) or not self.keys:
            raise ModelFormatError(f"{len(self.keys)} keys, but vectors {self.vectors.shape}")
        if self.dim == 0:
            raise ModelFormatError("vectors have no dimensions")
        if self.counts is not None and self.counts.shape != (len(self.keys),):
            raise ModelFormatError(f"{len(self.keys)} keys, but {self.counts.shape} counts")
        if len(self._positions) < len(self.keys):
            raise ModelFormatError(_first_duplicate(self.keys))
        for position, key in enumerate(self.keys):
            if not key or "\n" in key:
                raise ModelFormatError(f"key {position} is empty or has a line feed: {key!r}")
        check_finite(self.vectors)


def check_finite(rows: FloatRows) -> None:
    """Refuses NaN and infinite numbers.

    Raises:
        ModelFormatError: naming the first row that has one.
    """
    # in blocks: the mask of a large matrix would take a quarter of its memory again
    for start in range(0, len(rows), HASH_ROWS):
        finite = np.isfinite(rows[start : start + HASH_ROWS]).all(axis=1)
        if not finite.all():
            raise ModelFormatError(f"row {start + int(finite.argmin())} has NaN or infinity")


def _first_duplicate(keys: Sequence[str]) -> str:
    seen: dict[str, int] = {}
    for position, key in enumerate(keys):
        if key in seen:
            return f"key {key!r} stands in row {seen[key]} and again in row {position}"
        seen[key] = position
    return "no duplicate"
