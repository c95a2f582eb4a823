"""The batcher: joined, bounded, fair to the innocent."""

import asyncio
import time
from collections.abc import Hashable, Sequence

import pytest

from services.runtime.admission import Load
from services.runtime.batching import CALLS_ALONE, Batcher, BatchLimits
from services.runtime.errors import DeadlineError, NoMemoryError, OverloadedError, WorkError
from services.runtime.queueing import Claim, Priority


class Recorder:
    """Doubles numbers, remembers its batches, fails on what it is told to."""

    def __init__(self, poison: frozenset[int] = frozenset(), most: int = 10**9) -> None:
        self.batches: list[tuple[Hashable, list[int]]] = []
        self.poison, self.most = poison, most
        self.gate = asyncio.Event()
        self.gate.set()

    async def __call__(self, key: Hashable, batch: Sequence[int]) -> list[int | Exception]:
        self.batches.append((key, list(batch)))
        await self.gate.wait()
        if len(batch) > self.most:
            raise MemoryError("out of memory")
        if self.poison & set(batch):
            raise ValueError(f"poisoned by {self.poison & set(batch)}")
        return [2 * item for item in batch]


async def test_results_come_in_the_order_of_the_items() -> None:
    batcher = Batcher("test", Recorder(), BatchLimits(max_items=3))
    result = await batcher.run(list(range(10)), [1] * 10)
    assert result.results == [2 * i for i in range(10)]
    assert result.work_ns > 0


async def test_what_queued_up_while_a_batch_ran_is_the_next_batch() -> None:
    work = Recorder()
    work.gate.clear()
    batcher = Batcher("test", work, BatchLimits())
    calls = [asyncio.create_task(batcher.run([i], [1])) for i in range(5)]
    await asyncio.sleep(0.01)
    work.gate.set()
    found = await asyncio.gather(*calls)
    assert [r.results for r in found] == [[0], [2], [4], [6], [8]]
    assert work.batches == [(None, [0]), (None, [1, 2, 3, 4])]


async def test_batches_hold_equal_keys_only_and_keep_the_order_within_a_key() -> None:
    work = Recorder()
    work.gate.clear()
    batcher = Batcher("test", work, BatchLimits())
    calls = [asyncio.create_task(batcher.run([i], [1], key=i % 2)) for i in range(7)]
    await asyncio.sleep(0.01)
    work.gate.set()
    await asyncio.gather(*calls)
    assert work.batches == [(0, [0]), (1, [1, 3, 5]), (0, [2, 4, 6])]


async def test_cost_and_count_bound_a_batch_and_a_dear_item_runs_alone() -> None:
    work = Recorder()
    batcher = Batcher("test", work, BatchLimits(max_items=3, max_cost=10))
    await batcher.run([1, 2, 3, 4, 5, 6], [4, 4, 4, 50, 1, 1])
    assert [batch for _, batch in work.batches] == [[1, 2], [3], [4], [5, 6]]


async def test_a_full_queue_refuses_at_once_with_a_time_and_recovers() -> None:
    work = Recorder()
    work.gate.clear()
    batcher = Batcher("test", work, BatchLimits(max_items=1, max_queue_cost=3))
    running = [asyncio.create_task(batcher.run([i], [1])) for i in range(3)]
    await asyncio.sleep(0.01)
    with pytest.raises(OverloadedError) as refused:
        await batcher.run([9], [1])
    assert refused.value.retry_after_s > 0
    work.gate.set()
    await asyncio.gather(*running)
    assert (await batcher.run([9], [1])).results == [18]
    assert batcher.load.refused == 1
    assert batcher.load.pending == 0


async def test_callers_that_hung_up_are_skipped() -> None:
    work = Recorder()
    work.gate.clear()
    batcher = Batcher("test", work, BatchLimits(max_items=1))
    first = asyncio.create_task(batcher.run([1], [1]))
    gone = asyncio.create_task(batcher.run([2], [1]))
    await asyncio.sleep(0.01)
    gone.cancel()
    await asyncio.sleep(0)
    work.gate.set()
    await first
    assert (await batcher.run([3], [1])).results == [6]
    assert [batch for _, batch in work.batches] == [[1], [3]]
    assert batcher.load.pending == 0


async def test_work_past_its_deadline_is_not_done() -> None:
    work = Recorder()
    work.gate.clear()
    batcher = Batcher("test", work, BatchLimits(max_items=1))
    first = asyncio.create_task(batcher.run([1], [1]))
    late = asyncio.create_task(batcher.run([2], [1], claim=Claim(deadline=time.monotonic() + 0.01)))
    await asyncio.sleep(0.05)
    work.gate.set()
    await first
    assert isinstance((await late).results[0], DeadlineError)
    assert [batch for _, batch in work.batches] == [[1]]


async def test_a_poisonous_item_fails_alone() -> None:
    batcher = Batcher("test", Recorder(poison=frozenset({5})), BatchLimits())
    results = (await batcher.run(list(range(16)), [1] * 16)).results
    assert isinstance(results[5], ValueError)
    assert [r for i, r in enumerate(results) if i != 5] == [2 * i for i in range(16) if i != 5]


async def test_a_batch_too_large_for_the_device_is_halved() -> None:
    work = Recorder(most=3)
    batcher = Batcher("test", work, BatchLimits())
    assert (await batcher.run(list(range(8)), [1] * 8)).results == [2 * i for i in range(8)]
    assert max(len(b) for _, b in work.batches[1:]) == 4


async def test_a_miscount_is_every_items_error() -> None:
    async def work(key: Hashable, batch: Sequence[int]) -> list[int | Exception]:
        return [1]

    results = (await Batcher("test", work, BatchLimits()).run([1, 2], [1, 1])).results
    assert all(isinstance(r, WorkError) for r in results)


async def test_lanes_run_side_by_side() -> None:
    work = Recorder()
    work.gate.clear()
    batcher = Batcher("test", work, BatchLimits(max_items=1, lanes=2))
    calls = [asyncio.create_task(batcher.run([i], [1])) for i in range(3)]
    await asyncio.sleep(0.01)
    assert len(work.batches) == 2
    work.gate.set()
    await asyncio.gather(*calls)


async def test_close_lets_queued_work_end() -> None:
    batcher = Batcher("test", Recorder(), BatchLimits(max_items=1))
    call = asyncio.create_task(batcher.run([1, 2, 3], [1, 1, 1]))
    await asyncio.sleep(0)
    await batcher.close()
    assert (await call).results == [2, 4, 6]


async def call(batcher: Batcher[int, int], item: int, key: Hashable = None) -> int | Exception:
    """One call, and a turn of the loop after it, as any network would give."""
    [result] = (await batcher.run([item], [1], key)).results
    await asyncio.sleep(0.001)
    return result


def where_it_ran(slow_s: float = 0.0) -> tuple[list[str], Batcher[int, int]]:
    """A batcher that notes whether an item ran in a lane or in the event loop."""
    places: list[str] = []

    async def lane(_: Hashable, items: Sequence[int]) -> list[int | Exception]:
        places.extend("lane" for _ in items)
        await asyncio.sleep(slow_s)
        return [2 * item for item in items]

    def loop(item: int) -> int:
        places.append("loop")
        if item < 0:
            raise ValueError(f"{item} is negative")
        return 2 * item

    return places, Batcher("test", lane, BatchLimits(lanes=1), loop)


async def test_quick_calls_one_at_a_time_run_in_the_event_loop() -> None:
    places, batcher = where_it_ran()
    for i in range(8):
        assert await call(batcher, i) == 2 * i
    assert places == ["lane"] * CALLS_ALONE + ["loop"] * (8 - CALLS_ALONE)
    assert batcher.stats.items == 8
    assert isinstance(await call(batcher, -1), ValueError)


async def test_calls_that_meet_others_run_in_lanes() -> None:
    places, batcher = where_it_ran()
    for i in range(8):
        await call(batcher, i)
    places.clear()
    results = await asyncio.gather(*(batcher.run([i], [1]) for i in range(5)))
    assert [result.results for result in results] == [[2 * i] for i in range(5)]
    # the first could not know of the others
    assert places == ["loop", "lane", "lane", "lane", "lane"]


@pytest.mark.parametrize(("slow_s", "keys"), [(0.005, [0] * 10), (0.0, list(range(10)))])
async def test_slow_or_unlike_calls_run_in_lanes(slow_s: float, keys: list[int]) -> None:
    places, batcher = where_it_ran(slow_s)
    for key in keys:
        await call(batcher, 1, key)
    assert places == ["lane"] * 10


INTERACTIVE, BULK = Claim(), Claim(Priority.BULK)


async def queued_behind_a_batch(
    limits: BatchLimits, *claims: Claim
) -> tuple[Recorder, Batcher[int, int]]:
    """What ran, for calls that came in this order while a first one (-1) was running."""
    work = Recorder()
    work.gate.clear()
    batcher = Batcher("test", work, limits)
    calls = [asyncio.create_task(batcher.run([-1], [1]))]
    for i, claim in enumerate(claims):
        await asyncio.sleep(0)
        calls.append(asyncio.create_task(batcher.run([i], [1], claim=claim)))
    await asyncio.sleep(0.01)
    work.gate.set()
    await asyncio.gather(*calls)
    return work, batcher


async def test_interactive_calls_go_before_bulk_work_and_do_not_starve_it() -> None:
    claims = [BULK] * 2 + [INTERACTIVE] * 6
    work, _ = await queued_behind_a_batch(BatchLimits(max_items=1), *claims)
    order = [batch[0] for _, batch in work.batches]
    # the first batch counts as a turn: of four in a row one is bulk work
    assert order == [-1, 2, 3, 0, 4, 5, 6, 1, 7]


async def test_canaries_go_first_and_are_never_refused() -> None:
    canary = Claim(Priority.CANARY)
    limits = BatchLimits(max_items=1, max_queue_cost=3)
    work, batcher = await queued_behind_a_batch(limits, INTERACTIVE, BULK, canary, canary)
    assert [batch[0] for _, batch in work.batches][:3] == [-1, 2, 3]
    assert batcher.load.refused == 0


async def test_bulk_work_takes_no_room_from_interactive_calls() -> None:
    limits = BatchLimits(max_items=1, max_queue_cost=3)
    work = Recorder()
    work.gate.clear()
    batcher = Batcher("test", work, limits)
    bulk = asyncio.create_task(batcher.run([1, 2, 3], [1, 1, 1], claim=BULK))
    await asyncio.sleep(0)
    with pytest.raises(OverloadedError):
        await batcher.run([4], [1], claim=BULK)
    single = asyncio.create_task(batcher.run([5], [1]))
    await asyncio.sleep(0)
    work.gate.set()
    assert (await single).results == [10]
    await bulk


def measured(limits: BatchLimits, rate: int) -> Load:
    """The load of a batcher that was seen to do so much a second."""
    load = Load("test", limits.max_queue_cost, limits.max_wait_s)
    load.measure(items=1, cost=rate, seconds=1.0, lanes=1)
    return load


def test_no_more_waits_than_is_done_in_time() -> None:
    load = measured(BatchLimits(max_wait_s=2.0), rate=100)
    with load.admit(1000, INTERACTIVE):  # an empty queue takes anything
        with pytest.raises(OverloadedError) as refused:
            load.admit(50, INTERACTIVE)
        # 1,050 are too many by 850, which take 8.5 s
        assert refused.value.retry_after_s == pytest.approx(8.5)
    with load.admit(150, INTERACTIVE), load.admit(50, INTERACTIVE):
        assert load.pending == 200
    assert load.pending == 0


def test_a_deadline_that_cannot_be_met_is_refused_early() -> None:
    load = measured(BatchLimits(max_wait_s=100.0), rate=100)
    with load.admit(300, INTERACTIVE):
        soon, late = time.monotonic() + 1.0, time.monotonic() + 60.0
        with pytest.raises(OverloadedError, match=r"about 3\.10 s"):
            load.admit(10, Claim(deadline=soon))
        with load.admit(10, Claim(deadline=late)):
            pass


async def test_batches_are_cut_to_what_is_done_in_time() -> None:
    limits = BatchLimits(max_items=100, max_batch_s=0.5)
    work = Recorder()
    batcher = Batcher("test", work, limits)
    batcher.load.measure(items=1, cost=10, seconds=1.0, lanes=1)
    await batcher.run(list(range(12)), [1] * 12)
    assert work.batches[0] == (None, [0, 1, 2, 3, 4])


async def test_after_running_out_of_memory_batches_stay_small_and_grow_again() -> None:
    work = Recorder(most=4)
    batcher = Batcher("test", work, BatchLimits(max_items=8, max_cost=8))
    await batcher.run(list(range(8)), [1] * 8)
    first = len(work.batches)
    assert first == 3
    await batcher.run(list(range(8)), [1] * 8)
    assert [len(batch) for _, batch in work.batches[first:]] == [4, 4]
    assert batcher.stats.out_of_memory == 1
    work.most = 8
    for _ in range(40):
        await batcher.run(list(range(8)), [1] * 8)
    assert len(work.batches[-1][1]) == 8


async def test_an_item_that_finds_no_memory_alone_fails_alone() -> None:
    async def work(key: Hashable, batch: Sequence[int]) -> list[int | Exception]:
        if 3 in batch:
            raise MemoryError
        return list(batch)

    results = (await Batcher("test", work, BatchLimits()).run(list(range(5)), [1] * 5)).results
    assert isinstance(results.pop(3), NoMemoryError)
    assert results == [0, 1, 2, 4]


async def test_what_was_done_is_counted() -> None:
    _, batcher = await queued_behind_a_batch(BatchLimits(), *[INTERACTIVE] * 3)
    stats = batcher.stats
    assert (stats.batches, stats.items) == (2, 4)
    # sizes 1 and 3: the buckets up to 1 and up to 4
    assert stats.batch_items.counts[:3] == [1, 0, 1]
    assert stats.batch_items.total == 4
    assert (stats.queue_s.count, stats.work_s.count) == (4, 2)
    assert stats.queue_s.total > 0.01
    assert batcher.longest_running_s() == 0.0
