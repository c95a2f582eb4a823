"""The client of Redis: a real one, and ones that are slow, full, gone or nonsense."""

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from embedders.errors import MissingExtraError
from services.runtime.cache.base import Cache
from services.runtime.cache.opening import open_cache
from services.runtime.cache.options import RedisOptions
from services.runtime.cache.redis import RedisCache
from services.runtime.cache.stats import TierStats
from tests.services.cache.conftest import World
from tests.services.cache.redis_process import RedisProcess, running_redis
from tests.services.cache.world import texts

PATIENCE_S = 30.0


@asynccontextmanager
async def opened(url: str, timeout_s: float = 1.0, **more: int) -> AsyncIterator[RedisCache]:
    """A client whose timeout a busy machine does not reach by itself."""
    cache = RedisCache(RedisOptions(url, timeout_s=timeout_s, retry_s=0.05, **more))
    await cache.start()
    try:
        yield cache
    finally:
        await cache.close()


async def until(true: Callable[[], bool | Awaitable[bool]]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while True:
            answer = true()
            if answer if isinstance(answer, bool) else await answer:
                return
            await asyncio.sleep(0.01)


def stats(cache: Cache) -> TierStats:
    return cache.stats[-1]


async def test_what_was_put_is_there_and_expires(redis_process: RedisProcess) -> None:
    async with opened(redis_process.url, ttl_s=1000) as cache:
        entries = {f"ls1:k{i}": bytes([i % 256]) * i for i in range(300)}
        cache.put(entries)
        await until(lambda: stats(cache).stored == 300)
        keys = ["ls1:none", *entries]
        assert await cache.get(keys) == [None, *entries.values()]
        assert (stats(cache).hits, stats(cache).misses) == (300, 1)
    with redis_process.client() as client:
        assert all(990 < client.ttl(key) <= 1000 for key in entries)


async def test_many_lookups_side_by_side_get_each_its_own(redis_process: RedisProcess) -> None:
    async with opened(redis_process.url) as cache:
        cache.put({f"ls1:{i}": str(i).encode() for i in range(2000)})
        await until(lambda: stats(cache).stored == 2000)
        spans = [range(i, min(2000, i + 1 + i % 700)) for i in range(0, 2000, 7)]
        found = await asyncio.gather(*(cache.get([f"ls1:{i}" for i in s]) for s in spans))
        assert found == [[str(i).encode() for i in span] for span in spans]
        with redis_process.client() as client:
            assert len(client.client_list()) <= 4 + 2 + 1


async def test_cancelled_lookups_mix_nothing_up(redis_process: RedisProcess) -> None:
    async with opened(redis_process.url) as cache:
        cache.put({f"ls1:{i}": str(i).encode() for i in range(100)})
        await until(lambda: stats(cache).stored == 100)
        for _ in range(10):
            calls = [asyncio.create_task(cache.get([f"ls1:{i}"])) for i in range(100)]
            await asyncio.sleep(0)
            for call in calls[::3]:
                call.cancel()
            found = await asyncio.gather(*calls, return_exceptions=True)
            for i, values in enumerate(found):
                assert i % 3 == 0 or values == [str(i).encode()]
        assert not stats(cache).is_open


async def test_a_key_of_another_kind_is_a_miss(redis_process: RedisProcess) -> None:
    with redis_process.client() as client:
        client.rpush("ls1:list", "a")
    async with opened(redis_process.url) as cache:
        assert await cache.get(["ls1:list"]) == [None]
        assert not stats(cache).is_open


async def accept_and_be_silent(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        await asyncio.sleep(PATIENCE_S)
    finally:
        writer.close()


async def talk_nonsense(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(1)
    writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    writer.close()


@pytest.mark.parametrize("behaviour", [accept_and_be_silent, talk_nonsense])
async def test_what_does_not_answer_is_left_alone(
    behaviour: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
    caplog: pytest.LogCaptureFixture,
) -> None:
    server = await asyncio.start_server(behaviour, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    cache = RedisCache(RedisOptions(f"redis://:secret@127.0.0.1:{port}", timeout_s=0.02))
    found = await asyncio.gather(*(cache.get([f"{i}", "b"]) for i in range(300)))
    assert found == [[None, None]] * 300
    assert stats(cache).is_open
    # lanes that were under way, and nobody after them
    assert 1 <= stats(cache).errors <= 4
    assert await cache.get(["a"]) == [None]
    assert stats(cache).bypassed > 0
    cache.put({"a": b"1"})
    assert stats(cache).dropped == 1
    await cache.close()
    server.close()
    assert "cache does not answer" in caplog.text
    assert "secret" not in repr([vars(record) for record in caplog.records])


async def test_a_process_that_stood_still_does_not_blame_redis(
    redis_process: RedisProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = RedisCache(RedisOptions(redis_process.url, timeout_s=0.02))
    assert await cache.get(["a"]) == [None]

    async def stand_still(_: object) -> None:
        time.sleep(0.1)
        await asyncio.sleep(1)

    monkeypatch.setattr(cache._client, "mget", stand_still)
    assert await cache.get(["a"]) == [None]
    assert stats(cache).errors == 1
    assert not stats(cache).is_open
    await cache.close()


async def test_it_comes_back_by_itself(tmp_path: Path) -> None:
    with running_redis(tmp_path) as process:
        async with opened(process.url) as cache:
            cache.put({"ls1:a": b"1"})
            await until(lambda: stats(cache).stored == 1)
            process.kill()
            assert await cache.get(["ls1:a"]) == [None]
            assert stats(cache).is_open
            process.start()
            await until(lambda: not stats(cache).is_open)
            assert await cache.get(["ls1:a"]) == [None]
            cache.put({"ls1:a": b"2"})
            await until(lambda: stats(cache).stored == 2)
            assert await cache.get(["ls1:a"]) == [b"2"]


async def test_one_that_is_not_there_at_the_start_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with running_redis(tmp_path) as process:
        process.kill()
        async with opened(process.url) as cache:
            assert "cache does not answer" in caplog.text
            assert stats(cache).is_open
            assert await cache.get(["a"]) == [None]
            process.start()
            await until(lambda: not stats(cache).is_open)


async def test_a_full_redis_still_answers(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    options = ("--maxmemory", "3mb", "--maxmemory-policy", "noeviction")
    with running_redis(tmp_path, *options) as process:
        async with opened(process.url) as cache:
            for i in range(80):
                cache.put({f"ls1:{i}": bytes(100_000)})
            await until(lambda: stats(cache).stored + stats(cache).dropped == 80)
            assert stats(cache).stored > 0
            assert stats(cache).dropped > 0
            assert "cache refuses writes" in caplog.text
            assert not stats(cache).is_open
            assert await cache.get(["ls1:0"]) == [bytes(100_000)]


async def test_a_wrong_password_is_a_warning(tmp_path: Path) -> None:
    with running_redis(tmp_path, "--requirepass", "right") as process:
        async with opened(process.url.replace("redis://", "redis://:wrong@")) as cache:
            assert stats(cache).is_open
            assert await cache.get(["a"]) == [None]
        async with opened(process.url.replace("redis://", "redis://:right@")) as cache:
            cache.put({"ls1:a": b"1"})
            await until(lambda: stats(cache).stored == 1)
            assert await cache.get(["ls1:a"]) == [b"1"]


async def test_writes_that_wait_are_bounded(redis_process: RedisProcess) -> None:
    async with opened(redis_process.url, max_waiting_bytes=10_000) as cache:
        cache.put({f"ls1:{i}": bytes(1000) for i in range(30)})
        assert stats(cache).dropped == 20
        await until(lambda: stats(cache).stored == 10)
        cache.put({"ls1:more": bytes(1000)})
        await until(lambda: stats(cache).stored == 11)
        assert redis_process.entries() == 11


class TestBehindAnEmbedder:
    @pytest.fixture
    def cache(self, redis_process: RedisProcess) -> Cache:
        made = open_cache(0, RedisOptions(redis_process.url, timeout_s=1.0))
        assert made is not None
        return made

    async def test_servers_share_what_was_made(
        self, world: World, redis_process: RedisProcess
    ) -> None:
        model = await world.model("pairs")
        items = texts("one", "two", "one")
        expected = await world.plain.embed(model, items)
        made = await world.embedder.embed(model, items)
        assert made.times.encode_ns > 0
        await until(lambda: redis_process.entries() == 2)
        world.encoder("pairs").encoded.clear()
        found = await world.embedder.embed(model, items)
        assert found.rows.tobytes() == made.rows.tobytes() == expected.rows.tobytes()
        assert list(found.regions) == list(expected.regions)
        assert found.times.encode_ns == 0
        assert world.encoder("pairs").encoded == []

    async def test_flushing_or_spoiling_costs_only_time(
        self, world: World, redis_process: RedisProcess
    ) -> None:
        model = await world.model()
        expected = await world.plain.embed(model, texts("a"))
        for spoil in (b"", b"x", b"\x01" * 56, None):
            await world.embedder.embed(model, texts("a"))
            await until(lambda: redis_process.entries() == 1)
            with redis_process.client() as client:
                [key] = client.keys("ls1:*")
                client.flushall() if spoil is None else client.set(key, spoil)
            found = await world.embedder.embed(model, texts("a"))
            assert found.rows.tobytes() == expected.rows.tobytes()
            await until(lambda: redis_process.entries() == 1)


def test_what_is_configured_is_opened() -> None:
    options = RedisOptions("redis://localhost:1/0")
    assert open_cache(0, None) is None
    assert [one.name for one in open_cache(1, None).stats] == ["memory"]  # type: ignore[union-attr]
    both = open_cache(1, options)
    assert both is not None
    assert [one.name for one in both.stats] == ["memory", "redis"]


def test_a_missing_package_is_named_with_its_cure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "redis", None)
    monkeypatch.delitem(sys.modules, "services.runtime.cache.redis")
    with pytest.raises(MissingExtraError, match=r"cache\.redis_url .*server\[redis\]"):
        open_cache(1, RedisOptions("redis://localhost"))


@pytest.mark.parametrize("option", ["socket_timeout=abc", "foo=1"])
def test_options_of_the_url_are_checked_at_the_start(option: str) -> None:
    with pytest.raises(ValueError, match=option.partition("=")[0]):
        open_cache(0, RedisOptions(f"redis://localhost/0?{option}"))
