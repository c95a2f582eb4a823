"""Exports as one Parquet file: columns id, vector, modality, payload, and declared fields."""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from latentspace.enums import FieldType
from latentspace.indexing.export_format import About, ExportSource, arrow_module, modality_of
from latentspace.indexing.options import SourceError
from latentspace.indexing.records import BadRecord, Record
from latentspace.indexing.sources.fields import id_of
from latentspace.indexing.sources.reasons import Reason, RecordError
from latentspace.indexing.sources.row_groups import (
    BadCell,
    BadRows,
    read_batches,
    refuse_unread,
    values_of,
    vectors_of,
)
from latentspace.inputs import VectorInput
from latentspace.payloads import dump_payload
from latentspace.results.point import Point

#: of the schema's metadata
METADATA_KEY = b"latentspace"
COLUMNS = ("id", "vector", "modality", "payload")
# a row group is written when it has so many rows or bytes: memory stays flat
GROUP_ROWS = 16_384
GROUP_BYTES = 32 * 2**20

Cells = dict[str, list[Any]]


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_int(value: object) -> bool:
    return type(value) is int and -(2**63) <= value < 2**63


def _is_float(value: object) -> bool:
    return type(value) is float or (type(value) is int and abs(value) <= 2**53)


def _is_texts(value: object) -> bool:
    return isinstance(value, list) and all(map(_is_text, value))


#: declared type: name of the Arrow type, and which values it keeps as they are
FIELDS: dict[FieldType, tuple[str, Callable[[object], bool]]] = {
    FieldType.KEYWORD: ("string", _is_text),
    FieldType.KEYWORD_LIST: ("list", _is_texts),
    FieldType.INT: ("int64", _is_int),
    FieldType.FLOAT: ("float64", _is_float),
    FieldType.BOOL: ("bool_", lambda value: isinstance(value, bool)),
    # as text: a timestamp column would lose how the moment was written
    FieldType.DATETIME: ("string", _is_text),
}


class ParquetWriter:
    """Writes a Parquet file in row groups; `about` goes into the schema's metadata.

    Args:
        columns: declared fields become columns of their own types; all else of a payload stays in
            the column `payload`, JSON text.

    Raises:
        ExportError: pyarrow is not installed.
    """

    def __init__(self, path: Path, about: About, columns: bool = False) -> None:
        self._arrow = arrow_module("pyarrow")
        fields = {n: FieldType(k) for n, k in about.fields.items() if columns and n not in COLUMNS}
        self._fits = {name: FIELDS[kind][1] for name, kind in fields.items()}
        about = replace(about, columns=list(fields))
        self._schema = self._schema_of(about, fields)
        self._file = arrow_module("pyarrow.parquet").ParquetWriter(path, self._schema)
        self._waiting: list[Any] = []

    def write(self, points: Sequence[Point]) -> None:
        """Adds points; they are on disk when their row group is full."""
        self._waiting.append(self._batch(points))
        rows = sum(batch.num_rows for batch in self._waiting)
        if rows >= GROUP_ROWS or sum(batch.nbytes for batch in self._waiting) >= GROUP_BYTES:
            self._flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            self._flush()
        self._file.close()

    def _flush(self) -> None:
        table = self._arrow.Table.from_batches(self._waiting, self._schema)
        if table.num_rows:
            self._file.write_table(table, row_group_size=table.num_rows)
        self._waiting = []

    def _batch(self, points: Sequence[Point]) -> Any:
        vectors = np.stack([np.asarray(point.vector, np.float32) for point in points])
        cells: Cells = {
            "id": [point.id for point in points],
            "modality": [point.modality and str(point.modality) for point in points],
        }
        payloads = [dict(point.payload or {}) for point in points]
        for name, fits in self._fits.items():
            cells[name] = [_taken(payload, name, fits) for payload in payloads]
        cells["payload"] = [dump_payload(payload).decode() for payload in payloads]
        arrow = self._arrow
        arrays = [
            arrow.FixedSizeListArray.from_arrays(arrow.array(vectors.ravel()), vectors.shape[1])
            if column.name == "vector"
            else arrow.array(cells[column.name], column.type)
            for column in self._schema
        ]
        return arrow.record_batch(arrays, schema=self._schema)

    def _schema_of(self, about: About, fields: dict[str, FieldType]) -> Any:
        arrow = self._arrow
        text = arrow.string()
        kinds = {
            name: arrow.list_(text)
            if FIELDS[kind][0] == "list"
            else getattr(arrow, FIELDS[kind][0])()
            for name, kind in fields.items()
        }
        vector = arrow.list_(arrow.float32(), about.dim)
        every = {"id": text, "vector": vector, "modality": text, **kinds, "payload": text}
        return arrow.schema(every.items(), metadata={METADATA_KEY: about.to_json()})


class ParquetExport(ExportSource):
    """The points of a file that `ParquetWriter` wrote.

    Raises:
        SourceError: not such a file.
    """

    def __init__(self, path: Path) -> None:
        self.name = str(path)
        self._file = _opened(path)
        try:
            self.about: About = About.from_json(self._file.schema_arrow.metadata[METADATA_KEY])
        except (KeyError, TypeError, ValueError) as error:
            raise SourceError(f"{path}: not an export of latentspace ({error})") from error

    def __reduce__(self) -> tuple[type[Self], tuple[Path]]:
        # an open file stays in its process; others open it anew
        return type(self), (Path(self.name),)

    @property
    def dim(self) -> int:
        """Numbers a vector."""
        return self.about.dim

    def count(self) -> int:
        """Rows, as the file says."""
        rows: int = self._file.metadata.num_rows
        return rows

    def __iter__(self) -> Iterator[Record | BadRecord]:
        unread: list[BadRows] = []
        for part in read_batches(self._file, [*COLUMNS, *self.about.columns]):
            if isinstance(part, BadRows):
                unread.append(part)
                yield part.record(self.name)
            else:
                yield from self._records(*part)
        refuse_unread(self.name, unread)

    def _records(self, first: int, batch: Any) -> Iterator[Record | BadRecord]:
        names = [name for name in batch.schema.names if name != "vector"]
        columns = {name: values_of(batch.column(name)) for name in names}
        for i, vector in enumerate(vectors_of(batch.column("vector"))):
            row = {name: column[i] for name, column in columns.items()}
            place = f"{self.name}:{first + i}"
            try:
                yield self._record(row, vector, place)
            except RecordError as error:
                known = row["id"] if isinstance(row["id"], str) else ""
                yield BadRecord(place, error.reason, str(error), known)

    def _record(self, row: dict[str, Any], vector: Any, place: str) -> Record:
        if vector is None:
            raise RecordError(Reason.NO_INPUT, "there is no vector")
        for name, value in row.items():
            if isinstance(value, BadCell):
                raise RecordError(Reason.UNREADABLE, f"{name}: {value.message}")
        try:
            payload = json.loads(row["payload"] or "{}")
        except (ValueError, RecursionError) as error:
            raise RecordError(Reason.BAD_PAYLOAD, f"payload: not JSON: {error}") from None
        if not isinstance(payload, dict):
            raise RecordError(Reason.BAD_PAYLOAD, "payload: not an object")
        own = {name: row[name] for name in self.about.columns if row[name] is not None}
        item = VectorInput(vector, self.about.space_id, modality_of(row["modality"]))
        return Record(id_of(row["id"]), item, {**payload, **own}, place)


def is_parquet_export(path: Path) -> bool:
    """Whether a Parquet file says that it is an export.

    Raises:
        SourceError: not a Parquet file.
    """
    return METADATA_KEY in (_opened(path).schema_arrow.metadata or {})


def _opened(path: Path) -> Any:
    try:
        return arrow_module("pyarrow.parquet").ParquetFile(path)
    except (OSError, ValueError) as error:
        raise SourceError(f"{path}: not a Parquet file ({error})") from error


def _taken(payload: dict[str, Any], name: str, fits: Callable[[object], bool]) -> Any:
    """Takes a value out of a payload; what its column would change stays in it: then None."""
    return payload.pop(name) if name in payload and fits(payload[name]) else None
