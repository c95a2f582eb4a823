"""Ten times what a model can do, in calls of 32 texts: what is served and what refused.

    python -m benchmarks.overload [--seconds 20] [--times 10] [--family sentence]

First the peak (closed loop), then the offer (open loop: calls go out whether or not others have
come back), then single calls. The server is a process of its own.
"""

import argparse
import asyncio
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import TypeAlias

import grpc
import numpy as np
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status

from benchmarks.timing import print_table
from latentspace.v1.embedding_service_pb2 import EmbedRequest
from latentspace.v1.types_pb2 import Input
from services.app.local import LocalServer

ITEMS, CLOSED_CLIENTS, TIMEOUT_S = 32, 8, 60.0
Send: TypeAlias = "grpc.aio.UnaryUnaryMultiCallable[bytes, bytes]"
numbers = count()
METHOD = "/latentspace.v1.EmbeddingService/Embed"
DETAILS_KEY = "grpc-status-details-bin"


@dataclass(slots=True)
class Offer:
    """What came of all calls of a phase; seconds of single calls."""

    seconds: float
    served: list[float] = field(default_factory=list)
    refused: list[float] = field(default_factory=list)
    without_retry_info: int = 0
    codes: Counter[str] = field(default_factory=Counter)

    @property
    def items_per_s(self) -> float:
        """Served, over the time in which calls were sent and answered."""
        return len(self.served) * ITEMS / self.seconds


def request(number: int) -> bytes:
    """A call of texts of five words that no other number has: nothing comes from a cache."""
    rng = np.random.default_rng(number)
    numbers = rng.integers(0, 1 << 40, (ITEMS, 3)).tolist()
    texts = [f"shelf {a} keeps {b} {c}" for a, b, c in numbers]
    inputs = [Input(text=text) for text in texts]
    return EmbedRequest(model="model", inputs=inputs).SerializeToString()


def has_retry_info(error: grpc.aio.AioRpcError) -> bool:
    """Whether a refusal says when to come back."""
    data = dict(error.trailing_metadata() or ()).get(DETAILS_KEY, b"")
    return any(one.Is(RetryInfo.DESCRIPTOR) for one in Status.FromString(bytes(data)).details)


async def one_call(send: Send, data: bytes, offer: Offer) -> None:
    """Sends and notes what came of it."""
    started = time.perf_counter()
    try:
        await send(data, timeout=TIMEOUT_S)
        offer.served.append(time.perf_counter() - started)
    except grpc.aio.AioRpcError as error:
        offer.codes[error.code().name] += 1
        offer.refused.append(time.perf_counter() - started)
        offer.without_retry_info += not has_retry_info(error)


async def closed_loop(address: str, seconds: float) -> Offer:
    """Every client sends its next call when the last is answered."""
    offer = Offer(seconds)
    async with grpc.aio.insecure_channel(address) as channel:
        send: Send = channel.unary_unary(METHOD)
        end = time.perf_counter() + seconds

        async def client() -> None:
            while time.perf_counter() < end:
                await one_call(send, request(next(numbers)), offer)

        started = time.perf_counter()
        await asyncio.gather(*[client() for _ in range(CLOSED_CLIENTS)])
        offer.seconds = time.perf_counter() - started
    return offer


async def open_loop(address: str, seconds: float, calls_per_s: float) -> Offer:
    """Calls go out at their time; the clock runs until the last is answered."""
    offer = Offer(seconds)
    async with grpc.aio.insecure_channel(address) as channel:
        send: Send = channel.unary_unary(METHOD)
        tasks: list[asyncio.Task[None]] = []
        started = time.perf_counter()
        while (now := time.perf_counter() - started) < seconds:
            while len(tasks) < now * calls_per_s:
                call = one_call(send, request(next(numbers)), offer)
                tasks.append(asyncio.create_task(call))
            await asyncio.sleep(0.002)
        await asyncio.gather(*tasks)
        offer.seconds = time.perf_counter() - started
    return offer


async def singles(address: str, calls: int = 20) -> list[float]:
    """Seconds of calls of one text, one after the other."""
    found = []
    async with grpc.aio.insecure_channel(address) as channel:
        send: Send = channel.unary_unary(METHOD)
        for i in range(calls):
            one = EmbedRequest(model="model", inputs=[Input(text=f"one text {i}")])
            started = time.perf_counter()
            await send(one.SerializeToString(), timeout=TIMEOUT_S)
            found.append(time.perf_counter() - started)
    return found


def ms(seconds: list[float], share: float) -> str:
    """A quantile in milliseconds."""
    return f"{np.quantile(seconds, share) * 1e3:.1f}" if seconds else "-"


def report(peak: Offer, offer: Offer, after: list[float]) -> None:
    """Prints the figures."""
    calls = len(offer.served) + len(offer.refused)
    rows = [
        ("peak, items/s (closed loop)", f"{peak.items_per_s:.0f}"),
        ("offered, items/s", f"{calls * ITEMS / offer.seconds:.0f}"),
        ("served, items/s", f"{offer.items_per_s:.0f}"),
        ("served / peak", f"{offer.items_per_s / peak.items_per_s:.2f}"),
        ("served calls, p50 / p99 ms", f"{ms(offer.served, 0.5)} / {ms(offer.served, 0.99)}"),
        ("refused calls, share", f"{len(offer.refused) / calls:.3f}"),
        ("refusals", dict(offer.codes)),
        ("refusals without RetryInfo", offer.without_retry_info),
        ("refusals, p50 / p99 ms", f"{ms(offer.refused, 0.5)} / {ms(offer.refused, 0.99)}"),
        ("single calls afterwards, p50 / max ms", f"{ms(after, 0.5)} / {ms(after, 1.0)}"),
    ]
    print_table("Overload", ("figure", "value"), rows)


def main() -> None:
    """Starts a server and overloads it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--times", type=float, default=10.0, help="of the peak that is offered")
    parser.add_argument("--family", default="sentence")
    args = parser.parse_args()
    settings = {"models": {"model": {"family": args.family}}, "cache": {"memory_mib": 0}}
    with tempfile.TemporaryDirectory() as folder, LocalServer(Path(folder), settings) as server:
        asyncio.run(closed_loop(server.address, 3.0))
        peak = asyncio.run(closed_loop(server.address, args.seconds / 2))
        rate = peak.items_per_s / ITEMS * args.times
        offer = asyncio.run(open_loop(server.address, args.seconds, rate))
        report(peak, offer, asyncio.run(singles(server.address)))


if __name__ == "__main__":
    main()
