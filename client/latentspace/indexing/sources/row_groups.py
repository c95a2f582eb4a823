"""Parquet in pieces: what is damaged costs its row group, what Python cannot hold its cell."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from latentspace.indexing.options import SourceError
from latentspace.indexing.records import BadRecord
from latentspace.indexing.sources.reasons import Reason

BATCH_ROWS, BATCH_BYTES = 1024, 8 << 20
#: what pyarrow raises where a file is damaged, or holds what it cannot read
UNREADABLE = (OSError, ValueError, TypeError, ArithmeticError, NotImplementedError, LookupError)


@dataclass(frozen=True, slots=True)
class BadRows:
    """Rows of a row group that cannot be read.

    Args:
        first, last: their numbers, from 1.
    """

    first: int
    last: int
    cause: str

    def record(self, file: str) -> BadRecord:
        """The rows as what failed."""
        place = f"{file}:{self.first}-{self.last}"
        return BadRecord(place, Reason.UNREADABLE, f"{self}")

    def __str__(self) -> str:
        return f"row {self.first}: damaged or cut off, up to row {self.last} ({self.cause})"


@dataclass(frozen=True, slots=True)
class BadCell:
    """Stands for a value that Python cannot hold, as a year beyond 9999."""

    message: str


def read_batches(file: Any, columns: list[str]) -> Iterator[tuple[int, Any] | BadRows]:
    """The record batches of a ParquetFile, each with the number of its first row, from 1."""
    size = batch_rows(file.metadata)
    first = 1
    for group in range(file.num_row_groups):
        row = first
        last = first + file.metadata.row_group(group).num_rows - 1
        try:
            for batch in file.iter_batches(
                size, row_groups=[group], columns=columns, use_threads=False
            ):
                yield row, batch
                row += batch.num_rows
        except UNREADABLE as error:
            yield BadRows(row, last, str(error))
        first = last + 1


def refuse_unread(file: str, unread: list[BadRows]) -> None:
    """Tells, at the end, that not all rows of a file were read.

    Raises:
        SourceError: names the first few.
    """
    if unread:
        raise SourceError(f"{file}: {'; '.join(map(str, unread[:5]))}")


def batch_rows(metadata: Any) -> int:
    """Rows of some megabytes, by the widest row group."""
    groups = [metadata.row_group(i) for i in range(metadata.num_row_groups)]
    widest = max((group.total_byte_size / max(1, group.num_rows) for group in groups), default=1)
    return max(1, min(BATCH_ROWS, int(BATCH_BYTES / max(1, widest))))


def values_of(column: Any) -> list[Any]:
    """Python's values of a column; a `BadCell` where there is none."""
    try:
        values: list[Any] = column.to_pylist()
        return values
    except UNREADABLE:
        return [_value(scalar) for scalar in column]


def vectors_of(column: Any) -> list[Any]:
    """Rows of a column of lists of numbers as float32, without an object a number."""
    sizes = [size or 0 for size in _sizes(column)]
    with np.errstate(over="ignore"):
        flat = column.flatten().to_numpy(zero_copy_only=False).astype(np.float32)
    rows: list[Any] = np.split(flat, np.cumsum(sizes)[:-1])
    return [row if there else None for row, there in zip(rows, column.is_valid(), strict=True)]


def _value(scalar: Any) -> Any:
    try:
        return scalar.as_py()
    except UNREADABLE as error:
        return BadCell(str(error))


def _sizes(column: Any) -> list[int | None]:
    width = getattr(column.type, "list_size", None)
    if width is None:
        lengths: list[int | None] = column.value_lengths().to_pylist()
        return lengths
    return [width if valid.as_py() else None for valid in column.is_valid()]
