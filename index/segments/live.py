"""The segments in memory: what committed writes and background work change, searches read."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from index.columns.table import Columns
from index.names import MODALITIES
from index.segments.growing import GrowingSegment
from index.segments.part import Part, View
from index.store.change import Change, Patch
from index.types import SegmentState


class LiveSegments:
    """Holds the current view. Readers take `view` without a lock; changes hold one briefly."""

    def __init__(
        self, dim: int, view: View, next_segment: int, new_columns: Callable[[], Columns]
    ) -> None:
        self._lock = threading.RLock()
        self._dim, self._new_columns = dim, new_columns
        self._next_segment = next_segment
        self._sealed = view
        self._patches: list[Patch] = []
        self._keeping = 0
        self._growing = self._fresh()
        self.view = view

    @property
    def growing_rows(self) -> int:
        """Rows of the growing segment."""
        return len(self._growing.part)

    @property
    def growing_id(self) -> int:
        """Id of the growing segment."""
        return self._growing.part.id

    @property
    def memory_bytes(self) -> int:
        """Memory of all segments, estimated; memory-mapped rows are not counted."""
        sealed = sum(part.memory_bytes for part in self._sealed.parts)
        return sealed + self._growing.memory_bytes

    @property
    def next_segment(self) -> int:
        """Id of the next segment."""
        return self._next_segment

    def take_id(self) -> int:
        """A new segment id."""
        with self._lock:
            self._next_segment += 1
            return self._next_segment - 1

    def publish(self, changes: Sequence[Change], version: int) -> None:
        """Shows committed writes to searches, all at once."""
        with self._lock:
            for change in changes:
                self._apply(change)
            self._show(version)

    def freeze(self) -> None:
        """Ends the growing segment, which now waits for its files, and begins another."""
        with self._lock:
            if not len(self._growing.part):
                return
            part = replace(self._growing.part, state=SegmentState.BUILDING)
            self._sealed = View((*self._sealed.parts, part))
            self._growing = self._fresh()
            self._show(self.view.version)

    def keep_patches(self) -> None:
        """From now on remembers changed payloads, for columns that are being built."""
        with self._lock:
            self._keeping += 1

    def drop_patches(self) -> None:
        """Ends `keep_patches`."""
        with self._lock:
            self._keeping -= 1
            if not self._keeping:
                self._patches = []

    def swap(self, gone: Sequence[Part], part: Part | None) -> Part | None:
        """Puts a segment made of others in their place; rows that died meanwhile are dead in it.

        Its columns get the payloads that changed since `keep_patches`. `gone` are the segments
        as they were when it was made; it holds their rows that were alive then.
        """
        with self._lock:
            # what died while the files were written is known to the segments of now alone
            now = {other.id: other for other in self._sealed.parts}
            if part is not None:
                part = _buried(gone, [now[other.id] for other in gone], part)
                for patch in self._patches:
                    _patch(View((part,)), patch)
            self._sealed = self._sealed.replaced([other.id for other in gone], part)
            self._show(self.view.version)
            return part

    def amend(self, segment_id: int, change: Callable[[Part], Part]) -> bool:
        """Changes a sealed segment in place; False if it has gone."""
        with self._lock:
            parts = list(self._sealed.parts)
            for ordinal, part in enumerate(parts):
                if part.id == segment_id:
                    parts[ordinal] = change(part)
                    self._sealed = View(tuple(parts))
                    self._show(self.view.version)
                    return True
        return False

    def declare(self, new_columns: Callable[[], Columns]) -> None:
        """From now on growing segments have these columns."""
        with self._lock:
            self._new_columns = new_columns
            if len(self._growing.part):
                self.freeze()
            else:
                self._growing = self._fresh()

    def patch_again(self) -> None:
        """Writes the payloads kept since `keep_patches` into all columns once more."""
        with self._lock:
            for patch in self._patches:
                _patch(self._both(), patch)

    def _apply(self, change: Change) -> None:
        if len(change.dead):
            self._bury(change.dead)
        if change.added is not None:
            self._growing.append(change.slots, change.added)
        if change.patch is not None:
            _patch(self._both(), change.patch)
            if self._keeping:
                self._patches.append(change.patch)

    # slots only grow, so the growing segment's first slot parts its rows from all others
    def _bury(self, slots: np.ndarray[tuple[int], np.dtype[np.int64]]) -> None:
        part = self._growing.part
        young = slots >= part.slots[0] if len(part) else np.zeros(len(slots), dtype=np.bool_)
        if young.any():
            self._growing.part = part.without(part.find(np.sort(slots[young])))
        if not young.all():
            self._sealed = self._sealed.bury(slots[~young])

    def _fresh(self) -> GrowingSegment:
        return GrowingSegment(self.take_id(), self._dim, self._new_columns())

    def _both(self) -> View:
        part = self._growing.part
        return View((*self._sealed.parts, part) if len(part) else self._sealed.parts)

    def _show(self, version: int) -> None:
        self.view = replace(self._both(), version=version)


def _buried(before: Sequence[Part], now: Sequence[Part], part: Part) -> Part:
    for old, new in zip(before, now, strict=True):
        if new.dead > old.dead:
            died = old.positions()
            died = died[~new.alive[died]] if new.alive is not None else died[:0]
            part = part.without(part.find(new.slots[died]))
    return part


def _patch(view: View, patch: Patch) -> None:
    slots = np.array(patch.slots, dtype=np.int64)
    order = np.argsort(slots, kind="stable")
    slots = slots[order]
    for ordinal, positions in view.locate(slots):
        part = view.parts[ordinal]
        spots = order[np.searchsorted(slots, part.slots[positions])]
        for position, spot in zip(positions.tolist(), spots.tolist(), strict=True):
            part.columns.update(position, patch.objects[spot], MODALITIES[patch.codes[spot]])
