"""Clients against servers that are down, slow, overloaded, or say too much."""

import asyncio
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import grpc
import pytest
from google.protobuf import duration_pb2
from google.rpc import error_details_pb2

from latentspace import (
    AsyncClient,
    Client,
    DeadlineError,
    LatentspaceError,
    MessageTooLargeError,
    NotFoundError,
    OverloadedError,
    PartialError,
    RetryPolicy,
    UnavailableError,
)
from latentspace.calls import ClientOptions
from latentspace.requests.embedding import MAX_ITEMS
from latentspace.v1 import (
    collection_service_pb2,
    collection_service_pb2_grpc,
    embedding_service_pb2,
    embedding_service_pb2_grpc,
    operation_service_pb2,
    operation_service_pb2_grpc,
)
from tests.client.fake.calls import abort
from tests.client.fake.server import register_world, serving
from tests.client.fake.world import CallFailed, World

QUICK = RetryPolicy(max_attempts=4, first_pause_s=0.01, max_pause_s=0.05)
IN_FLIGHT = ClientOptions().chunks_in_flight
WAIT_FOR_OTHERS = object()
GONE = CallFailed(grpc.StatusCode.UNAVAILABLE, "going down")


def full(retry_s: float | None) -> CallFailed:
    if retry_s is None:
        return CallFailed(grpc.StatusCode.RESOURCE_EXHAUSTED, "the queue is full")
    delay = duration_pb2.Duration()
    delay.FromNanoseconds(int(retry_s * 1e9))
    return CallFailed(
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        "the queue is full",
        error_details_pb2.RetryInfo(retry_delay=delay),
    )


class Script:
    """Answers calls with what stands next in `steps`: an error, seconds to sleep, or a reply."""

    def __init__(self, *steps: Any) -> None:
        self.steps = deque(steps)
        self.times: list[float] = []
        self.active = self.most_active = 0

    async def next(self, context: Any) -> Any:
        self.times.append(time.monotonic())
        self.active += 1
        self.most_active = max(self.most_active, self.active)
        try:
            return await self._act(context, self.steps.popleft() if self.steps else None)
        finally:
            self.active -= 1

    async def _act(self, context: Any, step: Any) -> Any:
        if isinstance(step, CallFailed):
            await abort(context, step)
        if isinstance(step, float):
            await asyncio.sleep(step)
        while step is WAIT_FOR_OTHERS and self.most_active < IN_FLIGHT:
            await asyncio.sleep(0.01)
        return step


class Embedding(embedding_service_pb2_grpc.EmbeddingServiceServicer):
    def __init__(self, script: Script) -> None:
        self.script = script

    async def ListModels(self, request: Any, context: Any) -> Any:  # noqa: N802
        answer = await self.script.next(context)
        models = [embedding_service_pb2.Model(id=answer if isinstance(answer, str) else "m")]
        return embedding_service_pb2.ListModelsResponse(models=models)

    async def Embed(self, request: Any, context: Any) -> Any:  # noqa: N802
        await self.script.next(context)
        count = len(request.inputs)
        return embedding_service_pb2.EmbedResponse(
            embeddings=embedding_service_pb2.Embeddings(
                vectors={"data": b"\0" * 4 * count, "dim": 1, "count": count},  # type: ignore[arg-type]
                input_index=range(count),
            )
        )


class Collections(collection_service_pb2_grpc.CollectionServiceServicer):
    def __init__(self, script: Script) -> None:
        self.script = script

    async def CreateCollection(self, request: Any, context: Any) -> Any:  # noqa: N802
        await self.script.next(context)
        return collection_service_pb2.CreateCollectionResponse()


class Operations(operation_service_pb2_grpc.OperationServiceServicer):
    def __init__(self, script: Script) -> None:
        self.script = script

    async def WatchOperation(self, request: Any, context: Any) -> Any:  # noqa: N802
        for state in (2, 2, 3):
            await self.script.next(context)
            operation = operation_service_pb2.Operation(id=request.id, state=state)  # type: ignore[arg-type]
            yield operation_service_pb2.WatchOperationResponse(operation=operation)


ACTORS: list[tuple[Callable[[Any, Any], None], type[Any]]] = [
    (embedding_service_pb2_grpc.add_EmbeddingServiceServicer_to_server, Embedding),
    (collection_service_pb2_grpc.add_CollectionServiceServicer_to_server, Collections),
    (operation_service_pb2_grpc.add_OperationServiceServicer_to_server, Operations),
]


@contextmanager
def acting(script: Script) -> Iterator[str]:
    def register(server: Any) -> None:
        for add, service in ACTORS:
            add(service(script), server)

    with serving(register) as address:
        yield address


Act = Callable[..., Client]


@pytest.fixture
def act(make: type[Client]) -> Iterator[Act]:
    """A client of a server that follows a script."""
    with ExitStack() as stack:

        def start(script: Script, **options: Any) -> Client:
            address = stack.enter_context(acting(script))
            return stack.enter_context(make(address, **{"retry": QUICK, **options}))

        yield start


def test_a_server_that_comes_back(act: Act) -> None:
    script = Script(GONE, GONE, GONE)
    assert act(script).models()[0].id == "m"
    assert len(script.times) == 4


def test_tries_are_limited(act: Act) -> None:
    script = Script(*[GONE] * 9)
    with pytest.raises(UnavailableError, match=r"going down.*is the server running"):
        act(script).models()
    assert len(script.times) == 4


def test_what_might_have_been_done_is_not_done_again(act: Act) -> None:
    script = Script(GONE)
    with pytest.raises(UnavailableError):
        act(script).create_collection("c", dim=3)
    assert len(script.times) == 1


def test_other_errors_are_not_tried_again(act: Act) -> None:
    script = Script(CallFailed(grpc.StatusCode.NOT_FOUND, "no"))
    with pytest.raises(NotFoundError):
        act(script).models()
    assert len(script.times) == 1


def test_overload_is_tried_again_when_the_server_says_so(act: Act) -> None:
    script = Script(full(0.3), full(0.1))
    client = act(script)
    client.create_collection("c", dim=3)  # refused before any work: safe for every call
    assert len(script.times) == 3
    assert script.times[1] - script.times[0] >= 0.3
    assert script.times[2] - script.times[1] >= 0.1


def test_overload_without_a_word_of_when(act: Act) -> None:
    script = Script(full(None))
    with pytest.raises(OverloadedError, match="the queue is full") as caught:
        act(script).models()
    assert caught.value.retry_after_s is None
    assert len(script.times) == 1


def test_no_waiting_past_the_deadline(act: Act) -> None:
    script = Script(full(3600.0))
    with pytest.raises(OverloadedError) as caught:
        act(script).models(timeout_s=5)
    assert caught.value.retry_after_s == 3600.0
    assert len(script.times) == 1


def test_a_server_that_hangs(act: Act) -> None:
    client = act(Script(30.0, 30.0, 30.0))
    with pytest.raises(DeadlineError, match=r"within 0\.2 s: pass a longer timeout_s"):
        client.models(timeout_s=0.2)
    with pytest.raises(DeadlineError):
        client.embed("m", texts=["a"], timeout_s=0.2)


def test_deadlines_of_the_constructor(act: Act) -> None:
    with pytest.raises(DeadlineError, match=r"within 0\.2 s"):
        act(Script(30.0), timeout_s=0.2).models()
    with pytest.raises(DeadlineError, match=r"within 0\.3 s"):
        act(Script(30.0), timeouts_s={"embed": 0.3}).embed("m", texts=["a"])


def test_one_part_of_a_batch_is_tried_again(act: Act) -> None:
    script = Script(None, GONE, full(0.05))
    assert act(script).embed("m", texts=["x"] * 3 * MAX_ITEMS).shape == (3 * MAX_ITEMS, 1)
    assert len(script.times) == 5


def test_one_part_of_a_batch_fails(act: Act) -> None:
    script = Script(None, CallFailed(grpc.StatusCode.INTERNAL, "a defect"))
    with pytest.raises(LatentspaceError, match="a defect") as caught:
        act(script).embed("m", texts=["x"] * 30 * MAX_ITEMS)
    assert not isinstance(caught.value, PartialError)
    assert len(script.times) < 30


def test_a_failure_cancels_the_parts_after_it(act: Act) -> None:
    script = Script(CallFailed(grpc.StatusCode.INTERNAL, "a defect"), 60.0, 60.0, 60.0)
    with pytest.raises(LatentspaceError, match="a defect"):
        act(script).embed("m", texts=["x"] * 4 * MAX_ITEMS)
    for _ in range(500):
        if script.active == 0:
            break
        time.sleep(0.01)
    assert script.active == 0


def test_parts_are_under_way_together_but_not_all_at_once(act: Act) -> None:
    script = Script(*[WAIT_FOR_OTHERS] * 4, *[0.05] * 8)
    act(script).embed("m", texts=["x"] * 12 * MAX_ITEMS, timeout_s=20)
    assert script.most_active == IN_FLIGHT


def test_a_watch_goes_on_after_the_connection_was_lost(act: Act) -> None:
    script = Script(None, GONE, GONE, None, GONE, None, None, None)
    client = act(script)
    states = [one.state for one in client.watch_operation("op")]
    assert states == ["running", "running", "running", "running", "succeeded"]


def test_no_server_at_all(make: type[Client]) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    message = f"cannot reach {address}.*latentspace serve"
    with make(address, retry=QUICK) as client, pytest.raises(UnavailableError, match=message):
        client.models()


def test_waiting_for_a_server_that_is_late(make: type[Client]) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    up, done = threading.Event(), threading.Event()

    def late() -> None:
        time.sleep(0.5)
        with serving(register_world(World()), address):
            up.set()
            done.wait(30)

    thread = threading.Thread(target=late)
    thread.start()
    try:
        with make(address, wait_for_ready=True) as client:
            assert client.models(timeout_s=20)
    finally:
        done.set()
        thread.join()
    assert up.is_set()


def test_an_item_of_100_megabytes_is_refused_before_sending(client: Client, world: World) -> None:
    with pytest.raises(MessageTooLargeError, match=r"item 1 takes 104,857,6\d\d bytes"):
        client.embed("faces", images=[b"x", b"y" * (100 << 20)])
    assert not world.requests


def test_what_the_server_does_not_take(address: str, make: type[Client]) -> None:
    with make(address, max_message_bytes=300 << 20) as client:
        with pytest.raises(MessageTooLargeError, match="raise max_message_bytes"):
            client.embed("faces", images=[b"y" * (100 << 20)])
        assert client.models()


def test_a_reply_of_100_megabytes(act: Act) -> None:
    client = act(Script("m" * (100 << 20), None))
    with pytest.raises(MessageTooLargeError, match="ask for fewer items"):
        client.models()
    assert client.models()[0].id == "m"


async def test_a_cancelled_call_is_cancelled() -> None:
    with acting(Script(30.0)) as address:
        async with AsyncClient(address) as client:
            task = asyncio.create_task(client.models())
            await asyncio.sleep(0.2)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert (await client.models())[0].id == "m"


async def test_a_cancelled_batch_leaves_no_tasks() -> None:
    with acting(Script(*[30.0] * 9)) as address:
        async with AsyncClient(address) as client:
            before = asyncio.all_tasks()
            task = asyncio.create_task(client.embed("m", texts=["x"] * 9 * MAX_ITEMS))
            await asyncio.sleep(0.2)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert asyncio.all_tasks() == before


def test_the_calls_of_many_threads() -> None:
    with serving(register_world(World())) as address, Client(address) as client:
        found: list[int] = []

        def ask() -> None:
            found.extend(len(client.models()) for _ in range(20))

        threads = [threading.Thread(target=ask) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert found == [3] * 160


def test_a_client_made_outside_of_the_loop_it_serves() -> None:
    with serving(register_world(World())) as address:
        client = AsyncClient(address)

        async def use() -> int:
            async with client:
                return len(await client.models())

        assert asyncio.run(use()) == 3
