"""Concurrent single calls from one process, as an application's event loop would send them.

    python -m benchmarks.load ADDRESS QUERIES.npy [--collection bench] [--ef 128] [--clients 16]
    python -m benchmarks.load ADDRESS QUERIES.npy --echo
    python -m benchmarks.load ADDRESS TEXTS.txt --embed MODEL

Prints one JSON object: calls, calls_per_s, p50_ms, p99_ms.
"""

import argparse
import asyncio
from collections.abc import Sequence
from pathlib import Path

import grpc
import numpy as np

from benchmarks.closed_loop import run
from benchmarks.echo import METHOD
from embedders.vectors import FloatRows
from latentspace import AsyncClient, SearchParams
from latentspace.v1.search_service_pb2 import SearchRequest
from latentspace.v1.types_pb2 import VectorBatch

K = 10


def main() -> None:
    """Runs the load and prints its figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("address")
    parser.add_argument("file")
    parser.add_argument("--embed", default="")
    parser.add_argument("--collection", default="bench")
    parser.add_argument("--ef", type=int, default=128)
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--echo", action="store_true")
    args = parser.parse_args()
    if args.embed:
        texts = Path(args.file).read_text(encoding="utf-8").splitlines()
        asyncio.run(embed_load(args, texts))
        return
    queries = np.load(args.file)
    load = echo_load if args.echo else search_load
    asyncio.run(load(args, queries))


async def search_load(args: argparse.Namespace, queries: FloatRows) -> None:
    """Through AsyncClient."""
    params: SearchParams = {"ef": int(args.ef)}
    async with AsyncClient(args.address) as client:

        async def call(i: int) -> object:
            return await client.search(
                args.collection,
                vector=queries[i % len(queries)],
                k=K,
                params=params,
                with_payload=False,
            )

        await run(call, args.clients, args.seconds)


async def embed_load(args: argparse.Namespace, texts: Sequence[str]) -> None:
    """One text a call through AsyncClient."""
    async with AsyncClient(args.address) as client:

        async def call(i: int) -> object:
            return await client.embed(args.embed, texts=[texts[i % len(texts)]])

        await run(call, args.clients, args.seconds)


async def echo_load(args: argparse.Namespace, queries: FloatRows) -> None:
    """Against the bare echo server, with requests of the same size."""
    row = queries[0]
    batch = VectorBatch(data=row.tobytes(), dim=len(row), count=1)
    payload = SearchRequest(collection=args.collection, vectors=batch, k=K).SerializeToString()
    async with grpc.aio.insecure_channel(args.address) as channel:
        send: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(METHOD)

        async def call(_: int) -> object:
            return await send(payload)

        await run(call, args.clients, args.seconds)


if __name__ == "__main__":
    main()
