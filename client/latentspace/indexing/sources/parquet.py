"""Parquet files, read a few rows at a time; needs pyarrow (extra `arrow`).

A page is the least that can be read: pyarrow writes up to 1024 rows into one, so that files of
large images are best written with row groups of some hundred rows.
"""

from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

from latentspace.indexing.options import SourceError
from latentspace.indexing.records import BadRecord, Record, Source
from latentspace.indexing.sources.mapping import Columns, Layout
from latentspace.indexing.sources.row_groups import (
    UNREADABLE,
    BadRows,
    read_batches,
    refuse_unread,
    values_of,
    vectors_of,
)

# columns are read in pieces, not as whole row groups
STREAMED = {"buffer_size": 1 << 20, "pre_buffer": False}
# how pandas names an index that it writes as a column
INDEX_PREFIX = "__index_level_"


class ParquetSource(Source):
    """The rows of a file, numbered from 1; lists of numbers can be vectors, bytes images.

    A value that cannot be read fails its row alone, a damaged page the rest of its row group; the
    end tells of such a page once more, since not all of the source was read.
    """

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
        try:
            file = self._parquet.ParquetFile(self._path, **STREAMED)
        except (self._arrow.ArrowException, *UNREADABLE) as error:
            raise SourceError(f"{self.name}: damaged or cut off ({error})") from error
        unread: list[BadRows] = []
        with file:
            names = [n for n in file.schema_arrow.names if not n.startswith(INDEX_PREFIX)]
            layout = self._columns.layout(names, self.name, self._path.parent)
            for part in read_batches(file, layout.needs(names)):
                if isinstance(part, BadRows):
                    unread.append(part)
                    yield part.record(self._path.name)
                    continue
                first, batch = part
                for row, values in enumerate(self._rows(batch, layout), first):
                    yield layout.record(values, row, f"{self._path.name}:{row}")
        refuse_unread(self.name, unread)

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
                return vectors_of(column)
        elif kinds.is_timestamp(kind) and kind.unit == "ns":
            # Python's times have microseconds
            column = column.cast(self._arrow.timestamp("us", kind.tz), safe=False)
        return values_of(column)
