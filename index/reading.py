"""Reading points by id, page by page, or all of them."""

import re
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from embedders.vectors import FloatRows, IndexArray
from index.errors import QueryError
from index.filter import Filter
from index.names import MODALITIES
from index.search.view import allowed_rows
from index.segments.live import LiveSegments
from index.segments.moment import moment
from index.segments.part import View
from index.store.reader import Records, StoreReader
from index.types import Page, Points

MAX_PAGE = 10_000
# slots are the row ids of SQLite: 63 bits
_SLOTS = 1 << 63
_CURSOR = re.compile("s([0-9a-f]{1,16})")
_BLOCK_ROWS = 16_384


def get_points(
    reader: StoreReader, ids: Sequence[str], with_vectors: bool, with_payload: bool
) -> tuple[Points, list[int]]:
    """Points found, in the order asked, and the positions of unknown ids."""
    records = reader.by_ids(list(dict.fromkeys(ids)), with_vectors)
    places = {point_id: place for place, point_id in enumerate(records.ids)}
    order = [places[point_id] for point_id in ids if point_id in places]
    missing = [position for position, point_id in enumerate(ids) if point_id not in places]
    return _points(records, order, with_payload), missing


def page_of(
    reader: StoreReader, cursor: str, limit: int, with_vectors: bool, with_payload: bool
) -> Page:
    """A page of all points in slot order.

    Raises:
        QueryError: a cursor that is none, or a limit out of range.
    """
    after = _parse_cursor(cursor, limit)
    records = reader.page(after, limit + 1, with_vectors)
    order = list(range(min(limit, len(records))))
    more = len(records) > limit
    points = _points(records, order, with_payload)
    return Page(points, _cursor(int(records.slots[order[-1]])) if more else "")


def filtered_page(
    live: LiveSegments,
    reader: StoreReader,
    condition: Filter,
    cursor: str,
    limit: int,
    with_vectors: bool,
    with_payload: bool,
) -> Page:
    """A page, in slot order, of the points that pass.

    Raises:
        QueryError: a cursor that is none, or a limit out of range.
    """
    after = _parse_cursor(cursor, limit)
    with moment(live, reader) as (view, connection):
        slots = passing_slots(view, condition)
        slots = slots[np.searchsorted(slots, after, "right") :]
        more, slots = len(slots) > limit, slots[:limit]
        records = reader.by_slots(slots.tolist(), with_vectors, connection)
    points = _points(records, np.argsort(records.slots).tolist(), with_payload)
    return Page(points, _cursor(int(slots[-1])) if more else "")


def passing_slots(view: View, condition: Filter) -> NDArray[np.int64]:
    """Slots of live points that pass, int64 (n,), ascending."""
    found = [np.empty(0, dtype=np.int64)]
    for part in view.parts:
        allowed = allowed_rows(part, condition)
        found.append(part.slots if allowed is None else part.slots[allowed.positions()])
    return np.concatenate(found)


def count_rows(view: View, condition: Filter | None) -> int:
    """Live points that pass."""
    if condition is None:
        return view.live
    allowed = [allowed_rows(part, condition) for part in view.parts]
    return sum(rows.count for rows in allowed if rows is not None)


def blocks_of(view: View, limit: int) -> Iterator[tuple[IndexArray, FloatRows]]:
    """Live rows of one moment in slot order; see `Collection.blocks`."""
    left = limit or view.live
    for part in view.parts:
        positions = part.positions()
        for start in range(0, len(positions), _BLOCK_ROWS):
            chosen = positions[start : min(start + _BLOCK_ROWS, start + left)]
            if not len(chosen):
                return
            left -= len(chosen)
            whole = part.alive is None
            rows = part.rows[start : start + len(chosen)] if whole else part.rows[chosen]
            yield part.slots[chosen].astype(np.intp, copy=False), rows


def ids_of_slots(view: View, slots: IndexArray) -> list[str]:
    """Ids of slots (n,), in any order; "" for those that have gone."""
    wanted, places = np.unique(np.asarray(slots, dtype=np.int64), return_inverse=True)
    ids = [""] * len(wanted)
    for ordinal, positions in view.locate(wanted):
        part = view.parts[ordinal]
        known = np.searchsorted(wanted, part.slots[positions]).tolist()
        for place, point_id in zip(known, part.ids.at(positions), strict=True):
            ids[place] = point_id
    return [ids[place] for place in places.tolist()]


def slots_of_ids(reader: StoreReader, ids: Sequence[str]) -> IndexArray:
    """Slots of stored points, intp (n,), -1 where there is none."""
    records = reader.by_ids(list(dict.fromkeys(ids)), with_vectors=False)
    found = dict(zip(records.ids, records.slots, strict=True))
    return np.array([found.get(point_id, -1) for point_id in ids], dtype=np.intp)


def _points(records: Records, order: Sequence[int], with_payload: bool) -> Points:
    return Points(
        [records.ids[place] for place in order],
        None if records.rows is None else records.rows[list(order)],
        [records.payloads[place] for place in order] if with_payload else None,
        [MODALITIES[code] for code in records.codes[list(order)].tolist()],
    )


def _cursor(slot: int) -> str:
    return f"s{slot:x}"


def _parse_cursor(cursor: str, limit: int) -> int:
    if not 1 <= limit <= MAX_PAGE:
        raise QueryError("limit", f"limit must be 1 to {MAX_PAGE}, not {limit}")
    if not cursor:
        return 0
    match = _CURSOR.fullmatch(cursor)
    slot = int(match[1], 16) if match else _SLOTS
    if slot >= _SLOTS:
        raise QueryError("cursor", f"{cursor[:80]!r} is not a cursor of this collection")
    return slot
