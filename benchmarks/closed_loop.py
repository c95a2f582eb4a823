"""Clients that send their next call when their last is answered; standard library only."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict

from benchmarks.timing import latency

WARMUP_S = 1.0


async def run(call: Callable[[int], Awaitable[object]], clients: int, seconds: float) -> None:
    """Prints one JSON object: calls, calls_per_s, p50_ms, p99_ms."""
    times: list[float] = []
    begin = time.perf_counter() + WARMUP_S
    end = begin + seconds

    async def client(number: int) -> None:
        i = number
        while (started := time.perf_counter()) < end:
            await call(i)
            if started >= begin:
                times.append(time.perf_counter() - started)
            i += clients

    await asyncio.gather(*[client(number) for number in range(clients)])
    figures = asdict(latency(times))
    print(json.dumps({**figures, "calls_per_s": len(times) / seconds}))
