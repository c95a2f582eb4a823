"""Caches as configured."""

from embedders.errors import MissingExtraError
from services.runtime.cache.base import Cache
from services.runtime.cache.memory import MemoryCache
from services.runtime.cache.options import RedisOptions
from services.runtime.cache.tiers import TieredCache


def open_cache(memory_bytes: int, redis: RedisOptions | None) -> Cache | None:
    """Memory, Redis, one before the other, or none.

    Args:
        memory_bytes: 0: none.

    Raises:
        MissingExtraError: Redis is wanted, and its client is not installed.
        ValueError: its URL is none of Redis.
    """
    tiers: list[Cache] = [MemoryCache(memory_bytes)] if memory_bytes else []
    if redis is not None:
        tiers.append(redis_cache(redis))
    if len(tiers) > 1:
        return TieredCache(tiers)
    return tiers[0] if tiers else None


def redis_cache(options: RedisOptions) -> Cache:
    """A client of Redis; its package is imported now.

    Raises:
        MissingExtraError, ValueError
    """
    try:
        from services.runtime.cache.redis import RedisCache
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in ("redis", "hiredis"):
            raise
        package = error.name or "redis"
        raise MissingExtraError("the setting cache.redis_url", package, "redis") from error
    return RedisCache(options)
