"""Exact search and analogy over a large vocabulary beside a bare numpy product, in one run.

    python -m benchmarks.lookup [--rows 400000] [--dim 300] [--rounds 7] [--hnsw]

The vectors are clustered as in `benchmarks.overhead`, of unit length, and served as a word2vec
model. The bare product writes all scores into memory that was used before, which is the fastest
that numpy has; the top k of numpy are by argpartition. All calls of a batch size take turns, and
medians are shown. Numpy, FAISS and the server use every core of this process, or as many as
OPENBLAS_NUM_THREADS says. --hnsw adds the vocabulary as an HNSW collection, which takes minutes.
"""

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import faiss
import numpy as np
from numpy.typing import NDArray

from benchmarks.overhead import K, clustered
from benchmarks.timing import print_table
from embedders.formats.layout import save_safetensors
from embedders.vectors import FloatRows, IndexArray, normalize_rows
from embedders.vocabulary import Vocabulary
from index.analogy import Terms, analogies
from index.base import SearchRequest
from index.types import CollectionSpec
from index.vocabulary import VocabularyCollection
from latentspace import Client, SearchResult
from services.app.local import LocalServer
from services.runtime.process import available_cores

BATCHES = (1, 16, 64, 256)
QUERIES = 2048
PART = 20_000
PAUSE_S = 0.2
EFFORTS = (64, 128, 512)
THREADS = int(os.environ.get("OPENBLAS_NUM_THREADS") or available_cores())

Call = Callable[[int], object]


def main() -> None:
    """Measures all figures and prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=400_000)
    parser.add_argument("--dim", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--hnsw", action="store_true")
    args = parser.parse_args()
    faiss.omp_set_num_threads(THREADS)
    world = invent(args.rows, args.dim)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "words.safetensors"
        save_safetensors(path, Vocabulary(world.keys, world.rows), "word2vec")
        settings = {"models": {"words": {"family": "word2vec", "source": str(path)}}}
        with LocalServer(Path(folder) / "data", settings) as server, Client(server.address) as ls:
            print(f"{args.rows} x {args.dim}, {THREADS} threads, load {os.getloadavg()[0]:.1f}")
            measure_searches(world, ls, args.rounds)
            measure_analogies(world, ls, args.rounds)
            if args.hnsw:
                measure_hnsw(world, ls, args.rounds)
            print(f"\nload at the end {os.getloadavg()[0]:.1f}")


@dataclass(frozen=True, slots=True)
class World:
    """The vocabulary, and queries that are not in it; float32 rows of unit length."""

    keys: list[str]
    rows: FloatRows
    queries: FloatRows
    words: VocabularyCollection

    def batch(self, size: int, turn: int) -> FloatRows:
        """Other queries each turn, as long as there are."""
        start = turn * size % (len(self.queries) - size + 1)
        return self.queries[start : start + size]

    def flops(self, size: int) -> float:
        """Of the product with so many queries."""
        return 2.0 * size * self.rows.size


def invent(rows: int, dim: int) -> World:
    """Random vectors under the keys w0, w1, ..."""
    vectors, queries = clustered(rows + QUERIES, dim, rows)
    keys = [f"w{number}" for number in range(rows)]
    words = VocabularyCollection("words", keys, vectors, CollectionSpec(dim))
    return World(keys, vectors, queries, words)


def measure_searches(world: World, ls: Client, rounds: int) -> None:
    """Products, FAISS, the collection in process and the service, for each batch size."""
    index = faiss.IndexFlatIP(world.rows.shape[1])
    index.add(world.rows)
    lines = []
    for size in BATCHES:
        seconds = in_turns(
            search_calls(world, ls, index, size), rounds * 5 if size == 1 else rounds
        )
        lines += [(size, *line) for line in beside(seconds, world.flops(size))]
    print_table(
        f"Exact search, k = {K}",
        ("batch", "", "ms", "GFLOP/s", "of the bare product", "time over product + top k"),
        lines,
    )


def search_calls(world: World, ls: Client, index: faiss.IndexFlatIP, size: int) -> dict[str, Call]:
    """The same search by all who can."""
    return {
        "bare product": bare_product(world, size),
        "product + top k": lambda turn: numpy_search(world, size, turn),
        "FAISS flat": lambda turn: index.search(world.batch(size, turn), K),
        "in process": lambda turn: world.words.search(SearchRequest(world.batch(size, turn), K)),
        "gRPC": lambda turn: ls.search_batch("words", vectors=world.batch(size, turn), k=K),
    }


def measure_analogies(world: World, ls: Client, rounds: int) -> None:
    """Questions over gRPC one by one, and in batches; the product has a row a question."""
    asked = np.random.default_rng(1).integers(0, len(world.keys), (rounds + 1, BATCHES[-1], 3))

    def words(turn: int, size: int) -> list[tuple[list[str], list[str]]]:
        rows = asked[turn % len(asked), :size].tolist()
        return [([world.keys[b], world.keys[c]], [world.keys[a]]) for a, b, c in rows]

    one: dict[str, Call] = {
        "bare product": bare_product(world, 1),
        "product + top k": lambda turn: numpy_search(world, 1, turn),
        "Client.search": lambda turn: ls.search("words", vector=world.batch(1, turn)[0], k=K),
        "Client.most_similar": lambda turn: ls.most_similar("words", world.keys[turn], topn=K),
        "Client.analogy": lambda turn: ls.analogy("words", *words(turn, 1)[0], k=K),
    }
    many: dict[str, Call] = {
        "bare product": bare_product(world, BATCHES[-1]),
        "product + top k": lambda turn: numpy_search(world, BATCHES[-1], turn),
        "analogies, in process": lambda turn: ask(world, asked[turn % len(asked)]),
        "Client.analogy_batch": lambda turn: ls.analogy_batch(
            "words", words(turn, BATCHES[-1]), k=K
        ),
    }
    for size, calls, times in ((1, one, rounds * 5), (BATCHES[-1], many, rounds)):
        print_table(
            f"Words and analogies, {size} a call, k = {K}",
            ("", "ms", "GFLOP/s", "of the bare product", "time over product + top k"),
            beside(in_turns(calls, times), world.flops(size)),
        )


def measure_hnsw(world: World, ls: Client, rounds: int) -> None:
    """Builds a graph of the vocabulary on the server; recall and rate beside exact search."""
    started = time.perf_counter()
    ls.create_collection("fast-words", model="words", recipe="hnsw")
    for start in range(0, len(world.keys), PART):
        part = world.keys[start : start + PART]
        ls.upsert("fast-words", ids=part, keys=part)
    written_s = time.perf_counter() - started
    ls.optimize("fast-words", full=True)
    built_s = time.perf_counter() - started
    size = BATCHES[-1]
    truth = world.words.search(SearchRequest(world.batch(size, 0), K)).points.ids
    batch_s = in_turns(hnsw_calls(world, ls, size), rounds)
    single_s = in_turns(hnsw_calls(world, ls, 1), rounds * 5)
    print_table(
        f"HNSW over gRPC: written in {written_s:.0f} s, one graph after {built_s:.0f} s",
        ("", "recall@10", f"queries/s, batches of {size}", "single, ms"),
        [
            (
                name,
                shared(call(0).ids, truth),
                f"{size / batch_s[name]:.0f}",
                f"{single_s[name] * 1e3:.2f}",
            )
            for name, call in hnsw_calls(world, ls, size).items()
        ],
    )


def hnsw_calls(world: World, ls: Client, size: int) -> dict[str, Callable[[int], SearchResult]]:
    """Exact search of the vocabulary, and its graph with rising effort."""

    def graph(ef: int) -> Callable[[int], SearchResult]:
        return lambda turn: ls.search_batch(
            "fast-words", vectors=world.batch(size, turn), k=K, params={"ef": ef}
        )

    return {
        "exact": lambda turn: ls.search_batch("words", vectors=world.batch(size, turn), k=K),
        **{f"HNSW, ef {ef}": graph(ef) for ef in EFFORTS},
    }


def shared(found: NDArray[np.object_], truth: Sequence[str]) -> str:
    """Share of the true neighbours found, of k for each query."""
    true = np.array(truth, dtype=object).reshape(found.shape)
    hits = [len({*a} & {*b}) for a, b in zip(found.tolist(), true.tolist(), strict=True)]
    return f"{sum(hits) / found.size:.3f}"


def ask(world: World, asked: IndexArray) -> object:
    """Questions a, b, c in process."""
    inputs = normalize_rows(world.rows[asked.ravel()])
    terms: list[Terms] = [
        [(3 * i + 1, 1.0), (3 * i + 2, 1.0), (3 * i, -1.0)] for i in range(len(asked))
    ]
    barred = [[world.keys[place] for place in row] for row in asked.tolist()]
    return analogies(world.words, inputs, terms, K, excluded=barred, threads=THREADS)


def bare_product(world: World, size: int) -> Call:
    """Queries (size, dim) times rows.T, into the same memory each time."""
    out = np.empty((size, len(world.rows)), dtype=np.float32)
    return lambda turn: np.matmul(world.batch(size, turn), world.rows.T, out=out)


def numpy_search(world: World, size: int, turn: int) -> tuple[FloatRows, IndexArray]:
    """What one would write in numpy: product, argpartition, the few sorted."""
    scores = world.batch(size, turn) @ world.rows.T
    part = np.argpartition(scores, -K, axis=1)[:, -K:]
    best = np.take_along_axis(scores, part, axis=1)
    order = np.argsort(-best, axis=1)
    return np.take_along_axis(best, order, axis=1), np.take_along_axis(part, order, axis=1)


def in_turns(calls: Mapping[str, Call], rounds: int) -> dict[str, float]:
    """Median seconds of each call; they take turns, so that a drifting machine is fair to all.

    BLAS threads spin for some time after a product; after a pause they do not take a core from
    another process.
    """
    times: dict[str, list[float]] = {name: [] for name in calls}
    for turn in range(-1, rounds):
        for name, call in calls.items():
            time.sleep(PAUSE_S)
            started = time.perf_counter()
            call(turn % (rounds + 1))
            if turn >= 0:
                times[name].append(time.perf_counter() - started)
    return {name: statistics.median(kept) for name, kept in times.items()}


def beside(seconds: Mapping[str, float], flops: float) -> list[tuple[str, ...]]:
    """Table lines: time, rate, and both beside numpy's."""
    bare, topped = seconds["bare product"], seconds["product + top k"]
    return [
        (name, f"{s * 1e3:.1f}", f"{flops / s / 1e9:.0f}", f"{bare / s:.2f}", f"{s / topped:.2f}")
        for name, s in seconds.items()
    ]


if __name__ == "__main__":
    main()
