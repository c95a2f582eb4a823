"""LanceDB: embedded, so its clients are threads of this process.

    bench-out/peers-venv/bin/python -m benchmarks.peers.lance FOLDER

IVF-PQ, its default index, with its default probes and without refinement; the same refined by full
vectors; and IVF_HNSW_SQ with its defaults. `rows.npy`, `queries.npy` and `truth.npy` are read from
FOLDER, and the tables are kept there.
"""

import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lancedb
import pyarrow
from lancedb.index import HnswSq, IvfPq

from benchmarks.peers.figures import (
    BATCH,
    Figures,
    Ids,
    K,
    Rows,
    batches,
    each,
    load,
    recall,
    report,
    singles,
)

INGEST_ROWS = 2000


@dataclass(frozen=True, slots=True)
class Search:
    """How a table is asked. None: LanceDB's default."""

    name: str
    refine: int | None = None
    ef: int | None = None


INDEXES = {"IVF_PQ": IvfPq, "IVF_HNSW_SQ": HnswSq}
SETTINGS = {
    "IVF_PQ": [Search("IVF_PQ, defaults"), Search("IVF_PQ, refine_factor 10", refine=10)],
    "IVF_HNSW_SQ": [
        Search("IVF_HNSW_SQ, defaults"),
        Search("IVF_HNSW_SQ, ef 128, refine_factor 2", refine=2, ef=128),
    ],
}


def main() -> None:
    """Measures each index, and each way to ask it."""
    folder = Path(sys.argv[1])
    rows, queries, truth = load(folder)
    base = lancedb.connect(folder / "lance")
    for index_type, ways in SETTINGS.items():
        table, seconds = ingest(base, index_type, rows)
        for way in ways:
            report(measure(table, way, seconds, queries, truth))


def measure(table: Any, way: Search, ingest_s: float, queries: Rows, truth: Ids) -> Figures:
    """The figures of an indexed table asked one way."""

    def one(i: int) -> list[int]:
        return ask(table, queries[i % len(queries)], way)[0]

    return Figures(
        f"LanceDB {lancedb.__version__} embedded, {way.name}",
        ingest_s,
        recall(each(one, len(queries)), truth),
        singles(one),
        batches(lambda: ask(table, queries[:BATCH], way)),
    )


def ingest(base: Any, index_type: str, rows: Rows) -> tuple[Any, float]:
    """The table, and the seconds until all rows are written and indexed."""
    vector = pyarrow.list_(pyarrow.float32(), rows.shape[1])
    schema = pyarrow.schema([("id", pyarrow.int64()), ("vector", vector)])
    started = time.perf_counter()
    table = base.create_table(index_type.lower(), schema=schema)
    for start in range(0, len(rows), INGEST_ROWS):
        table.add(columns(rows[start : start + INGEST_ROWS], start, schema))
    table.optimize()
    table.create_index("vector", config=INDEXES[index_type](distance_type="cosine"))
    return table, time.perf_counter() - started


def columns(rows: Rows, start: int, schema: Any) -> Any:
    """An Arrow table, which LanceDB takes without converting rows."""
    ids = pyarrow.array(range(start, start + len(rows)), pyarrow.int64())
    flat = pyarrow.FixedSizeListArray.from_arrays(rows.ravel(), rows.shape[1])
    return pyarrow.Table.from_arrays([ids, flat], schema=schema)


def ask(table: Any, queries: Rows, way: Search) -> list[list[int]]:
    """Ids of the nearest ten of one query (d,) or of each of many (q, d)."""
    # several queries are a list of them; an array would be one
    query = table.search(queries if queries.ndim == 1 else list(queries))
    query = query.distance_type("cosine").select(["id", "_distance"]).limit(K)
    if way.refine is not None:
        query = query.refine_factor(way.refine)
    if way.ef is not None:
        query = query.ef(way.ef)
    found = query.to_arrow()
    ids = found["id"].to_pylist()
    if queries.ndim == 1:
        return [ids]
    lines: list[list[int]] = [[] for _ in queries]
    for number, one in zip(found["query_index"].to_pylist(), ids, strict=True):
        lines[number].append(one)
    return lines


if __name__ == "__main__":
    main()
