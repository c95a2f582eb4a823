"""Maximal marginal relevance: near to the query, and unlike what was chosen before."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from embedders.vectors import FloatRows, normalize_rows
from index.types import CollectionSpec, Hits, Metric
from services.runtime.choosing.base import Choice
from services.runtime.deadlines import check_deadline
from services.runtime.errors import RequestError
from services.runtime.pools import run_in
from services.runtime.ranking import MAX_K, Ranking, check_k
from services.runtime.results import one_query, without_vectors

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
    reads_vectors: ClassVar[bool] = True

    def depth(self, k: int) -> int:
        """See `Choice`."""
        chosen = k + self.offset
        return min(max(self.candidates or CANDIDATES * chosen, chosen), MAX_K)

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
        hits = await ranking.first(self.depth(k), with_vectors=True)
        assert hits.points.vectors is not None
        metric = ranking.collection.spec.metric
        order = await run_in(
            ranking.lanes.pools.search,
            marginal_relevance,
            *(hits.scores, hits.points.vectors, metric, self.relevance, wanted, ranking.deadline),
        )
        found = one_query(hits, order[self.offset :])
        return found if ranking.wanted.with_vectors else without_vectors(found)


def marginal_relevance(
    scores: FloatRows,
    rows: FloatRows,
    metric: Metric,
    relevance: float,
    k: int,
    deadline: float | None = None,
) -> list[int]:
    """Places of up to k rows in the order chosen (Carbonell and Goldstein, 1998, equation 2).

    Each step takes the row of the greatest relevance * score - (1 - relevance) * (its best score
    with a row chosen before), the earlier of equal ones. It costs k * n * dim multiplications.

    Args:
        scores: float32 (n,), of the rows for the query.
        rows: float32 (n, dim).
        deadline: `time.monotonic()` value after which nobody wants the result.

    Raises:
        DeadlineError: it has passed.
    """
    likeness = Likeness(rows, metric)
    chosen: list[int] = []
    nearest = np.full(len(rows), -np.inf)
    gain = scores.astype(np.float64)
    while len(chosen) < min(k, len(rows)):
        check_deadline(deadline)
        place = int(np.argmax(gain))
        chosen.append(place)
        np.maximum(nearest, likeness.with_row(place), out=nearest)
        gain = relevance * scores - (1 - relevance) * nearest
        gain[chosen] = -np.inf
    return chosen


class Likeness:
    """Scores of rows with one of themselves; what can be computed once is."""

    def __init__(self, rows: FloatRows, metric: Metric) -> None:
        self._squares: NDArray[np.float64] | None = None
        self._rows: NDArray[np.floating] = normalize_rows(rows) if metric.normalizes else rows
        if metric is Metric.L2:
            # about their mean, and in float64, so that a common offset costs no digits
            self._rows = rows - rows.mean(axis=0, dtype=np.float64)
            self._squares = np.einsum("ij,ij->i", self._rows, self._rows)

    def with_row(self, place: int) -> NDArray[np.floating]:
        """The score of each row with the one at `place`, (n,)."""
        products: NDArray[np.floating] = self._rows @ self._rows[place]
        if self._squares is not None:
            products = 2 * products - self._squares - self._squares[place]
        return products
