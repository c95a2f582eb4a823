"""Far more than a model can do: refused at once and clearly, served within bounds, soon well again.

The model is `hash` with texts so long that a call takes tens of milliseconds.
"""

import random
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import grpc
import pytest
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status

from latentspace.v1.embedding_service_pb2 import EmbedRequest, EmbedStreamRequest
from latentspace.v1.embedding_service_pb2_grpc import EmbeddingServiceStub
from latentspace.v1.types_pb2 import Input
from services.app.local import LocalServer

Code = grpc.StatusCode
WORDS, ITEMS = 400, 16
# of words that may wait: ten calls
QUEUE = WORDS * ITEMS * 10
# generous: a queue of ten calls takes about a second where the machine is calm
BOUND_S = 60.0


@pytest.fixture(scope="module")
def stub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddingServiceStub]:
    settings = {
        "models": {"slow": {"family": "hash", "options": {"dim": 256}}},
        "limits": {"queue_cost": QUEUE},
    }
    folder = tmp_path_factory.mktemp("overload")
    with LocalServer(folder, settings) as server, grpc.insecure_channel(server.address) as channel:
        stub = EmbeddingServiceStub(channel)
        # the rate is measured, not guessed
        for _ in range(3):
            stub.Embed(call())
        yield stub


def call(items: int = ITEMS, words: int = WORDS) -> EmbedRequest:
    chance = random.Random()
    texts = [" ".join(f"{chance.getrandbits(60):x}" for _ in range(words)) for _ in range(items)]
    return EmbedRequest(model="slow", inputs=[Input(text=text) for text in texts])


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a call: its code, its time, and the pause that a refusal asks for."""

    code: Code
    seconds: float
    retry_s: float | None = None


def outcome(stub: EmbeddingServiceStub, request: EmbedRequest, timeout_s: float) -> Outcome:
    started = time.monotonic()
    try:
        stub.Embed(request, timeout=timeout_s)
    except grpc.RpcError as error:
        failed: Any = error
        seconds = time.monotonic() - started
        return Outcome(failed.code(), seconds, retry_s(failed))
    return Outcome(Code.OK, time.monotonic() - started)


def retry_s(error: grpc.Call) -> float | None:
    details: Any = dict(error.trailing_metadata() or ()).get("grpc-status-details-bin", b"")
    for packed in Status.FromString(details).details:
        info = RetryInfo()
        if packed.Unpack(info):
            return float(info.retry_delay.ToNanoseconds() / 1e9)
    return None


def test_what_is_too_much_is_refused_and_the_rest_is_served(stub: EmbeddingServiceStub) -> None:
    requests = [call() for _ in range(150)]
    with ThreadPoolExecutor(150) as pool:
        found = list(pool.map(lambda one: outcome(stub, one, 2 * BOUND_S), requests))
    served = [one for one in found if one.code is Code.OK]
    refused = [one for one in found if one.code is not Code.OK]
    assert {one.code for one in refused} == {Code.RESOURCE_EXHAUSTED}
    assert all(one.retry_s is not None and 0 < one.retry_s < BOUND_S for one in refused)
    assert len(served) >= 10
    assert max(one.seconds for one in served) < BOUND_S
    # none of those that were let in came to nothing, and the next is welcome
    assert outcome(stub, call(), BOUND_S).code is Code.OK


def test_who_comes_back_when_told_is_served(stub: EmbeddingServiceStub) -> None:
    def patient(request: EmbedRequest) -> int:
        tries = 1
        while (found := outcome(stub, request, BOUND_S)).code is not Code.OK:
            assert found.retry_s is not None, found
            assert tries < 100
            time.sleep(found.retry_s)
            tries += 1
        return tries

    requests = [call() for _ in range(60)]
    with ThreadPoolExecutor(60) as pool:
        tries = list(pool.map(patient, requests))
    assert max(tries) > 1


def test_a_deadline_that_cannot_be_met_is_refused_early(stub: EmbeddingServiceStub) -> None:
    filling = [call() for _ in range(8)]
    late = call(8)
    with ThreadPoolExecutor(8) as pool:
        running = [pool.submit(outcome, stub, one, BOUND_S) for one in filling]
        time.sleep(0.02)
        found = outcome(stub, late, 0.05)
        assert {one.result().code for one in running} <= {Code.OK, Code.RESOURCE_EXHAUSTED}
    assert found.code in (Code.RESOURCE_EXHAUSTED, Code.DEADLINE_EXCEEDED)
    assert outcome(stub, call(1, 5), BOUND_S).code is Code.OK


def test_bulk_and_single_calls_do_not_starve_each_other(stub: EmbeddingServiceStub) -> None:
    bulk = [EmbedStreamRequest(model="slow", inputs=call(64, 100).inputs) for _ in range(12)]
    stream = stub.EmbedStream(iter(bulk), timeout=2 * BOUND_S)
    next(stream)
    # more interactive work than there is time for: bulk goes on all the same
    with ThreadPoolExecutor(6) as pool:
        singles = [pool.submit(outcome, stub, call(1, 300), BOUND_S) for _ in range(150)]
        rest = [len(reply.embeddings.input_index) for reply in stream]
        codes = {one.result().code for one in singles}
    assert rest == [64] * 11
    assert codes == {Code.OK}
