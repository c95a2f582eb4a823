"""Concurrent searches of one collection with like parameters run as one index call."""

import time
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from itertools import count
from weakref import WeakKeyDictionary, ref

import numpy as np

from embedders.vectors import FloatRows
from index.base import Collection, SearchRequest
from index.types import Hits
from services.runtime.batching import Batcher, BatchLimits
from services.runtime.pools import Pools, run_in
from services.runtime.queueing import Claim
from services.runtime.results import split_hits
from services.runtime.search_results import SearchResults
from services.runtime.tracing import StageName, record

# Larger requests gain nothing from company and would make it wait.
MAX_JOINED_QUERIES = 16
LIMITS = BatchLimits(max_items=256, max_cost=256, max_queue_cost=4096, lanes=1)

SearchBatcher = Batcher[SearchRequest, Hits]


@dataclass(frozen=True, slots=True)
class TimedHits:
    """Hits and where the time went, in nanoseconds."""

    hits: Hits
    queue_ns: int
    search_ns: int


class SearchLanes:
    """One batcher a collection, made when it is first searched.

    Args:
        results: of searches that were made before; None: each is made anew.
    """

    def __init__(self, pools: Pools, results: SearchResults | None = None) -> None:
        self.pools, self.results = pools, results
        self._serial = count()
        self._batchers: WeakKeyDictionary[Collection, SearchBatcher] = WeakKeyDictionary()

    async def search(
        self, collection: Collection, request: SearchRequest, deadline: float | None = None
    ) -> TimedHits:
        """Searches, together with others where that helps.

        Raises:
            QueryError, FilterError, OverloadedError, DeadlineError
        """
        key = likeness(request)
        if self.results is not None:
            kept = self.results.key(collection, key, request.queries)
            if (hits := self.results.get(kept)) is not None:
                return TimedHits(hits, 0, 0)
        queries = len(request.queries)
        alone = next(self._serial) if queries > MAX_JOINED_QUERIES else -1
        result = await self._batcher(collection).run(
            [request], [queries], (alone, key), Claim(deadline=deadline)
        )
        ended = time.perf_counter_ns()
        started = ended - result.work_ns
        record(StageName.QUEUE, started - result.queue_ns, started)
        record(StageName.SEARCH, started, ended)
        found = result.results[0]
        if isinstance(found, Exception):
            raise found
        if self.results is not None:
            self.results.put(kept, found)
        return TimedHits(found, result.queue_ns, result.work_ns)

    def batchers(self) -> dict[str, SearchBatcher]:
        """The queues that were needed so far, by collection; may be called in any thread."""
        found: dict[str, SearchBatcher] = {}
        # the references as a list: made in one step, whatever other threads add meanwhile
        for reference in self._batchers.keyrefs():
            collection = reference()
            batcher = None if collection is None else self._batchers.get(collection)
            if collection is not None and batcher is not None:
                found[collection.name] = batcher
        return found

    def _batcher(self, collection: Collection) -> SearchBatcher:
        found = self._batchers.get(collection)
        if found is None:
            found = self._batchers[collection] = search_batcher(collection, self.pools)
        return found


def likeness(request: SearchRequest) -> Hashable:
    """Equal for searches that differ in their queries only."""
    return (
        request.k,
        request.filter,
        request.params,
        request.score_threshold,
        request.with_payload,
        request.with_vectors,
        request.value_of,
    )


def search_batcher(collection: Collection, pools: Pools) -> SearchBatcher:
    """The queue of one collection; it does not keep the collection alive."""
    target = ref(collection)

    def searched() -> Collection:
        found = target()
        assert found is not None, "every caller holds its collection"
        return found

    async def work(_: Hashable, batch: Sequence[SearchRequest]) -> list[Hits | Exception]:
        return list(await run_in(pools.search, search_together, searched(), batch))

    def quick_work(request: SearchRequest) -> Hits:
        return searched().search(request)

    return Batcher(f"collection {collection.name!r}", work, LIMITS, quick_work)


def search_together(collection: Collection, batch: Sequence[SearchRequest]) -> list[Hits]:
    """One index call for searches that differ in their queries only."""
    if len(batch) == 1:
        return [collection.search(batch[0])]
    queries = np.concatenate([request.queries for request in batch])
    hits = collection.search(replace(batch[0], queries=queries))
    return split_hits(hits, [len(request.queries) for request in batch])


#: Stands for the queries of a request that has not got them yet.
NO_QUERIES: FloatRows = np.empty((0, 0), np.float32)
