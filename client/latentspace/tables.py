"""Results as tables: pandas data frames and Arrow tables.

    from latentspace.tables import to_pandas
    to_pandas(ls.classify("clip", images=photos, labels=["cat", "dog"]))

| result | columns |
|---|---|
| `SearchResult` | query, rank, id, score; group, modality, payload, vector where there are any |
| list of `Match` | the same without query |
| list of lists of `Label` | input, rank, label, probability |
| list of lists of `Identified` | input, id, name, score, threshold; x, y, width, height, quality |
| list of `Comparison` | pair, score, same, threshold, false_accept_rate |
| `EmbeddingBatch` | input, vector; x, y, width, height, quality where the model detects |
| list, `Page` or iterator of `Point` | id; modality, payload, vector where there are any |
| `EvaluationReport` | figure, value, low, high, items |
| lists of `Model`, `Collection`, `Snapshot`, `LabelSet`, operations | what they have in short |

Queries, inputs and pairs count from 0, ranks from 1. What failed or has no answers has no rows.
Payloads are dicts in pandas and JSON text in Arrow, since no two need be alike; with
`payload_columns` each of their fields is a column, "payload.id" where the name is taken, and fields
whose names begin with "_" (digests of indexing jobs) are left out. An empty list does not say what
it is a list of: its table has no columns.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from enum import StrEnum
from importlib import import_module
from operator import attrgetter
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from latentspace.errors import InvalidArgumentError
from latentspace.payloads import dump_payload
from latentspace.results.classification import Label, LabelSet
from latentspace.results.collection import Collection, Snapshot
from latentspace.results.comparison import Comparison
from latentspace.results.embedding import EmbeddingBatch, Region
from latentspace.results.evaluation import EvaluationReport, Figure
from latentspace.results.identification import Identified
from latentspace.results.listing import Listing
from latentspace.results.model import Model
from latentspace.results.operation import OperationData
from latentspace.results.point import Page, Point
from latentspace.results.search import Match, SearchResult

if TYPE_CHECKING:
    import pandas as pd  # type: ignore[import-untyped, import-not-found, unused-ignore]
    import pyarrow as pa

Tabular = (
    SearchResult
    | EmbeddingBatch
    | EvaluationReport
    | Page
    | Iterator[Point]
    | Listing[Any]
    | Sequence[Match]
    | Sequence[Point]
    | Sequence[Comparison]
    | Sequence[Sequence[Label]]
    | Sequence[Sequence[Identified]]
    | Sequence[Model | Collection | Snapshot | LabelSet | OperationData]
)
Column = NDArray[Any] | list[Any]
Columns = dict[str, Column]

BOX = ("x", "y", "width", "height", "quality")
# a column of nothing but None would have another type than that of the next call
ARROW_TYPES = {
    **dict.fromkeys(("id", "name", "label", "modality", "payload"), "string"),
    **dict.fromkeys(("threshold", "false_accept_rate", *BOX), "float64"),
    "same": "bool_",
}


def to_pandas(result: Tabular, *, payload_columns: bool = False) -> "pd.DataFrame":
    """A result as a data frame; vectors are arrays, one a cell.

    Args:
        payload_columns: a column for each field of the payloads, in place of "payload".

    Raises:
        ImportError: pandas is not installed.
        InvalidArgumentError: not a result that is a table.
    """
    pandas = _library("pandas", "pandas")
    columns = columns_of(result, payload_columns=payload_columns)
    return pandas.DataFrame(
        {n: list(c) if isinstance(c, np.ndarray) and c.ndim == 2 else c for n, c in columns.items()}
    )


def to_arrow(result: Tabular, *, payload_columns: bool = False) -> "pa.Table":
    """A result as an Arrow table; vectors are lists of fixed size, payloads JSON text.

    Args:
        payload_columns: a column for each field of the payloads, in place of "payload"; JSON text
            where its values are of several types.

    Raises:
        ImportError: pyarrow is not installed.
        InvalidArgumentError: not a result that is a table.
    """
    arrow = _library("pyarrow", "arrow")
    columns = columns_of(result, payload_columns=payload_columns)
    if "payload" in columns:
        columns["payload"] = [
            None if p is None else dump_payload(p).decode() for p in columns["payload"]
        ]
    return arrow.table({name: _array(arrow, name, one) for name, one in columns.items()})


def columns_of(result: Tabular, *, payload_columns: bool = False) -> Columns:
    """The columns of a result by name, all of one length; numpy alone is needed.

    Args:
        payload_columns: a column for each field of the payloads, in place of "payload".

    Raises:
        InvalidArgumentError: not a result that is a table.
    """
    columns = _columns(result)
    if payload_columns and "payload" in columns:
        payloads = columns.pop("payload")
        columns |= _payload_columns(payloads, columns)
    return columns


def _columns(result: Tabular) -> Columns:
    if isinstance(result, SearchResult):
        return dict(result.columns())
    if isinstance(result, EmbeddingBatch):
        return {"input": result.index, "vector": result.rows, **_boxes(result.regions)}
    if isinstance(result, EvaluationReport):
        return _figures(result.figures)
    several = isinstance(result, list | tuple | Page | Iterator)
    rows: list[Any] = list(result) if several else [result]
    nested = bool(rows) and all(isinstance(one, list | tuple) for one in rows)
    kinds = {type(one) for one in (_flat(rows) if nested else rows)}
    if not kinds:
        return {}
    make = _maker(kinds.pop(), nested) if len(kinds) == 1 else None
    if make is None:
        raise InvalidArgumentError(
            "expected what search, get, scroll, classify, identify, compare, evaluate, models or "
            f"collections return, got {result!r:.80}"
        )
    return make(rows)


def _matches(rows: Sequence[Match]) -> Columns:
    found: Columns = {"rank": np.arange(1, len(rows) + 1), **_fields(rows, "id", "score")}
    more = _fields(rows, "group", "modality", "payload", "vector")
    return found | {n: c for n, c in more.items() if any(one is not None for one in c)}


def _points(rows: Sequence[Point]) -> Columns:
    more = _fields(rows, "modality", "payload", "vector")
    return _fields(rows, "id") | {
        name: column for name, column in more.items() if any(value is not None for value in column)
    }


def _figures(rows: Sequence[Figure]) -> Columns:
    fields = _fields(rows, "name", "value", "low", "high", "items")
    return {"figure": fields.pop("name"), **fields}


def _record_maker(*names: str) -> Callable[[Sequence[Any]], Columns]:
    """Makes columns of some attributes; those of several words are joined."""

    def make(rows: Sequence[Any]) -> Columns:
        return {name: list(map(_plain, column)) for name, column in _fields(rows, *names).items()}

    return make


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return ", ".join(value)
    return str(value) if isinstance(value, StrEnum | Exception) else value


def _payload_columns(payloads: Iterable[Any], taken: Mapping[str, Column]) -> Columns:
    """A column for each field of any payload, in the order in which they first appear."""
    rows = [payload or {} for payload in payloads]
    names = dict.fromkeys(name for row in rows for name in row if not name.startswith("_"))
    return {
        f"payload.{name}" if name in taken else name: [row.get(name) for row in rows]
        for name in names
    }


def _labels(rows: Sequence[Sequence[Label]]) -> Columns:
    ranks = [rank for row in rows for rank in range(1, len(row) + 1)]
    return {"input": _places(rows), "rank": ranks, **_fields(_flat(rows), "label", "probability")}


def _identified(rows: Sequence[Sequence[Identified]]) -> Columns:
    found = _flat(rows)
    fields = _fields(found, "id", "name", "score", "threshold")
    return {"input": _places(rows), **fields, **_boxes([one.region for one in found])}


def _comparisons(rows: Sequence[Comparison]) -> Columns:
    fields = _fields(rows, "score", "same", "threshold", "false_accept_rate")
    return {"pair": np.arange(len(rows)), **fields}


_MAKERS: dict[tuple[type, bool], Callable[[Any], Columns]] = {
    (Match, False): _matches,
    (Label, True): _labels,
    (Identified, True): _identified,
    (Comparison, False): _comparisons,
    (Point, False): _points,
    (Figure, False): _figures,
    (Model, False): _record_maker(
        "id", "family", "modalities", "dim", "space_id", "state", "state_reason", "device"
    ),
    (Collection, False): _record_maker(
        *("name", "points", "dim", "metric", "recipe", "model", "space_id", "state"),
        *("state_reason", "aliases", "version", "disk_bytes", "memory_bytes", "create_time"),
    ),
    (Snapshot, False): _record_maker("name", "collection", "points", "bytes", "create_time"),
    (LabelSet, False): _record_maker("name", "model", "space_id", "labels", "create_time"),
}
_OPERATION = _record_maker(
    "id", "kind", "target", "state", "create_time", "start_time", "end_time", "error"
)


def _maker(kind: type, nested: bool) -> Callable[[Any], Columns] | None:
    # the handles of operations, of which there are two, add calls to the data
    if issubclass(kind, OperationData) and not nested:
        return _OPERATION
    return _MAKERS.get((kind, nested))


def _fields(items: Iterable[Any], *names: str) -> Columns:
    rows = list(items)
    return {name: list(map(attrgetter(name), rows)) for name in names}


def _boxes(regions: Sequence[Region | None]) -> Columns:
    """Columns of places in images; none where there are none."""
    if not any(regions):
        return {}
    return {n: [None if r is None else getattr(r, n) for r in regions] for n in BOX}


def _flat(rows: Iterable[Iterable[Any]]) -> list[Any]:
    return [one for row in rows for one in row]


def _places(rows: Sequence[Sequence[Any]]) -> NDArray[np.int64]:
    return np.repeat(np.arange(len(rows)), list(map(len, rows)))


def _array(arrow: Any, name: str, column: Column) -> Any:
    if name == "vector":
        rows = np.asarray(column, np.float32)
        if not rows.size:  # and perhaps of no dimension, which Arrow does not have
            return arrow.array([], arrow.list_(arrow.float32(), max(1, rows.shape[1])))
        return arrow.FixedSizeListArray.from_arrays(arrow.array(rows.ravel()), rows.shape[1])
    kind = ARROW_TYPES.get(name)
    try:
        return arrow.array(column, getattr(arrow, kind)() if kind else None)
    except (arrow.ArrowInvalid, arrow.ArrowTypeError):  # payload fields may be anything
        return arrow.array([None if value is None else json.dumps(value) for value in column])


def _library(name: str, extra: str) -> Any:
    try:
        return import_module(name)
    except ImportError as error:
        raise ImportError(
            f"{name} is not installed: pip install 'latentspace[{extra}]'", name=name
        ) from error
