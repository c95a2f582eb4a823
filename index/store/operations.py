"""The writes that a collection knows. Each runs inside the transaction of its group."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from index.columns.table import validate_payload
from index.errors import InvalidPointError, PointNotFoundError
from index.store.accept import Accepted, Rejected
from index.store.change import Change, Patch
from index.store.writer import StoreWriter
from index.types import FieldType, WriteResult

# slots that pass a filter, of all writes before this one
SelectSlots = Callable[[], NDArray[np.int64]]


class WriteOperation(ABC):
    """One call's write.

    `alone` operations look at the view, so they begin a group of their own. `rows` is the size
    by which groups are bounded.
    """

    alone = False
    rows = 1
    rejected: Rejected
    written = 0

    def __init__(self) -> None:
        self.rejected = {}

    @abstractmethod
    def apply(self, store: StoreWriter) -> Change:
        """Writes to the store; may be called again if its group failed."""

    def result(self, version: int) -> WriteResult:
        """The answer once it is on disk."""
        return WriteResult(self.written, version, self.rejected)


class Upsert(WriteOperation):
    """New points, in the place of those with the same ids."""

    def __init__(self, points: Accepted, rejected: Rejected) -> None:
        self.rejected = rejected
        self._points = points
        self.rows = self.written = len(points)

    def apply(self, store: StoreWriter) -> Change:
        """See `WriteOperation.apply`."""
        points = self._points
        old = sorted(store.slots_of(points.ids).values())
        if old:
            store.remove(old)
        slots = store.insert(points.ids, points.codes, points.payloads, points.rows)
        return Change(dead=np.array(old, dtype=np.int64), slots=slots, added=points)


class Delete(WriteOperation):
    """No points with these ids, or that pass a filter."""

    def __init__(self, which: Sequence[str] | SelectSlots) -> None:
        super().__init__()
        self._which = which
        self.alone = callable(which)

    def apply(self, store: StoreWriter) -> Change:
        """See `WriteOperation.apply`."""
        if callable(self._which):
            slots = self._which().tolist()
        else:
            slots = sorted(store.slots_of(self._which).values())
        store.remove(slots)
        self.written = len(slots)
        return Change(dead=np.array(slots, dtype=np.int64))


class PatchPayload(WriteOperation):
    """Keys removed, then an object merged in (or put in the place of the payload)."""

    def __init__(
        self,
        which: Sequence[str] | SelectSlots,
        payload: Mapping[str, Any],
        replace: bool,
        remove_keys: Sequence[str],
        fields: Mapping[str, FieldType],
    ) -> None:
        super().__init__()
        self._which, self._payload, self._fields = which, payload, fields
        self._replace, self._remove_keys = replace, remove_keys
        self.alone = callable(which)

    def apply(self, store: StoreWriter) -> Change:
        """See `WriteOperation.apply`."""
        # a group that failed is applied again
        self.rejected = {}
        places = self._places(store)
        slots, payloads, objects, codes = [], [], [], []
        for slot, payload, code in store.payloads(list(places)):
            try:
                fresh = orjson.dumps(self._patched(payload))
                parsed = validate_payload(fresh, self._fields)
            except InvalidPointError as error:
                self.rejected[places[slot]] = error
                continue
            slots.append(slot)
            payloads.append(fresh)
            objects.append(parsed)
            codes.append(code)
        store.set_payloads(slots, payloads)
        self.written = len(slots)
        return Change(patch=Patch(slots, objects, codes))

    def _places(self, store: StoreWriter) -> dict[int, int]:
        if callable(self._which):
            return {slot: place for place, slot in enumerate(self._which().tolist())}
        slots = store.slots_of(self._which)
        places: dict[int, int] = {}
        for place, point_id in enumerate(self._which):
            if point_id in slots:
                places.setdefault(slots[point_id], place)
            else:
                self.rejected[place] = PointNotFoundError(point_id)
        return places

    def _patched(self, payload: bytes) -> dict[str, Any]:
        if self._replace:
            return dict(self._payload)
        current: dict[str, Any] = orjson.loads(payload)
        for key in self._remove_keys:
            current.pop(key, None)
        current.update(self._payload)
        return current


class Housekeeping(WriteOperation):
    """Something small that background work writes; no user sees a new version."""

    def __init__(self, work: Callable[[StoreWriter], None]) -> None:
        super().__init__()
        self._work = work

    def apply(self, store: StoreWriter) -> Change:
        """See `WriteOperation.apply`."""
        self._work(store)
        return Change()
