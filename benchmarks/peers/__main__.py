"""The service beside other vector databases, in one run on the same vectors.

    benchmarks/peers/make_env.sh                           # once: their environment
    python -m benchmarks.peers [--points 100000] [--ef 128]

Each peer runs alone, one after the other, with every core: Chroma as its server, loaded over HTTP
from another process; LanceDB embedded, asked by threads; the service as `latentspace serve`, loaded
over gRPC from another process. Queries are the last 1,000 vectors of the file, k is 10, recall is
against exact search. Versions and settings stand in the table.
"""

import argparse
import json
import subprocess
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.overhead import MODELS, K
from benchmarks.search import BATCH, CLIENTS, INGEST_BATCH, load, recall, run_load
from benchmarks.timing import print_table, time_calls
from benchmarks.truth import true_neighbours
from embedders.vectors import FloatRows, IndexArray
from latentspace import Client
from services.app.local import LocalServer

PYTHON = Path("bench-out/peers-venv/bin/python")
PEERS = ("chroma", "lance")
BATCH_CALLS = 5

Line = dict[str, Any]


def main() -> None:
    """Measures all and prints one table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--vectors", type=Path, default=Path("bench-out/minilm.npy"))
    parser.add_argument("--points", type=int, default=100_000)
    parser.add_argument("--ef", type=int, default=128)
    parser.add_argument("--peers", nargs="*", default=PEERS, choices=PEERS)
    args = parser.parse_args()
    if not PYTHON.exists():
        raise SystemExit(f"{PYTHON} is missing: run benchmarks/peers/make_env.sh first")
    rows, queries = load(args.vectors, args.points)
    truth = true_neighbours(rows, queries, K)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for stem, array in (("rows", rows), ("queries", queries), ("truth", truth)):
            np.save(folder / f"{stem}.npy", array)
        lines = [measure_service(folder, rows, queries, truth, args.ef)]
        for peer in args.peers:
            lines += measure_peer(peer, folder)
    show(len(rows), rows.shape[1], lines)


def measure_service(
    folder: Path, rows: FloatRows, queries: FloatRows, truth: IndexArray, ef: int
) -> Line:
    """The service with the recipe `hnsw`."""
    with LocalServer(folder / "service", MODELS) as server, Client(server.address) as client:
        started = time.perf_counter()
        client.create_collection("bench", dim=rows.shape[1], metric="cosine", recipe="hnsw")
        for start in range(0, len(rows), INGEST_BATCH):
            part = rows[start : start + INGEST_BATCH]
            client.upsert("bench", ids=[str(start + i) for i in range(len(part))], vectors=part)
        client.optimize("bench", full=True)
        ingest_s = time.perf_counter() - started
        found = client.search_batch("bench", vectors=queries, k=K, params={"ef": ef})
        arguments = [server.address, str(folder / "queries.npy"), f"--ef={ef}"]
        batch = time_calls(
            lambda _: client.search_batch("bench", vectors=queries[:BATCH], k=K, params={"ef": ef}),
            BATCH_CALLS,
            warmup=1,
        )
        singles = run_load([*arguments, f"--clients={CLIENTS}"])["calls_per_s"]
    ids = np.array([[int(one) if one else -1 for one in line] for line in found.ids])
    return {
        "name": f"latentspace {version('latentspace')} server, HNSW M 32, ef 40/{ef}",
        "ingest_s": ingest_s,
        "recall": float(recall(ids, truth)),
        "singles_per_s": singles,
        "batch_per_s": BATCH / batch.p50_ms * 1e3,
    }


def measure_peer(peer: str, folder: Path) -> list[Line]:
    """What the peer's script reports, a line each setting."""
    command = [str(PYTHON), "-m", f"benchmarks.peers.{peer}", str(folder)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


def show(points: int, dim: int, lines: list[Line]) -> None:
    """The table."""
    cells = [
        [
            line["name"],
            f"{line['ingest_s']:.1f}",
            f"{line['recall']:.3f}",
            f"{line['singles_per_s']:.0f}",
            f"{line['batch_per_s']:.0f}" if line["batch_per_s"] else "",
        ]
        for line in lines
    ]
    header = ["", "ingest s", "recall@10", f"single/s, {CLIENTS} clients", f"batch/s of {BATCH}"]
    print_table(f"{points} vectors of {dim} numbers, k = {K}", header, cells)


if __name__ == "__main__":
    main()
