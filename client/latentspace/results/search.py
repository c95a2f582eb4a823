"""Neighbours: one match, and the results of a batch in arrays."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from latentspace.enums import Modality, from_wire
from latentspace.errors import LatentspaceError
from latentspace.payloads import load_shown_payload
from latentspace.results.listing import Listing, html_or_nothing
from latentspace.results.plan import SearchPlan
from latentspace.results.timing import NO_TIMING, Timing
from latentspace.sifting import Sifted
from latentspace.spaces import Embeddings, common_space
from latentspace.status import item_errors
from latentspace.v1 import search_service_pb2
from latentspace.vectors import floats, unpack

if TYPE_CHECKING:
    import pandas as pd  # type: ignore[import-untyped, import-not-found, unused-ignore]
    import pyarrow as pa

Group = str | int | bool | None

# Sorts last and compares false with any threshold, whatever the metric; NaN would not sort.
NO_SCORE = -np.inf


@dataclass(frozen=True, slots=True, eq=False)
class Match:
    """A point that was found; higher scores are better.

    Args:
        payload: None where not asked for; without the `_digest` of indexing jobs.
        vector: float32 (dim,); None where not asked for.
        group: value of the field that points are grouped by; None where they are not.
    """

    id: str
    score: float
    payload: dict[str, Any] | None = None
    vector: Embeddings | None = field(default=None, repr=False)
    modality: Modality | None = None
    group: Group = None


@dataclass(frozen=True, slots=True, eq=False)
class SearchResult:
    """Results of q queries as arrays; iterating gives a list of `Match` for each query.

    Where points are grouped, k is k * group_size here: the points of a group stand together, the
    group of the best point first.

    Args:
        ids: object (q, k) of str, best first (diverse ones as they were chosen), padded with "".
        scores: float32 (q, k), in the order of `ids`, padded with -inf.
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
    vectors: Embeddings | None = None
    errors: Mapping[int, LatentspaceError] = field(default_factory=dict)
    space_id: str = ""
    plans: tuple[SearchPlan, ...] = ()
    next_page_token: str = ""
    timing: Timing = NO_TIMING
    # Payloads and groups stay JSON until they are looked at: most batches never do.
    _payloads: NDArray[np.object_] | None = None
    _modalities: NDArray[np.int64] | None = None
    _groups: NDArray[np.object_] | None = None

    def __len__(self) -> int:
        return len(self.counts)

    def __iter__(self) -> Iterator[Listing[Match]]:
        return (self[i] for i in range(len(self)))

    def __getitem__(self, query: int) -> Listing[Match]:
        return Listing(self._match(query, rank) for rank in range(self.counts[query]))

    def __repr__(self) -> str:
        failed = f", {len(self.errors)} failed" if self.errors else ""
        return f"SearchResult({len(self)} queries, {int(self.counts.sum())} matches{failed})"

    def payload(self, query: int, rank: int) -> dict[str, Any] | None:
        """The payload of one match; None where payloads were not asked for."""
        return None if self._payloads is None else load_shown_payload(self._payloads[query, rank])

    def group(self, query: int, rank: int) -> Group:
        """The group of one match; None where points are not grouped."""
        if self._groups is None:
            return None
        value: Group = json.loads(self._groups[query, rank])
        return value

    def columns(self) -> dict[str, NDArray[Any]]:
        """All matches as columns, a row each, query after query.

        Returns:
            int64 "query" (from 0) and "rank" (from 1), object "id", float32 "score"; where there
            are any, object "group", "modality" and "payload" (dicts), float32 "vector" (n, dim).
        """
        inside = np.arange(self.ids.shape[1]) < self.counts[:, None]
        query, rank = np.nonzero(inside)
        found = {"query": query, "rank": rank + 1, "id": self.ids[inside]}
        found["score"] = self.scores[inside]
        if self._groups is not None:
            found["group"] = _objects([json.loads(one) for one in self._groups[inside]])
        if self._modalities is not None:
            kinds = [from_wire(Modality, one) for one in self._modalities[inside].tolist()]
            found["modality"] = _objects([one.value if one else None for one in kinds])
        if self._payloads is not None:
            found["payload"] = _objects([load_shown_payload(one) for one in self._payloads[inside]])
        if self.vectors is not None:
            found["vector"] = self.vectors[inside]
        return found

    def to_pandas(self, *, payload_columns: bool = False) -> "pd.DataFrame":
        """`columns` as a data frame (see `latentspace.tables`)."""
        from latentspace.tables import to_pandas

        return to_pandas(self, payload_columns=payload_columns)

    def to_arrow(self, *, payload_columns: bool = False) -> "pa.Table":
        """`columns` as an Arrow table, payloads as JSON text (see `latentspace.tables`)."""
        from latentspace.tables import to_arrow

        return to_arrow(self, payload_columns=payload_columns)

    def _repr_html_(self) -> str:
        return html_or_nothing(self)

    def _match(self, query: int, rank: int) -> Match:
        kind = 0 if self._modalities is None else int(self._modalities[query, rank])
        return Match(
            id=self.ids[query, rank],
            score=float(self.scores[query, rank]),
            payload=self.payload(query, rank),
            vector=None if self.vectors is None else self.vectors[query, rank],
            modality=from_wire(Modality, kind),
            group=self.group(query, rank),
        )


Reply = search_service_pb2.SearchResponse | search_service_pb2.AnalogyResponse


def result_of(
    parts: Sequence[tuple[int, Reply]], most: int, sifted: Sifted | None = None
) -> SearchResult:
    """The result of a batch from the replies to its parts, each with the queries it answers.

    Args:
        most: matches that were asked for, of each query.
        sifted: which of the caller's queries were sent; None: all.
    """
    replies = [reply for _, reply in parts]
    columns = [reply.results for reply in replies]
    answered = np.array([count for c in columns for count in c.counts], np.int64)
    sifted = sifted or Sifted(len(answered), list(range(len(answered))))
    counts = np.zeros(sifted.count, np.int64)
    counts[sifted.places] = answered
    inside = np.arange(max(most, counts.max(initial=0))) < counts[:, None]
    ids = [one for c in columns for one in c.ids]
    payloads = [one for c in columns for one in c.payloads]
    # a part whose points are all of unknown kinds has none
    kinds = [one for c in columns for one in (c.modalities or [0] * len(c.ids))]
    groups = [one for c in columns for one in c.groups]
    rows = [unpack(c.vectors) for c in columns if c.vectors.count]
    searches = [r for r in replies if isinstance(r, search_service_pb2.SearchResponse)]
    return SearchResult(
        ids=_grid(_objects(ids), inside, ""),
        scores=_grid(floats(b"".join(c.scores for c in columns)), inside, NO_SCORE),
        counts=counts,
        vectors=_vector_grid(rows, inside) if rows else None,
        errors=sifted.placed(item_errors(parts)),
        space_id=replies[0].space_id if replies else "",
        plans=tuple(SearchPlan.from_message(r.plan) for r in searches if r.HasField("plan")),
        next_page_token=searches[0].next_page_token if len(searches) == 1 else "",
        timing=Timing.from_messages(reply.timing for reply in replies),
        _payloads=_grid(_objects(payloads), inside, b"") if payloads else None,
        _modalities=_grid(np.array(kinds, np.int64), inside, 0) if any(kinds) else None,
        _groups=_grid(_objects(groups), inside, "null") if groups else None,
    )


def matches_of(results: search_service_pb2.SearchResults) -> Listing[Match]:
    """The matches of a single query, without the detour over arrays."""
    scores = floats(results.scores).tolist()
    absent = [None] * len(scores)
    payloads = list(map(load_shown_payload, results.payloads)) or absent
    kinds = [from_wire(Modality, number) for number in results.modalities] or absent
    vectors = list(unpack(results.vectors)) if results.vectors.count else absent
    groups = list(map(json.loads, results.groups)) or absent
    return Listing(map(Match, results.ids, scores, payloads, vectors, kinds, groups))


def _grid(flat: NDArray[Any], inside: NDArray[np.bool_], fill: object) -> NDArray[Any]:
    """Ragged rows, one after the other, as (q, k, ...) with `fill` where nothing is."""
    if inside.all():
        return flat.reshape(*inside.shape, *flat.shape[1:])
    padded = np.full((*inside.shape, *flat.shape[1:]), fill, flat.dtype)
    padded[inside] = flat
    return padded


def _vector_grid(rows: Sequence[Embeddings], inside: NDArray[np.bool_]) -> Embeddings:
    flat = np.concatenate(rows)
    return Embeddings(_grid(flat, inside, np.nan), common_space(rows))


def _objects(values: list[Any]) -> NDArray[np.object_]:
    # np.array(values, object) would look for an inner dimension
    array = np.empty(len(values), object)
    array[:] = values
    return array
