"""The rows of a segment that pass a filter, as positions or as a mask, whichever is at hand."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Positions = NDArray[np.int64]
Mask = NDArray[np.bool_]

# fewer than one row in this many: positions; else a mask
_SPARSE = 32


class Selection:
    """Some of `rows` rows. Immutable to its users; do not write to its arrays."""

    __slots__ = ("_mask", "_positions", "count", "rows")

    def __init__(
        self, rows: int, positions: Positions | None = None, mask: Mask | None = None
    ) -> None:
        self.rows, self._positions, self._mask = rows, positions, mask
        if positions is not None:
            self.count = len(positions)
        else:
            self.count = rows if mask is None else int(np.count_nonzero(mask))

    @classmethod
    def all(cls, rows: int) -> "Selection":
        """Every row."""
        return cls(rows)

    @classmethod
    def of(cls, rows: int, positions: NDArray[np.integer], *, distinct: bool = True) -> "Selection":
        """From positions in any order; `distinct` False says that some may come twice."""
        if len(positions) * _SPARSE >= rows:
            mask = np.zeros(rows, dtype=np.bool_)
            mask[positions] = True
            return cls(rows, mask=mask)
        ascending = np.sort(positions) if distinct else np.unique(positions)
        return cls(rows, ascending.astype(np.int64, copy=False))

    def positions(self) -> Positions:
        """Ascending positions, int64 (count,)."""
        if self._positions is None:
            mask = self._mask
            self._positions = np.arange(self.rows) if mask is None else np.flatnonzero(mask)
        return self._positions

    def mask(self) -> Mask:
        """True where selected, bool (rows,)."""
        if self._mask is None:
            everything = self._positions is None
            mask = np.full(self.rows, everything, dtype=np.bool_)
            if not everything:
                mask[self._positions] = True
            self._mask = mask
        return self._mask

    @property
    def sparse(self) -> bool:
        """Whether so few rows are selected that positions are the cheaper form."""
        return self.count * _SPARSE < self.rows

    def complement(self) -> "Selection":
        """The other rows."""
        return Selection(self.rows, mask=~self.mask())

    def both(self, other: "Selection") -> "Selection":
        """Rows of this one and of the other."""
        if self.sparse or other.sparse:
            few, many = (self, other) if self.count <= other.count else (other, self)
            return Selection(self.rows, few.positions()[many.mask()[few.positions()]])
        return Selection(self.rows, mask=self.mask() & other.mask())

    @classmethod
    def union(cls, rows: int, parts: Sequence["Selection"]) -> "Selection":
        """Rows of any part."""
        if sum(part.count for part in parts) * _SPARSE < rows:
            found = [part.positions() for part in parts] or [np.empty(0, dtype=np.int64)]
            return cls(rows, np.unique(np.concatenate(found)))
        mask = np.zeros(rows, dtype=np.bool_)
        for part in parts:
            if part.sparse:
                mask[part.positions()] = True
            else:
                mask |= part.mask()
        return cls(rows, mask=mask)
