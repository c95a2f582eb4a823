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
    """Points to write: `vectors` or `items`, one for each id; `payloads` empty or one each."""

    ids: Sequence[str]
    vectors: VectorRows | None = None
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
    check_columns(writes)
    if writes.vectors is not None:
        check_rows("points.vectors", collection, writes.vectors)
        modalities = ["vector"] * len(writes.ids)
        points = Points(writes.ids, writes.vectors.rows, writes.payloads or None, modalities)
        result = await run_in(collections.pools.write, collection.upsert, points)
        return WriteOutcome(result.written, result.version, result.rejected)
    return await _upsert_items(collections, collection, writes, deadline)


async def _upsert_items(
    collections: Collections,
    collection: Collection,
    writes: PointWrites,
    deadline: float | None,
) -> WriteOutcome:
    embedded = await collections.embed(
        collection, "points.inputs", writes.items, writes.options, deadline
    )
    errors = dict(embedded.errors)
    rows, places = one_row_each(embedded, len(writes.items), errors)
    points = Points(
        [writes.ids[i] for i in places],
        embedded.rows[rows],
        [writes.payloads[i] for i in places] if writes.payloads else None,
        [writes.items[i].modality for i in places],
    )
    if not places:
        return WriteOutcome(0, collection.info.version, errors, embedded)
    result = await run_in(collections.pools.write, collection.upsert, points)
    errors.update({places[i]: error for i, error in result.rejected.items()})
    return WriteOutcome(result.written, result.version, errors, embedded)


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
    if writes.payloads and len(writes.payloads) != count:
        raise RequestError(
            "points.payloads",
            f"{len(writes.payloads)} given for {count} ids; give none, or one for each id",
        )


def check_rows(field_name: str, collection: Collection, vectors: VectorRows) -> None:
    """Refuses rows of another dimension or space.

    Raises:
        RequestError, SpaceMismatchError
    """
    spec, dim = collection.spec, vectors.rows.shape[1]
    if dim != spec.dim:
        raise RequestError(
            f"{field_name}.dim",
            f"vectors have {dim} dimensions, collection {collection.name!r} has {spec.dim}",
        )
    if vectors.space_id and vectors.space_id != spec.space_id:
        raise SpaceMismatchError(f"{field_name}.space_id", vectors.space_id, spec.space_id)
