"""Maximal marginal relevance: near to the query, and unlike what was chosen before."""

from dataclasses import dataclass, replace

import numpy as np

from embedders.vectors import FloatRows
from index.scoring import score_matrix
from index.types import CollectionSpec, Hits, Metric
from services.runtime.choosing.base import Choice
from services.runtime.errors import RequestError
from services.runtime.ranking import MAX_K, Ranking, check_k
from services.runtime.results import one_query

# candidates for each point that is returned, where the caller does not say
CANDIDATES = 4


@dataclass(frozen=True, slots=True)
class Diverse(Choice):
    """Points chosen one by one, each by relevance against likeness to those before it.

    Args:
        relevance: lambda of the paper, in [0, 1]; 1 is relevance alone.
        candidates: best points to choose from; 0: 4 for each point returned.
        offset: of the points chosen, pass over so many at the front.
    """

    relevance: float
    candidates: int = 0
    offset: int = 0

    def check(self, spec: CollectionSpec, k: int) -> None:
        """See `Choice`."""
        check_k(k, self.offset)
        if not 0 <= self.relevance <= 1:
            raise RequestError("diversity.lambda", f"lambda is 0 to 1, not {self.relevance}")
        if self.candidates > MAX_K:
            raise RequestError(
                "diversity.candidates", f"at most {MAX_K} candidates, not {self.candidates}"
            )

    async def choose(self, ranking: Ranking, k: int) -> Hits:
        """See `Choice`; in the order chosen, with the scores of the search."""
        wanted = k + self.offset
        depth = min(max(self.candidates or CANDIDATES * wanted, wanted), MAX_K)
        hits = await ranking.first(depth, with_vectors=True)
        assert hits.points.vectors is not None
        metric = ranking.collection.spec.metric
        order = marginal_relevance(hits.scores, hits.points.vectors, metric, self.relevance, wanted)
        found = one_query(hits, order[self.offset :])
        if ranking.wanted.with_vectors:
            return found
        return replace(found, points=replace(found.points, vectors=None))


def marginal_relevance(
    scores: FloatRows, rows: FloatRows, metric: Metric, relevance: float, k: int
) -> list[int]:
    """Places of up to k rows in the order chosen (Carbonell and Goldstein, 1998, equation 2).

    Each step takes the row of the greatest relevance * score - (1 - relevance) * (its best score
    with a row chosen before), the earlier of equal ones.

    Args:
        scores: float32 (n,), of the rows for the query.
        rows: float32 (n, dim).
    """
    chosen: list[int] = []
    nearest = np.full(len(rows), -np.inf, np.float32)
    left = np.ones(len(rows), np.bool_)
    for _ in range(min(k, len(rows))):
        gain = relevance * scores
        if chosen:
            nearest = np.maximum(nearest, score_matrix(rows[chosen[-1:]], rows, metric)[0])
            gain = gain - (1 - relevance) * nearest
        else:
            gain = scores
        place = int(np.argmax(np.where(left, gain, -np.inf)))
        chosen.append(place)
        left[place] = False
    return chosen
