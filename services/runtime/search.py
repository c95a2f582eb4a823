"""Searches: queries to vectors, vectors to hits, a query's own points left out."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from embedders.base import EncodeOptions, Item, Modality
from embedders.vectors import FloatRows
from index.base import Collection, SearchRequest
from index.types import Hits, Points
from services.runtime.collections import Collections
from services.runtime.errors import RequestError
from services.runtime.inputs import PointInput, VectorRows, WeightedInput, identity
from services.runtime.points import check_rows
from services.runtime.resolve import Resolved, resolve

MAX_K = 10_000


@dataclass(frozen=True, slots=True)
class Query:
    """A weighted sum of unit vectors; a single input of weight 1 is taken as it is."""

    inputs: Sequence[WeightedInput]


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

    def __init__(self, collections: Collections) -> None:
        self._collections = collections
        self._lanes = collections.lanes

    async def by_vectors(
        self,
        collection: Collection,
        vectors: VectorRows,
        wanted: SearchRequest,
        offset: int = 0,
        deadline: float | None = None,
    ) -> SearchOutcome:
        """Searches with packed vectors: the fast path. `wanted.queries` is not read.

        Raises:
            RequestError, SpaceMismatchError, QueryError, FilterError, OverloadedError
        """
        if not len(vectors.rows):
            raise RequestError("vectors", "give at least one query")
        check_rows("vectors", collection, vectors)
        errors = bad_rows(collection, vectors.rows)
        return await self._search(collection, vectors.rows, wanted, {}, errors, offset, deadline)

    async def by_queries(
        self,
        collection: Collection,
        queries: Sequence[Query],
        wanted: SearchRequest,
        options: EncodeOptions,
        offset: int = 0,
        deadline: float | None = None,
    ) -> SearchOutcome:
        """Searches with queries of any kind; stored points in a query are not among its hits.

        Raises:
            RequestError, SpaceMismatchError, QueryError, FilterError, OverloadedError
        """
        if not queries:
            raise RequestError("queries", "give at least one query")
        inputs = [part.input for query in queries for part in query.inputs]
        found = await resolve(self._collections, collection, inputs, options, deadline)
        rows, errors = combine(found, queries)
        for position, error in bad_rows(collection, rows).items():
            errors.setdefault(position, error)
        own = {i: ids for i, q in enumerate(queries) if (ids := own_ids(collection, q))}
        outcome = await self._search(collection, rows, wanted, own, errors, offset, deadline)
        embedded = found.embedded
        if embedded is None:
            return outcome
        return replace(
            outcome,
            queue_ns=outcome.queue_ns + embedded.times.queue_ns,
            prepare_ns=embedded.times.prepare_ns,
            encode_ns=embedded.times.encode_ns,
        )

    async def _search(
        self,
        collection: Collection,
        rows: FloatRows,
        wanted: SearchRequest,
        own: dict[int, set[str]],
        errors: dict[int, Exception],
        offset: int,
        deadline: float | None,
    ) -> SearchOutcome:
        check_k(wanted.k, offset)
        space = collection.spec.space_id
        good = [i for i in range(len(rows)) if i not in errors]
        if not good:
            return SearchOutcome(no_hits(len(rows)), space, errors)
        extra = max((len(ids) for ids in own.values()), default=0)
        queries = rows if len(good) == len(rows) else rows[good]
        request = replace(wanted, queries=queries, k=wanted.k + offset + extra)
        timed = await self._lanes.search(collection, request, deadline)
        hits = timed.hits
        if own or offset:
            left_out = [own.get(i, set()) for i in good]
            hits = trim(hits, left_out, wanted.k, offset)
        if len(good) < len(rows):
            counts = np.zeros(len(rows), np.int64)
            counts[good] = hits.counts
            hits = replace(hits, counts=counts)
        return SearchOutcome(
            hits, space, errors, queue_ns=timed.queue_ns, search_ns=timed.search_ns
        )


def check_k(k: int, offset: int = 0) -> None:
    """Refuses a k, or an end of the window, beyond the limit.

    Raises:
        RequestError
    """
    if not 1 <= k <= MAX_K:
        raise RequestError("k", f"k must be 1 to {MAX_K}, not {k}")
    if offset + k > MAX_K:
        raise RequestError("offset", f"offset + k must be at most {MAX_K}, not {offset + k}")


def combine(found: Resolved, queries: Sequence[Query]) -> tuple[FloatRows, dict[int, Exception]]:
    """One vector float32 a query, and the queries whose inputs failed, by position."""
    rows = np.zeros((len(queries), found.rows.shape[1]), np.float32)
    errors: dict[int, Exception] = {}
    for i, query in enumerate(queries):
        keys = [identity(part.input) for part in query.inputs]
        failed = next((found.errors[key] for key in keys if key in found.errors), None)
        if failed is not None:
            errors[i] = failed
        elif not keys:
            errors[i] = RequestError(f"queries[{i}]", "a query needs at least one input")
        else:
            rows[i] = weighted_sum(found, keys, [part.weight for part in query.inputs])
    return rows, errors


def weighted_sum(found: Resolved, keys: Sequence[Hashable], weights: Sequence[float]) -> FloatRows:
    """Sum of weighted unit vectors float32 (dim,); a single positive input as it is."""
    picked: FloatRows = found.rows[[found.place[key] for key in keys]]
    if len(keys) == 1 and weights[0] > 0:
        first: FloatRows = picked[0]
        return first
    norms = np.linalg.norm(picked, axis=1, keepdims=True)
    units = picked / np.where(norms > 0, norms, 1)
    return np.asarray(np.asarray(weights, np.float32) @ units, np.float32)


def bad_rows(collection: Collection, rows: FloatRows) -> dict[int, Exception]:
    """Queries that no metric can compare, by position."""
    squares = np.einsum("ij,ij->i", rows, rows)
    if np.isfinite(squares).all() and (squares > 0).all():
        return {}
    errors: dict[int, Exception] = {}
    for i in np.flatnonzero(~np.isfinite(rows).all(axis=1)):
        errors[int(i)] = RequestError(f"vectors[{i}]", "the vector has NaN or infinite numbers")
    if collection.spec.metric.normalizes:
        for i in np.flatnonzero(~rows.any(axis=1)):
            errors[int(i)] = RequestError(
                f"vectors[{i}]", "a zero vector has no direction, so no cosine"
            )
    return errors


def own_ids(collection: Collection, query: Query) -> set[str]:
    """Ids of the searched collection that the query itself is made of."""
    ids = set()
    for part in query.inputs:
        value = part.input
        if isinstance(value, PointInput) and value.collection in ("", collection.name):
            ids.add(value.id)
        elif isinstance(value, Item) and value.modality is Modality.KEY and collection.read_only:
            ids.add(str(value.value))
    return ids


def trim(hits: Hits, left_out: Sequence[set[str]], k: int, offset: int) -> Hits:
    """Hits [offset, offset + k) of each query, without the ids left out."""
    keep: list[int] = []
    counts = np.zeros(len(hits.counts), np.int64)
    start = 0
    for i, count in enumerate(hits.counts):
        places = range(start, start + int(count))
        mine = [p for p in places if hits.points.ids[p] not in left_out[i]][offset : offset + k]
        keep += mine
        counts[i] = len(mine)
        start += int(count)
    return Hits(pick(hits.points, keep), hits.scores[keep], counts, hits.plan)


def pick(points: Points, places: Sequence[int]) -> Points:
    """Points at some places, in all columns."""

    return Points(
        [points.ids[p] for p in places],
        None if points.vectors is None else points.vectors[list(places)],
        None if points.payloads is None else [points.payloads[p] for p in places],
        None if points.modalities is None else [points.modalities[p] for p in places],
    )


def no_hits(queries: int) -> Hits:
    """Nothing for each query."""
    return Hits(Points([]), np.empty(0, np.float32), np.zeros(queries, np.int64))
