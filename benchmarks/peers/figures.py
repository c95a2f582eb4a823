"""What every peer measures, in the peers' environment: it imports nothing of this project."""

import json
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

K, BATCH, CLIENTS = 10, 256, 16
WARMUP_S, SECONDS = 1.0, 5.0
BATCH_ROUNDS = 5

Rows = NDArray[np.float32]
Ids = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Figures:
    """One line of the table.

    Args:
        name: peer, version and settings.
        ingest_s: until written and indexed, as the peer reports both.
        recall: recall@10 of single queries.
        singles_per_s: queries a second from 16 concurrent clients.
        batch_per_s: queries a second in batches of 256; None where the peer has none.
    """

    name: str
    ingest_s: float
    recall: float
    singles_per_s: float
    batch_per_s: float | None = None


def load(folder: Path) -> tuple[Rows, Rows, Ids]:
    """Rows (n, d), queries (q, d) and their true neighbours (q, 10), as the parent wrote them."""
    names = ("rows", "queries", "truth")
    rows, queries, truth = (np.load(folder / f"{name}.npy") for name in names)
    return rows, queries, truth


def report(figures: Figures) -> None:
    """One JSON object for the parent, on a line of its own."""
    print(json.dumps(asdict(figures)), flush=True)


def recall(found: list[list[int]], truth: Ids) -> float:
    """Share of the true neighbours found."""
    hits = [len(set(a) & set(b)) for a, b in zip(found, truth.tolist(), strict=True)]
    return sum(hits) / (K * len(hits))


def singles(search: Callable[[int], object]) -> float:
    """Queries a second of 16 threads; each sends its next query when its last is answered."""
    begin = time.perf_counter() + WARMUP_S
    end = begin + SECONDS
    counts = [0] * CLIENTS

    def client(number: int) -> None:
        i = number
        while (started := time.perf_counter()) < end:
            search(i)
            counts[number] += begin <= started
            i += CLIENTS

    threads = [threading.Thread(target=client, args=(number,)) for number in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(counts) / SECONDS


def batches(search: Callable[[], object]) -> float:
    """Queries a second in batches of 256, the median of five after one to warm up."""
    search()
    times = []
    for _ in range(BATCH_ROUNDS):
        started = time.perf_counter()
        search()
        times.append(time.perf_counter() - started)
    return BATCH / float(np.median(times))


def each(search: Callable[[int], list[int]], count: int) -> list[list[int]]:
    """Answers of queries 0 to count - 1."""
    with ThreadPoolExecutor(4) as pool:
        return list(pool.map(search, range(count)))
