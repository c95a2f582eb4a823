"""Single texts from concurrent clients to an Infinity server; runs in the peer's environment.

    INFINITY_PYTHON -m benchmarks.peers.infinity ADDRESS MODEL TEXTS.txt CLIENTS

Prints one JSON object: calls, calls_per_s, p50_ms, p99_ms.
"""

import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path

import httpx

from benchmarks.closed_loop import run

SECONDS = 5.0


async def load(address: str, model: str, texts: Sequence[str], clients: int) -> None:
    """One text a call."""
    limits = httpx.Limits(max_connections=clients)
    async with httpx.AsyncClient(limits=limits, timeout=60) as client:

        async def call(i: int) -> object:
            body = {"model": model, "input": [texts[i % len(texts)]]}
            return (await client.post(f"http://{address}/embeddings", json=body)).raise_for_status()

        await run(call, clients, SECONDS)


if __name__ == "__main__":
    given = Path(sys.argv[3]).read_text(encoding="utf-8").splitlines()
    asyncio.run(load(sys.argv[1], sys.argv[2], given, int(sys.argv[4])))
