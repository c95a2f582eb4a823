"""Concurrent searches of one collection with like parameters run as one index call."""

import time
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from itertools import count, pairwise
from weakref import WeakKeyDictionary, ref

import numpy as np

from embedders.vectors import FloatRows
from index.base import Collection, SearchRequest
from index.types import Hits, Points
from services.runtime.batching import Batcher, BatchLimits
from services.runtime.pools import Pools, run_in
from services.runtime.queueing import Claim
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
    """One batcher a collection, made when it is first searched."""

    def __init__(self, pools: Pools) -> None:
        self._pools = pools
        self._serial = count()
        self._batchers: WeakKeyDictionary[Collection, SearchBatcher] = WeakKeyDictionary()

    async def search(
        self, collection: Collection, request: SearchRequest, deadline: float | None = None
    ) -> TimedHits:
        """Searches, together with others where that helps.

        Raises:
            QueryError, FilterError, OverloadedError, DeadlineError
        """
        queries = len(request.queries)
        result = await self._batcher(collection).run(
            [request], [queries], self._key(request, queries), Claim(deadline=deadline)
        )
        ended = time.perf_counter_ns()
        started = ended - result.work_ns
        record(StageName.QUEUE, started - result.queue_ns, started)
        record(StageName.SEARCH, started, ended)
        found = result.results[0]
        if isinstance(found, Exception):
            raise found
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

    def _key(self, request: SearchRequest, queries: int) -> Hashable:
        """Equal for searches that may run as one."""
        alone = next(self._serial) if queries > MAX_JOINED_QUERIES else -1
        return (
            alone,
            request.k,
            request.filter,
            request.params,
            request.score_threshold,
            request.with_payload,
            request.with_vectors,
        )

    def _batcher(self, collection: Collection) -> SearchBatcher:
        found = self._batchers.get(collection)
        if found is None:
            found = self._batchers[collection] = search_batcher(collection, self._pools)
        return found


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
    first = batch[0]
    if len(batch) == 1:
        return [collection.search(first)]
    queries = np.concatenate([request.queries for request in batch])
    joined = SearchRequest(
        queries,
        first.k,
        first.filter,
        first.params,
        first.score_threshold,
        first.with_payload,
        first.with_vectors,
    )
    return split_hits(collection.search(joined), [len(request.queries) for request in batch])


def split_hits(hits: Hits, sizes: Sequence[int]) -> list[Hits]:
    """Hits of consecutive groups of queries."""
    ends = np.concatenate([[0], np.cumsum(hits.counts)])
    bounds = np.concatenate([[0], np.cumsum(sizes)])
    return [
        Hits(
            take(hits.points, int(ends[low]), int(ends[high])),
            hits.scores[ends[low] : ends[high]],
            hits.counts[low:high],
            hits.plan,
        )
        for low, high in pairwise(bounds)
    ]


def take(points: Points, low: int, high: int) -> Points:
    """Points [low, high) of all columns."""
    rows: FloatRows | None = None if points.vectors is None else points.vectors[low:high]
    return Points(
        points.ids[low:high],
        rows,
        None if points.payloads is None else points.payloads[low:high],
        None if points.modalities is None else points.modalities[low:high],
    )


#: Stands for the queries of a request that has not got them yet.
NO_QUERIES: FloatRows = np.empty((0, 0), np.float32)
