"""SearchService."""

# ruff: noqa: N802 - methods have the names of the calls

import time

from index.analogy import AnalogyMethod
from index.base import SearchRequest
from latentspace.v1 import search_service_pb2 as pb
from latentspace.v1 import types_pb2 as types
from services.rpc.calls import Context, deadline_of
from services.rpc.filters import read_filter
from services.rpc.inputs import check_vector_name, read_options, read_weighted
from services.rpc.shapes import read_search, write_hits, write_plan
from services.rpc.status import item_errors
from services.rpc.vectors import unpack
from services.runtime.analogy import Asked, Question, answer
from services.runtime.collections import Collections
from services.runtime.errors import NotServedError, RequestError
from services.runtime.search import Query, Searcher, SearchOutcome
from services.runtime.searching import NO_QUERIES

DEFAULT_K = 10
METHODS = {
    pb.ANALOGY_METHOD_UNSPECIFIED: AnalogyMethod.COS_ADD,
    pb.ANALOGY_METHOD_3COSADD: AnalogyMethod.COS_ADD,
    pb.ANALOGY_METHOD_3COSMUL: AnalogyMethod.COS_MUL,
    pb.ANALOGY_METHOD_PAIR_DIRECTION: AnalogyMethod.PAIR_DIRECTION,
}


class SearchServicer:
    """Neighbours and analogies."""

    def __init__(self, collections: Collections, max_queries: int) -> None:
        self._collections, self._max_queries = collections, max_queries
        self._searcher = Searcher(collections)

    async def Search(self, request: pb.SearchRequest, context: Context) -> pb.SearchResponse:
        """Nearest points of a batch of queries."""
        started = time.perf_counter_ns()
        self._check_served(request)
        outcome = await self._search(request, deadline_of(context))
        return pb.SearchResponse(
            results=write_hits(outcome.hits, outcome.space_id),
            errors=item_errors(outcome.errors, "queries"),
            space_id=outcome.space_id,
            plan=write_plan(outcome.hits.plan) if request.explain else None,
            timing=write_timing(outcome, started),
        )

    async def Analogy(self, request: pb.AnalogyRequest, context: Context) -> pb.AnalogyResponse:
        """a is to b as c is to what, in batches."""
        started = time.perf_counter_ns()
        collection = self._collections.get(request.collection)
        if request.method not in METHODS:
            raise RequestError("method", f"analogy method {request.method} is unknown")
        self._check_count("questions", len(request.questions))
        questions = [read_question(q, f"questions[{i}]") for i, q in enumerate(request.questions)]
        asked = Asked(
            questions,
            METHODS[request.method],
            request.k or DEFAULT_K,
            request.vocabulary_limit,
            request.include_inputs,
            request.with_payload,
        )
        outcome = await answer(self._collections, collection, asked, deadline_of(context))
        return pb.AnalogyResponse(
            results=write_hits(outcome.hits, outcome.space_id),
            errors=item_errors(outcome.errors, "questions"),
            space_id=outcome.space_id,
            timing=write_timing(outcome, started),
        )

    async def _search(self, request: pb.SearchRequest, deadline: float | None) -> SearchOutcome:
        collection = self._collections.get(request.collection)
        wanted = read_request(request)
        if request.HasField("vectors"):
            vectors = unpack(request.vectors, "vectors")
            self._check_count("vectors", len(vectors.rows))
            return await self._searcher.by_vectors(
                collection, vectors, wanted, request.offset, deadline
            )
        self._check_count("queries", len(request.queries))
        queries = [read_query(q, f"queries[{i}]") for i, q in enumerate(request.queries)]
        options = read_options(request.options, "query")
        return await self._searcher.by_queries(
            collection, queries, wanted, options, request.offset, deadline
        )

    def _check_served(self, request: pb.SearchRequest) -> None:
        check_vector_name(request.vector_name, "vector_name")
        if request.HasField("vectors") == bool(request.queries):
            raise RequestError("queries", "give either vectors or queries, at least one")
        for name in ("group_by", "diversity"):
            if request.HasField(name):
                raise NotServedError(f"{name} is in the contract; this version does not serve it")
        if request.page_token:
            raise NotServedError("page_token: this version pages with offset")

    def _check_count(self, field: str, count: int) -> None:
        if not count:
            raise RequestError(field, "give at least one")
        if count > self._max_queries:
            raise RequestError(
                field,
                f"{count} in one call; at most {self._max_queries}, send the rest in further calls",
            )


def read_request(request: pb.SearchRequest) -> SearchRequest:
    """All of a search but its queries."""
    return SearchRequest(
        queries=NO_QUERIES,
        k=request.k or DEFAULT_K,
        filter=read_filter(request.filter) if request.HasField("filter") else None,
        params=read_search(request.params),
        score_threshold=request.score_threshold if request.HasField("score_threshold") else None,
        with_payload=request.with_payload,
        with_vectors=request.with_vectors,
    )


def read_query(message: pb.Query, field: str) -> Query:
    """One query.

    Raises:
        RequestError, NotServedError
    """
    kind = message.WhichOneof("query")
    if kind == "recommend":
        raise NotServedError(f"{field}.recommend is in the contract; not served yet")
    if kind != "weighted" or not message.weighted.inputs:
        raise RequestError(field, "set weighted, with at least one input")
    parts = message.weighted.inputs
    return Query(
        [read_weighted(part, f"{field}.weighted.inputs[{i}]") for i, part in enumerate(parts)]
    )


def read_question(message: pb.AnalogyQuestion, field: str) -> Question:
    """One analogy question.

    Raises:
        RequestError
    """
    return Question(
        [read_weighted(p, f"{field}.positives[{i}]") for i, p in enumerate(message.positives)],
        [read_weighted(n, f"{field}.negatives[{i}]") for i, n in enumerate(message.negatives)],
    )


def write_timing(outcome: SearchOutcome, started: int) -> types.Timing:
    """Where the time of a search went."""
    return types.Timing(
        total_ns=time.perf_counter_ns() - started,
        queue_ns=outcome.queue_ns,
        prepare_ns=outcome.prepare_ns,
        encode_ns=outcome.encode_ns,
        search_ns=outcome.search_ns,
    )
