"""Calls through the cache: same answers, less work, and no call harmed by another."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from embedders import EncodeOptions, Item, Modality
from embedders.base import DEFAULT_OPTIONS, ComputeDtype
from embedders.errors import InvalidItemError, ItemTooLargeError, OptionError
from services.runtime.cache.base import Cache
from services.runtime.cache.calls import INLINE_ITEMS
from services.runtime.cache.memory import MemoryCache
from services.runtime.encoding import EmbedResult
from services.runtime.errors import DeadlineError, OverloadedError
from services.runtime.queueing import Priority
from tests.services.cache.conftest import World
from tests.services.cache.world import texts, turns


def same(one: EmbedResult, other: EmbedResult) -> None:
    np.testing.assert_array_equal(one.rows, other.rows)
    np.testing.assert_array_equal(one.index, other.index)
    for name in ("space_id", "tokens", "truncated", "composed"):
        assert getattr(one, name) == getattr(other, name), name
    assert list(one.regions) == list(other.regions)
    assert {i: str(e) for i, e in one.errors.items()} == {
        i: str(e) for i, e in other.errors.items()
    }


MIXED = [
    *texts("one", "two three", "one", "", "a b c d e", "two three", ""),
    Item(Modality.IMAGE, b"image"),
    Item(Modality.KEY, "one"),
]
OPTIONS = [
    DEFAULT_OPTIONS,
    EncodeOptions("query"),
    EncodeOptions(dimensions=4),
    EncodeOptions(refuse_truncation=True),
    EncodeOptions(compute_dtype=ComputeDtype.BFLOAT16),
]


@pytest.mark.parametrize("options", OPTIONS)
async def test_cached_answers_equal_uncached_ones(world: World, options: EncodeOptions) -> None:
    model = await world.model()
    expected = await world.plain.embed(model, MIXED, options)
    for _ in range(3):
        same(await world.embedder.embed(model, MIXED, options), expected)


async def test_several_rows_and_their_regions_are_kept(world: World) -> None:
    model = await world.model("pairs")
    expected = await world.plain.embed(model, texts("one"))
    assert (len(expected.rows), len(expected.regions)) == (2, 2)
    for _ in range(2):
        same(await world.embedder.embed(model, texts("one")), expected)


async def test_only_what_is_missing_is_encoded_and_equal_inputs_once(world: World) -> None:
    model = await world.model()
    first = await world.embedder.embed(model, texts("a", "b", "a", "b"))
    assert sorted(world.encoder().encoded) == ["a", "b"]
    assert first.times.encode_ns > 0
    await world.embedder.embed(model, texts("b", "c", "a"))
    assert sorted(world.encoder().encoded) == ["a", "b", "c"]
    again = await world.embedder.embed(model, texts("c", "b", "a"))
    assert sorted(world.encoder().encoded) == ["a", "b", "c"]
    assert (again.times.encode_ns, again.times.prepare_ns, again.times.queue_ns) == (0, 0, 0)
    stats = world.embedder.cache_stats
    assert stats is not None
    assert (stats.hits, stats.misses, stats.shared) == (5, 3, 0)
    assert stats.tiers[0].stored == stats.tiers[0].entries == 3


async def test_other_options_and_models_do_not_hit_but_a_twin_does(world: World) -> None:
    toy = await world.model()
    for options in OPTIONS:
        await world.embedder.embed(toy, texts("a"), options)
    assert world.encoder().encoded == ["a"] * len(OPTIONS)
    await world.embedder.embed(await world.model("other"), texts("a"))
    assert world.encoder("other").encoded == ["a"]
    await world.embedder.embed(await world.model("twin"), texts("a"))
    assert world.encoder("twin").encoded == []


async def test_another_configuration_or_revision_does_not_hit(world: World) -> None:
    model = await world.model()
    await world.embedder.embed(model, texts("a"))
    model.config_digest = "another"
    await world.embedder.embed(model, texts("a"))
    encoder = world.encoder()
    encoder.info = replace(encoder.info, revision="another")
    await world.embedder.embed(model, texts("a"))
    encoder.info = replace(encoder.info, prompts={"document": "another "})
    await world.embedder.embed(model, texts("a"))
    assert encoder.encoded == ["a"] * 4


async def test_options_are_checked_where_others_have_hit(world: World) -> None:
    model = await world.model()
    await world.embedder.embed(model, texts("a"))
    for bad in (EncodeOptions("nobody"), EncodeOptions(dimensions=9), EncodeOptions(cropped=True)):
        for _ in range(2):
            with pytest.raises(OptionError):
                await world.embedder.embed(model, texts("a"), bad)


async def test_errors_are_never_kept(world: World) -> None:
    model = await world.model()
    for _ in range(2):
        result = await world.embedder.embed(model, texts("", "a"))
        assert isinstance(result.errors[0], InvalidItemError)
    assert world.cache.stats[0].entries == 1
    options = EncodeOptions(refuse_truncation=True)
    truncated = await world.embedder.embed(model, texts("a b c d"))
    assert list(truncated.truncated) == [0]
    refused = await world.embedder.embed(model, texts("a b c d"), options)
    assert isinstance(refused.errors[0], ItemTooLargeError)


async def test_canaries_pass_the_cache_by(world: World) -> None:
    model = await world.model()
    for _ in range(2):
        await world.embedder.embed(model, texts("a"), priority=Priority.CANARY)
    assert world.encoder().encoded == ["a", "a"]
    assert world.cache.stats[0].entries == 0


async def test_large_calls_are_answered_like_small_ones(world: World) -> None:
    model = await world.model()
    items = texts(*(f"text {i % 700}" for i in range(INLINE_ITEMS * 4)))
    expected = await world.plain.embed(model, items)
    world.encoder().encoded.clear()
    for _ in range(2):
        same(await world.embedder.embed(model, items), expected)
    assert len(world.encoder().encoded) == 700


class Spoiled(MemoryCache):
    """Gives the value of another key, or one that was damaged."""

    damage: str = ""

    async def get(self, keys: Sequence[str]) -> list[bytes | None]:
        found = await super().get(keys)
        match self.damage:
            case "flip":
                return [v and v[:-1] + bytes([v[-1] ^ 1]) for v in found]
            case "cut":
                return [v and v[:-1] for v in found]
            case "swap":
                return found[::-1]
            case "junk":
                return [b"junk" for _ in found]
        return found


class TestDamage:
    @pytest.fixture
    def cache(self) -> Cache:
        return Spoiled(1 << 20)

    @pytest.mark.parametrize("damage", ["flip", "cut", "swap", "junk"])
    async def test_is_a_miss(self, world: World, damage: str) -> None:
        model = await world.model()
        items = texts("a", "b")
        expected = await world.plain.embed(model, items)
        await world.embedder.embed(model, items)
        assert isinstance(world.cache, Spoiled)
        world.cache.damage = damage
        same(await world.embedder.embed(model, items), expected)
        stats = world.embedder.cache_stats
        assert stats is not None
        assert stats.damaged == 2
        world.cache.damage = ""
        world.encoder().encoded.clear()
        same(await world.embedder.embed(model, items), expected)
        assert world.encoder().encoded == []


def start(world: World, model: Any, *values: str, **options: Any) -> asyncio.Task[EmbedResult]:
    return asyncio.create_task(world.embedder.embed(model, texts(*values), **options))


async def held(world: World) -> Any:
    """The model, its encoder made to wait."""
    model = await world.model()
    world.encoder().free.clear()
    return model


async def test_concurrent_misses_are_encoded_once(world: World) -> None:
    model = await held(world)
    calls = [start(world, model, "a", f"own {i}", "b") for i in range(20)]
    await turns()
    world.encoder().free.set()
    results = await asyncio.gather(*calls)
    for i, result in enumerate(results):
        same(result, await world.plain.embed(model, texts("a", f"own {i}", "b")))
    stats = world.embedder.cache_stats
    assert stats is not None
    assert (stats.misses, stats.shared) == (22, 38)


async def test_a_cancelled_leader_leaves_its_followers_to_themselves(world: World) -> None:
    model = await held(world)
    leader, follower = start(world, model, "a"), start(world, model, "a", "b")
    await turns()
    leader.cancel()
    await turns()
    world.encoder().free.set()
    result = await asyncio.wait_for(follower, 30)
    same(result, await world.plain.embed(model, texts("a", "b")))
    with pytest.raises(asyncio.CancelledError):
        await leader


async def test_a_cancelled_follower_leaves_its_leader_alone(world: World) -> None:
    model = await held(world)
    leader, follower = start(world, model, "a"), start(world, model, "a")
    await turns()
    follower.cancel()
    await turns()
    world.encoder().free.set()
    assert len((await leader).rows) == 1


async def test_an_expired_leader_does_not_expire_its_followers(world: World) -> None:
    model = await held(world)
    busy = start(world, model, "busy")
    await turns()
    leader = start(world, model, "a", deadline=time.monotonic() + 0.05)
    await turns()
    follower = start(world, model, "a")
    await asyncio.sleep(0.1)
    world.encoder().free.set()
    late = (await leader).errors
    assert isinstance(late[0], DeadlineError)
    same(await asyncio.wait_for(follower, 30), await world.plain.embed(model, texts("a")))
    await busy


async def test_a_follower_that_expires_waits_no_longer(world: World) -> None:
    model = await held(world)
    leader = start(world, model, "a", "b")
    await turns()
    follower = start(world, model, "a", deadline=time.monotonic() + 0.05)
    errors = (await asyncio.wait_for(follower, 30)).errors
    assert isinstance(errors[0], DeadlineError)
    world.encoder().free.set()
    assert len((await leader).rows) == 2


async def test_a_refused_leader_does_not_refuse_its_followers(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = await world.model()
    batcher = model.batcher
    assert batcher is not None
    admit, gate = batcher.admit, asyncio.Event()
    first = True

    def refuse_one(*arguments: Any) -> Any:
        nonlocal first
        if first:
            first = False
            raise OverloadedError("full", 1.0)
        return admit(*arguments)

    look_up = world.cache.get

    async def slow(keys: Sequence[str]) -> list[bytes | None]:
        await gate.wait()
        return await look_up(keys)

    monkeypatch.setattr(batcher, "admit", refuse_one)
    monkeypatch.setattr(world.cache, "get", slow)
    leader, follower = start(world, model, "a"), start(world, model, "a")
    await turns()
    gate.set()
    with pytest.raises(OverloadedError):
        await leader
    assert len((await asyncio.wait_for(follower, 30)).rows) == 1


async def test_a_bad_input_is_looked_at_once_for_all_who_wait(world: World) -> None:
    model = await held(world)
    calls = [start(world, model, "", "a") for _ in range(3)]
    await turns()
    world.encoder().free.set()
    for call in calls:
        result = await asyncio.wait_for(call, 30)
        assert isinstance(result.errors[0], InvalidItemError)
        assert result.index.tolist() == [1]


async def test_a_failed_encoding_is_told_to_its_call_and_not_kept(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = await held(world)
    encoder = world.encoder()
    encode, failures = encoder.encode, [RuntimeError("once")]

    def fail_once(*arguments: Any) -> Any:
        encoded = encode(*arguments)
        if failures:
            raise failures.pop()
        return encoded

    monkeypatch.setattr(encoder, "encode", fail_once)
    leader, follower = start(world, model, "a"), start(world, model, "a")
    await turns()
    encoder.free.set()
    assert str((await leader).errors[0]) == "once"
    assert len((await asyncio.wait_for(follower, 30)).rows) == 1
    assert len((await world.embedder.embed(model, texts("a"))).rows) == 1
    assert encoder.encoded == ["a", "a"]


async def test_nobody_waits_for_less_urgent_work(world: World) -> None:
    model = await held(world)
    bulk = start(world, model, "a", "b", priority=Priority.BULK)
    await turns()
    urgent = start(world, model, "a", priority=Priority.INTERACTIVE)
    patient = start(world, model, "b", "a", priority=Priority.BULK)
    await turns()
    world.encoder().free.set()
    for call, values in ((bulk, "ab"), (urgent, "a"), (patient, "ba")):
        same(await asyncio.wait_for(call, 30), await world.plain.embed(model, texts(*values)))
    stats = world.embedder.cache_stats
    assert stats is not None
    # "a" was made twice: the urgent call did not wait
    assert (stats.misses, stats.shared) == (3, 2)


async def test_no_flight_is_left(world: World) -> None:
    model = await held(world)
    calls = [start(world, model, "a", f"{i}", "") for i in range(10)]
    await turns()
    for call in calls[::2]:
        call.cancel()
    world.encoder().free.set()
    await asyncio.gather(*calls, return_exceptions=True)
    cached = world.embedder._cached
    assert cached is not None
    assert len(cached._flights) == 0
