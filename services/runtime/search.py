"""Searches: queries to vectors, vectors to hits, hits as the caller chooses them."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from embedders.base import EncodeOptions
from embedders.vectors import FloatRows
from index.base import Collection, SearchRequest
from index.types import Hits
from services.runtime.choosing.base import Choice
from services.runtime.choosing.pages import Windowed
from services.runtime.collections import Collections
from services.runtime.encoding import NO_TIMES
from services.runtime.errors import RequestError
from services.runtime.inputs import VectorRows
from services.runtime.points import check_rows
from services.runtime.queries import AnyQuery, Sought, bad_rows, plain, read_queries
from services.runtime.ranking import MAX_K, Ranking
from services.runtime.resolve import collection_target, resolve
from services.runtime.results import joined, no_hits, trim
from services.runtime.search_budget import SearchBudget

# Queries of one call that are answered one by one, side by side: like searches among them join.
QUERIES_AT_WORK = 64

WHOLE = Windowed()


@dataclass(frozen=True, slots=True)
class SearchOutcome:
    """Hits of all queries, those that failed with none; times in nanoseconds."""

    hits: Hits
    space_id: str
    errors: dict[int, Exception] = field(default_factory=dict)
    queue_ns: int = 0
    prepare_ns: int = 0
    encode_ns: int = 0
    search_ns: int = 0


class Searcher:
    """Answers searches over every collection."""

    def __init__(self, collections: Collections, budget: SearchBudget) -> None:
        self._collections, self._budget = collections, budget
        self._lanes = collections.lanes

    async def by_vectors(
        self,
        collection: Collection,
        vectors: VectorRows,
        wanted: SearchRequest,
        choice: Choice = WHOLE,
        deadline: float | None = None,
    ) -> SearchOutcome:
        """Searches with packed vectors: the fast path. `wanted.queries` is not read.

        Raises:
            RequestError, SpaceMismatchError, QueryError, FilterError, OverloadedError
        """
        choice.check(collection.spec, wanted.k)
        if not len(vectors.rows):
            raise RequestError("vectors", "give at least one query")
        queries = len(vectors.rows)
        self._budget.check(collection, queries, choice, wanted.k, wanted.with_vectors)
        check_rows("vectors", collection, vectors)
        errors = bad_rows(collection, vectors.rows)
        if isinstance(choice, Windowed):
            none: list[frozenset[str]] = []
            rows = vectors.rows
            return await self._window(collection, rows, none, wanted, choice, errors, deadline)
        sought = plain(vectors.rows)
        return await self._chosen(collection, sought, wanted, choice, errors, deadline)

    async def by_queries(
        self,
        collection: Collection,
        queries: Sequence[AnyQuery],
        wanted: SearchRequest,
        options: EncodeOptions,
        choice: Choice = WHOLE,
        deadline: float | None = None,
    ) -> SearchOutcome:
        """Searches with queries of any kind; stored points in a query are not among its hits.

        Raises:
            RequestError, SpaceMismatchError, QueryError, FilterError, OverloadedError
        """
        choice.check(collection.spec, wanted.k)
        if not queries:
            raise RequestError("queries", "give at least one query")
        searches = sum(query.searches for query in queries)
        # the union of several searches is scored by their vectors
        with_vectors = wanted.with_vectors or searches > len(queries)
        self._budget.check(collection, searches, choice, wanted.k, with_vectors)
        inputs = [value for query in queries for value in query.parts]
        target = collection_target(self._collections, collection)
        found = await resolve(self._collections, target, inputs, options, deadline)
        sought, errors = read_queries(collection, queries, found)
        if isinstance(choice, Windowed) and all(
            one.is_plain for i, one in enumerate(sought) if i not in errors
        ):
            rows = np.zeros((len(sought), target.dim), np.float32)
            for i, one in enumerate(sought):
                if i not in errors:
                    rows[i] = one.near[0]
            own = [one.own for one in sought]
            outcome = await self._window(collection, rows, own, wanted, choice, errors, deadline)
        else:
            outcome = await self._chosen(collection, sought, wanted, choice, errors, deadline)
        times = found.embedded.times if found.embedded is not None else NO_TIMES
        return replace(
            outcome,
            queue_ns=outcome.queue_ns + times.queue_ns,
            prepare_ns=times.prepare_ns,
            encode_ns=times.encode_ns,
        )

    async def _window(
        self,
        collection: Collection,
        rows: FloatRows,
        own: Sequence[frozenset[str]],
        wanted: SearchRequest,
        window: Windowed,
        errors: dict[int, Exception],
        deadline: float | None,
    ) -> SearchOutcome:
        """All queries in one search; `own` is empty, or has the ids that each leaves out."""
        space = collection.spec.space_id
        good = [i for i in range(len(rows)) if i not in errors]
        if not good:
            return SearchOutcome(no_hits(len(rows)), space, errors)
        extra = max(map(len, own), default=0)
        queries = rows if len(good) == len(rows) else rows[good]
        depth = min(wanted.k + window.offset + extra, MAX_K)
        request = replace(wanted, queries=queries, k=depth)
        timed = await self._lanes.search(collection, request, deadline)
        hits = timed.hits
        if extra or window.offset:
            left_out = [own[i] if own else frozenset() for i in good]
            hits = trim(hits, left_out, wanted.k, window.offset)
        if len(good) < len(rows):
            counts = np.zeros(len(rows), np.int64)
            counts[good] = hits.counts
            hits = replace(hits, counts=counts)
        return SearchOutcome(
            hits, space, errors, queue_ns=timed.queue_ns, search_ns=timed.search_ns
        )

    async def _chosen(
        self,
        collection: Collection,
        sought: Sequence[Sought],
        wanted: SearchRequest,
        choice: Choice,
        errors: dict[int, Exception],
        deadline: float | None,
    ) -> SearchOutcome:
        """Each query by itself, as deep as its choice needs."""
        gate = asyncio.Semaphore(QUERIES_AT_WORK)
        rankings = [Ranking(self._lanes, collection, one, wanted, deadline) for one in sought]

        async def one(number: int) -> Hits:
            if number in errors:
                return no_hits(1)
            async with gate:
                return await choice.choose(rankings[number], wanted.k)

        tasks = [asyncio.ensure_future(one(number)) for number in range(len(sought))]
        try:
            parts = await asyncio.gather(*tasks)
        finally:
            # where one fails as a whole, the caller wants none of the others
            for task in tasks:
                task.cancel()
        return SearchOutcome(
            joined(parts),
            collection.spec.space_id,
            errors,
            queue_ns=max(ranking.queue_ns for ranking in rankings),
            search_ns=max(ranking.search_ns for ranking in rankings),
        )
