"""Requests of searches."""

from collections.abc import Iterable, Iterator
from typing import Any, TypedDict

from numpy.typing import NDArray

from latentspace.calls import ClientOptions
from latentspace.chunks import row_spans, split
from latentspace.errors import InvalidArgumentError
from latentspace.filters import FilterLike, filter_message
from latentspace.requests.keywords import MAX_K, whole_number
from latentspace.requests.options import EmbedOptions, SearchParams, embed_options, search_params
from latentspace.v1 import search_service_pb2
from latentspace.vectors import pack

MAX_QUERIES = 1024
MAX_RAW_QUERIES = 256
MAX_OFFSET = 2**32 - 1  # of the wire; the server says how deep it goes

# What a hit takes in a reply; payloads and dimensions are guesses on the safe side.
_HIT_BYTES, _PAYLOAD_BYTES, _VECTOR_BYTES = 40, 2048, 4 * 1536


class SearchOptions(TypedDict, total=False):
    """What may be said of a search.

    Keys:
        filter: only points that pass (see `latentspace.filters`).
        params: effort.
        score_threshold: only points that score at least this.
        offset: points to pass over at the front.
        page_token: `next_page_token` of the page before; takes the place of `offset`.
        group_by: best points of each value of this declared field instead of best points.
        group_size: points of each group; 0 means 1.
        diversity: lambda of maximal marginal relevance, 1 is relevance alone.
        diversity_candidates: candidates to choose from; 0 means 4 * k.
        with_payload: return payloads.
        with_vectors: return vectors.
        explain: return the plan.
        vector_name: which vector of the points.
        options: how queries are embedded; the role is "query" where it is not said.
        space_id: space of `vectors`; where it is said, another space is refused.
    """

    filter: FilterLike | None
    params: SearchParams | None
    score_threshold: float | None
    offset: int
    page_token: str
    group_by: str
    group_size: int
    diversity: float | None
    diversity_candidates: int
    with_payload: bool
    with_vectors: bool
    explain: bool
    vector_name: str
    options: EmbedOptions | None
    space_id: str


SEARCH_KEYWORDS = frozenset(SearchOptions.__annotations__)


def search_frame(
    collection: str,
    k: int,
    *,
    filter: FilterLike | None = None,
    params: SearchParams | None = None,
    score_threshold: float | None = None,
    offset: int = 0,
    page_token: str = "",
    group_by: str = "",
    group_size: int = 0,
    diversity: float | None = None,
    diversity_candidates: int = 0,
    with_payload: bool = False,
    with_vectors: bool = False,
    explain: bool = False,
    vector_name: str = "",
    options: EmbedOptions | None = None,
) -> search_service_pb2.SearchRequest:
    """A search without its queries; the arguments are those of `SearchOptions`."""
    request = search_service_pb2.SearchRequest(
        collection=collection,
        k=whole_number(k, "k", 1, MAX_K),
        filter=filter_message(filter),
        score_threshold=score_threshold,
        offset=whole_number(offset, "offset", 0, MAX_OFFSET),
        page_token=page_token,
        params=search_params(params),
        with_payload=with_payload,
        with_vectors=with_vectors,
        explain=explain,
        vector_name=vector_name,
        options=embed_options(options),
    )
    if group_by:
        request.group_by.field, request.group_by.group_size = group_by, group_size
    if diversity is not None:
        setattr(request.diversity, "lambda", diversity)
        request.diversity.candidates = diversity_candidates
    return request


def vector_requests(
    frame: search_service_pb2.SearchRequest,
    rows: NDArray[Any],
    options: ClientOptions,
) -> Iterator[search_service_pb2.SearchRequest]:
    """The parts of a batch of vectors (q, dim).

    Raises:
        InvalidArgumentError: there are none.
    """
    if not len(rows):
        raise InvalidArgumentError("vectors: is empty; pass at least one query")
    limit = reply_limited(MAX_QUERIES, frame, options)
    row_bytes = rows.shape[1] * rows.itemsize
    for span in row_spans(len(rows), row_bytes, max_items=limit, chunk_bytes=options.chunk_bytes):
        request = search_service_pb2.SearchRequest(vectors=pack(rows[span]))
        request.MergeFrom(frame)
        yield request


def query_requests(
    frame: search_service_pb2.SearchRequest,
    queries: Iterable[search_service_pb2.Query],
    options: ClientOptions,
) -> Iterator[search_service_pb2.SearchRequest]:
    """The parts of a batch of other queries, made as they are asked for."""
    for part in split(
        queries,
        search_service_pb2.Query.ByteSize,
        max_items=reply_limited(MAX_RAW_QUERIES, frame, options),
        chunk_bytes=options.chunk_bytes,
        max_bytes=options.max_message_bytes,
    ):
        request = search_service_pb2.SearchRequest(queries=part)
        request.MergeFrom(frame)
        yield request


def reply_limited(
    most: int, frame: search_service_pb2.SearchRequest, options: ClientOptions
) -> int:
    """Queries a part, so that the reply fits a message."""
    hit = _HIT_BYTES + _PAYLOAD_BYTES * frame.with_payload + _VECTOR_BYTES * frame.with_vectors
    # estimated, since what is stored is not known here; too small a part costs a round trip
    return max(1, min(most, options.chunk_bytes // (hit * hits_wanted(frame))))


def hits_wanted(frame: search_service_pb2.SearchRequest) -> int:
    """Hits of each query, at most."""
    return frame.k * max(1, frame.group_by.group_size)


def query_count(request: search_service_pb2.SearchRequest) -> int:
    """Queries in a request."""
    return request.vectors.count or len(request.queries)
