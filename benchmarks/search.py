"""Durable collections beside raw FAISS on the same vectors, in one run on one machine.

    python -m benchmarks.vectors TEXT --count 101000       # once: real MiniLM vectors
    python -m benchmarks.search [--vectors bench-out/minilm.npy] [--points 100000] [--ef 128]

Raw FAISS is IndexHNSWFlat (M 32, efConstruction 40) in this process with every core; the service is
a process of its own with the recipe `hnsw`, reached over gRPC; queries are the last 1,000 vectors
of the file, which are in neither. The echo is a bare grpc.aio server that returns a reply of the
same bytes.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import faiss
import grpc
import numpy as np
import psutil

from benchmarks.overhead import MODELS, K, echo_server, raw_index, request
from benchmarks.timing import print_table, time_calls
from benchmarks.truth import true_neighbours
from embedders.vectors import FloatRows, IndexArray, normalize_rows
from latentspace import Client
from latentspace.v1.search_service_pb2_grpc import SearchServiceStub
from services.app.local import LocalServer

QUERIES, BATCH, CLIENTS = 1000, 256, 16
INGEST_BATCH = 2000
ROUNDS = 5


def main() -> None:
    """Builds both, measures all figures, prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--vectors", type=Path, default=Path("bench-out/minilm.npy"))
    parser.add_argument("--points", type=int, default=100_000)
    parser.add_argument("--ef", type=int, default=128)
    args = parser.parse_args()
    rows, queries = load(args.vectors, args.points)
    truth = true_neighbours(rows, queries, K)
    before, started = anonymous_bytes(os.getpid()), time.perf_counter()
    index = raw_index(rows)
    raw = Raw(time.perf_counter() - started, anonymous_bytes(os.getpid()) - before)
    index.hnsw.efSearch = args.ef
    with tempfile.TemporaryDirectory() as folder, LocalServer(Path(folder), MODELS) as server:
        ingest(server, rows, raw)
        measure_batches(server.address, index, queries, truth, args.ef)
        measure_singles(server.address, index, queries, args.ef, Path(folder))


def load(path: Path, points: int) -> tuple[FloatRows, FloatRows]:
    """Unit rows (points, dim) from the front of the file, and 1,000 queries from its end."""
    stored = np.load(path, mmap_mode="r")
    if len(stored) < points + QUERIES:
        raise SystemExit(f"{path} has {len(stored)} vectors: make {points + QUERIES} first")
    rows = normalize_rows(np.asarray(stored[:points], np.float32))
    done = path.with_suffix(".done")
    end = int(done.read_text()) if done.exists() else len(stored)
    return rows, normalize_rows(np.asarray(stored[end - QUERIES : end], np.float32))


@dataclass(frozen=True, slots=True)
class Raw:
    """What building with raw FAISS took."""

    build_s: float
    memory_bytes: int


def ingest(server: LocalServer, rows: FloatRows, raw: Raw) -> None:
    """Durable writes, then every index built and merged into one; time and memory."""
    before = anonymous_bytes(server.process.pid)
    with Client(server.address) as client:
        client.create_collection("bench", dim=rows.shape[1], metric="cosine", recipe="hnsw")
        started = time.perf_counter()
        for start in range(0, len(rows), INGEST_BATCH):
            part = rows[start : start + INGEST_BATCH]
            client.upsert(
                "bench", ids=[f"{start + i:012d}" for i in range(len(part))], vectors=part
            )
        written_s = time.perf_counter() - started
        client.optimize("bench", full=True)
        built_s = time.perf_counter() - started
    used = anonymous_bytes(server.process.pid) - before
    mapped = mapped_bytes(server.process.pid, server.data_dir)
    n, dim = rows.shape
    print_table(
        f"{n} vectors of {dim} numbers",
        ["", "seconds", "ratio to raw add"],
        [
            ["raw FAISS add (HNSW, all cores)", f"{raw.build_s:.1f}", ""],
            [
                "service, acknowledged (on disk)",
                f"{written_s:.1f}",
                f"{raw.build_s / written_s:.2f}",
            ],
            ["service, one index built", f"{built_s:.1f}", f"{raw.build_s / built_s:.2f}"],
        ],
    )
    kept = (used + mapped) / raw.memory_bytes - 1
    print(
        f"  memory a vector: {used / n:.0f} bytes of its own and {mapped / n:.0f} of mapped files"
        f" (page cache), {raw.memory_bytes / n:.0f} in raw FAISS ({kept:+.1%})"
    )


def anonymous_bytes(pid: int) -> int:
    """Memory of a process that no file backs."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("Anonymous:"))


def mapped_bytes(pid: int, folder: Path) -> int:
    """Size of the files under a folder that a process has mapped."""
    lines = Path(f"/proc/{pid}/maps").read_text().splitlines()
    paths = {line.split(maxsplit=5)[-1] for line in lines if str(folder) in line}
    return sum(Path(path).stat().st_size for path in paths if Path(path).exists())


def measure_batches(
    address: str, index: faiss.IndexHNSWFlat, queries: FloatRows, truth: IndexArray, ef: int
) -> None:
    """Batches of 256, raw and served in turn."""
    part = queries[:BATCH]
    with Client(address) as client:
        found = client.search_batch("bench", vectors=part, k=K, params={"ef": ef})
        raw_s, served_s = alternate(
            lambda: index.search(part, K),
            lambda: client.search_batch("bench", vectors=part, k=K, params={"ef": ef}),
        )
    served = [[int(i) if i else -1 for i in line] for line in found.ids]
    rates = [BATCH / raw_s, BATCH / served_s]
    print_table(
        f"Batches of {BATCH}, k = {K}, ef {ef}",
        ["", "queries/s", "recall@10", "ratio"],
        [
            [
                "raw FAISS, all cores",
                f"{rates[0]:.0f}",
                recall(index.search(part, K)[1], truth),
                "",
            ],
            [
                "service, Client",
                f"{rates[1]:.0f}",
                recall(np.array(served), truth),
                f"{rates[1] / rates[0]:.2f}",
            ],
        ],
    )


def measure_singles(
    address: str, index: faiss.IndexHNSWFlat, queries: FloatRows, ef: int, folder: Path
) -> None:
    """16 concurrent clients in a process of their own, and one client alone."""
    path = folder / "queries.npy"
    np.save(path, queries)
    raw = raw_singles(index, queries)
    served = run_load([address, str(path), f"--ef={ef}", f"--clients={CLIENTS}"])
    alone = run_load([address, str(path), f"--ef={ef}", "--clients=1"])
    with grpc.insecure_channel(address) as channel:
        reply = SearchServiceStub(channel).Search(request(queries[:1]))
    with echo_server(reply.SerializeToString(), str(folder)) as port:
        echo = run_load([f"127.0.0.1:{port}", str(path), "--echo", f"--clients={CLIENTS}"])
        echo_alone = run_load([f"127.0.0.1:{port}", str(path), "--echo", "--clients=1"])
    limit = 1 / (1 / raw + 1 / echo["calls_per_s"])
    raw_alone = time_calls(lambda i: index.search(queries[i % QUERIES][None], K), 2000)
    print_table(
        f"Single queries, {CLIENTS} concurrent clients",
        ["", "queries/s", "of raw", "of the limit"],
        [
            ["raw FAISS, all cores", f"{raw:.0f}", "", ""],
            ["bare gRPC echo", f"{echo['calls_per_s']:.0f}", "", ""],
            ["limit 1/(1/raw + 1/echo)", f"{limit:.0f}", "", ""],
            [
                "service, AsyncClient",
                f"{served['calls_per_s']:.0f}",
                f"{served['calls_per_s'] / raw:.2f}",
                f"{served['calls_per_s'] / limit:.2f}",
            ],
        ],
    )
    added = alone["p50_ms"] - raw_alone.p50_ms - echo_alone["p50_ms"]
    print_table(
        "One client, one query at a time",
        ["", "p50 ms"],
        [
            ["raw FAISS", f"{raw_alone.p50_ms:.3f}"],
            ["bare gRPC echo", f"{echo_alone['p50_ms']:.3f}"],
            ["service, AsyncClient", f"{alone['p50_ms']:.3f}"],
            ["added", f"{added:+.3f}"],
        ],
    )


def alternate(first: Callable[[], object], second: Callable[[], object]) -> tuple[float, float]:
    """Median seconds of two calls made in turn, so that a drifting machine is fair to both."""
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(4 * ROUNDS):
        for call, kept in ((first, times[0]), (second, times[1])):
            started = time.perf_counter()
            call()
            kept.append(time.perf_counter() - started)
    return statistics.median(times[0]), statistics.median(times[1])


def raw_singles(index: faiss.IndexHNSWFlat, queries: FloatRows) -> float:
    """Queries a second, one at a time a thread, a thread a core."""
    cores = psutil.cpu_count() or 1

    def work(start: int) -> None:
        faiss.omp_set_num_threads(1)
        for i in range(start, 4 * QUERIES, cores):
            index.search(queries[i % QUERIES][None], K)

    with ThreadPoolExecutor(cores) as pool:
        started = time.perf_counter()
        list(pool.map(work, range(cores)))
        return 4 * QUERIES / (time.perf_counter() - started)


def run_load(arguments: list[str]) -> dict[str, float]:
    """Figures of `benchmarks.load` in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.load", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    figures: dict[str, float] = json.loads(done.stdout)
    return figures


def recall(found: IndexArray, truth: IndexArray) -> str:
    """Share of the true neighbours found."""
    hits = [len(set(a.tolist()) & set(b.tolist())) for a, b in zip(found, truth, strict=False)]
    return f"{sum(hits) / (K * len(hits)):.3f}"


if __name__ == "__main__":
    main()
