"""Chroma: its own server, loaded from this process over HTTP.

    bench-out/peers-venv/bin/python -m benchmarks.peers.chroma FOLDER

HNSW with Chroma's own defaults (M 16, construction and search effort 100), then search effort 128
and M 32 as the other lines of the table have; `rows.npy`, `queries.npy` and `truth.npy` are read
from FOLDER, and the server keeps its files there. The clients are coroutines of one AsyncHttpClient
in one process, as in `benchmarks.load`.
"""

import asyncio
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

import chromadb

from benchmarks.peers.figures import (
    BATCH,
    CLIENTS,
    SECONDS,
    WARMUP_S,
    Figures,
    Ids,
    K,
    Rows,
    batches,
    each,
    load,
    recall,
    report,
)

INGEST_BATCH = 2000
START_S = 60.0
DEFAULTS: dict[str, Any] = {"space": "cosine"}
LIKE_OURS: dict[str, Any] = {
    "space": "cosine",
    "max_neighbors": 32,
    "ef_construction": 40,
    "ef_search": 128,
}


def main() -> None:
    """Measures both settings."""
    folder = Path(sys.argv[1])
    rows, queries, truth = load(folder)
    with server(folder / "chroma") as port:
        client = chromadb.HttpClient("127.0.0.1", port)
        for name, settings in (("defaults", DEFAULTS), ("like-ours", LIKE_OURS)):
            collection = client.create_collection(name, configuration={"hnsw": settings})
            seconds = ingest(collection, rows)
            report(measure(collection, port, seconds, queries, truth))
            client.delete_collection(name)


def measure(collection: Any, port: int, ingest_s: float, queries: Rows, truth: Ids) -> Figures:
    """The figures of a filled collection."""

    def one(i: int) -> list[int]:
        return ask(collection, queries[i : i + 1])[0]

    return Figures(
        f"Chroma {chromadb.__version__} server, {described(collection)}",
        ingest_s,
        recall(each(one, len(queries)), truth),
        asyncio.run(async_singles(port, collection.name, queries)),
        batches(lambda: ask(collection, queries[:BATCH])),
    )


@contextmanager
def server(folder: Path) -> Iterator[int]:
    """`chroma run` on a free port."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    command = [str(Path(sys.executable).with_name("chroma")), "run", "--path", str(folder)]
    command += ["--host", "127.0.0.1", "--port", str(port)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        try:
            wait_for(port)
            yield port
        finally:
            process.terminate()


def wait_for(port: int) -> None:
    """Returns once the server answers."""
    end = time.monotonic() + START_S
    while True:
        try:
            urlopen(f"http://127.0.0.1:{port}/api/v2/heartbeat").close()
            return
        except URLError:
            if time.monotonic() > end:
                raise
            time.sleep(0.1)


def ingest(collection: Any, rows: Rows) -> float:
    """Seconds until all rows are written and in the graph, which Chroma grows as they come."""
    started = time.perf_counter()
    for start in range(0, len(rows), INGEST_BATCH):
        part = rows[start : start + INGEST_BATCH]
        ids = [str(start + i) for i in range(len(part))]
        collection.add(ids=ids, embeddings=part)
    # the first query waits for what the log still holds
    ask(collection, rows[:1])
    return time.perf_counter() - started


def ask(collection: Any, queries: Rows) -> list[list[int]]:
    """Ids of the nearest ten of each query; no documents or metadata are asked for."""
    found = collection.query(query_embeddings=queries, n_results=K, include=["distances"])
    return [[int(one) for one in line] for line in found["ids"]]


def described(collection: Any) -> str:
    """The settings that the server says it uses."""
    hnsw = collection.configuration["hnsw"]
    return f"HNSW M {hnsw['max_neighbors']}, ef {hnsw['ef_construction']}/{hnsw['ef_search']}"


async def async_singles(port: int, name: str, queries: Rows) -> float:
    """Queries a second of 16 coroutines."""
    client = await chromadb.AsyncHttpClient("127.0.0.1", port)
    collection = await client.get_collection(name)
    begin = time.perf_counter() + WARMUP_S
    end = begin + SECONDS
    counts = [0] * CLIENTS

    async def one(number: int) -> None:
        i = number
        while (started := time.perf_counter()) < end:
            query = queries[i % len(queries)][None]
            await collection.query(query_embeddings=query, n_results=K, include=["distances"])
            counts[number] += begin <= started
            i += CLIENTS

    await asyncio.gather(*[one(number) for number in range(CLIENTS)])
    return sum(counts) / SECONDS


if __name__ == "__main__":
    main()
