"""Embeddings that Redis has, beside making them and beside Redis itself, in one run.

    python -m benchmarks.cache [--batches 8] [--repeats 20]

The service keeps nothing in its own memory: every batch of 256 texts comes from Redis, through the
gRPC stub and through the client. The texts are 8 to 16 words of words-mini. The limit is a bare
Redis client of this process that gets the same keys with MGET, alone on the machine.
"""

import argparse
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import grpc
import numpy as np
import redis

from benchmarks.timing import print_table
from embedders.formats import read_vocabulary
from embedders.sources import model_file
from latentspace import Client
from latentspace.v1 import embedding_service_pb2 as pb
from latentspace.v1.embedding_service_pb2_grpc import EmbeddingServiceStub
from latentspace.v1.types_pb2 import Input
from services.app.local import LocalServer

BATCH = 256
START_TIMEOUT_S = 10.0


def main() -> None:
    """Fills Redis, times all in turn, prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batches", type=int, default=8)
    parser.add_argument("--repeats", type=int, default=20)
    args = parser.parse_args()
    batches = made(args.batches)
    with tempfile.TemporaryDirectory() as folder, redis_server(folder) as url:
        settings = {
            "models": {"sentences": {"family": "sentence"}},
            "cache": {"memory_mib": 0, "redis_url": url},
        }
        with LocalServer(Path(folder), settings) as server:
            report(server.address, url, batches, args.repeats)


def made(count: int) -> list[list[str]]:
    """Batches of different texts, the same in every run."""
    keys = read_vocabulary(model_file("words-mini")).keys
    rng = np.random.default_rng(0)
    texts = [
        " ".join(keys[i] for i in rng.integers(0, len(keys), rng.integers(8, 17)))
        for _ in range(count * BATCH)
    ]
    return [texts[i : i + BATCH] for i in range(0, len(texts), BATCH)]


@contextmanager
def redis_server(folder: str) -> Iterator[str]:
    """A Redis on a free port, without files; its URL."""
    if shutil.which("redis-server") is None:
        raise SystemExit("redis-server is not installed")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = ["redis-server", "--port", str(port), "--save", "", "--dir", folder]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        try:
            yield f"redis://127.0.0.1:{port}/0"
        finally:
            process.kill()


def report(address: str, url: str, batches: Sequence[Sequence[str]], repeats: int) -> None:
    """Times the model, the cache through stub and client, and Redis alone."""
    with Client(address) as client, grpc.insecure_channel(address) as channel:
        client.embed("sentences", texts=[f"warm {i}" for i in range(64)])
        started = time.perf_counter()
        rows = [client.embed("sentences", texts=texts) for texts in batches]
        uncached = len(batches) * BATCH / (time.perf_counter() - started)
        keys = wait_for_keys(url, len(batches) * BATCH)
        again = [client.embed("sentences", texts=texts) for texts in batches]
        assert np.array_equal(rows, again), "cached rows differ"
        embed = EmbeddingServiceStub(channel).Embed
        requests = [
            pb.EmbedRequest(model="sentences", inputs=[Input(text=t) for t in texts])
            for texts in batches
        ]
        assert embed(requests[0]).timing.encode_ns == 0, "nothing was cached"
        stub = time_batches(lambda i: embed(requests[i]), len(batches), repeats)
        served = time_batches(
            lambda i: client.embed("sentences", texts=batches[i]), len(batches), repeats
        )
    with redis.Redis.from_url(url) as bare:
        parts = [keys[i : i + BATCH] for i in range(0, len(batches) * BATCH, BATCH)]
        size = sum(len(value) for value in bare.mget(parts[0])) / BATCH
        limit = time_batches(lambda i: bare.mget(parts[i]), len(batches), repeats)
    show(uncached, {"stub": stub, "client": served}, limit, size)


def wait_for_keys(url: str, count: int) -> list[bytes]:
    """The keys of all rows, once they are written."""
    end = time.monotonic() + START_TIMEOUT_S
    with redis.Redis.from_url(url) as client:
        while len(keys := list(client.scan_iter(match="ls1:*", count=10_000))) < count:
            assert time.monotonic() < end, f"{len(keys)} of {count} rows were written"
            time.sleep(0.05)
    return keys


def time_batches(call: Callable[[int], object], batches: int, repeats: int) -> float:
    """Texts a second, one batch after the other: the median of the repeats."""
    rates = []
    for _ in range(repeats):
        started = time.perf_counter()
        for i in range(batches):
            call(i)
        rates.append(batches * BATCH / (time.perf_counter() - started))
    return float(np.median(rates))


def show(uncached: float, cached: dict[str, float], limit: float, size: float) -> None:
    """The table: rates, how often uncached, and the share of what Redis itself gives."""
    rows = [["MiniLM, uncached", f"{uncached:,.0f}", "1", "", ""]]
    rates = {f"from Redis, {name}": rate for name, rate in cached.items()}
    for name, rate in {**rates, "Redis alone, MGET": limit}.items():
        megabytes = f"{rate * size / 1e6:,.0f}"
        rows.append([name, f"{rate:,.0f}", f"{rate / uncached:,.0f}", megabytes, ""])
        rows[-1][4] = f"{rate / limit:.2f}"
    print_table(
        f"Batches of {BATCH} texts, values of {size:,.0f} bytes, one caller",
        ["", "texts/s", "times uncached", "MB/s", "of Redis alone"],
        rows,
    )


if __name__ == "__main__":
    main()
