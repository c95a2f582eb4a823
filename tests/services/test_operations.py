"""Operations: progress, cancelling, failing, and memory of them after a restart."""

import asyncio
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.runtime.catalog import Catalog
from services.runtime.errors import OperationNotFoundError, RequestError
from services.runtime.operations import (
    Operation,
    Operations,
    OperationState,
    Report,
    Reporter,
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "catalog.db"


@pytest.fixture
def operations(path: Path) -> Iterator[Operations]:
    made = Operations(Catalog(path))
    yield made
    made.close()


async def ended(operations: Operations, operation_id: str) -> Operation:
    async with asyncio.timeout(10):
        async for seen in operations.watch(operation_id):
            last = seen
    return last


async def test_work_reports_and_ends_with_its_result(operations: Operations) -> None:
    def work(report: Report) -> dict[str, int]:
        for i in range(1, 4):
            report("counting", i, 3)
        return {"answer": 42}

    operation = operations.start("test", "thing", "numbers", work)
    assert operation.state is OperationState.PENDING
    last = await ended(operations, operation.id)
    assert (last.state, last.stage, last.done) == (OperationState.SUCCEEDED, "counting", 3)
    assert last.result == {"answer": 42}
    assert last.created_ns <= last.started_ns <= last.ended_ns


async def test_failing_work_says_why(operations: Operations) -> None:
    def work(report: Report) -> dict[str, int]:
        raise OSError("disk full")

    last = await ended(operations, operations.start("test", "t", "x", work).id)
    assert (last.state, last.failure) == (OperationState.FAILED, "disk full")


async def test_cancelled_work_stops_at_its_next_report(operations: Operations) -> None:
    started, go, after = threading.Event(), threading.Event(), threading.Event()

    def work(report: Report) -> dict[str, int]:
        started.set()
        go.wait(10)
        report("more", 1, 2)
        after.set()
        return {}

    operation = operations.start("test", "t", "x", work)
    await asyncio.to_thread(started.wait, 10)
    operations.cancel(operation.id)
    go.set()
    assert (await ended(operations, operation.id)).state is OperationState.CANCELLED
    assert not after.is_set()


async def test_what_waits_is_cancelled_at_once(operations: Operations) -> None:
    gate = threading.Event()
    # as many as run at once, and one more; jobs have threads of their own
    busy = [operations.start("a", "t", "x", lambda _: {"n": gate.wait(10)}) for _ in range(2)]
    waiting = operations.start("a", "t", "x", lambda _: {})
    job = operations.start("b", "t", "x", lambda _: {"ran": True}, job=True)
    assert (await ended(operations, job.id)).result == {"ran": True}
    assert operations.active("a", "t")
    assert operations.cancel(waiting.id).state is OperationState.CANCELLED
    assert (await ended(operations, waiting.id)).ended_ns > 0
    gate.set()
    for one in busy:
        await ended(operations, one.id)
    assert not operations.active("a", "t")


async def test_figures_go_with_reports_and_eta_is_of_the_stage(operations: Operations) -> None:
    go = threading.Event()

    def work(report: Reporter) -> dict[str, int]:
        report("first", 1, 1)
        time.sleep(0.5)
        report("second", 0, 4)
        report.note({"loss": 1.5})
        time.sleep(0.1)
        report("second", 2, 4)
        go.wait(10)
        return {}

    operation = operations.start("test", "t", "x", work)
    async with asyncio.timeout(10):
        async for seen in operations.watch(operation.id):
            if seen.stage == "second" and seen.done == 2:
                break
    assert seen.metrics == {"loss": 1.5}
    assert seen.eta_ms is not None
    # the half second of the first stage says nothing of the second
    assert seen.stage_ns - seen.started_ns > 4e8
    go.set()
    assert (await ended(operations, operation.id)).metrics == {"loss": 1.5}


async def test_work_that_the_end_of_the_server_cuts_off_has_failed(path: Path) -> None:
    operations, started = Operations(Catalog(path)), threading.Event()

    def work(report: Report) -> dict[str, int]:
        started.set()
        while True:
            report("endless", 0, 0)
            time.sleep(0.01)

    operation = operations.start("test", "t", "x", work)
    await asyncio.to_thread(started.wait, 10)
    await asyncio.to_thread(operations.close)
    for known in (operations, Operations(Catalog(path))):
        assert known.get(operation.id).state is OperationState.FAILED
        assert "server stopped" in known.get(operation.id).failure


async def test_pages_are_newest_first_and_complete(operations: Operations) -> None:
    made = [operations.start("a" if i % 2 else "b", "t", "x", lambda _: {}).id for i in range(7)]
    for operation_id in made:
        await ended(operations, operation_id)
    seen, token = [], ""
    while True:
        page, token = operations.page("", None, 3, token)
        seen += [operation.id for operation in page]
        if not token:
            break
    assert seen == made[::-1]
    assert [o.kind for o in operations.page("a", None, 10, "")[0]] == ["a"] * 3
    assert operations.page("", OperationState.FAILED, 10, "")[0] == []
    with pytest.raises(RequestError):
        operations.page("", None, 3, "nonsense")


async def test_a_restart_remembers_and_fails_what_was_running(path: Path) -> None:
    catalog = Catalog(path)
    first = Operations(catalog)
    good = first.start("test", "t", "x", lambda _: {"n": 1})
    await ended(first, good.id)
    gate = threading.Event()
    running = first.start("test", "t", "x", lambda _: {"late": gate.wait(10)})
    second = Operations(Catalog(path))
    assert second.get(good.id).result == {"n": 1}
    assert second.get(running.id).state is OperationState.FAILED
    assert "server stopped" in second.get(running.id).failure
    gate.set()
    first.close()
    second.close()


def test_unknown_operations_are_refused(operations: Operations) -> None:
    with pytest.raises(OperationNotFoundError):
        operations.get("nope")
