"""What filters cost and find, beside the unfiltered search: the figures behind the search plan.

    python -m benchmarks.filtered [--vectors FILE.npy] [--rows 500000] [--recipe hnsw]

Without FILE, rows are invented: clusters of clusters in 48 of 384 dimensions, and noise. Filters
are random, or hold the rows of the k-means cells around one ("cell"); recall is given for queries
"in" the filter, those whose nearest row passes, and "out" of it. Times are processor time of one
thread (set OPENBLAS_NUM_THREADS=1), so that a busy machine changes little.
"""

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.timing import print_table
from benchmarks.truth import true_neighbours
from embedders.vectors import FloatRows, normalize_rows
from index.columns.selection import Selection
from index.recipes import recipe
from index.recipes.base import BuildContext, SegmentIndex
from index.search.lists import CoarseLists
from index.search.plan import Segment, search_segment
from index.types import IndexParameters, Metric, SearchParameters
from index.untyped import faiss

SHARES = (0.9, 0.7, 0.5, 0.3, 0.2, 0.1, 0.05, 0.02, 0.01, 0.003, 0.001, 0.0001)
BATCH, SINGLES, K, CELLS = 256, 100, 10, 200
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Bench:
    """Rows, their index, and the queries of batches and of single searches."""

    rows: FloatRows
    index: SegmentIndex
    queries: FloatRows

    def batch(self, mask: Mask | None) -> tuple[float, NDArray[np.int64]]:
        """Seconds and positions of a batch."""
        segment = self.segment(mask)
        return timed(lambda: self.search(segment, self.queries[:BATCH]))

    def singly(self, mask: Mask | None) -> tuple[float, NDArray[np.int64]]:
        """Seconds and positions of searches one by one."""
        segment, queries = self.segment(mask), self.queries[:SINGLES]
        parts = [queries[place : place + 1] for place in range(SINGLES)]
        return timed(lambda: np.concatenate([self.search(segment, part) for part in parts]))

    def segment(self, mask: Mask | None) -> Segment:
        """The segment as the filter leaves it."""
        if mask is None:
            return Segment(0, self.rows, self.index)
        chosen = Selection.of(len(self.rows), np.flatnonzero(mask))
        return Segment(0, self.rows, self.index, chosen)

    def search(self, segment: Segment, queries: FloatRows) -> NDArray[np.int64]:
        """Positions (q, k)."""
        params = SearchParameters()
        return search_segment(segment, len(self.rows), queries, K, Metric.COSINE, params)[1]


def main() -> None:
    """Builds, searches and prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--vectors", type=Path, help="(n, d) of any float type")
    parser.add_argument("--rows", type=int, default=500_000)
    parser.add_argument("--recipe", default="hnsw")
    parser.add_argument("--index", type=Path, help="kept here, and read back in later runs")
    args = parser.parse_args()
    rows, queries = read(args.vectors, args.rows) if args.vectors else invent(args.rows)
    index = built(args.recipe, rows, args.index)
    faiss.omp_set_num_threads(1)
    bench = Bench(rows, index, queries)
    nearest = true_neighbours(rows, queries, K)
    ways = (bench.batch, bench.singly)
    base = [min((way(None) for _ in range(3)), key=lambda result: result[0]) for way in ways]
    for name, (seconds, found) in zip(("batch", "single"), base, strict=True):
        each_ms = seconds / len(found) * 1e3
        print(f"unfiltered {name}: {each_ms:.2f} ms, recall {recall(found, nearest):.3f}")
    labels = CoarseLists.train(rows, Metric.COSINE, CELLS).labels
    table = []
    for kind in ("random", "cell"):
        for share in SHARES:
            mask = chance(len(rows), share) if kind == "random" else around(rows, labels, share)
            truth = true_neighbours(rows, queries, K, mask=mask)
            inside = mask[nearest[:, 0]]
            cells: list[object] = [kind, share, int(mask.sum())]
            for way, (seconds, _) in zip(ways, base, strict=True):
                spent, found = way(mask)
                own = inside[: len(found)]
                cells.append(f"{spent / seconds:.2f}")
                cells += [part_recall(found, truth, part) for part in (own, ~own)]
            table.append(cells)
    header = ("filter", "share", "rows", "batch x", "in", "out", "single x", "in", "out")
    print_table(f"{args.recipe}, {len(rows)} rows: cost and recall@{K}", header, table)


def built(name: str, rows: FloatRows, kept: Path | None) -> SegmentIndex:
    """The index of the rows, from its file where there is one."""
    if kept is not None and kept.exists():
        return recipe(name).load(kept, rows, Metric.COSINE)
    index = recipe(name).build(rows, Metric.COSINE, IndexParameters(), BuildContext(2))
    if kept is not None:
        index.save(kept)
    return index


def read(path: Path, count: int) -> tuple[FloatRows, FloatRows]:
    """Rows of a file, and others of it as queries."""
    rows = np.load(path, mmap_mode="r", allow_pickle=False)
    count = min(count, len(rows) - BATCH)
    made = normalize_rows(np.asarray(rows[: count + BATCH], dtype=np.float32))
    return made[:count], made[count:]


def invent(count: int) -> tuple[FloatRows, FloatRows]:
    """Rows and queries of the same clusters."""
    rng = np.random.default_rng(0)
    axes = np.linalg.qr(rng.standard_normal((384, 48)))[0].T.astype(np.float32)
    scale = np.arange(1, 49) ** -0.4
    centers = rng.standard_normal((60, 48))[rng.integers(0, 60, 3000)]
    centers += 0.7 * rng.standard_normal((3000, 48))
    made = np.empty((count + BATCH, 384), dtype=np.float32)
    for start in range(0, len(made), 50_000):
        part = made[start : start + 50_000]
        inner = centers[rng.zipf(1.3, len(part)) % 3000]
        inner = (inner + 0.6 * rng.standard_normal(inner.shape)) * scale
        noise = 0.04 * rng.standard_normal(part.shape, dtype=np.float32)
        part[:] = normalize_rows(inner.astype(np.float32) @ axes + noise)
    return made[:count], made[count:]


def chance(rows: int, share: float) -> Mask:
    """Rows taken by chance."""
    return np.asarray(np.random.default_rng(1).random(rows) < share)


def around(rows: FloatRows, labels: NDArray[np.uint16], share: float) -> Mask:
    """The cells nearest to the first row's, cut to the share."""
    near = np.argsort(-(rows @ rows[0]))
    order = dict.fromkeys(labels[near].tolist())
    rank = np.full(int(labels.max()) + 1, len(order))
    rank[list(order)] = np.arange(len(order))
    chosen = np.argsort(rank[labels], kind="stable")[: max(K, int(share * len(rows)))]
    mask = np.zeros(len(rows), dtype=np.bool_)
    mask[chosen] = True
    return mask


def timed(call: Callable[[], NDArray[np.int64]]) -> tuple[float, NDArray[np.int64]]:
    """Processor seconds of this thread, and the result."""
    started = time.thread_time()
    result = call()
    return time.thread_time() - started, result


def part_recall(found: NDArray[np.int64], truth: NDArray[np.int64], part: Mask) -> str:
    """Recall over some queries; "" where there are none."""
    return f"{recall(found[part], truth[: len(found)][part]):.3f}" if part.any() else ""


def recall(found: NDArray[np.int64], truth: NDArray[np.int64]) -> float:
    """Share of the true neighbours that were found."""
    pairs = zip(found.tolist(), truth.tolist(), strict=False)
    shared = [len({place for place in one if place >= 0} & set(other)) for one, other in pairs]
    return sum(shared) / max(1, int((truth[: len(found)] >= 0).sum()))


if __name__ == "__main__":
    main()
