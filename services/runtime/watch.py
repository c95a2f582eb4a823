"""Watches the service from inside: every loaded model, searches, the stored collections."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import Any

from index.base import Engine
from services.runtime.canary import CanaryError, SearchCanary, ask_model, ask_vocabulary, ask_writes
from services.runtime.encoding import EncodeBatcher
from services.runtime.lag import LoopLag
from services.runtime.models import Model, ModelRegistry, ModelState
from services.runtime.pools import Pools
from services.runtime.probe import SLICE_S, Probe, WatchOptions

SEARCH, WRITING = "search", "writing"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is well now.

    Args:
        models: every configured model; those that are not loaded are not well.
        embedding: no configured model that was loaded is ill, and no required one failed.
        search: searches, and reads of stored collections.
        writing: the disk takes what is written to stored collections.
    """

    models: Mapping[str, bool]
    embedding: bool
    search: bool
    writing: bool


class Watcher:
    """Asks canaries of everything that must answer, side by side.

    Args:
        report: told of each verdict that differs from the last.
    """

    def __init__(
        self,
        models: ModelRegistry,
        pools: Pools,
        engine: Engine,
        options: WatchOptions,
        report: Callable[[Verdict], Awaitable[None]],
    ) -> None:
        self._models, self._pools, self._options, self._report = models, pools, options, report
        self._search = Probe(SEARCH, SearchCanary(pools, engine).ask, options, self._tell)
        self._writing = Probe(WRITING, lambda: ask_writes(engine), options, self._tell)
        self._probes: dict[str, Probe] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._last: Verdict | None = None
        self.lag = LoopLag()

    async def start(self) -> None:
        """Begins with searches, the disk and the event loop; returns with the first verdict."""
        self._begin("lag", self.lag.run())
        for name, probe in ((SEARCH, self._search), (WRITING, self._writing)):
            self._begin(name, probe.run())
            await probe.known.wait()

    async def model_changed(self, model: Model) -> None:
        """Forgets what was known of a model; of a loaded one, waits for the first verdict."""
        name = f"model {model.config.id}"
        self._probes.pop(name, None)
        if (task := self._tasks.pop(name, None)) is not None:
            task.cancel()
        if model.state is ModelState.READY:
            probe = self._probes[name] = self._probe(model, name)
            self._begin(name, probe.run())
            await probe.known.wait()
        await self._tell()

    def verdict(self) -> Verdict:
        """What is well now."""
        models = {model.config.id: self._well(model) for model in self._models.all()}
        needed = [model for model in self._models.all() if is_needed(model)]
        return Verdict(
            models, all(map(self._well, needed)), self._search.well, not self._writing.fault
        )

    async def close(self) -> None:
        """Asks no more."""
        tasks, self._tasks = list(self._tasks.values()), {}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _begin(self, name: str, work: Coroutine[Any, Any, None]) -> None:
        self._tasks[name] = asyncio.get_running_loop().create_task(work)

    def _probe(self, model: Model, name: str) -> Probe:
        async def ask() -> None:
            await ask_model(self._pools, model)
            if not probe.known.is_set():
                await ask_vocabulary(self._pools, model)
            if model.batcher is not None:
                await check_lanes(model.batcher, self._options.timeout_s)

        probe = Probe(name, ask, self._options, self._tell)
        return probe

    def _well(self, model: Model) -> bool:
        probe = self._probes.get(f"model {model.config.id}")
        return model.state is ModelState.READY and probe is not None and probe.well

    async def _tell(self) -> None:
        verdict = self.verdict()
        if verdict != self._last:
            self._last = verdict
            await self._report(verdict)


def is_needed(model: Model) -> bool:
    """Whether the service is ill where this model is.

    Not where somebody unloaded it, nor where one that is not required could not be loaded: the
    others answer.
    """
    config = model.config
    if model.state is ModelState.READY:
        return config.configured and config.preload
    return model.state is ModelState.FAILED and config.required


async def check_lanes(batcher: EncodeBatcher, limit_s: float) -> None:
    """Refuses a batcher one of whose batches does not end, though others may pass it by.

    Raises:
        CanaryError
    """
    if batcher.longest_running_s() > limit_s:
        # a process that was stopped for long finds its batches old, and ends them at once
        await asyncio.sleep(SLICE_S)
    if (seconds := batcher.longest_running_s()) > limit_s:
        raise CanaryError(f"a batch has run for {seconds:.0f} s")
