"""Sends spoiled requests, many at once, and judges every answer."""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import grpc
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import DecodeError, Message
from google.protobuf.message_factory import GetMessageClass

from tests.e2e.mutating.judging import faults_of_error, faults_of_reply
from tests.e2e.mutating.seeds import Seeds
from tests.e2e.mutating.spoiling import spoil
from tests.e2e.mutating.twisting import Twister

IN_FLIGHT = 24
DEADLINE_S = 20.0
# some callers hang up or give the server next to no time
IMPATIENT = 0.03
# what grpc's asyncio client, not the server, says when a write meets the end of a stream
WRITE_FAILED = "Internal error from Core"
SIZES = [("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1)]


@dataclass(frozen=True, slots=True)
class Shot:
    """One spoiled call.

    Args:
        timeout_s: the caller's deadline.
        hang_up_s: when the caller goes away; None: it stays.
    """

    number: int
    method: MethodDescriptor
    messages: Sequence[bytes]
    timeout_s: float = DEADLINE_S
    hang_up_s: float | None = None

    @property
    def path(self) -> str:
        return f"/{self.method.containing_service.full_name}/{self.method.name}"

    @property
    def patient(self) -> bool:
        return self.timeout_s == DEADLINE_S and self.hang_up_s is None


@dataclass(slots=True)
class Tally:
    """What came of all calls."""

    codes: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    answered: set[str] = field(default_factory=set)


def shots(seed: int, count: int, pictures: Sequence[bytes]) -> Iterator[Shot]:
    """Spoiled calls, the same for the same seed."""
    chance = random.Random(seed)
    seeds, twister = Seeds(chance, pictures), Twister(chance, pictures)
    for number in range(count):
        drawn = seeds.draw()
        kind = chance.random()
        messages = []
        for message in drawn.messages:
            other = chance.choice(seeds.draw().messages or [message]).SerializeToString()
            if kind < 0.7:
                messages.append(twister.twist(message))
            elif kind < 0.75:
                messages.append(message.SerializeToString())
            elif kind < 0.8:
                messages.append(spoil(chance, twister.twist(message), other))
            else:
                messages.append(spoil(chance, message.SerializeToString(), other))
        timeout = chance.uniform(0.0005, 0.05) if chance.random() < IMPATIENT else DEADLINE_S
        hang_up = chance.uniform(0, 0.02) if chance.random() < IMPATIENT else None
        yield Shot(number, drawn.method, messages, timeout, hang_up)


async def storm(address: str, ammunition: Sequence[Shot], tally: Tally) -> None:
    """Sends them all."""
    waiting = iter(ammunition)
    async with grpc.aio.insecure_channel(address, options=SIZES) as channel:

        async def sender() -> None:
            for shot in waiting:
                await _shoot(channel, shot, tally)

        await asyncio.gather(*[sender() for _ in range(IN_FLIGHT)])


async def _shoot(channel: grpc.aio.Channel, shot: Shot, tally: Tally) -> None:
    call = _call(channel, shot)
    if shot.hang_up_s is not None:
        asyncio.get_running_loop().call_later(shot.hang_up_s, call.cancel)
    try:
        found = [fault async for data in _replies(call, shot) for fault in _faults(data, shot)]
        tally.codes["OK"] += 1
        tally.answered.add(shot.method.name)
    except grpc.aio.AioRpcError as error:
        if error.details() == WRITE_FAILED and shot.method.client_streaming:
            await _shoot(channel, shot, tally)
            return
        tally.codes[error.code().name] += 1
        found = list(faults_of_error(error)) if shot.patient else []
    except asyncio.CancelledError:
        if shot.hang_up_s is None:
            raise
        tally.codes["hung up"] += 1
        found = []
    tally.faults += [f"{shot.number} {shot.method.name}: {fault}" for fault in found]


def _call(channel: grpc.aio.Channel, shot: Shot) -> Any:
    method, untyped = shot.method, cast("Any", channel)
    if method.client_streaming:
        return untyped.stream_stream(shot.path)(iter(shot.messages), timeout=shot.timeout_s)
    kind = untyped.unary_stream if method.server_streaming else untyped.unary_unary
    return kind(shot.path)(shot.messages[0], timeout=shot.timeout_s)


async def _replies(call: Any, shot: Shot) -> AsyncIterator[bytes]:
    if not shot.method.server_streaming:
        yield await call
        return
    async for reply in call:
        yield reply


def _faults(data: bytes, shot: Shot) -> Iterator[str]:
    try:
        reply: Message = GetMessageClass(shot.method.output_type).FromString(data)
    except DecodeError as error:
        yield f"a reply that cannot be read: {error}"
        return
    yield from faults_of_reply(reply)
