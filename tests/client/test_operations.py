import pytest

from latentspace import (
    AsyncClient,
    CallCancelledError,
    Client,
    DeadlineError,
    FailedPreconditionError,
    NotFoundError,
    Operation,
    OperationState,
    Task,
    UnimplementedByServerError,
)
from latentspace.sync.operations import OperationCalls
from tests.client.fake.operations import STEPS
from tests.client.fake.world import World


@pytest.fixture
def ls(address: str) -> Client:
    return Client(address)


def test_watch_shows_progress_and_ends(ls: Client) -> None:
    started = ls.train("node2vec", source="/data/g.edges", model="g", params={"dim": 8})
    assert (started.kind, started.target, started.state) == ("train", "g", "pending")
    seen = list(started.watch())
    assert [one.state for one in seen] == ["pending", *["running"] * STEPS, "succeeded"]
    assert [one.progress.done for one in seen] == [0, 1, 2, 3, 3]
    assert seen[-1].ended
    assert seen[-1].result == {"model": "g"}
    assert [one.state for one in seen[-1].watch()] == ["succeeded"]


def test_calls_that_wait(ls: Client) -> None:
    done = ls.optimize("words")
    assert done.state is OperationState.SUCCEEDED
    assert done.result == {"segments": 1, "bytes_freed": 0}
    started = ls.optimize("words", wait=False)
    assert started.state is OperationState.PENDING
    assert started.wait().state is OperationState.SUCCEEDED
    assert started.refresh().ended
    report = ls.evaluate("words", "analogies", params={"k": 1})
    assert (report.task, report.coverage, report["accuracy"].value) == (Task.ANALOGIES, 0.9, 0.5)
    assert ls.measure_recall("words", samples=7).samples == 7


def test_failure_raises_the_error_of_the_operation(ls: Client) -> None:
    with pytest.raises(NotFoundError, match="no such file"):
        ls.train("word2vec", source="x", model="broken", wait=True)
    failed = ls.operations()[0]
    assert failed.state == "failed"
    assert isinstance(failed.error, NotFoundError)
    with pytest.raises(NotFoundError, match="no such file"):
        failed.wait()


def test_cancel(ls: Client) -> None:
    started = ls.optimize("words", wait=False)
    assert started.cancel().state is OperationState.CANCELLED
    with pytest.raises(CallCancelledError, match="was cancelled"):
        started.wait()
    with pytest.raises(NotFoundError):
        ls.cancel_operation("op-99")


def test_listing_pages_to_its_limit(ls: Client) -> None:
    for _ in range(5):
        ls.optimize("words", wait=False)
    ls.train("word2vec", source="x", model="m")
    assert [one.id for one in ls.operations()] == [f"op-{i}" for i in reversed(range(6))]
    assert [one.id for one in ls.operations(limit=3)] == ["op-5", "op-4", "op-3"]
    assert [one.kind for one in ls.operations(kind="train")] == ["train"]
    assert ls.operations(state="running") == []
    assert ls.operation("op-2").id == "op-2"


def test_leaving_a_watch_ends_it(ls: Client) -> None:
    for _ in ls.optimize("words", wait=False).watch():
        break
    assert ls.models()


async def test_the_same_awaited(async_client: AsyncClient) -> None:
    started = await async_client.optimize("words", wait=False)
    seen = [one async for one in started.watch()]
    assert [one.state for one in seen] == ["pending", *["running"] * STEPS, "succeeded"]
    assert (await started.refresh()).ended
    waiting = await async_client.optimize("words", wait=False)
    await waiting.cancel()
    with pytest.raises(CallCancelledError):
        await waiting.wait()
    with pytest.raises(NotFoundError, match="no such file"):
        await async_client.train("word2vec", source="x", model="broken", wait=True)
    assert len(await async_client.operations()) == 3


def test_a_handle_without_a_client_says_so() -> None:
    with pytest.raises(FailedPreconditionError, match="does not belong to a client"):
        Operation("op-1", "train", "m", OperationState.PENDING).watch()
    assert issubclass(Client, OperationCalls)


def test_calls_that_this_server_does_not_have(client: Client) -> None:
    for call in (
        lambda: client.snapshot("words"),
        lambda: client.snapshots(),
        lambda: client.restore("s", "new"),
    ):
        with pytest.raises(UnimplementedByServerError, match="does not have this call yet"):
            call()


def test_waiting_has_a_limit(ls: Client, world: World) -> None:
    world.pause_s = 5.0
    started = ls.optimize("words", wait=False)
    with pytest.raises(DeadlineError, match=r"within 0\.2 s"):
        started.wait(timeout_s=0.2)
