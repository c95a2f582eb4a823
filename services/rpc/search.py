"""SearchService."""

# ruff: noqa: N802 - methods have the names of the calls

import time

from index.analogy import AnalogyMethod
from index.base import SearchRequest
from latentspace.v1 import search_service_pb2 as pb
from latentspace.v1 import types_pb2 as types
from services.rpc.calls import Context, deadline_of
from services.rpc.embedding import write_times
from services.rpc.filters import read_filter
from services.rpc.inputs import check_vector_name, read_input, read_options, read_weighted
from services.rpc.shapes import read_search, write_hits, write_plan
from services.rpc.status import item_errors
from services.rpc.vectors import packed_floats, unpack
from services.runtime.analogy import Asked, Question, answer
from services.runtime.choosing.base import Choice
from services.runtime.choosing.diversity import Diverse
from services.runtime.choosing.groups import Grouped
from services.runtime.choosing.pages import (
    Paged,
    Windowed,
    digest_of,
    next_mark,
    read_token,
    write_token,
)
from services.runtime.collections import Collections
from services.runtime.comparing import Compared, Pair, compare
from services.runtime.errors import RequestError
from services.runtime.queries import AnyQuery, BestScore, Query, recommendation
from services.runtime.search import Searcher, SearchOutcome
from services.runtime.search_budget import SearchBudget
from services.runtime.searching import NO_QUERIES

DEFAULT_K = 10
# up to here a request is hashed in less time than a thread hop takes
INLINE_BYTES = 1 << 16
METHODS = {
    pb.ANALOGY_METHOD_UNSPECIFIED: AnalogyMethod.COS_ADD,
    pb.ANALOGY_METHOD_3COSADD: AnalogyMethod.COS_ADD,
    pb.ANALOGY_METHOD_3COSMUL: AnalogyMethod.COS_MUL,
    pb.ANALOGY_METHOD_PAIR_DIRECTION: AnalogyMethod.PAIR_DIRECTION,
}


class SearchServicer:
    """Neighbours, analogies and comparisons."""

    def __init__(
        self, collections: Collections, budget: SearchBudget, max_items: int, max_queries: int
    ) -> None:
        self._collections = collections
        self._max_items, self._max_queries = max_items, max_queries
        self._budget = budget
        self._searcher = Searcher(collections, budget)

    async def Search(self, request: pb.SearchRequest, context: Context) -> pb.SearchResponse:
        """Nearest points of a batch of queries."""
        started = time.perf_counter_ns()
        check_vector_name(request.vector_name, "vector_name")
        if request.HasField("vectors") == bool(request.queries):
            raise RequestError("queries", "give either vectors or queries, at least one")
        choice = read_choice(request)
        outcome = await self._search(request, choice, deadline_of(context))
        return pb.SearchResponse(
            results=write_hits(outcome.hits, outcome.space_id),
            errors=item_errors(outcome.errors, "queries"),
            space_id=outcome.space_id,
            next_page_token=await self._page_token(request, choice, outcome),
            plan=write_plan(outcome.hits.plan) if request.explain else None,
            timing=write_timing(outcome, started),
        )

    async def Analogy(self, request: pb.AnalogyRequest, context: Context) -> pb.AnalogyResponse:
        """a is to b as c is to what, in batches."""
        started = time.perf_counter_ns()
        collection = self._collections.get(request.collection)
        if request.method not in METHODS:
            raise RequestError("method", f"analogy method {request.method} is unknown")
        check_count("questions", len(request.questions), self._max_queries)
        k = request.k or DEFAULT_K
        self._budget.check(collection, len(request.questions), Windowed(), k, with_vectors=False)
        questions = [read_question(q, f"questions[{i}]") for i, q in enumerate(request.questions)]
        asked = Asked(
            questions,
            METHODS[request.method],
            k,
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

    async def Compare(self, request: pb.CompareRequest, context: Context) -> pb.CompareResponse:
        """Scores of pairs."""
        started = time.perf_counter_ns()
        model = self._collections.models.get(request.model)
        check_count("pairs", len(request.pairs), self._max_items)
        found = await compare(
            self._collections,
            model,
            [read_pair(pair, f"pairs[{i}]") for i, pair in enumerate(request.pairs)],
            request.threshold if request.HasField("threshold") else None,
            read_options(request.options, "document"),
            deadline_of(context),
        )
        return pb.CompareResponse(
            scores=packed_floats(found.scores),
            verdicts=write_verdicts(found),
            threshold=found.threshold,
            false_accept_rate=found.false_accept_rate,
            errors=item_errors(found.errors, "pairs"),
            space_id=found.space_id,
            timing=write_times(found.times, started),
        )

    async def _page_token(
        self, request: pb.SearchRequest, choice: Choice, outcome: SearchOutcome
    ) -> str:
        if request.ByteSize() <= INLINE_BYTES:
            return write_page_token(request, choice, outcome)
        # the token stands for the query's image too, and hashing that takes milliseconds; let in
        # for certain, since the work is done
        return await self._collections.pools.prepare.run(
            lambda: write_page_token(request, choice, outcome), urgent=True
        )

    async def _search(
        self, request: pb.SearchRequest, choice: Choice, deadline: float | None
    ) -> SearchOutcome:
        collection = self._collections.get(request.collection)
        wanted = read_request(request)
        if request.HasField("vectors"):
            vectors = unpack(request.vectors, "vectors")
            check_count("vectors", len(vectors.rows), self._max_queries)
            return await self._searcher.by_vectors(collection, vectors, wanted, choice, deadline)
        check_count("queries", len(request.queries), self._max_queries)
        inputs = sum(map(count_inputs, request.queries))
        check_count("queries", max(inputs, 1), self._max_queries, "inputs of all queries")
        queries = [read_query(q, f"queries[{i}]") for i, q in enumerate(request.queries)]
        options = read_options(request.options, "query")
        return await self._searcher.by_queries(
            collection, queries, wanted, options, choice, deadline
        )


def count_inputs(query: pb.Query) -> int:
    """Inputs of one query."""
    recommend = query.recommend
    return len(query.weighted.inputs) + len(recommend.positives) + len(recommend.negatives)


def check_count(field: str, count: int, most: int, what: str = "") -> None:
    """Refuses a batch of nothing, or of too much.

    Args:
        what: is counted, where it is not the items of the field.

    Raises:
        RequestError
    """
    if not count:
        raise RequestError(field, "give at least one")
    if count > most:
        raise RequestError(
            field,
            f"{count} {what or 'of them'} in one call; at most {most}, send the rest in further"
            " calls",
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


def read_choice(request: pb.SearchRequest) -> Choice:
    """Which of the ranked points are wanted.

    Raises:
        RequestError
    """
    named = [n for n in ("group_by", "diversity") if request.HasField(n)]
    named += ["page_token"] if request.page_token else []
    if len(named) > 1:
        raise RequestError(named[1], f"{named[0]} and {named[1]} do not go together; give one")
    if request.HasField("group_by"):
        group = request.group_by
        return Grouped(group.field, group.group_size or 1, request.offset)
    if request.HasField("diversity"):
        wish = request.diversity
        return Diverse(getattr(wish, "lambda"), wish.candidates, request.offset)
    if request.page_token:
        if request.offset or count_of(request) != 1:
            raise RequestError("page_token", "a page is of one query, and has no offset")
        return Paged(read_token(request.page_token, digest(request)))
    return Windowed(request.offset)


def write_page_token(request: pb.SearchRequest, choice: Choice, outcome: SearchOutcome) -> str:
    """For the next page of a single query; "" at the end, and where there are no pages."""
    if count_of(request) != 1 or outcome.errors:
        return ""
    k = request.k or DEFAULT_K
    if isinstance(choice, Windowed):
        mark = next_mark(outcome.hits, k, choice.offset, None)
    elif isinstance(choice, Paged):
        mark = next_mark(outcome.hits, k, 0, choice.mark)
    else:
        return ""
    return "" if mark is None else write_token(mark, digest(request))


def digest(request: pb.SearchRequest) -> bytes:
    """What stands for a search in page tokens: all that decides which points are ranked how."""
    same = pb.SearchRequest()
    same.CopyFrom(request)
    for name in ("k", "offset", "page_token", "with_payload", "with_vectors", "explain"):
        same.ClearField(name)
    return digest_of(same.SerializeToString(deterministic=True))


def count_of(request: pb.SearchRequest) -> int:
    """Queries in a request."""
    return request.vectors.count or len(request.queries)


def read_query(message: pb.Query, field: str) -> AnyQuery:
    """One query.

    Raises:
        RequestError, NotServedError
    """
    kind = message.WhichOneof("query")
    if kind == "recommend":
        return read_recommend(message.recommend, f"{field}.recommend")
    if kind != "weighted" or not message.weighted.inputs:
        raise RequestError(field, "set recommend, or weighted with at least one input")
    parts = message.weighted.inputs
    return Query(
        [read_weighted(part, f"{field}.weighted.inputs[{i}]") for i, part in enumerate(parts)]
    )


def read_recommend(message: pb.Recommend, field: str) -> AnyQuery:
    """A recommendation by examples.

    Raises:
        RequestError, NotServedError
    """
    if not message.positives:
        raise RequestError(f"{field}.positives", "give at least one positive example")
    positives, negatives = (
        [read_input(value, f"{field}.{name}[{i}]") for i, value in enumerate(values)]
        for name, values in (("positives", message.positives), ("negatives", message.negatives))
    )
    if message.strategy == pb.RECOMMEND_STRATEGY_BEST_SCORE:
        return BestScore(positives, negatives)
    if message.strategy in (
        pb.RECOMMEND_STRATEGY_UNSPECIFIED,
        pb.RECOMMEND_STRATEGY_AVERAGE,
    ):
        return recommendation(positives, negatives)
    raise RequestError(f"{field}.strategy", f"strategy {message.strategy} is unknown")


def read_pair(message: pb.InputPair, field: str) -> Pair:
    """A pair to compare.

    Raises:
        RequestError, NotServedError
    """
    first = read_input(message.first, f"{field}.first")
    return first, read_input(message.second, f"{field}.second")


def write_verdicts(found: Compared) -> list[pb.Verdict.ValueType]:
    """What each score says, where a threshold is known."""
    if found.threshold is None:
        return [pb.VERDICT_UNSPECIFIED] * len(found.scores)
    # a NaN is neither
    same, different = found.scores >= found.threshold, found.scores < found.threshold
    return [
        pb.VERDICT_SAME if s else pb.VERDICT_DIFFERENT if d else pb.VERDICT_UNSPECIFIED
        for s, d in zip(same.tolist(), different.tolist(), strict=True)
    ]


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
