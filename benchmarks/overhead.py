"""What one gRPC search costs beside the same FAISS search in process and a bare gRPC echo.

    python -m benchmarks.overhead [--points 100000] [--dim 384] [--calls 2000]

One client, one query at a time. The vectors are clustered like sentence vectors: a thousand
centres, points around them. Everything is on this machine and in this run; the echo server is a
process of its own, as the service is, and gives back a reply of the same bytes.
"""

import argparse
import asyncio
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import faiss
import grpc
import numpy as np

from benchmarks.echo import METHOD
from benchmarks.timing import Latency, print_table, time_async_calls, time_calls
from embedders.vectors import FloatRows, normalize_rows
from latentspace import AsyncClient, Client
from latentspace.v1.search_service_pb2 import SearchRequest, SearchResponse
from latentspace.v1.search_service_pb2_grpc import SearchServiceStub
from latentspace.v1.types_pb2 import VectorBatch
from services.app.local import LocalServer

K, EF, M, EF_CONSTRUCTION = 10, 128, 32, 40
QUERIES = 1000


def main() -> None:
    """Builds both indexes, times all, prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--points", type=int, default=100_000)
    parser.add_argument("--dim", type=int, default=384)
    parser.add_argument("--calls", type=int, default=2000)
    args = parser.parse_args()
    rows, queries = clustered(args.points + QUERIES, args.dim, args.points)
    index = raw_index(rows)
    with tempfile.TemporaryDirectory() as folder, LocalServer(Path(folder), MODELS) as server:
        fill(server.address, rows)
        report(server.address, index, queries, args.calls, folder)


MODELS = {"models": {"toy": {"family": "hash"}}}


def clustered(count: int, dim: int, split: int) -> tuple[FloatRows, FloatRows]:
    """Unit vectors around a thousand centres: rows (split, dim), queries (count - split, dim)."""
    rng = np.random.default_rng(0)
    centres = rng.standard_normal((1000, dim), dtype=np.float32)
    noise = rng.standard_normal((count, dim), dtype=np.float32)
    points = normalize_rows(centres[rng.integers(0, 1000, count)] + noise)
    return points[:split], points[split:]


def raw_index(rows: FloatRows) -> faiss.IndexHNSWFlat:
    """FAISS as a program of one's own would use it."""
    index = faiss.IndexHNSWFlat(rows.shape[1], M, faiss.METRIC_INNER_PRODUCT)
    index.hnsw.efConstruction, index.hnsw.efSearch = EF_CONSTRUCTION, EF
    index.add(rows)
    return index


def fill(address: str, rows: FloatRows) -> None:
    """The same vectors in a collection, its index built."""
    with Client(address) as client:
        client.create_collection("bench", dim=rows.shape[1], metric="cosine", recipe="hnsw")
        client.upsert("bench", ids=[str(i) for i in range(len(rows))], vectors=rows)
        client.optimize("bench", full=True)


def report(
    address: str, index: faiss.IndexHNSWFlat, queries: FloatRows, calls: int, folder: str
) -> None:
    """Times raw search, echo, stub and both clients; prints them and the overhead."""

    def query(i: int) -> FloatRows:
        return queries[i % QUERIES : i % QUERIES + 1]

    raw = time_calls(lambda i: index.search(query(i), K), calls)
    with grpc.insecure_channel(address) as channel:
        search = SearchServiceStub(channel).Search
        stub = time_calls(lambda i: search(request(query(i))), calls)
        reply: SearchResponse = search(request(query(0)))
    found = {int(i) for i in reply.results.ids}
    agreed = len(found & set(index.search(query(0), K)[1][0].tolist()))
    payload = request(query(0)).SerializeToString()
    with (
        echo_server(reply.SerializeToString(), folder) as port,
        grpc.insecure_channel(f"127.0.0.1:{port}") as channel,
    ):
        echo_call: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(METHOD)
        echo = time_calls(lambda _: echo_call(payload), calls)
    with Client(address) as client:
        sync = time_calls(
            lambda i: client.search("bench", vector=query(i)[0], k=K, with_payload=False), calls
        )
    asynchronous = asyncio.run(time_async_client(address, query, calls))
    show(raw, echo, {"stub": stub, "Client": sync, "AsyncClient": asynchronous}, agreed)


async def time_async_client(address: str, query: Callable[[int], FloatRows], calls: int) -> Latency:
    """One AsyncClient, one query at a time."""
    async with AsyncClient(address) as client:
        return await time_async_calls(
            lambda i: client.search("bench", vector=query(i)[0], k=K, with_payload=False), calls
        )


def request(query: FloatRows) -> SearchRequest:
    """The wire's fast path for one query."""
    batch = VectorBatch(data=query.tobytes(), dim=query.shape[1], count=1)
    return SearchRequest(collection="bench", vectors=batch, k=K)


@contextmanager
def echo_server(reply: bytes, folder: str) -> Iterator[int]:
    """The echo server as a process; its port."""
    path = Path(folder) / "reply.bin"
    path.write_bytes(reply)
    command = [sys.executable, "-m", "benchmarks.echo", str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield int(process.stdout.readline())
        finally:
            process.kill()


def show(raw: Latency, echo: Latency, served: dict[str, Latency], agreed: int) -> None:
    """The table: `added` is beyond raw FAISS plus echo."""
    floor = raw.p50_ms + echo.p50_ms
    rows = [
        ["raw FAISS in process", f"{raw.p50_ms:.3f}", f"{raw.p99_ms:.3f}", ""],
        ["bare gRPC echo", f"{echo.p50_ms:.3f}", f"{echo.p99_ms:.3f}", ""],
    ]
    rows += [
        [f"service, {name}", f"{t.p50_ms:.3f}", f"{t.p99_ms:.3f}", f"{t.p50_ms - floor:+.3f}"]
        for name, t in served.items()
    ]
    print_table(
        f"One query at a time, k = {K}, HNSW M {M}, ef {EF} ({agreed} of {K} hits agree)",
        ["", "p50 ms", "p99 ms", "added ms"],
        rows,
    )


if __name__ == "__main__":
    main()
