"""Queries as callers give them, and as vectors."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np

from embedders.base import Item, Modality
from embedders.vectors import FloatRows, normalize_rows
from index.base import Collection
from services.runtime.errors import RequestError
from services.runtime.inputs import Input, PointInput, WeightedInput, identity
from services.runtime.resolve import Resolved


@dataclass(frozen=True, slots=True)
class Query:
    """A weighted sum of vectors; a single input of positive weight is taken as it is.

    Args:
        unit: vectors are scaled to unit length first; under cosine they always are.
    """

    inputs: Sequence[WeightedInput]
    unit: bool = True

    @property
    def parts(self) -> list[Input]:
        """All inputs."""
        return [part.input for part in self.inputs]

    @property
    def searches(self) -> int:
        """Searches of an index that it takes."""
        return 1


@dataclass(frozen=True, slots=True)
class BestScore:
    """Near to any of the positives; points that are nearer to a negative are left out."""

    positives: Sequence[Input]
    negatives: Sequence[Input] = ()

    @property
    def parts(self) -> list[Input]:
        """All inputs."""
        return [*self.positives, *self.negatives]

    @property
    def searches(self) -> int:
        """Searches of an index that it takes."""
        return len(self.positives)


AnyQuery = Query | BestScore


@dataclass(frozen=True, slots=True)
class Sought:
    """A query as vectors.

    Args:
        near: float32 (p, dim), at least one; a point's score is its best with any of them.
        far: float32 (n, dim); points that score better with one of these are left out.
        own: ids of the searched collection that the query is made of, left out too.
    """

    near: FloatRows
    far: FloatRows
    own: frozenset[str] = frozenset()

    @property
    def is_plain(self) -> bool:
        """Whether the scores of an index are the answer."""
        return len(self.near) == 1 and not len(self.far)


def recommendation(positives: Sequence[Input], negatives: Sequence[Input]) -> Query:
    """Near to the mean of the positives, and as far again from that of the negatives.

    mean(positives) + (mean(positives) - mean(negatives)), or mean(positives) alone.
    """
    pull = (2 if negatives else 1) / len(positives)
    inputs = [WeightedInput(value, pull) for value in positives]
    inputs += [WeightedInput(value, -1 / len(negatives)) for value in negatives]
    return Query(inputs, unit=False)


def plain(rows: FloatRows) -> list[Sought]:
    """Queries that are vectors already, float32 (q, dim)."""
    none = rows[:0]
    return [Sought(rows[i : i + 1], none) for i in range(len(rows))]


def read_queries(
    collection: Collection, queries: Sequence[AnyQuery], found: Resolved
) -> tuple[list[Sought], dict[int, Exception]]:
    """Queries as vectors; those that cannot be asked are in the errors, by position."""
    errors: dict[int, Exception] = {}
    sought: list[Sought] = []
    nothing = Sought(found.rows[:0], found.rows[:0])
    for i, query in enumerate(queries):
        failed = [found.errors[key] for key in map(identity, query.parts) if key in found.errors]
        if failed:
            errors[i] = failed[0]
        elif not query.parts:
            errors[i] = RequestError(f"queries[{i}]", "a query needs at least one input")
        else:
            one = _sought(collection, query, found)
            if not np.isfinite(one.near).all():
                errors[i] = RequestError(
                    f"queries[{i}]", "the weighted sum is larger than float32 holds; scale it down"
                )
            elif bad := bad_rows(collection, np.concatenate([one.near, one.far]), "queries"):
                errors[i] = next(iter(bad.values()))
            else:
                sought.append(one)
                continue
        sought.append(nothing)
    return sought, errors


def _sought(collection: Collection, query: AnyQuery, found: Resolved) -> Sought:
    own = frozenset(own_ids(collection, query.parts))
    if isinstance(query, Query):
        unit = query.unit or collection.spec.metric.normalizes
        keys = [identity(value) for value in query.parts]
        weights = [part.weight for part in query.inputs]
        row = weighted_sum(found, keys, weights, unit, collection.spec.metric.normalizes)
        return Sought(row[None], found.rows[:0], own)
    near, far = (
        found.rows[[found.place[identity(value)] for value in values]]
        for values in (query.positives, query.negatives)
    )
    return Sought(near, far, own)


def weighted_sum(
    found: Resolved,
    keys: Sequence[Hashable],
    weights: Sequence[float],
    unit: bool = True,
    direction: bool = False,
) -> FloatRows:
    """Sum of weighted vectors float32 (dim,); a single positive input as it is.

    Args:
        unit: scale the vectors to unit length first.
        direction: only that of the sum is wanted; else one too large for float32 is infinite.
    """
    rows: FloatRows = found.rows[[found.place[key] for key in keys]]
    if len(keys) == 1 and weights[0] > 0:
        first: FloatRows = rows[0]
        return first
    if unit:
        rows = normalize_rows(rows)
    total = np.asarray(weights, np.float64) @ rows.astype(np.float64)
    if direction:
        total /= np.abs(total).max() or 1.0
    with np.errstate(over="ignore"):
        return total.astype(np.float32)


def bad_rows(
    collection: Collection, rows: FloatRows, field: str = "vectors"
) -> dict[int, Exception]:
    """Queries that no metric can compare, by position."""
    squares = np.einsum("ij,ij->i", rows, rows)
    if np.isfinite(squares).all() and (squares > 0).all():
        return {}
    errors: dict[int, Exception] = {}
    for i in np.flatnonzero(~np.isfinite(rows).all(axis=1)):
        errors[int(i)] = RequestError(f"{field}[{i}]", "the vector has NaN or infinite numbers")
    if collection.spec.metric.normalizes:
        for i in np.flatnonzero(~rows.any(axis=1)):
            errors[int(i)] = RequestError(
                f"{field}[{i}]", "a zero vector has no direction, so no cosine"
            )
    return errors


def own_ids(collection: Collection, parts: Sequence[Input]) -> set[str]:
    """Ids of the searched collection that the query itself is made of."""
    ids = set()
    for value in parts:
        if isinstance(value, PointInput) and value.collection in ("", collection.name):
            ids.add(value.id)
        elif isinstance(value, Item) and value.modality is Modality.KEY and collection.read_only:
            ids.add(str(value.value))
    return ids
