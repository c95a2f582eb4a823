"""One payload field of a segment: values by row, and a sorted index made when it is first read.

A sorted index answers every test as a union of value intervals, at the cost of what it finds.
Rows written or changed since it was sorted are tested one by one, and once they are many it is
sorted anew.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from index.columns.selection import Selection

Array = NDArray[Any]
#: Disjoint intervals, both ends included, ascending: lows (i,), highs (i,)
Intervals = tuple[Array, Array]

_FRESH_ROWS = 4096
_LOG_ROWS = 1 << 20
# where more than one row in this many is found, comparing all of them in order is quicker
_DENSE = 16


class Growing:
    """An array that grows by doubling; what was written before `size` stays readable."""

    def __init__(self, initial: Array) -> None:
        self._buffer, self.size = initial, len(initial)

    def extend(self, values: Array) -> None:
        """Appends."""
        end = self.size + len(values)
        if end > len(self._buffer):
            buffer = np.empty(max(end, 2 * self.size, 64), dtype=self._buffer.dtype)
            buffer[: self.size] = self._buffer[: self.size]
            self._buffer = buffer
        self._buffer[self.size : end] = values
        self.size = end

    def __setitem__(self, position: int, value: object) -> None:
        self._buffer[position] = value

    @property
    def view(self) -> Array:
        """All values."""
        return self._buffer[: self.size]


@dataclass(frozen=True, slots=True)
class SortedIndex:
    """Entries by value: `rows` are the positions of `values`; made of the first `covered` rows."""

    values: Array
    rows: NDArray[np.int32]
    covered: int
    log: list[int]
    log_start: int

    def ranges(self, intervals: Intervals) -> tuple[Array, Array]:
        """First and past-the-end entry of each interval."""
        lows, highs = intervals
        return np.searchsorted(self.values, lows), np.searchsorted(self.values, highs, "right")

    def changed(self) -> list[int]:
        """Rows whose value changed since."""
        return self.log[self.log_start :]

    def outgrown(self, rows: int) -> bool:
        """Whether so many rows are new or changed that sorting anew is cheaper."""
        changed, tail = len(self.log) - self.log_start, rows - self.covered
        return changed > _FRESH_ROWS + self.covered // 64 or tail > _FRESH_ROWS + self.covered // 8


class Column(ABC):
    """Values of one field. One writer at a time; readers see its last complete write."""

    def __init__(self, present: Array) -> None:
        self.present = Growing(present)
        self._log: list[int] = []
        self._index: SortedIndex | None = None

    def estimate(self, intervals: Intervals, rows: int) -> int:
        """At most so many of the first `rows` rows hold a value in the intervals (about)."""
        index = self._sorted(rows)
        first, last = index.ranges(intervals)
        return int((last - first).sum()) + len(index.changed()) + max(0, rows - index.covered)

    def select(self, intervals: Intervals, rows: int) -> Selection:
        """Rows, of the first `rows`, that hold a value in the intervals."""
        index = self._sorted(rows)
        spans = zip(*(ends.tolist() for ends in index.ranges(intervals)), strict=True)
        found = [index.rows[first:last] for first, last in spans if last > first]
        positions = np.concatenate(found) if found else np.empty(0, dtype=np.int32)
        if index.covered > rows:
            positions = positions[positions < rows]
        fresh = self._fresh(index, rows)
        if len(fresh):
            positions = positions[~np.isin(positions, fresh)]
            positions = np.concatenate([positions, fresh[self.test(intervals, fresh)]])
        return Selection.of(rows, positions, distinct=self.single)

    def exists(self, rows: int) -> Selection:
        """Rows, of the first `rows`, that have the field."""
        return Selection(rows, mask=self.present.view[:rows].copy())

    def update(self, position: int, value: Any) -> None:
        """Changes the value of a row; None takes it away."""
        self._put(position, value)
        if len(self._log) >= _LOG_ROWS:
            self._log = []
        self._log.append(position)

    single = True

    @abstractmethod
    def append(self, values: Iterable[Any]) -> None:
        """Adds rows; None where the field is absent."""

    @abstractmethod
    def test(self, intervals: Intervals, positions: Array) -> NDArray[np.bool_]:
        """Whether each row holds a value in the intervals."""

    @abstractmethod
    def arrays(self) -> dict[str, Array]:
        """What to save."""

    @property
    def memory_bytes(self) -> int:
        """Bytes held, estimated."""
        index = self._index
        held = sum(array.nbytes for array in self.arrays().values())
        return held + (index.values.nbytes + index.rows.nbytes if index else 0)

    @abstractmethod
    def _put(self, position: int, value: Any) -> None: ...

    @abstractmethod
    def _entries(self, rows: int) -> tuple[Array, NDArray[np.int32]]:
        """Values of the first `rows` rows, and the row of each."""

    def _sorted(self, rows: int) -> SortedIndex:
        index = self._index
        if index is not None and index.log is self._log and not index.outgrown(rows):
            return index
        # the place in the log is read first: a change that comes meanwhile is tested by itself
        log = self._log
        log_start = len(log)
        values, owners = self._entries(rows)
        order = np.argsort(values, kind="stable")
        index = SortedIndex(values[order], owners[order], rows, log, log_start)
        self._index = index
        return index

    def _fresh(self, index: SortedIndex, rows: int) -> NDArray[np.int64]:
        tail = np.arange(index.covered, rows)
        changed = [row for row in set(index.changed()) if row < min(rows, index.covered)]
        return np.concatenate([np.array(changed, dtype=np.int64), tail]) if changed else tail


def within(values: Array, intervals: Intervals) -> NDArray[np.bool_]:
    """Whether each value lies in one of the intervals."""
    lows, highs = intervals
    if not len(lows):
        return np.zeros(values.shape, dtype=np.bool_)
    if len(lows) == 1:
        hit: NDArray[np.bool_] = (values >= lows[0]) & (values <= highs[0])
        return hit
    place = np.searchsorted(lows, values, "right") - 1
    inside: NDArray[np.bool_] = (place >= 0) & (values <= highs[place])
    return inside


class ScalarColumn(Column):
    """At most one value a row."""

    def __init__(self, values: Array, present: Array) -> None:
        super().__init__(present)
        self.values = Growing(values)

    def append(self, values: Iterable[Any]) -> None:
        """See `Column.append`."""
        given = list(values)
        present = np.array([value is not None for value in given], dtype=np.bool_)
        dtype = self.values.view.dtype
        numbers = np.array([0 if value is None else value for value in given], dtype=dtype)
        self.values.extend(numbers)
        self.present.extend(present)

    def select(self, intervals: Intervals, rows: int) -> Selection:
        """See `Column.select`."""
        if len(intervals[0]) == 1 and self.estimate(intervals, rows) * _DENSE > rows:
            hit = within(self.values.view[:rows], intervals)
            return Selection(rows, mask=hit & self.present.view[:rows])
        return super().select(intervals, rows)

    def test(self, intervals: Intervals, positions: Array) -> NDArray[np.bool_]:
        """See `Column.test`."""
        hit = within(self.values.view[positions], intervals)
        hit &= self.present.view[positions]
        return hit

    def arrays(self) -> dict[str, Array]:
        """See `Column.arrays`."""
        return {"values": self.values.view, "present": self.present.view}

    def _put(self, position: int, value: Any) -> None:
        if value is not None:
            self.values[position] = value
        self.present[position] = value is not None

    def _entries(self, rows: int) -> tuple[Array, NDArray[np.int32]]:
        owners = np.flatnonzero(self.present.view[:rows]).astype(np.int32)
        return self.values.view[owners], owners


class ListColumn(Column):
    """Any number of codes a row, flat; a changed row's old codes stay behind unread."""

    single = False

    def __init__(self, codes: Array, starts: Array, lengths: Array, present: Array) -> None:
        super().__init__(present)
        self.codes, self.starts, self.lengths = Growing(codes), Growing(starts), Growing(lengths)

    def append(self, values: Iterable[Any]) -> None:
        """See `Column.append`."""
        given = list(values)
        lengths = np.array([len(codes or ()) for codes in given], dtype=np.int32)
        flat = [code for codes in given for code in codes or ()]
        self.starts.extend(self.codes.size + np.cumsum(lengths) - lengths)
        self.codes.extend(np.array(flat, dtype=np.int32))
        self.lengths.extend(lengths)
        self.present.extend(np.array([codes is not None for codes in given], dtype=np.bool_))

    def test(self, intervals: Intervals, positions: Array) -> NDArray[np.bool_]:
        """See `Column.test`."""
        places, owners = self._places(positions)
        hit = owners[within(self.codes.view[places], intervals)]
        return np.bincount(hit, minlength=len(positions)) > 0

    def arrays(self) -> dict[str, Array]:
        """See `Column.arrays`; codes left behind by changes are not among them."""
        places, _ = self._places(np.arange(self.present.size))
        lengths = self.lengths.view
        return {
            "codes": self.codes.view[places],
            "starts": np.cumsum(lengths, dtype=np.int64) - lengths,
            "lengths": lengths,
            "present": self.present.view,
        }

    def _put(self, position: int, value: Any) -> None:
        codes = np.array(value or (), dtype=np.int32)
        start = self.codes.size
        self.codes.extend(codes)
        self.starts[position] = start
        self.lengths[position] = len(codes)
        self.present[position] = value is not None

    def _places(self, positions: Array) -> tuple[Array, Array]:
        starts, lengths = self.starts.view[positions], self.lengths.view[positions]
        owners = np.repeat(np.arange(len(positions)), lengths)
        within_row = np.arange(len(owners)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        return np.repeat(starts, lengths) + within_row, owners

    def _entries(self, rows: int) -> tuple[Array, NDArray[np.int32]]:
        places, owners = self._places(np.arange(rows))
        return self.codes.view[places], owners.astype(np.int32)
