"""Calls that behave as those of gensim's `KeyedVectors`."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from latentspace.aio.points import AsyncPointCalls
from latentspace.aio.search import AsyncSearchCalls
from latentspace.enums import AnalogyMethod
from latentspace.errors import InternalError, InvalidArgumentError
from latentspace.results.point import Point
from latentspace.words import Term, cosine, odd_one_out, signed_terms, unweighted_terms

_PAGE = 1000


class AsyncWordCalls(AsyncPointCalls, AsyncSearchCalls):
    """gensim's questions, asked of a vocabulary or of any collection; unlike gensim's KeyError,
    an unknown key is a `NotFoundError`.
    """

    async def most_similar(
        self,
        collection: str,
        positive: Term | Sequence[Term] | None = None,
        negative: Term | Sequence[Term] | None = None,
        *,
        topn: int = 10,
        restrict_vocab: int | None = None,
        timeout_s: float | None = None,
    ) -> list[tuple[str, float]]:
        """Keys nearest to the weighted mean, and their cosines; the question's own are left out.

        Args:
            positive: a key, a vector, a (key, weight) pair, or a list of these.
            negative: likewise.
            restrict_vocab: only the first (most frequent) keys.
        """
        positives, negatives = signed_terms(positive, negative)
        found = await self.analogy(
            collection,
            positives,
            negatives,
            k=topn,
            vocabulary_limit=restrict_vocab or 0,
            with_payload=False,
            timeout_s=timeout_s,
        )
        return [(match.id, match.score) for match in found]

    async def most_similar_cosmul(
        self,
        collection: str,
        positive: Term | Sequence[Term] | None = None,
        negative: Term | Sequence[Term] | None = None,
        *,
        topn: int = 10,
        restrict_vocab: int | None = None,
        timeout_s: float | None = None,
    ) -> list[tuple[str, float]]:
        """The same by the product of shifted cosines (Levy and Goldberg, 2014), without weights.

        For weights use `analogy` with method="3CosMul".
        """
        found = await self.analogy(
            collection,
            unweighted_terms(positive),
            unweighted_terms(negative),
            k=topn,
            method=AnalogyMethod.COS_MUL,
            vocabulary_limit=restrict_vocab or 0,
            with_payload=False,
            timeout_s=timeout_s,
        )
        return [(match.id, match.score) for match in found]

    async def similarity(
        self, collection: str, a: str, b: str, *, timeout_s: float | None = None
    ) -> float:
        """Cosine of two keys."""
        points = await self.get(
            collection, [a, b], with_vectors=True, with_payload=False, timeout_s=timeout_s
        )
        return cosine(_vector(points[0]), _vector(points[1]))

    async def doesnt_match(
        self, collection: str, keys: Sequence[str], *, timeout_s: float | None = None
    ) -> str:
        """The key that is farthest from the mean of all; unknown ones are left out, as in gensim.

        Raises:
            InvalidArgumentError: no key is known.
        """
        points = await self.get(
            collection,
            keys,
            with_vectors=True,
            with_payload=False,
            on_error="return",
            timeout_s=timeout_s,
        )
        if not points:
            raise InvalidArgumentError(f"keys: none of {list(keys)!r:.200} is in {collection!r}")
        return odd_one_out([point.id for point in points], map(_vector, points))

    async def rank(
        self, collection: str, key1: str, key2: str, *, timeout_s: float | None = None
    ) -> int:
        """Position of `key2` among the neighbours of `key1`: 1 and those strictly nearer."""
        await self.get(collection, [key1, key2], with_payload=False, timeout_s=timeout_s)
        if key1 == key2:
            return 1
        scores: list[float] = []
        while True:
            page = await self.search(
                collection,
                point=key1,
                k=_PAGE,
                offset=len(scores),
                params={"exact": True},
                with_payload=False,
                timeout_s=timeout_s,
            )
            for match in page:
                if match.id == key2:
                    return 1 + sum(score > match.score for score in scores)
                # whether a point is its own neighbour is the server's business
                scores.append(match.score if match.id != key1 else -np.inf)
            if not page:
                raise InternalError(f"{key2!r} is stored, but is not among the neighbours")


def _vector(point: Point) -> NDArray[np.float32]:
    if point.vector is None:
        raise InternalError(f"the server sent no vector of {point.id!r}")
    return point.vector
