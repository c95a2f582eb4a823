"""Everything put together once, from settings."""

import asyncio
from dataclasses import dataclass

from embedders import registry
from index.engine import FaissEngine
from index.errors import LockedError, StorageError
from index.options import EngineOptions
from services.app.settings import CacheSettings, Limits, Settings, SettingsError
from services.app.tracers import Tracer, open_tracer
from services.rpc.imports import Imports
from services.rpc.server import Parts, RpcServer, ServerOptions
from services.runtime.batching import BatchLimits
from services.runtime.cache.base import Cache
from services.runtime.cache.opening import open_cache
from services.runtime.cache.options import RedisOptions
from services.runtime.catalog import Catalog
from services.runtime.collections import Collections
from services.runtime.embedder import Embedder
from services.runtime.evaluation import Evaluation
from services.runtime.jobs import Jobs
from services.runtime.label_sets import LabelSets
from services.runtime.model_shelf import ModelShelf
from services.runtime.models import ModelConfig, ModelRegistry
from services.runtime.operations import Operations
from services.runtime.pools import Pools
from services.runtime.probe import WatchOptions
from services.runtime.search_results import SearchResults
from services.runtime.searching import SearchLanes
from services.runtime.snapshots import Snapshots
from services.runtime.sources import Sources
from services.runtime.traced import TracedEmbedder
from services.runtime.training import Training
from services.runtime.watch import Watcher


@dataclass(frozen=True, slots=True)
class Application:
    """The parts of a running service."""

    settings: Settings
    pools: Pools
    engine: FaissEngine
    catalog: Catalog
    models: ModelRegistry
    collections: Collections
    operations: Operations
    rpc: RpcServer
    watcher: Watcher
    tracer: Tracer | None

    async def close(self) -> None:
        """Ends work and closes files, the last made first."""
        await self.watcher.close()
        if self.tracer is not None:
            await asyncio.to_thread(self.tracer.close)
        await self.rpc.stop(0.0)
        await self.models.close()
        await self.collections.embedder.close()
        await asyncio.to_thread(self.operations.close)
        self.pools.close()
        self.engine.close()
        self.catalog.close()


def compose(settings: Settings) -> Application:
    """All parts, nothing loaded and no port open yet.

    Raises:
        LockedError: another process serves the data folder.
        StorageError: it cannot be written.
        MissingExtraError: traces or Redis are wanted, and their packages are not installed.
        SettingsError: the URL of Redis has options that are none.
        ModelError: a model is of a family that nobody offers.
    """
    for model in settings.models.values():
        registry.check_family(model.family)
    tracer = open_tracer(settings.tracing)
    cache = cache_of(settings.cache)
    pools = Pools(settings.cores)
    engine = open_engine(settings, pools)
    catalog = Catalog(settings.data_dir / "catalog.db")
    limits = settings.limits
    models = ModelRegistry(
        [
            ModelConfig(name, m.family, m.source, m.options, m.preload, m.required)
            for name, m in settings.models.items()
        ],
        pools,
        batch_limits(limits, pools.cores),
        registry.load,
    )
    embedder = Embedder(pools, cache) if tracer is None else TracedEmbedder(pools, cache)
    results = (
        SearchResults(settings.cache.searches_mib << 20) if settings.cache.searches_mib else None
    )
    collections = Collections(engine, catalog, models, embedder, SearchLanes(pools, results))
    label_sets = LabelSets(catalog, embedder, pools)
    options = ServerOptions(
        settings.listen,
        limits.max_message_mib,
        limits.max_items,
        limits.max_queries,
        limits.search_mib,
        settings.reflection,
    )
    operations = Operations(catalog)
    snapshots = Snapshots(engine, settings.data_dir / "snapshots")
    jobs = Jobs(settings.data_dir / "jobs", pools.cores)
    sources = Sources(settings.roots)
    training = Training(
        settings.data_dir / "models", catalog, collections, operations, jobs, sources
    )
    shelf = ModelShelf(catalog, training, label_sets, sources)
    evaluation = Evaluation(collections, operations, jobs, sources)
    imports = Imports(collections, operations, jobs, sources, settings.data_dir / "imports")
    rpc = RpcServer(
        Parts(shelf, collections, operations, snapshots, imports, training, evaluation, label_sets),
        options,
        tracer,
    )
    patience = WatchOptions(settings.health.interval_s, settings.health.timeout_s)
    watcher = Watcher(models, pools, engine, patience, rpc.health.report)
    models.on_change = watcher.model_changed
    return Application(
        settings, pools, engine, catalog, models, collections, operations, rpc, watcher, tracer
    )


def batch_limits(limits: Limits, cores: int) -> BatchLimits:
    """Bounds of each model's queue."""
    return BatchLimits(
        limits.batch_items,
        limits.batch_cost,
        limits.queue_cost,
        lanes=cores,
        max_wait_s=limits.queue_s,
    )


def cache_of(settings: CacheSettings) -> Cache | None:
    """The cache of the settings; None where there is none.

    Raises:
        MissingExtraError, SettingsError
    """
    try:
        return open_cache(settings.memory_mib << 20, redis_options(settings))
    except ValueError as error:
        raise SettingsError(f"setting cache.redis_url: {error}") from error


def redis_options(settings: CacheSettings) -> RedisOptions | None:
    """How Redis is asked; None where there is none."""
    if not (url := settings.redis_url.get_secret_value()):
        return None
    return RedisOptions(
        url,
        settings.ttl_s,
        settings.timeout_s,
        settings.retry_s,
        settings.connections,
        settings.write_mib << 20,
    )


def open_engine(settings: Settings, pools: Pools) -> FaissEngine:
    """The engine of the data folder.

    Raises:
        LockedError: another process serves it.
        StorageError: it cannot be written; with the cure.
    """
    wanted = settings.index
    options = EngineOptions(
        seal_rows=wanted.seal_rows,
        memory_bytes=wanted.memory_mib << 20,
        device=wanted.device,
        spare_cores=pools.spare_cores,
    )
    try:
        return FaissEngine(settings.data_dir, threads=pools.cores, options=options)
    except LockedError:
        raise
    except StorageError as error:
        cure = "let this user write there, or name another folder with --data-dir"
        raise StorageError(f"{error}; {cure}") from error
