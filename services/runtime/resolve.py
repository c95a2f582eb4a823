"""Inputs of queries to vectors: each distinct input is embedded, looked up or read once."""

from collections.abc import Awaitable, Callable, Hashable, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from embedders.base import EncodeOptions, Item
from embedders.vectors import FloatRows
from index.base import Collection
from index.errors import PointNotFoundError
from services.runtime.collections import Collections
from services.runtime.encoding import EmbedResult
from services.runtime.errors import RequestError, SpaceMismatchError
from services.runtime.inputs import Input, PointInput, VectorInput, identity
from services.runtime.models import Model
from services.runtime.points import one_row_each
from services.runtime.pools import run_in

Embed = Callable[[Sequence[Item], EncodeOptions, float | None], Awaitable[EmbedResult]]


@dataclass(frozen=True, slots=True)
class Target:
    """The space that inputs are wanted in, and the way there.

    Args:
        what: for messages, such as "collection 'photos'".
        collection: what a point is of that names none; None: it must name one.
    """

    what: str
    dim: int
    space_id: str
    embed: Embed
    collection: Collection | None = None


def collection_target(collections: Collections, collection: Collection) -> Target:
    """The space of a collection."""
    spec = collection.spec
    embed = partial(collections.embed, collection, "queries")
    what = f"collection {collection.name!r}"
    return Target(what, spec.dim, spec.space_id, embed, collection)


def model_target(collections: Collections, model: Model, options: EncodeOptions) -> Target:
    """The space that a model makes with these options.

    Raises:
        ModelNotReadyError, OptionError
    """
    encoder = model.ready()
    encoder.check_options(options)
    info, dim = encoder.info, options.dimensions or encoder.info.dim
    embed = partial(collections.embedder.embed, model)
    return Target(f"model {info.id!r}", dim, info.space(options.dimensions), embed)


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
    target: Target,
    inputs: Sequence[Input],
    options: EncodeOptions,
    deadline: float | None = None,
) -> Resolved:
    """Vectors of all inputs in a space; inputs that fail are in `errors`."""
    distinct: dict[Hashable, Input] = {identity(value): value for value in inputs}
    place = {key: i for i, key in enumerate(distinct)}
    found = Resolved(np.zeros((len(distinct), target.dim), np.float32), place)
    items = {k: v for k, v in distinct.items() if isinstance(v, Item)}
    if items:
        await _embed(target, items, options, deadline, found)
    for key, value in distinct.items():
        if isinstance(value, VectorInput):
            _take_vector(target, key, value, found)
    points = {k: v for k, v in distinct.items() if isinstance(v, PointInput)}
    for name in sorted({p.collection for p in points.values()}):
        wanted = {k: p.id for k, p in points.items() if p.collection == name}
        source = collections.get(name) if name else target.collection
        if source is None:
            error = RequestError("point.collection", "name the collection that the point is of")
            found.errors.update(dict.fromkeys(wanted, error))
        else:
            await _read_points(collections, target, source, wanted, found)
    return found


async def _embed(
    target: Target,
    items: dict[Hashable, Item],
    options: EncodeOptions,
    deadline: float | None,
    found: Resolved,
) -> None:
    keys = list(items)
    result = await target.embed(list(items.values()), options, deadline)
    errors = dict(result.errors)
    rows, places = one_row_each(result, len(keys), errors)
    found.rows[[found.place[keys[i]] for i in places]] = result.rows[rows]
    found.errors.update({keys[i]: error for i, error in errors.items()})
    found.embedded = result


def _take_vector(target: Target, key: Hashable, value: VectorInput, found: Resolved) -> None:
    if value.space_id and target.space_id and value.space_id != target.space_id:
        found.errors[key] = SpaceMismatchError("vector", value.space_id, target.space_id)
    elif value.values.shape != (target.dim,):
        found.errors[key] = RequestError(
            "vector",
            f"the vector has {value.values.size} dimensions, {target.what} has {target.dim}",
        )
    elif not np.isfinite(value.values).all():
        found.errors[key] = RequestError("vector", "the vector has NaN or infinite numbers")
    else:
        found.put(key, value.values)


async def _read_points(
    collections: Collections,
    target: Target,
    source: Collection,
    wanted: dict[Hashable, str],
    found: Resolved,
) -> None:
    spec = source.spec
    if spec.space_id != target.space_id or spec.dim != target.dim:
        error = SpaceMismatchError("point", spec.space_id, target.space_id)
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
