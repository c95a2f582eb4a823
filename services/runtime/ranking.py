"""The points nearest to one query, as deep as one asks: what choices are made from."""

from dataclasses import dataclass, replace

import numpy as np

from index.base import Collection, SearchRequest
from index.filter import All, Filter
from index.scoring import score_matrix
from index.types import Hits
from services.runtime.errors import RequestError
from services.runtime.pools import run_in
from services.runtime.queries import Sought
from services.runtime.results import one_query, trim, without_vectors
from services.runtime.searching import SearchLanes

MAX_K = 10_000


@dataclass(slots=True)
class Ranking:
    """Ranked points of one query; counts the time its searches take, in nanoseconds.

    Args:
        wanted: filter, effort and columns; its queries and k are not read.
    """

    lanes: SearchLanes
    collection: Collection
    sought: Sought
    wanted: SearchRequest
    deadline: float | None = None
    queue_ns: int = 0
    search_ns: int = 0

    async def first(
        self,
        k: int,
        condition: Filter | None = None,
        *,
        with_vectors: bool = False,
        value_of: str = "",
    ) -> Hits:
        """The best k points that pass, as hits of one query; fewer where there are no more.

        Args:
            condition: beside the filter that is wanted anyway.
            value_of: a declared field whose values come in `Hits.values`.
        """
        wanted = replace(
            self.wanted,
            filter=both(self.wanted.filter, condition),
            with_vectors=self.wanted.with_vectors or with_vectors,
            value_of=value_of,
        )
        if self.sought.is_plain:
            return trim(await self._search(wanted, k), [self.sought.own], k, 0)
        return await self._best_scores(wanted, k)

    async def _best_scores(self, wanted: SearchRequest, k: int) -> Hits:
        """Each positive is searched for; the union is scored with all examples.

        Nothing is missed once the last of the best k is as good as the worst of each search that
        could go on: whatever was not found scores less. Until then it looks deeper.
        """
        depth = k
        while True:
            asked = self._depth(depth)
            hits = await self._search(replace(wanted, with_vectors=True), depth)
            best, complete = await run_in(self.lanes.pools.search, self._union, hits, k, asked)
            if complete or asked == MAX_K:
                break
            depth = 2 * depth
        return best if wanted.with_vectors else without_vectors(best)

    def _union(self, hits: Hits, k: int, asked: int) -> tuple[Hits, bool]:
        """The best k points of several searches `asked` deep, and whether none can be missing."""
        kept = self._kept(hits)
        best = sorted(kept, key=kept.__getitem__, reverse=True)[:k]
        worst = hits.scores[np.cumsum(hits.counts)[hits.counts == asked] - 1]
        complete = not len(worst) or (len(best) == k and bool((kept[best[-1]] >= worst).all()))
        scores = np.array([kept[place] for place in best], np.float32)
        return replace(one_query(hits, best), scores=scores), complete

    def _kept(self, hits: Hits) -> dict[int, float]:
        """Place of each distinct point that no negative takes away, and its score."""
        sought, metric = self.sought, self.collection.spec.metric
        assert hits.points.vectors is not None
        first: dict[str, int] = {}
        for place, point_id in enumerate(hits.points.ids):
            first.setdefault(point_id, place)
        places = [place for point_id, place in first.items() if point_id not in sought.own]
        rows = hits.points.vectors[places]
        scores = score_matrix(sought.near, rows, metric).max(axis=0)
        kept = np.ones(len(places), np.bool_)
        if len(sought.far):
            kept = scores >= score_matrix(sought.far, rows, metric).max(axis=0)
        pairs = zip(places, scores.tolist(), kept.tolist(), strict=True)
        return {place: score for place, score, good in pairs if good}

    async def _search(self, wanted: SearchRequest, k: int) -> Hits:
        request = replace(wanted, queries=self.sought.near, k=self._depth(k))
        timed = await self.lanes.search(self.collection, request, self.deadline)
        self.queue_ns += timed.queue_ns
        self.search_ns += timed.search_ns
        return timed.hits

    def _depth(self, k: int) -> int:
        """What to ask an index for, so that k are left without the query's own points."""
        return min(k + len(self.sought.own), MAX_K)


def both(one: Filter | None, other: Filter | None) -> Filter | None:
    """A filter that asks for both."""
    if one is None or other is None:
        return one or other
    return All((one, other))


def check_k(k: int, offset: int = 0) -> None:
    """Refuses a k, or an end of the window, beyond the limit.

    Raises:
        RequestError
    """
    if not 1 <= k <= MAX_K:
        raise RequestError("k", f"k must be 1 to {MAX_K}, not {k}")
    if offset + k > MAX_K:
        raise RequestError("offset", f"offset + k must be at most {MAX_K}, not {offset + k}")
