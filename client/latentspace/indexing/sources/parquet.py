"""Parquet files, read a few rows at a time; needs pyarrow (extra `arrow`).

A page is the least that can be read: pyarrow writes up to 1024 rows into one, so that files of
large images are best written with row groups of some hundred rows.
"""

from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from latentspace.indexing.options import SourceError
from latentspace.indexing.records import BadRecord, Record, Source
from latentspace.indexing.sources.mapping import Columns, Layout

BATCH_ROWS, BATCH_BYTES = 1024, 8 << 20
# columns are read in pieces, not as whole row groups
STREAMED = {"buffer_size": 1 << 20, "pre_buffer": False}
# how pandas names an index that it writes as a column
INDEX_PREFIX = "__index_level_"


class ParquetSource(Source):
    """The rows of a file, numbered from 1; lists of numbers can be vectors, bytes images."""

    def __init__(self, path: Path, columns: Columns) -> None:
        """Opens nothing yet.

        Raises:
            SourceError: pyarrow is not installed.
        """
        try:
            self._arrow: Any = import_module("pyarrow")
            self._parquet: Any = import_module("pyarrow.parquet")
        except ImportError as error:
            message = "Parquet needs pyarrow: pip install 'latentspace[arrow]'"
            raise SourceError(message) from error
        self.name = str(path)
        self._path = path
        self._columns = columns

    def count(self) -> int | None:
        """Rows, of the file's footer."""
        try:
            return int(self._parquet.read_metadata(self._path).num_rows)
        except (self._arrow.ArrowException, OSError):
            return None  # reading tells what is wrong

    def __iter__(self) -> Iterator[Record | BadRecord]:
        row = 0
        try:
            with self._parquet.ParquetFile(self._path, **STREAMED) as file:
                names = [n for n in file.schema_arrow.names if not n.startswith(INDEX_PREFIX)]
                layout = self._columns.layout(names, self.name, self._path.parent)
                needed = layout.needs(names)
                size = _batch_rows(file.metadata)
                for batch in file.iter_batches(size, columns=needed, use_threads=False):
                    for values in self._rows(batch, layout):
                        row += 1
                        yield layout.record(values, row, f"{self._path.name}:{row}")
        except (self._arrow.ArrowException, OSError, ValueError, OverflowError) as error:
            message = f"row {row + 1}: damaged or cut off ({error})"
            raise SourceError(f"{self.name}: {message}") from error

    def _rows(self, batch: Any, layout: Layout) -> Iterator[dict[str, Any]]:
        lists = {n: self._list(batch.column(n), n == layout.input) for n in batch.schema.names}
        for values in zip(*lists.values(), strict=True):
            yield dict(zip(lists, values, strict=True))

    def _list(self, column: Any, is_input: bool) -> list[Any]:
        kinds = self._arrow.types
        kind = column.type
        lists = (kinds.is_list, kinds.is_large_list, kinds.is_fixed_size_list)
        if is_input and any(is_one(kind) for is_one in lists):
            if kinds.is_floating(kind.value_type):
                return _vectors(column)
        elif kinds.is_timestamp(kind) and kind.unit == "ns":
            # Python's times have microseconds
            column = column.cast(self._arrow.timestamp("us", kind.tz), safe=False)
        values: list[Any] = column.to_pylist()
        return values


def _batch_rows(metadata: Any) -> int:
    """Rows of some megabytes, by the widest row group."""
    groups = [metadata.row_group(i) for i in range(metadata.num_row_groups)]
    widest = max((group.total_byte_size / max(1, group.num_rows) for group in groups), default=1)
    return max(1, min(BATCH_ROWS, int(BATCH_BYTES / max(1, widest))))


def _vectors(column: Any) -> list[Any]:
    """Rows of numbers as arrays, without an object a number."""
    sizes = [0 if one is None else one for one in _sizes(column)]
    flat = column.flatten().to_numpy(zero_copy_only=False).astype(np.float32)
    rows: list[Any] = np.split(flat, np.cumsum(sizes)[:-1])
    return [row if there else None for row, there in zip(rows, column.is_valid(), strict=True)]


def _sizes(column: Any) -> list[int | None]:
    width = getattr(column.type, "list_size", None)
    if width is None:
        lengths: list[int | None] = column.value_lengths().to_pylist()
        return lengths
    return [width if one.as_py() else None for one in column.is_valid()]
