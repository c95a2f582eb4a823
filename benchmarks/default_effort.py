"""Recall and cost of default searches, beside those with the recipes' own constants.

    python -m benchmarks.vectors TEXT --count 501000       # once: real MiniLM vectors
    python -m benchmarks.default_effort VECTORS.npy [--points 100000] [--recipes ivf,hnsw]
        [--metric cosine] [--segments 1]

Each recipe gets a collection of its own, in this process, built and measured as the service does.
Then every query is searched with the recipe's constants ("before") and with the effort that was
measured when the segments were built ("default"), in turn, without a filter and with filters that
leave 90 %, 50 %, 10 % and 1 %: "random", or the rows "around" one, cell by cell of k-means, for
which queries inside and outside count apart. The true neighbours are those of a float64 brute
force. Times are processor time of one thread (set OPENBLAS_NUM_THREADS=1).
"""

import argparse
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import orjson
from numpy.typing import NDArray

from benchmarks.filtered import around, chance
from benchmarks.search import load
from benchmarks.timing import print_table
from benchmarks.truth import true_neighbours
from embedders.vectors import FloatRows, IndexArray
from index.base import SearchRequest
from index.collection import FaissCollection
from index.engine import FaissEngine
from index.filter import Condition, Op
from index.options import EngineOptions
from index.recipes import TABLE
from index.search.lists import CoarseLists
from index.search.view import Found, search_view
from index.segments.part import Part, View
from index.types import CollectionSpec, FieldType, Metric, Points
from index.untyped import faiss

K, BATCH, SINGLES, CELLS, INGEST = 10, 256, 100, 200, 5000
SHARES = (0.9, 0.5, 0.1, 0.01)
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Sieve:
    """A filter.

    Args:
        mask: (n,), rows that pass.
        truth: int64 (q, K), the true neighbours among them.
        inside: (q,), queries whose nearest row of all passes.
    """

    name: str
    mask: Mask
    truth: IndexArray
    inside: Mask


def main() -> None:
    """Builds, searches and prints, recipe by recipe."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("vectors", type=Path)
    parser.add_argument("--points", type=int, default=100_000)
    parser.add_argument("--recipes", default=",".join(sorted(TABLE)))
    parser.add_argument("--metric", type=Metric, default=Metric.COSINE)
    parser.add_argument("--segments", type=int, default=1)
    args = parser.parse_args()
    rows, queries = load(args.vectors, args.points)
    queries = queries[:BATCH]
    faiss.omp_set_num_threads(1)
    sieves = list(make_sieves(rows, queries, args.metric))
    for name in args.recipes.split(","):
        spec = CollectionSpec(
            rows.shape[1],
            args.metric,
            name,
            fields={sieve.name: FieldType.BOOL for sieve in sieves},
        )
        most = EngineOptions().max_segment_rows
        if args.segments > 1:
            most = -(-len(rows) // args.segments)
        with tempfile.TemporaryDirectory() as folder:
            measure(Path(folder), rows, queries, spec, sieves, most)


def make_sieves(rows: FloatRows, queries: FloatRows, metric: Metric) -> Iterator[Sieve]:
    """No filter, then random and clustered ones of every share."""
    labels = CoarseLists.train(rows, metric, CELLS).labels
    masks = {"all": np.ones(len(rows), dtype=np.bool_)}
    for share in SHARES:
        masks[f"random_{share}"] = chance(len(rows), share)
        masks[f"around_{share}"] = around(rows, labels, share)
    nearest = true_neighbours(rows, queries, 1, metric)[:, 0]
    for name, mask in masks.items():
        yield Sieve(name, mask, true_neighbours(rows, queries, K, metric, mask), mask[nearest])


def measure(
    folder: Path,
    rows: FloatRows,
    queries: FloatRows,
    spec: CollectionSpec,
    sieves: Sequence[Sieve],
    most: int,
) -> None:
    """One recipe: builds the collection, then a table of filters."""
    engine = FaissEngine(folder, options=EngineOptions(threads=1, max_segment_rows=most))
    collection = engine.create("bench", spec)
    assert isinstance(collection, FaissCollection)
    started = time.process_time()
    fill(collection, rows, sieves)
    collection.optimize(full=most == EngineOptions().max_segment_rows)
    built = time.process_time() - started
    view = collection.runtime.view
    before = View(tuple(without_effort(part) for part in view.parts), view.version)
    table = []
    for sieve in sieves:
        old, new = searches(before, spec, queries, sieve), searches(view, spec, queries, sieve)
        table.append(
            [sieve.name, *compared(old.batch, new.batch), *compared(old.single, new.single)]
        )
    for segment in collection.info.segments:
        print(segment)
    columns = ("before", "default", "inside", "outside", "ms before", "ms default", "speed", "way")
    print_table(
        f"{spec.recipe}, {len(rows)} rows, {spec.metric}: recall@{K} and milliseconds a query, in "
        f"batches of {len(queries)} and one by one; written and built in {built:.0f} s",
        ("filter", *columns, *columns),
        table,
    )
    engine.close()


def fill(collection: FaissCollection, rows: FloatRows, sieves: Sequence[Sieve]) -> None:
    """Points "0", "1", ... with what filters read."""
    for start in range(0, len(rows), INGEST):
        part = range(start, min(start + INGEST, len(rows)))
        payloads = [
            orjson.dumps({sieve.name: bool(sieve.mask[place]) for sieve in sieves})
            for place in part
        ]
        ids = [str(place) for place in part]
        collection.upsert(Points(ids, rows[part.start : part.stop], payloads))


def without_effort(part: Part) -> Part:
    """The part as if its effort had not been measured."""
    return replace(part, entry=part.entry and replace(part.entry, effort=None))


@dataclass(frozen=True, slots=True)
class Timed:
    """Searches of one kind: recall of each query, whether its nearest row passes, and the cost."""

    recalls: NDArray[np.float64]
    inside: Mask
    each_ms: float
    methods: str


@dataclass(frozen=True, slots=True)
class Both:
    """The same searches as one batch and one by one."""

    batch: Timed
    single: Timed


def searches(view: View, spec: CollectionSpec, queries: FloatRows, sieve: Sieve) -> Both:
    """All queries at once, and some of them one by one."""
    batches = [queries]
    singles = [queries[place : place + 1] for place in range(SINGLES)]
    return Both(timed(view, spec, batches, sieve), timed(view, spec, singles, sieve))


def timed(view: View, spec: CollectionSpec, parts: Sequence[FloatRows], sieve: Sieve) -> Timed:
    """Searches part after part, the first of them once more before."""
    condition = None if sieve.name == "all" else Condition(sieve.name, Op.EQ, True)
    requests = [SearchRequest(part, K, filter=condition) for part in parts]
    search_view(view, spec, parts[0], requests[0])
    started = time.thread_time()
    hits = [search_view(view, spec, request.queries, request) for request in requests]
    spent = time.thread_time() - started
    found = [places for some in hits for places in places_of(view, some)]
    recalls = [recall(a, b) for a, b in zip(found, sieve.truth.tolist(), strict=False)]
    methods = {part.method for some in hits for part in some.plan.segments}
    return Timed(
        np.array(recalls),
        sieve.inside[: len(recalls)],
        spent / len(recalls) * 1e3,
        "+".join(sorted(methods)),
    )


def places_of(view: View, hits: Found) -> list[list[int]]:
    """Numbers of the rows that each query hit: slots count them from 1."""
    slots = [
        int(view.parts[part].slots[row]) - 1
        for part, row in zip(hits.parts.tolist(), hits.positions.tolist(), strict=True)
    ]
    ends = np.cumsum(hits.counts).tolist()
    return [slots[start:end] for start, end in zip([0, *ends], ends, strict=False)]


def recall(found: Sequence[int], truth: Sequence[int]) -> float:
    """Share of the true neighbours that were found."""
    return len(set(found) & set(truth)) / len(truth)


def compared(old: Timed, new: Timed) -> list[str]:
    """Cells of a table."""
    parts = [old.recalls, new.recalls, new.recalls[new.inside], new.recalls[~new.inside]]
    return [
        *(f"{part.mean():.3f}" if len(part) else "" for part in parts),
        f"{old.each_ms:.2f}",
        f"{new.each_ms:.2f}",
        f"{old.each_ms / new.each_ms:.2f}",
        new.methods,
    ]


if __name__ == "__main__":
    main()
