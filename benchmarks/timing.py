"""Clocks and tables that the benchmarks share."""

import statistics
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Latency:
    """Times of single calls, in milliseconds."""

    p50_ms: float
    p99_ms: float
    calls: int


def latency(seconds: Sequence[float]) -> Latency:
    """Median and 99th percentile of call times."""
    cuts = statistics.quantiles(seconds, n=100)
    return Latency(cuts[49] * 1e3, cuts[98] * 1e3, len(seconds))


def time_calls(call: Callable[[int], object], count: int, warmup: int = 50) -> Latency:
    """Times of `count` calls one after the other; `call` is given its number."""
    for i in range(warmup):
        call(i)
    seconds = []
    for i in range(count):
        started = time.perf_counter()
        call(i)
        seconds.append(time.perf_counter() - started)
    return latency(seconds)


async def time_async_calls(
    call: Callable[[int], Awaitable[object]], count: int, warmup: int = 50
) -> Latency:
    """As `time_calls`, for coroutines."""
    for i in range(warmup):
        await call(i)
    seconds = []
    for i in range(count):
        started = time.perf_counter()
        await call(i)
        seconds.append(time.perf_counter() - started)
    return latency(seconds)


def print_table(title: str, header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """A plain table."""
    cells = [[str(cell) for cell in row] for row in [header, *rows]]
    widths = [max(len(row[i]) for row in cells) for i in range(len(header))]
    print(f"\n{title}")
    for row in cells:
        print("  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)))
