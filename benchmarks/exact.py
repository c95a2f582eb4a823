"""Exact search in batches beside FAISS's flat index on the same rows, in one run.

    python -m benchmarks.exact [--points 100000] [--dim 384] [--batch 256]

Rows are around 200 centres, once near the origin and once moved far from it. Both sides have the
same threads and take turns; what is printed are medians of processor time, and recall@10 against
a brute force in float64.
"""

import argparse
import statistics
import time
from collections.abc import Callable

import faiss
import numpy as np

from benchmarks.timing import print_table
from benchmarks.truth import true_neighbours
from embedders.vectors import FloatRows, IndexArray, normalize_rows
from index.search.exact import search_exact
from index.types import Metric

K, ROUNDS, FAR = 10, 9, 10_000.0
CASES = [(metric, 0.0) for metric in Metric] + [(Metric.L2, FAR), (Metric.DOT, FAR)]
Search = Callable[[], IndexArray]


def main() -> None:
    """Measures every metric near the origin, and those that keep lengths far from it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--points", type=int, default=100_000)
    parser.add_argument("--dim", type=int, default=384)
    parser.add_argument("--batch", type=int, default=256)
    args = parser.parse_args()
    table = []
    for metric, offset in CASES:
        rows, queries = invented(args.points, args.dim, args.batch, offset)
        if metric.normalizes:
            rows, queries = normalize_rows(rows), normalize_rows(queries)
        truth = true_neighbours(rows, queries, K, metric)
        flat = faiss.IndexFlatIP(args.dim) if metric.inner_product else faiss.IndexFlatL2(args.dim)
        flat.add(rows)
        ours, theirs = in_turns(
            lambda: search_exact(rows, queries, K, metric)[1],  # noqa: B023 - called in this round
            lambda: flat.search(queries, K)[1],  # noqa: B023
            truth,
        )
        table.append([metric, f"{offset:g}", *ours, *theirs, f"{ours[0] / theirs[0]:.2f}"])
    header = ("metric", "offset", "ms", "recall", "FAISS ms", "FAISS recall", "times FAISS")
    print_table(f"{args.batch} queries, {args.points} x {args.dim}", header, table)


def invented(count: int, dim: int, batch: int, offset: float) -> tuple[FloatRows, FloatRows]:
    """Rows (count, dim) and queries (batch, dim), moved by `offset` in every coordinate."""
    rng = np.random.default_rng(0)
    centres = rng.standard_normal((200, dim))
    rows = centres[rng.integers(0, 200, count)] + 0.5 * rng.standard_normal((count, dim))
    queries = rows[rng.integers(0, count, batch)] + 0.3 * rng.standard_normal((batch, dim))
    return (rows + offset).astype(np.float32), (queries + offset).astype(np.float32)


def in_turns(one: Search, other: Search, truth: IndexArray) -> list[tuple[float, float]]:
    """Milliseconds and recall of both."""
    seconds: tuple[list[float], list[float]] = ([], [])
    found = [one(), other()]
    for _ in range(ROUNDS):
        for search, times in zip((one, other), seconds, strict=True):
            started = time.process_time()
            search()
            times.append(time.process_time() - started)
    return [
        (round(statistics.median(times) * 1e3, 1), round(recall(places, truth), 4))
        for times, places in zip(seconds, found, strict=True)
    ]


def recall(found: IndexArray, truth: IndexArray) -> float:
    """Share of the true neighbours that were found."""
    pairs = zip(found.tolist(), truth.tolist(), strict=True)
    return float(np.mean([len(set(a) & set(b)) / len(b) for a, b in pairs]))


if __name__ == "__main__":
    main()
