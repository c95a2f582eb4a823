"""Requests about collections as a whole."""

from collections.abc import Mapping
from typing import Any

from latentspace.enums import FieldType, Metric, to_wire
from latentspace.errors import AlreadyExistsError, InvalidArgumentError
from latentspace.requests.options import IndexParams, SearchParams, index_params, search_params
from latentspace.results.collection import Collection
from latentspace.v1 import collection_service_pb2

Fields = Mapping[str, FieldType | str]


def create_request(
    collection: str,
    *,
    model: str,
    dim: int,
    space_id: str,
    metric: Metric | str,
    recipe: str,
    fields: Fields | None,
    index: IndexParams | None,
    search: SearchParams | None,
) -> collection_service_pb2.CreateCollectionRequest:
    """Asks for a new collection.

    Raises:
        InvalidArgumentError: neither a model nor a dimension, or unknown words.
    """
    if not model and not dim:
        raise InvalidArgumentError(
            "pass model= (raw items are embedded with it) or dim= (for your own vectors)"
        )
    return collection_service_pb2.CreateCollectionRequest(
        collection=collection,
        spec=collection_service_pb2.CollectionSpec(
            model=model,
            dim=dim,
            space_id=space_id,
            metric=to_wire(Metric, metric, "metric"),
            recipe=recipe,
            fields=field_types(fields),
            index=index_params(index),
            search=search_params(search, "search"),
        ),
    )


def check_declared_alike(
    existing: Collection, request: collection_service_pb2.CreateCollectionRequest
) -> None:
    """Refuses an existing collection in the place of the one that was to be created.

    What the request leaves to the server may be anything, and further fields do no harm.

    Raises:
        AlreadyExistsError: naming what is declared otherwise.
    """
    asked = Collection.from_message(collection_service_pb2.Collection(spec=request.spec))
    differences = [
        f"its {name} is {getattr(existing, name) or 'none'}, not {value}"
        for name in ("model", "dim", "space_id", "metric")
        if (value := getattr(asked, name)) and value != getattr(existing, name)
    ]
    if asked.asked_recipe not in ("", "auto", existing.asked_recipe, existing.recipe):
        differences.append(f"its recipe is {existing.asked_recipe}, not {asked.asked_recipe}")
    for kind in ("fields", "index", "search"):
        declared = getattr(existing, kind)
        differences += [
            f"{kind}[{name!r}] is {declared.get(name, 'not declared')}, not {value}"
            for name, value in getattr(asked, kind).items()
            if declared.get(name) != value
        ]
    if differences:
        raise AlreadyExistsError(
            f"there is a collection {request.collection!r} already, declared otherwise: "
            f"{'; '.join(differences)}; change it with update_collection, or choose another name"
        )


def update_request(
    collection: str,
    *,
    add_fields: Fields | None,
    recipe: str | None,
    index: IndexParams | None,
    search: SearchParams | None,
) -> collection_service_pb2.UpdateCollectionRequest:
    """Asks for changes of a collection."""
    return collection_service_pb2.UpdateCollectionRequest(
        collection=collection,
        add_fields=field_types(add_fields),
        recipe=recipe,
        index=index_params(index),
        search=search_params(search, "search"),
    )


def field_types(fields: Fields | None) -> dict[str, Any]:
    """Declared fields with the wire's numbers.

    Raises:
        InvalidArgumentError: not names with their types.
    """
    if fields is not None and not isinstance(fields, Mapping):
        raise InvalidArgumentError(
            f'fields: expected names with their types, as {{"year": "int"}}, got {fields!r:.80}; '
            f"types are {', '.join(FieldType)}"
        )
    return {
        name: to_wire(FieldType, kind, f"fields[{name!r}]") for name, kind in (fields or {}).items()
    }
