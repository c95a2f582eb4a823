"""Neighbours: one match, and the results of a batch in arrays."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from latentspace.enums import Modality, from_wire
from latentspace.errors import LatentspaceError
from latentspace.payloads import load_payload
from latentspace.results.plan import SearchPlan
from latentspace.results.timing import NO_TIMING, Timing
from latentspace.status import item_errors
from latentspace.v1 import search_service_pb2
from latentspace.vectors import floats, unpack

# Sorts last and compares false with any threshold, whatever the metric; NaN would not sort.
NO_SCORE = -np.inf


@dataclass(frozen=True, slots=True, eq=False)
class Match:
    """A point that was found; higher scores are better.

    Args:
        payload: None where not asked for.
        vector: float32 (dim,); None where not asked for.
    """

    id: str
    score: float
    payload: dict[str, Any] | None = None
    vector: NDArray[np.float32] | None = field(default=None, repr=False)
    modality: Modality | None = None


@dataclass(frozen=True, slots=True, eq=False)
class SearchResult:
    """Results of q queries as arrays; iterating gives a list of `Match` for each query.

    Args:
        ids: object (q, k) of str, best first, padded with "".
        scores: float32 (q, k), descending, padded with -inf.
        counts: int64 (q,), hits of each query; 0 where it failed.
        vectors: float32 (q, k, dim), padded with NaN; None where not asked for.
        errors: positions of the queries that failed, and why.
        space_id: space in which they were compared; "" for the caller's own vectors.
        plans: how it was done, one for each part that was sent; empty unless asked for.
        next_page_token: for the next page of a single query; "" at the end.
    """

    ids: NDArray[np.object_]
    scores: NDArray[np.float32]
    counts: NDArray[np.int64]
    vectors: NDArray[np.float32] | None = None
    errors: Mapping[int, LatentspaceError] = field(default_factory=dict)
    space_id: str = ""
    plans: tuple[SearchPlan, ...] = ()
    next_page_token: str = ""
    timing: Timing = NO_TIMING
    # Payloads stay JSON until they are looked at: most batches never do.
    _payloads: NDArray[np.object_] | None = None
    _modalities: NDArray[np.int64] | None = None

    def __len__(self) -> int:
        return len(self.counts)

    def __iter__(self) -> Iterator[list[Match]]:
        return (self[i] for i in range(len(self)))

    def __getitem__(self, query: int) -> list[Match]:
        return [self._match(query, rank) for rank in range(self.counts[query])]

    def __repr__(self) -> str:
        failed = f", {len(self.errors)} failed" if self.errors else ""
        return f"SearchResult({len(self)} queries, {int(self.counts.sum())} matches{failed})"

    def payload(self, query: int, rank: int) -> dict[str, Any] | None:
        """The payload of one match; None where payloads were not asked for."""
        return None if self._payloads is None else load_payload(self._payloads[query, rank])

    def _match(self, query: int, rank: int) -> Match:
        kind = 0 if self._modalities is None else int(self._modalities[query, rank])
        return Match(
            id=self.ids[query, rank],
            score=float(self.scores[query, rank]),
            payload=self.payload(query, rank),
            vector=None if self.vectors is None else self.vectors[query, rank],
            modality=from_wire(Modality, kind),
        )


Reply = search_service_pb2.SearchResponse | search_service_pb2.AnalogyResponse


def result_of(parts: Sequence[tuple[int, Reply]], k: int) -> SearchResult:
    """The result of a batch from the replies to its parts, each with the queries it answers."""
    replies = [reply for _, reply in parts]
    columns = [reply.results for reply in replies]
    counts = np.concatenate([np.array(c.counts, np.int64) for c in columns])
    inside = np.arange(max(k, counts.max(initial=0))) < counts[:, None]
    ids = [one for c in columns for one in c.ids]
    payloads = [one for c in columns for one in c.payloads]
    kinds = [one for c in columns for one in c.modalities]
    rows = [unpack(c.vectors) for c in columns if c.vectors.count]
    searches = [r for r in replies if isinstance(r, search_service_pb2.SearchResponse)]
    return SearchResult(
        ids=_grid(_objects(ids), inside, ""),
        scores=_grid(np.concatenate([floats(c.scores) for c in columns]), inside, NO_SCORE),
        counts=counts,
        vectors=_grid(np.concatenate(rows), inside, np.nan) if rows else None,
        errors=item_errors(parts),
        space_id=replies[0].space_id,
        plans=tuple(SearchPlan.from_message(r.plan) for r in searches if r.HasField("plan")),
        next_page_token=searches[0].next_page_token if len(searches) == 1 else "",
        timing=Timing.from_messages(reply.timing for reply in replies),
        _payloads=_grid(_objects(payloads), inside, b"") if payloads else None,
        _modalities=_grid(np.array(kinds, np.int64), inside, 0) if kinds else None,
    )


def matches_of(results: search_service_pb2.SearchResults) -> list[Match]:
    """The matches of a single query, without the detour over arrays."""
    scores = floats(results.scores).tolist()
    absent = [None] * len(scores)
    payloads = list(map(load_payload, results.payloads)) or absent
    kinds = [from_wire(Modality, number) for number in results.modalities] or absent
    vectors = list(unpack(results.vectors)) if results.vectors.count else absent
    return list(map(Match, results.ids, scores, payloads, vectors, kinds))


def _grid(flat: NDArray[Any], inside: NDArray[np.bool_], fill: object) -> NDArray[Any]:
    """Ragged rows, one after the other, as (q, k, ...) with `fill` where nothing is."""
    if inside.all():
        return flat.reshape(*inside.shape, *flat.shape[1:])
    padded = np.full((*inside.shape, *flat.shape[1:]), fill, flat.dtype)
    padded[inside] = flat
    return padded


def _objects(values: list[Any]) -> NDArray[np.object_]:
    # np.array(values, object) would look for an inner dimension
    array = np.empty(len(values), object)
    array[:] = values
    return array
