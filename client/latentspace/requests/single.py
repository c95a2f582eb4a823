"""Requests of a single query, named by its kind."""

from typing import Any, cast

from latentspace.calls import ClientOptions
from latentspace.errors import InvalidArgumentError
from latentspace.images import ImageSource
from latentspace.inputs import ImageInput, KeyInput, PointInput, TextInput, only_one
from latentspace.requests.queries import QueryLike, query_message
from latentspace.requests.search import (
    SearchOptions,
    query_requests,
    search_frame,
    vector_requests,
)
from latentspace.sifting import item_error
from latentspace.v1 import search_service_pb2
from latentspace.vectors import VectorLike, as_row


def single_request(
    collection: str,
    k: int,
    search: SearchOptions,
    options: ClientOptions,
    *,
    text: str | None,
    image: ImageSource | None,
    key: str | None,
    point: str | PointInput | None,
    vector: VectorLike | None,
    query: QueryLike | None,
) -> search_service_pb2.SearchRequest:
    """Asks for the neighbours of the one query that is given, with payloads where nothing is said.

    Raises:
        InvalidArgumentError: no query is given, or several are.
    """
    found: dict[str, QueryLike] = {}
    if text is not None:
        found["text"] = TextInput(text)
    if image is not None:
        found["image"] = ImageInput(image)
    if key is not None:
        found["key"] = KeyInput(key)
    if point is not None:
        found["point"] = point if isinstance(point, PointInput) else PointInput(point)
    if query is not None:
        found["query"] = query
    only_one([*found, *(["vector"] if vector is not None else [])])
    plain = cast(dict[str, Any], {"with_payload": True, **search})
    space_id = plain.pop("space_id", "")
    frame = search_frame(collection, k, **plain)
    if vector is not None:
        return next(vector_requests(frame, as_row(vector, space_id=space_id), options))
    name, only = next(iter(found.items()))
    try:
        return next(query_requests(frame, [query_message(only)], options))
    except OSError as error:
        raise item_error(error, name) from error


def check_pageable(request: search_service_pb2.SearchRequest) -> None:
    """Refuses searches that have no pages.

    Raises:
        InvalidArgumentError: points are grouped or diverse.
    """
    for name in ("group_by", "diversity"):
        if request.HasField(name):
            raise InvalidArgumentError(f"{name}: there are no pages; use search with k and offset")
