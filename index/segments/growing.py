"""The segment that takes writes."""

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from index.columns.table import Columns
from index.names import MODALITIES
from index.search.bounds import longest_row, remember_longest
from index.segments.ids import IdList
from index.segments.part import Part, Slots
from index.store.accept import Accepted
from index.types import SegmentState

_FIRST_ROWS = 1024


class GrowingSegment:
    """Rows in buffers that double. Readers hold slices, which later appends do not touch.

    One thread writes. `part` is what readers get.
    """

    def __init__(self, segment_id: int, dim: int, columns: Columns) -> None:
        self._rows = np.empty((0, dim), dtype=np.float32)
        self._slots = np.empty(0, dtype=np.int64)
        self._codes = np.empty(0, dtype=np.uint8)
        self._ids = IdList()
        self._longest = 0.0
        self.part = Part(
            segment_id,
            SegmentState.GROWING,
            self._rows,
            self._slots,
            self._codes,
            self._ids,
            columns,
        )

    @property
    def memory_bytes(self) -> int:
        """Memory of the buffers, their spare room included."""
        buffers = self._rows.nbytes + self._slots.nbytes + self._codes.nbytes
        return buffers + self._ids.nbytes + self.part.columns.memory_bytes

    def append(self, slots: Slots, points: Accepted) -> None:
        """Adds rows at the end."""
        start, end = len(self.part), len(self.part) + len(points)
        self._reserve(end)
        self._rows[start:end] = points.rows
        self._slots[start:end] = slots
        self._codes[start:end] = points.codes
        self._ids.extend(points.ids)
        # before the part is replaced: who reads the new part finds all its rows in the columns
        self.part.columns.append(points.objects, [MODALITIES[code] for code in points.codes])
        alive = self.part.alive
        self.part = replace(
            self.part,
            rows=self._rows[:end],
            slots=self._slots[:end],
            codes=self._codes[:end],
            alive=None if alive is None else np.pad(alive, (0, end - start), constant_values=True),
        )
        self._longest = max(self._longest, longest_row(points.rows))
        remember_longest(self.part.rows, self._longest)

    def _reserve(self, rows: int) -> None:
        capacity = len(self._slots)
        if rows <= capacity:
            return
        capacity = max(_FIRST_ROWS, 2 * capacity, rows)
        self._rows = _grown(self._rows, capacity)
        self._slots = _grown(self._slots, capacity)
        self._codes = _grown(self._codes, capacity)


def _grown(column: NDArray[Any], capacity: int) -> NDArray[Any]:
    fresh = np.empty((capacity, *column.shape[1:]), dtype=column.dtype)
    fresh[: len(column)] = column
    return fresh
