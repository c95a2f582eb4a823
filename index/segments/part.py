"""What a search sees of a segment, and of all segments: data that never changes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from embedders.vectors import FloatRows
from index.columns.table import Columns
from index.recipes.base import SegmentIndex
from index.segments.durable import FileEntry
from index.segments.ids import IdList, PackedIds
from index.segments.manifest import SegmentEntry
from index.types import MeasuredEffort, SegmentInfo, SegmentState

Slots = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Part:
    """A segment at one moment; position i of each column speaks of the same row.

    Args:
        rows: float32 (n, d), in memory or memory-mapped.
        slots: int64 (n,), ascending.
        codes: uint8 (n,), modalities.
        alive: bool (n,), None where no row is dead.
        entry: the segment's files, None while it has none.
        index: None where it is searched exactly.
    """

    id: int
    state: SegmentState
    rows: FloatRows
    slots: Slots
    codes: NDArray[np.uint8]
    ids: PackedIds | IdList
    columns: Columns
    alive: NDArray[np.bool_] | None = None
    dead: int = 0
    entry: SegmentEntry | None = None
    index: SegmentIndex | None = None

    def __len__(self) -> int:
        return len(self.slots)

    @property
    def live(self) -> int:
        """Rows that are not dead."""
        return len(self.slots) - self.dead

    @property
    def memory_bytes(self) -> int:
        """Memory, estimated; rows count where they are not memory-mapped."""
        rows = 0 if self.entry else self.rows.nbytes
        index = self.index.memory_bytes if self.index else 0
        keys = self.slots.nbytes + self.codes.nbytes + self.ids.nbytes
        marks = 0 if self.alive is None else self.alive.nbytes
        return int(rows + index + keys + marks + self.columns.memory_bytes)

    @property
    def recipe(self) -> str:
        """Name of the recipe its index was built with."""
        return self.entry.recipe if self.entry and self.index else "exact"

    @property
    def effort(self) -> MeasuredEffort | None:
        """The least effort of searches that name none."""
        return self.entry.effort if self.entry and self.index else None

    @property
    def info(self) -> SegmentInfo:
        """For users."""
        return SegmentInfo(self.id, self.state, len(self), self.dead, self.recipe, self.effort)

    def positions(self) -> NDArray[np.intp]:
        """Positions of live rows, ascending."""
        return np.arange(len(self)) if self.alive is None else np.flatnonzero(self.alive)

    def find(self, slots: Slots) -> NDArray[np.intp]:
        """Positions of live rows with these slots, ascending as the slots are."""
        spots: NDArray[np.intp] = np.searchsorted(self.slots, slots)
        inside = spots < len(self)
        spots, slots = spots[inside], slots[inside]
        spots = spots[self.slots[spots] == slots]
        if self.alive is not None:
            spots = spots[self.alive[spots]]
        return spots

    def with_files(self, files: Mapping[str, FileEntry]) -> "Part":
        """The same with other files for these roles."""
        assert self.entry is not None
        return replace(self, entry=replace(self.entry, files={**self.entry.files, **files}))

    def without(self, positions: NDArray[np.intp]) -> "Part":
        """The same with these live rows dead."""
        if not len(positions):
            return self
        alive = np.ones(len(self), dtype=np.bool_) if self.alive is None else self.alive.copy()
        alive[positions] = False
        return replace(self, alive=alive, dead=self.dead + len(positions))


@dataclass(frozen=True, slots=True)
class View:
    """All segments at one moment, none empty, their slots ascending from one to the next."""

    parts: tuple[Part, ...] = ()
    version: int = 0

    @property
    def live(self) -> int:
        """Live points."""
        return sum(part.live for part in self.parts)

    def locate(self, slots: Slots) -> list[tuple[int, NDArray[np.intp]]]:
        """(ordinal of the part, positions of live rows in it) of slots int64 (n,), ascending."""
        starts = np.array([part.slots[0] for part in self.parts], dtype=np.int64)
        edges = [*np.searchsorted(slots, starts).tolist(), len(slots)]
        found = []
        for ordinal, part in enumerate(self.parts):
            if edges[ordinal] < edges[ordinal + 1]:
                found.append((ordinal, part.find(slots[edges[ordinal] : edges[ordinal + 1]])))
        return found

    def bury(self, slots: Slots) -> "View":
        """The same with these slots dead."""
        parts = list(self.parts)
        for ordinal, positions in self.locate(np.sort(slots)):
            parts[ordinal] = parts[ordinal].without(positions)
        return View(tuple(parts), self.version)

    def replaced(self, gone: Sequence[int], part: Part | None) -> "View":
        """The same with a part in the place of those with ids `gone`."""
        kept = [other for other in self.parts if other.id not in gone]
        if part is not None and len(part):
            kept.append(part)
        kept.sort(key=lambda other: int(other.slots[0]))
        return View(tuple(kept), self.version)
