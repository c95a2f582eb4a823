"""Writing and reading points: raw inputs are embedded, vectors checked, payloads passed through."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from embedders.base import EncodeOptions, Item
from embedders.errors import InvalidItemError
from index.base import Collection
from index.types import Points
from services.runtime.collections import Collections
from services.runtime.encoding import EmbedResult
from services.runtime.errors import RequestError, SpaceMismatchError
from services.runtime.inputs import VectorRows
from services.runtime.pools import run_in


@dataclass(frozen=True, slots=True)
class PointWrites:
    """Points to write: `vectors` or `items`, one for each id; `payloads` empty or one each.

    Args:
        modalities: what the vectors were made from; empty or one each.
    """

    ids: Sequence[str]
    vectors: VectorRows | None = None
    modalities: Sequence[str] = ()
    items: Sequence[Item] = ()
    payloads: Sequence[bytes] = ()
    options: EncodeOptions = EncodeOptions()


@dataclass(frozen=True, slots=True)
class WriteOutcome:
    """What became of a batch: `errors` by position, times in nanoseconds."""

    written: int
    version: int
    errors: Mapping[int, Exception] = field(default_factory=dict)
    embedded: EmbedResult | None = None


@dataclass(frozen=True, slots=True)
class Made:
    """Points ready to be written.

    Args:
        places: position in the batch of each of `points`.
        errors: what could not be made a point, by position in the batch.
    """

    points: Points
    places: Sequence[int]
    errors: dict[int, Exception] = field(default_factory=dict)
    embedded: EmbedResult | None = None


async def upsert(
    collections: Collections,
    collection: Collection,
    writes: PointWrites,
    deadline: float | None = None,
) -> WriteOutcome:
    """Writes points; bad ones fail alone. On disk when it returns.

    Raises:
        RequestError, SpaceMismatchError, ReadOnlyError, StorageError
    """
    made = await make_points(collections, collection, writes, deadline)
    return await store_points(collections, collection, made)


async def make_points(
    collections: Collections,
    collection: Collection,
    writes: PointWrites,
    deadline: float | None = None,
    *,
    patient: bool = False,
) -> Made:
    """Points of a batch: raw inputs embedded, vectors checked.

    Args:
        patient: bulk work, which waits where the model is overloaded.

    Raises:
        RequestError, SpaceMismatchError, OverloadedError
    """
    check_columns(writes)
    payloads = writes.payloads or None
    if writes.vectors is not None:
        check_rows("points.vectors", collection, writes.vectors)
        modalities = writes.modalities or ["vector"] * len(writes.ids)
        points = Points(writes.ids, writes.vectors.rows, payloads, modalities)
        return Made(points, range(len(writes.ids)))
    # what is refused anyway costs no encoding
    pool = collections.pools.prepare
    refused = await run_in(pool, collection.unacceptable, writes.ids, payloads)
    errors: dict[int, Exception] = dict(refused)
    good = [i for i in range(len(writes.ids)) if i not in errors]
    if not good:
        return Made(Points([], None), [], errors)
    items = [writes.items[i] for i in good]
    embedded = await collections.embed(
        collection, "points.inputs", items, writes.options, deadline, patient=patient
    )
    failed = dict(embedded.errors)
    rows, kept = one_row_each(embedded, len(items), failed)
    errors |= {good[i]: error for i, error in failed.items()}
    places = [good[i] for i in kept]
    points = Points(
        [writes.ids[i] for i in places],
        embedded.rows[rows],
        [payloads[i] for i in places] if payloads else None,
        [writes.items[i].modality for i in places],
    )
    return Made(points, places, errors, embedded)


async def store_points(
    collections: Collections, collection: Collection, made: Made
) -> WriteOutcome:
    """Writes what was made; on disk when it returns.

    Raises:
        ReadOnlyError, StorageError, OverloadedError
    """
    errors = dict(made.errors)
    if not made.places:
        return WriteOutcome(0, collection.version, errors, made.embedded)
    result = await run_in(collections.pools.write, collection.upsert, made.points)
    errors.update({made.places[i]: error for i, error in result.rejected.items()})
    return WriteOutcome(result.written, result.version, errors, made.embedded)


def one_row_each(
    embedded: EmbedResult, count: int, errors: dict[int, Exception]
) -> tuple[list[int], list[int]]:
    """Row and input positions of the inputs that gave exactly one row; others get an error."""
    first = np.searchsorted(embedded.index, np.arange(count + 1))
    rows, places = [], []
    for place in range(count):
        found = int(first[place + 1] - first[place])
        if found == 1:
            rows.append(int(first[place]))
            places.append(place)
        elif place not in errors:
            errors[place] = InvalidItemError(
                f"the model found {found} items in this input; exactly one is needed here:"
                " crop it, or embed it and choose"
            )
    return rows, places


def check_columns(writes: PointWrites) -> None:
    """Refuses columns of different lengths.

    Raises:
        RequestError
    """
    count = len(writes.ids)
    if not count:
        raise RequestError("points.ids", "give at least one point")
    given = len(writes.items) if writes.vectors is None else len(writes.vectors.rows)
    if given != count:
        name = "points.inputs" if writes.vectors is None else "points.vectors"
        raise RequestError(name, f"{given} given for {count} ids; give one for each id")
    for column in ("payloads", "modalities"):
        if (given := len(getattr(writes, column))) not in (0, count):
            message = f"{given} given for {count} ids; give none, or one for each id"
            raise RequestError(f"points.{column}", message)


def check_rows(field_name: str, collection: Collection, vectors: VectorRows) -> None:
    """Refuses rows of another dimension or space.

    Where either side says no space, the dimension alone is compared.

    Raises:
        RequestError, SpaceMismatchError
    """
    spec, dim = collection.spec, vectors.rows.shape[1]
    if dim != spec.dim:
        raise RequestError(
            f"{field_name}.dim",
            f"vectors have {dim} dimensions, collection {collection.name!r} has {spec.dim}",
        )
    if vectors.space_id and spec.space_id and vectors.space_id != spec.space_id:
        raise SpaceMismatchError(f"{field_name}.space_id", vectors.space_id, spec.space_id)
