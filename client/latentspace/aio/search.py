"""Calls that find neighbours."""

from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Any, Unpack, cast

from latentspace.aio.base import AsyncCalls
from latentspace.calls import CallKind
from latentspace.enums import AnalogyMethod
from latentspace.images import ImageSource
from latentspace.inputs import PointInput, only_one, plural_inputs
from latentspace.requests.analogies import (
    Question,
    analogy_frame,
    analogy_requests,
    question_message,
)
from latentspace.requests.keywords import check_keywords
from latentspace.requests.queries import QueryLike, WordLike, query_message
from latentspace.requests.search import (
    SEARCH_KEYWORDS,
    SearchOptions,
    hits_wanted,
    query_count,
    query_requests,
    search_frame,
    vector_requests,
)
from latentspace.requests.single import check_pageable, single_request
from latentspace.results.listing import Listing
from latentspace.results.partial import OnError, raise_failed
from latentspace.results.search import Match, SearchResult, matches_of, result_of
from latentspace.sifting import Sieve, Sifted
from latentspace.status import error_from_status
from latentspace.v1 import search_service_pb2
from latentspace.vectors import VectorLike, VectorsLike, checked_rows


class AsyncSearchCalls(AsyncCalls):
    """Nearest points and analogies."""

    async def search(
        self,
        collection: str,
        *,
        text: str | None = None,
        image: ImageSource | None = None,
        key: str | None = None,
        point: str | PointInput | None = None,
        vector: VectorLike | None = None,
        query: QueryLike | None = None,
        k: int = 10,
        timeout_s: float | None = None,
        **options: Unpack[SearchOptions],
    ) -> Listing[Match]:
        """The nearest points of one query, best first, with their payloads.

        Args:
            collection: name or alias.
            point: id of a stored point, or `point(id, collection)`.
            query: a weighted sum, as [(1.0, image(b)), (-0.5, text("in summer"))], or `Recommend`.
            k: points, 1 to 10,000.
            options: see `SearchOptions`.

        Raises:
            NotFoundError: no such collection, key or point.
            FailedPreconditionError: the query is of another space.
        """
        check_keywords(self.search, options, SEARCH_KEYWORDS)
        request = single_request(
            collection,
            k,
            options,
            self._rpc.options,
            text=text,
            image=image,
            key=key,
            point=point,
            vector=vector,
            query=query,
        )
        return matches_of((await self._found(request, timeout_s)).results)

    async def search_pages(
        self,
        collection: str,
        *,
        text: str | None = None,
        image: ImageSource | None = None,
        key: str | None = None,
        point: str | PointInput | None = None,
        vector: VectorLike | None = None,
        query: QueryLike | None = None,
        k: int = 100,
        timeout_s: float | None = None,
        **options: Unpack[SearchOptions],
    ) -> AsyncIterator[list[Match]]:
        """The nearest points of one query page by page, best first; right while writes go on.

        Args:
            k: points of a page, 1 to 10,000; the last may have fewer, and none is empty.
            timeout_s: seconds for each page.
            options: see `SearchOptions`; grouped and diverse searches have no pages.

        Raises:
            InvalidArgumentError: the pages go deeper than 10,000 points.
        """
        check_keywords(self.search_pages, options, SEARCH_KEYWORDS)
        request = single_request(
            collection,
            k,
            options,
            self._rpc.options,
            text=text,
            image=image,
            key=key,
            point=point,
            vector=vector,
            query=query,
        )
        check_pageable(request)
        while True:
            reply = await self._found(request, timeout_s)
            if reply.results.ids:
                yield matches_of(reply.results)
            if not reply.next_page_token:
                return
            # a token takes the place of an offset
            request.page_token, request.offset = reply.next_page_token, 0

    async def search_batch(
        self,
        collection: str,
        *,
        vectors: VectorsLike | None = None,
        texts: Iterable[str] | None = None,
        images: Iterable[ImageSource] | None = None,
        keys: Iterable[str] | None = None,
        points: Iterable[str | PointInput] | None = None,
        queries: Iterable[QueryLike] | None = None,
        k: int = 10,
        on_error: OnError = "raise",
        timeout_s: float | None = None,
        **options: Unpack[SearchOptions],
    ) -> SearchResult:
        """The nearest points of many queries, as arrays; payloads only where asked for.

        Args:
            vectors: (q, dim), the fast path.
            on_error: "return" gives what failed in the result's `errors`.
            options: see `SearchOptions`.

        Raises:
            PartialError: some queries failed; its `result` has the others.
        """
        check_keywords(self.search_batch, options, SEARCH_KEYWORDS)
        space_id = options.pop("space_id", "")
        frame = search_frame(collection, k, **cast(dict[str, Any], options))
        if vectors is not None or queries is not None:
            named: dict[str, object] = {"vectors": vectors, "queries": queries, "texts": texts}
            named |= {"images": images, "keys": keys, "points": points}
            only_one(name for name, given in named.items() if given is not None)
        if vectors is None:
            items: Iterable[QueryLike] = queries or ()
            name = "queries"
            if queries is None:
                kinds = {"texts": texts, "images": images, "keys": keys, "points": points}
                name = only_one(name for name, given in kinds.items() if given is not None)
                items = plural_inputs(texts=texts, images=images, keys=keys, points=points)
            sieve = Sieve(items, query_message, name)
            requests = query_requests(frame, sieve, self._rpc.options)
        else:
            rows, errors = checked_rows(vectors, space_id=space_id)
            good = [i for i in range(len(rows)) if i not in errors]
            sifted = Sifted(len(rows), good, errors)
            requests = iter(())
            if good or not errors:
                sent = rows[good] if errors else rows
                requests = vector_requests(frame, sent, self._rpc.options)
        parts = await self._rpc.unary_parts(
            self._stubs.search.Search, requests, CallKind.SEARCH, timeout_s, query_count
        )
        sifted = sieve.whole() if vectors is None else sifted
        result = result_of(parts, hits_wanted(frame), sifted)
        raise_failed(result.errors, len(result), result, on_error)
        return result

    async def analogy(
        self,
        collection: str,
        positive: WordLike | Sequence[WordLike],
        negative: WordLike | Sequence[WordLike] = (),
        *,
        k: int = 10,
        method: AnalogyMethod | str = AnalogyMethod.COS_ADD,
        vocabulary_limit: int = 0,
        include_inputs: bool = False,
        with_payload: bool = True,
        timeout_s: float | None = None,
    ) -> Listing[Match]:
        """What is to `positive[1:]` as `positive[0]` is to `negative`, best first.

        Args:
            positive: keys, other inputs, or (weight, key) pairs.
            negative: likewise; their weights are taken as positive numbers.
            method: "3CosAdd", "3CosMul" or "PairDirection".
            vocabulary_limit: only the first (most frequent) keys; 0 means all.
            include_inputs: leave the question's own keys among the answers.

        Raises:
            NotFoundError: a key is not in the vocabulary; close spellings are named.
        """
        frame = analogy_frame(collection, method, k, vocabulary_limit, include_inputs, with_payload)
        requests = analogy_requests(
            frame, [question_message((positive, negative))], self._rpc.options
        )
        reply = await self._rpc.unary(
            self._stubs.search.Analogy, next(requests), CallKind.SEARCH, timeout_s
        )
        if reply.errors:
            raise error_from_status(reply.errors[0].status)
        return matches_of(reply.results)

    async def analogy_batch(
        self,
        collection: str,
        questions: Iterable[Question],
        *,
        k: int = 10,
        method: AnalogyMethod | str = AnalogyMethod.COS_ADD,
        vocabulary_limit: int = 0,
        include_inputs: bool = False,
        with_payload: bool = False,
        on_error: OnError = "raise",
        timeout_s: float | None = None,
    ) -> SearchResult:
        """Many analogies at once: the server scores each distinct word only once.

        Args:
            questions: (positive, negative) pairs; the other arguments are those of `analogy`.
            on_error: "return" gives what failed in the result's `errors`.

        Raises:
            PartialError: some questions failed; its `result` has the others.
        """
        frame = analogy_frame(collection, method, k, vocabulary_limit, include_inputs, with_payload)
        sieve = Sieve(questions, question_message, "questions")
        parts = await self._rpc.unary_parts(
            self._stubs.search.Analogy,
            analogy_requests(frame, sieve, self._rpc.options),
            CallKind.SEARCH,
            timeout_s,
            lambda request: len(request.questions),
        )
        result = result_of(parts, k, sieve.whole())
        raise_failed(result.errors, len(result), result, on_error)
        return result

    async def _found(
        self, request: search_service_pb2.SearchRequest, timeout_s: float | None
    ) -> search_service_pb2.SearchResponse:
        """The reply to a single query."""
        reply = await self._rpc.unary(
            self._stubs.search.Search, request, CallKind.SEARCH, timeout_s
        )
        if reply.errors:
            raise error_from_status(reply.errors[0].status)
        return reply
