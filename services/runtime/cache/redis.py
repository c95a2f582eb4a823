"""Values in Redis, which all servers share.

A Redis that is slow or dead costs each call that is under way at most `timeout_s`, once; later
calls leave it alone until a probe beside them finds that it answers again.
"""

import asyncio
import logging
import time
from collections.abc import Mapping, Sequence
from typing import cast

import redis
import redis.asyncio as client
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from services.runtime.cache.base import Cache
from services.runtime.cache.breaker import Breaker
from services.runtime.cache.lookups import Lookups, Values
from services.runtime.cache.options import RedisOptions
from services.runtime.cache.stats import TierStats
from services.runtime.cache.writes import Entry, Writes

logger = logging.getLogger(__name__)

# Beside the lookups: one connection that writes, one that probes.
MORE_CONNECTIONS = 2
# At the start nobody waits, and the first connection may need a name looked up.
START_TIMEOUT_S = 1.0
# A wait that took so many times what it may: this process stood still, and not Redis.
LATE = 2.0


class RedisCache(Cache):
    """A client of one Redis; it connects when it is first asked.

    Raises:
        ValueError: the URL is none of Redis.
    """

    def __init__(self, options: RedisOptions) -> None:
        self._options = options
        self._stats = TierStats("redis")
        self._pool = connection_pool(options)
        self._client = client.Redis(connection_pool=self._pool)
        self._breaker = Breaker(options.address, self._probe, options.retry_s, self._stats)
        self._lookups = Lookups(self._fetch, options.connections)
        self._writes = Writes(self._write, options.max_waiting_bytes, self._stats)

    @property
    def stats(self) -> tuple[TierStats, ...]:
        """One."""
        return (self._stats,)

    async def get(self, keys: Sequence[str]) -> Values:
        """The value of each key, within the time allowed."""
        if self._breaker.is_open:
            self._stats.bypassed += len(keys)
            return [None] * len(keys)
        return await self._lookups.get(keys)

    def put(self, entries: Mapping[str, bytes]) -> None:
        """Puts values in line to be written."""
        if self._breaker.is_open:
            self._stats.dropped += len(entries)
        else:
            self._writes.put(entries)

    async def start(self) -> None:
        """Looks whether Redis answers; if not, a warning says so."""
        try:
            await self._ping(START_TIMEOUT_S)
        except Exception as error:  # noqa: BLE001 - the service works without it
            self._stats.errors += 1
            self._breaker.trip(error)

    async def close(self) -> None:
        """Closes all connections."""
        await self._breaker.close()
        await self._lookups.close()
        await self._writes.close()
        await self._client.aclose()
        await self._pool.disconnect()

    async def _fetch(self, keys: Sequence[str]) -> Values:
        if self._breaker.is_open:
            self._stats.bypassed += len(keys)
            return [None] * len(keys)
        started = time.monotonic()
        try:
            async with asyncio.timeout(self._options.timeout_s):
                # not decoded, so there is no str among them
                found = cast("Values", await self._client.mget(keys))
            if len(found) != len(keys):
                raise redis.ConnectionError(f"{len(found)} values of {len(keys)} keys")
        except Exception as error:  # noqa: BLE001 - whatever it is, a cache fails no call
            self._fail(error, started)
            return [None] * len(keys)
        hits = len(found) - found.count(None)
        self._stats.hits += hits
        self._stats.misses += len(found) - hits
        return found

    async def _write(self, entries: Sequence[Entry]) -> int:
        if self._breaker.is_open:
            return 0
        pipeline = self._client.pipeline(transaction=False)
        for key, value in entries:
            pipeline.execute_command("SET", key, value, "EX", self._options.ttl_s)
        started = time.monotonic()
        try:
            async with asyncio.timeout(self._options.timeout_s):
                replies = await pipeline.execute(raise_on_error=False)
        except Exception as error:  # noqa: BLE001 - as above
            self._fail(error, started)
            return 0
        refused = [reply for reply in replies if isinstance(reply, Exception)]
        if refused:
            # a full Redis may refuse writes and still answer lookups
            self._stats.errors += 1
            logger.warning(
                "cache refuses writes",
                extra={"cache": self._options.address, "error": repr(refused[0])},
            )
        return len(replies) - len(refused)

    async def _probe(self) -> None:
        # connections of before may be half open
        await self._pool.disconnect(inuse_connections=False)
        await self._ping(self._options.timeout_s)

    async def _ping(self, timeout_s: float) -> None:
        async with asyncio.timeout(timeout_s):
            await self._client.ping()

    def _fail(self, error: Exception, started: float) -> None:
        self._stats.errors += 1
        is_late = time.monotonic() - started > LATE * self._options.timeout_s
        if not (isinstance(error, TimeoutError) and is_late):
            self._breaker.trip(error)


def connection_pool(options: RedisOptions) -> client.BlockingConnectionPool:
    """A bounded pool; a connection costs no more round trips than its login.

    Raises:
        ValueError: the URL is none of Redis, or has options that are none.
    """
    pool = client.BlockingConnectionPool.from_url(
        options.url,
        max_connections=options.connections + MORE_CONNECTIONS,
        timeout=options.timeout_s,
        socket_timeout=max(options.timeout_s, START_TIMEOUT_S),
        socket_connect_timeout=max(options.timeout_s, START_TIMEOUT_S),
        # a second try would cost its caller the same again
        retry=Retry(NoBackoff(), 0),
        driver_info=None,
        protocol=2,
    )
    try:
        pool.make_connection()  # type: ignore[no-untyped-call]  # it connects to nothing yet
    except TypeError as error:
        raise ValueError(f"an option of the URL is none of Redis: {error}") from error
    return pool
