"""The configured models: which are loaded, and where each stands."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from embedders.base import Encoder
from embedders.errors import EmbedderError, ModelError
from embedders.lookup import LookupEncoder
from index.types import CollectionSpec, Metric
from index.vocabulary import VocabularyCollection
from services.runtime.batching import BatchLimits
from services.runtime.cache.keys import config_digest
from services.runtime.encoding import EncodeBatcher, encode_batcher
from services.runtime.errors import ModelExistsError, ModelNotFoundError, ModelNotReadyError
from services.runtime.memory import release_memory
from services.runtime.pools import Pools, limit_torch_threads, run_in

logger = logging.getLogger(__name__)


class ModelState(StrEnum):
    """Where a model stands."""

    LOADING = "loading"
    READY = "ready"
    FAILED = "failed"
    UNLOADED = "unloaded"


class ModelOrigin(StrEnum):
    """How a model came to the server."""

    CONFIGURED = "configured"
    ADDED = "added"
    TRAINED = "trained"


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """A model as configured.

    Args:
        source: path, hub name or packaged name, as the family reads it.
        options: the family's own options.
        preload: load it at the start, before calls are answered.
        required: where that fails, the server does not start.
        origin: how it came to the server.
    """

    id: str
    family: str
    source: str
    options: Mapping[str, Any] = field(default_factory=dict)
    preload: bool = True
    required: bool = False
    origin: ModelOrigin = ModelOrigin.CONFIGURED

    @property
    def configured(self) -> bool:
        """Whether it stands in the settings; while it is loaded, its illness is the service's."""
        return self.origin is ModelOrigin.CONFIGURED


@dataclass(slots=True)
class Model:
    """A configured model; `encoder` is set while it is READY.

    Args:
        batcher: None for lookup models, which are faster than any queue.
        vocabulary: the read-only collection of a lookup model's keys.
        config_digest: what its configuration was when it was loaded, for the keys of caches.
    """

    config: ModelConfig
    state: ModelState = ModelState.UNLOADED
    reason: str = ""
    encoder: Encoder | None = None
    batcher: EncodeBatcher | None = None
    vocabulary: VocabularyCollection | None = None
    config_digest: str = ""
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    def ready(self) -> Encoder:
        """The encoder.

        Raises:
            ModelNotReadyError
        """
        if self.encoder is None:
            raise ModelNotReadyError(self.config.id, self.state, self.reason)
        return self.encoder


Loader = Callable[[str, str, str, Mapping[str, Any]], Encoder]


class ModelRegistry:
    """All configured models by id.

    Args:
        loader: makes an encoder of (id, family, source, options); `embedders.registry.load`.
    """

    def __init__(
        self, configs: list[ModelConfig], pools: Pools, limits: BatchLimits, loader: Loader
    ) -> None:
        self._models = {config.id: Model(config) for config in configs}
        self._pools, self._limits, self._loader = pools, limits, loader
        self._changing: set[asyncio.Task[None]] = set()
        #: whether a stored collection has this name: no vocabulary may hide it
        self.name_taken: Callable[[str], bool] = lambda name: False
        #: told of every model that was loaded, failed or was unloaded
        self.on_change: Callable[[Model], Awaitable[None]] = nobody

    def all(self) -> list[Model]:
        """Every model, by id."""
        return [self._models[name] for name in sorted(self._models)]

    def get(self, model_id: str) -> Model:
        """The model of this id.

        Raises:
            ModelNotFoundError
        """
        try:
            return self._models[model_id]
        except KeyError:
            raise ModelNotFoundError(model_id, self._models) from None

    def __contains__(self, model_id: str) -> bool:
        return model_id in self._models

    def add(self, config: ModelConfig) -> Model:
        """A model that joins the configured ones; not loaded yet.

        Raises:
            ModelExistsError
        """
        if config.id in self._models:
            raise ModelExistsError(config.id)
        model = Model(config)
        # replaced, not changed: other threads may be going over it
        self._models = {**self._models, config.id: model}
        return model

    async def load(self, model_id: str) -> Model:
        """Reads and warms a model; a loaded one is left as it is.

        Raises:
            ModelNotFoundError, EmbedderError
        """
        model = self.get(model_id)
        await self._to_the_end(self._load_once(model))
        return model

    async def unload(self, model_id: str) -> Model:
        """Lets running batches end and gives the memory back to the system.

        Raises:
            ModelNotFoundError
        """
        model = self.get(model_id)
        await self._to_the_end(self._unload(model))
        return model

    async def remove(self, model_id: str) -> None:
        """Unloads a model and forgets it.

        Raises:
            ModelNotFoundError
        """
        await self.unload(model_id)
        # replaced, not changed: other threads may be going over it
        self._models = {name: m for name, m in self._models.items() if name != model_id}

    async def close(self) -> None:
        """Gives up loading and ends every batcher."""
        for task in self._changing:
            task.cancel()
        await asyncio.gather(*self._changing, return_exceptions=True)
        for model in self.all():
            if model.batcher is not None:
                await model.batcher.close()

    def vocabularies(self) -> dict[str, VocabularyCollection]:
        """Read-only collections of the loaded lookup models, by name."""
        return {name: m.vocabulary for name, m in self._models.items() if m.vocabulary is not None}

    async def _to_the_end(self, change: Coroutine[Any, Any, None]) -> None:
        """A caller that hangs up does not stop it half way: others may wait for the same."""
        task = asyncio.create_task(change)
        self._changing.add(task)
        task.add_done_callback(self._changing.discard)
        await asyncio.shield(task)

    async def _load_once(self, model: Model) -> None:
        async with model.lock:
            if model.state is not ModelState.READY:
                try:
                    await self._load(model)
                finally:
                    await self.on_change(model)

    async def _unload(self, model: Model) -> None:
        async with model.lock:
            batcher, held = model.batcher, [model.encoder]
            model.encoder = model.batcher = model.vocabulary = None
            model.state, model.reason = ModelState.UNLOADED, ""
            if batcher is not None:
                await batcher.close()
                del batcher
            await run_in(self._pools.load, give_back, held)
            await self.on_change(model)

    def _check_name(self, encoder: Encoder) -> None:
        name = encoder.info.id
        if isinstance(encoder, LookupEncoder) and self.name_taken(name):
            raise ModelError(
                f"model {name!r} publishes its vocabulary as a collection of that name, and there"
                " is a stored one: give the model another name, or delete the collection"
            )

    async def _load(self, model: Model) -> None:
        config, started = model.config, time.perf_counter()
        model.state, model.reason = ModelState.LOADING, ""
        try:
            model.config_digest = await run_in(
                self._pools.load, config_digest, config.family, config.options
            )
            encoder = await run_in(
                self._pools.load,
                self._loader,
                config.id,
                config.family,
                config.source,
                config.options,
            )
            self._check_name(encoder)
            limit_torch_threads()
            await run_in(self._pools.encode, encoder.warm_up)
            if isinstance(encoder, LookupEncoder):
                model.vocabulary = await run_in(self._pools.load, publish, encoder)
            else:
                model.batcher = encode_batcher(encoder, self._pools, self._limits)
        except EmbedderError as error:
            model.state, model.reason = ModelState.FAILED, str(error)
            raise
        except asyncio.CancelledError:
            model.state, model.reason = ModelState.FAILED, "loading was given up"
            raise
        except BaseException:  # whatever it was, the model does not stay LOADING
            model.state, model.reason = ModelState.FAILED, "loading failed; see the server's log"
            logger.exception("model not loaded", extra={"model": config.id})
            raise
        model.encoder, model.state = encoder, ModelState.READY
        logger.info(
            "model loaded",
            extra={
                "model": config.id,
                "family": config.family,
                "seconds": round(time.perf_counter() - started, 2),
            },
        )


def give_back(held: list[Encoder | None]) -> None:
    """Closes an encoder and frees its memory; `held` is emptied.

    Handed over in a list, so that no frame and no queue of threads still refers to it when
    memory is freed.
    """
    if encoder := held.pop():
        encoder.close()
    del encoder
    release_memory()


async def nobody(_: Model) -> None:
    """Hears of changes until somebody wants to."""


def publish(encoder: LookupEncoder) -> VocabularyCollection:
    """The keys of a lookup model as a read-only collection of the same name."""
    info, vocabulary = encoder.info, encoder.vocabulary
    spec = CollectionSpec(
        dim=info.dim,
        metric=Metric.COSINE,
        recipe="exact",
        model=info.id,
        space_id=info.space_id,
    )
    return VocabularyCollection(
        info.id, vocabulary.keys, vocabulary.vectors, spec, counts=vocabulary.counts
    )
