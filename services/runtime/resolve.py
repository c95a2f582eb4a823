"""Inputs of queries to vectors: each distinct input is embedded, looked up or read once."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field

import numpy as np

from embedders.base import EncodeOptions, Item
from embedders.vectors import FloatRows
from index.base import Collection
from index.errors import PointNotFoundError
from services.runtime.collections import Collections
from services.runtime.encoding import EmbedResult
from services.runtime.errors import RequestError, SpaceMismatchError
from services.runtime.inputs import Input, PointInput, VectorInput, identity
from services.runtime.points import one_row_each
from services.runtime.pools import run_in


@dataclass(slots=True)
class Resolved:
    """Vectors of distinct inputs.

    Args:
        rows: float32 (u, dim), as the model or the store gives them, not normalised.
        place: row of each input, by its identity.
        errors: why inputs have no row, by identity.
    """

    rows: FloatRows
    place: dict[Hashable, int] = field(default_factory=dict)
    errors: dict[Hashable, Exception] = field(default_factory=dict)
    embedded: EmbedResult | None = None

    def put(self, key: Hashable, row: FloatRows) -> None:
        """Stores the vector of an input."""
        self.rows[self.place[key]] = row


async def resolve(
    collections: Collections,
    collection: Collection,
    inputs: Sequence[Input],
    options: EncodeOptions,
    deadline: float | None = None,
) -> Resolved:
    """Vectors of all inputs in the space of a collection; inputs that fail are in `errors`."""
    distinct: dict[Hashable, Input] = {identity(value): value for value in inputs}
    place = {key: i for i, key in enumerate(distinct)}
    found = Resolved(np.zeros((len(distinct), collection.spec.dim), np.float32), place)
    items = {k: v for k, v in distinct.items() if isinstance(v, Item)}
    if items:
        await _embed(collections, collection, items, options, deadline, found)
    for key, value in distinct.items():
        if isinstance(value, VectorInput):
            _take_vector(collection, key, value, found)
    points = {k: v for k, v in distinct.items() if isinstance(v, PointInput)}
    for name in sorted({p.collection for p in points.values()}):
        source = collections.get(name) if name else collection
        wanted = {k: p.id for k, p in points.items() if p.collection == name}
        await _read_points(collections, collection, source, wanted, found)
    return found


async def _embed(
    collections: Collections,
    collection: Collection,
    items: dict[Hashable, Item],
    options: EncodeOptions,
    deadline: float | None,
    found: Resolved,
) -> None:
    keys = list(items)
    result = await collections.embed(collection, "queries", list(items.values()), options, deadline)
    errors = dict(result.errors)
    rows, places = one_row_each(result, len(keys), errors)
    found.rows[[found.place[keys[i]] for i in places]] = result.rows[rows]
    found.errors.update({keys[i]: error for i, error in errors.items()})
    found.embedded = result


def _take_vector(
    collection: Collection, key: Hashable, value: VectorInput, found: Resolved
) -> None:
    if value.space_id and value.space_id != collection.spec.space_id:
        found.errors[key] = SpaceMismatchError("vector", value.space_id, collection.spec.space_id)
    elif value.values.shape != (collection.spec.dim,):
        found.errors[key] = RequestError(
            "vector",
            f"the vector has {value.values.size} dimensions,"
            f" collection {collection.name!r} has {collection.spec.dim}",
        )
    elif not np.isfinite(value.values).all():
        found.errors[key] = RequestError("vector", "the vector has NaN or infinite numbers")
    else:
        found.put(key, value.values)


async def _read_points(
    collections: Collections,
    collection: Collection,
    source: Collection,
    wanted: dict[Hashable, str],
    found: Resolved,
) -> None:
    spec = source.spec
    if spec.space_id != collection.spec.space_id or spec.dim != collection.spec.dim:
        error = SpaceMismatchError("point", spec.space_id, collection.spec.space_id)
        found.errors.update(dict.fromkeys(wanted, error))
        return
    ids = list(dict.fromkeys(wanted.values()))
    points, _ = await run_in(
        collections.pools.search, source.get, ids, with_vectors=True, with_payload=False
    )
    assert points.vectors is not None
    rows = dict(zip(points.ids, points.vectors, strict=True))
    for key, point_id in wanted.items():
        if point_id in rows:
            found.put(key, rows[point_id])
        else:
            found.errors[key] = PointNotFoundError(point_id)
