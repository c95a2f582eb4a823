"""Collection specs as JSON, for the store, the manifest and snapshots."""

import dataclasses
from typing import Any

import orjson

from index.columns.table import check_fields
from index.errors import SpecError
from index.names import MAX_DIM
from index.types import CollectionSpec, FieldType, IndexParameters, Metric, SearchParameters


def dump_spec(spec: CollectionSpec) -> bytes:
    """A JSON object in UTF-8."""
    return orjson.dumps(dataclasses.asdict(spec) | {"fields": dict(spec.fields)})


def load_spec(data: bytes) -> CollectionSpec:
    """What `dump_spec` wrote."""
    parts: dict[str, Any] = orjson.loads(data)
    parts["metric"] = Metric(parts["metric"])
    parts["fields"] = {name: FieldType(kind) for name, kind in parts["fields"].items()}
    parts["index"] = IndexParameters(**parts["index"])
    parts["search"] = SearchParameters(**parts["search"])
    return CollectionSpec(**parts)


def check_spec(spec: CollectionSpec) -> None:
    """Refuses what no collection can be.

    Raises:
        SpecError: naming the part.
    """
    if not 1 <= spec.dim <= MAX_DIM:
        raise SpecError("dim", f"dim must be 1 to {MAX_DIM}, not {spec.dim}")
    check_fields(spec.fields)
    for part in (spec.index, spec.search):
        for item in dataclasses.fields(part):
            if getattr(part, item.name) < 0:
                raise SpecError(item.name, f"{item.name} must not be negative")
