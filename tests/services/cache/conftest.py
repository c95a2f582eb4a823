"""A real Redis, and models behind a cache."""

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from services.runtime.batching import BatchLimits
from services.runtime.cache.base import Cache
from services.runtime.cache.memory import MemoryCache
from services.runtime.embedder import Embedder
from services.runtime.models import Model, ModelConfig, ModelRegistry
from services.runtime.pools import Pools
from tests.services.cache.redis_process import RedisProcess, running_redis
from tests.services.cache.world import Counting, loader


@pytest.fixture(scope="session")
def shared_redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisProcess]:
    with running_redis(tmp_path_factory.mktemp("redis")) as process:
        yield process


@pytest.fixture
def redis_process(shared_redis: RedisProcess) -> RedisProcess:
    """Empty, and not to be killed."""
    with shared_redis.client() as client:
        client.flushall()
    return shared_redis


@dataclass
class World:
    """Models of one process behind one cache, and an embedder without."""

    models: ModelRegistry
    cache: Cache
    embedder: Embedder
    plain: Embedder

    async def model(self, name: str = "toy") -> Model:
        return await self.models.load(name)

    def encoder(self, name: str = "toy") -> Counting:
        encoder = self.models.get(name).ready()
        assert isinstance(encoder, Counting)
        return encoder


@pytest.fixture
def cache() -> Cache:
    return MemoryCache(1 << 20)


@pytest.fixture
async def world(cache: Cache, tmp_path: Path) -> AsyncIterator[World]:
    pools = Pools(1)
    models = ModelRegistry(
        [
            ModelConfig("toy", "hash", "", {"dim": 8, "max_tokens": 3}),
            ModelConfig("twin", "hash", "", {"dim": 8, "max_tokens": 3}),
            ModelConfig("other", "hash", "", {"dim": 8, "seed": "s"}),
            ModelConfig("pairs", "hash", "pairs", {"dim": 8}),
        ],
        pools,
        BatchLimits(max_queue_cost=64),
        loader,
    )
    yield World(models, cache, Embedder(pools, cache), Embedder(pools))
    for model in models.all():
        if isinstance(model.encoder, Counting):
            model.encoder.free.set()
    await models.close()
    await cache.close()
    pools.close()
