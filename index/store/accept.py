"""Which points of a batch are written; bad ones are rejected alone."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from embedders.vectors import FloatRows, row_norms, unit_rows
from index.columns.table import validate_payload
from index.errors import InvalidPointError, PointError, QueryError
from index.names import MAX_ID_BYTES, MODALITY_CODES
from index.store.reader import is_text
from index.types import CollectionSpec, FieldType, Points

Rejected = dict[int, PointError]

# a UTF-8 character has at most 4 bytes
_SURELY_SHORT = MAX_ID_BYTES // 4


@dataclass(frozen=True, slots=True)
class Accepted:
    """Points to write, in columns; `objects` are the payloads parsed, `rows` scaled."""

    ids: Sequence[str]
    codes: Sequence[int]
    payloads: Sequence[bytes]
    objects: Sequence[Mapping[str, Any]]
    rows: FloatRows

    def __len__(self) -> int:
        return len(self.ids)


def accept(points: Points, spec: CollectionSpec) -> tuple[Accepted, Rejected]:
    """Splits a batch into what is written and what is rejected, by position.

    Raises:
        QueryError: columns of other lengths, or rows of another dimension.
    """
    rows = _checked_rows(points, spec.dim)
    rejected: Rejected = {}
    _check_ids(points.ids, rejected)
    rows = scale_rows(rows, spec, rejected)
    codes = _codes(points, rejected)
    payloads, objects = _objects(points.payloads, len(points), spec.fields, rejected)
    accepted = Accepted(points.ids, codes, payloads, objects, rows)
    return (_without(accepted, rejected) if rejected else accepted), rejected


def unacceptable(
    ids: Sequence[str], payloads: Sequence[bytes] | None, fields: Mapping[str, FieldType]
) -> Rejected:
    """What is rejected whatever its vectors, by position."""
    rejected: Rejected = {}
    _check_ids(ids, rejected)
    _objects(payloads, len(ids), fields, rejected)
    return rejected


def scale_rows(rows: FloatRows, spec: CollectionSpec, rejected: Rejected) -> FloatRows:
    """Rows float32 (n, d) as the collection keeps them: unit length under cosine.

    Rejects rows that are not finite and, under cosine, zero rows.
    """
    scaled, norms = unit_rows(rows) if spec.metric.normalizes else (rows, row_norms(rows))
    for position in np.flatnonzero(~np.isfinite(norms)).tolist():
        _reject(rejected, position, "vectors", "the vector is not finite")
    if spec.metric.normalizes:
        for position in np.flatnonzero(norms == 0).tolist():
            _reject(rejected, position, "vectors", "a zero vector has no cosine")
    return scaled


def _checked_rows(points: Points, dim: int) -> FloatRows:
    if points.vectors is None:
        raise QueryError("vectors", "an upsert needs vectors")
    rows: FloatRows = np.ascontiguousarray(points.vectors, dtype=np.float32)
    if rows.ndim != 2 or rows.shape[1] != dim:
        raise QueryError("vectors", f"vectors have shape {rows.shape}; dimension {dim} is needed")
    columns = {"vectors": rows, "payloads": points.payloads, "modalities": points.modalities}
    for name, column in columns.items():
        if column is not None and len(column) != len(points):
            raise QueryError(name, f"{len(column)} {name} for {len(points)} ids")
    return rows


def _check_ids(ids: Sequence[str], rejected: Rejected) -> None:
    distinct = set(ids)
    if (
        len(distinct) == len(ids)
        and "" not in distinct
        and max(map(len, ids), default=0) <= _SURELY_SHORT
        and is_text("".join(ids))
    ):
        return
    seen: set[str] = set()
    for position, point_id in enumerate(ids):
        if not is_text(point_id) or not 1 <= len(point_id.encode()) <= MAX_ID_BYTES:
            _reject(rejected, position, "ids", f"an id must be 1 to {MAX_ID_BYTES} bytes of UTF-8")
        elif point_id in seen:
            _reject(rejected, position, "ids", f"id {point_id!r} is twice in the batch")
        seen.add(point_id)


def _codes(points: Points, rejected: Rejected) -> Sequence[int]:
    if points.modalities is None:
        return [0] * len(points)
    codes = [MODALITY_CODES.get(modality, -1) for modality in points.modalities]
    if -1 in codes:
        for position, code in enumerate(codes):
            if code < 0:
                known = ", ".join(MODALITY_CODES)
                _reject(rejected, position, "modalities", f"a modality is one of: {known}")
    return codes


def _objects(
    raw: Sequence[bytes] | None,
    count: int,
    fields: Mapping[str, FieldType],
    rejected: Rejected,
) -> tuple[Sequence[bytes], Sequence[Mapping[str, Any]]]:
    if raw is None:
        return [b"{}"] * count, [{}] * count
    payloads = [payload or b"{}" for payload in raw]
    objects: list[Mapping[str, Any]] = []
    for position, payload in enumerate(payloads):
        try:
            objects.append({} if payload == b"{}" else validate_payload(payload, fields))
        except InvalidPointError as error:
            rejected.setdefault(position, error)
            objects.append({})
    return payloads, objects


def _without(accepted: Accepted, rejected: Rejected) -> Accepted:
    kept = [position for position in range(len(accepted)) if position not in rejected]
    return Accepted(
        [accepted.ids[position] for position in kept],
        [accepted.codes[position] for position in kept],
        [accepted.payloads[position] for position in kept],
        [accepted.objects[position] for position in kept],
        accepted.rows[kept],
    )


def _reject(rejected: Rejected, position: int, field: str, message: str) -> None:
    rejected.setdefault(position, InvalidPointError(field, message))
