"""Collection specs as JSON, for the store, the manifest and snapshots."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import orjson

from index.columns.table import check_fields
from index.errors import SpecError, StorageError
from index.names import MAX_DIM
from index.types import CollectionSpec, FieldType, IndexParameters, Metric, SearchParameters

# The least and the most of each parameter; 0 stands for the recipe's default. A graph of m links
# takes 8 * m bytes a row, and building it takes ef_construction comparisons a row.
INDEX_BOUNDS = {
    "m": (2, 256),
    "ef_construction": (4, 4_096),
    "nlist": (1, 262_144),
    "pq_bytes": (1, 4_096),
}
SEARCH_BOUNDS = {"ef": (1, 100_000), "nprobe": (1, 262_144), "rerank": (1, 100_000)}


def dump_spec(spec: CollectionSpec) -> bytes:
    """A JSON object in UTF-8."""
    return orjson.dumps(dataclasses.asdict(spec) | {"fields": dict(spec.fields)})


def load_spec(data: bytes) -> CollectionSpec:
    """What `dump_spec` wrote, of this version or another: unknown keys are passed over.

    Raises:
        StorageError: damaged.
    """
    try:
        parts = _known(CollectionSpec, orjson.loads(data))
        parts["metric"] = Metric(parts["metric"])
        parts["fields"] = {name: FieldType(kind) for name, kind in parts["fields"].items()}
        parts["index"] = IndexParameters(**_known(IndexParameters, parts["index"]))
        parts["search"] = SearchParameters(**_known(SearchParameters, parts["search"]))
        return CollectionSpec(**parts)
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise StorageError(f"the collection's stored declaration is damaged: {error}") from error


def _known(kind: type[Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a dataclass: a newer version may have written more."""
    names = {field.name for field in dataclasses.fields(kind)}
    return {name: value for name, value in values.items() if name in names}


def check_spec(spec: CollectionSpec) -> None:
    """Refuses what no collection can be.

    Raises:
        SpecError: naming the part.
    """
    if not 1 <= spec.dim <= MAX_DIM:
        raise SpecError("dim", f"dim must be 1 to {MAX_DIM}, not {spec.dim}")
    check_fields(spec.fields)
    check_index_parameters(spec.index)
    check_search_parameters(spec.search)


def check_index_parameters(params: IndexParameters) -> None:
    """Refuses parameters that no index can be built with, in any memory.

    Raises:
        SpecError: naming the parameter and its bounds.
    """
    _check_bounds(params, INDEX_BOUNDS, "index")


def check_search_parameters(params: SearchParameters) -> None:
    """Refuses effort beyond what any search can use.

    Raises:
        SpecError: naming the parameter and its bounds.
    """
    _check_bounds(params, SEARCH_BOUNDS, "search")


def _check_bounds(
    params: IndexParameters | SearchParameters, bounds: Mapping[str, tuple[int, int]], part: str
) -> None:
    for name, (least, most) in bounds.items():
        value = getattr(params, name)
        if value and not least <= value <= most:
            raise SpecError(
                f"{part}.{name}",
                f"{part}.{name} must be {least} to {most:,}, or 0 for the default, not {value}",
            )
