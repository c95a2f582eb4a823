"""What all parts of an open collection share: store, segments, files, and the manifest."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from index.options import EngineOptions
from index.segments.durable import write_file
from index.segments.files import SegmentFiles
from index.segments.live import LiveSegments
from index.segments.manifest import Manifest, save_manifest
from index.segments.part import Part, View
from index.store.change import Change
from index.store.group_writer import GroupWriter
from index.store.operations import Housekeeping
from index.store.reader import StoreReader
from index.store.writer import StoreWriter
from index.types import CollectionSpec

_LOG_BYTES = 16 << 20
# what a row takes in the log beside its vector, about
_ROW_BYTES = 200


class CollectionCore:
    """Not an interface, but the state that the parts work on.

    Args:
        structure: held while the segment list, the spec or the manifest change; never while an
            index is built, and never by searches or writes.
        wake: tells the background thread that there may be work.
        unfolded_rows: rows written since the store's log was folded.
        manifest_is_old: the manifest on disk is right, but not of the segments as they are.
        damaged: by segment id, why its index is being built again.
        trouble: why background work failed last, "" if it did not.
        note: what a user should know of a change of recipe.
    """

    def __init__(
        self,
        name: str,
        folder: Path,
        options: EngineOptions,
        spec: CollectionSpec,
        reader: StoreReader,
        files: SegmentFiles,
        manifest: Manifest,
        live: LiveSegments,
        store: StoreWriter,
    ) -> None:
        self.name, self.folder, self.options, self.spec = name, folder, options, spec
        self.reader, self.files, self.manifest, self.live = reader, files, manifest, live
        self.writer = GroupWriter(store, self._publish, name, lambda: self.wake())
        self.wake: Callable[[], None] = lambda: None
        self.structure = threading.RLock()
        self.unfolded_rows = 0
        self.manifest_is_old = False
        self.damaged: dict[int, str] = {}
        self.trouble = self.note = ""

    @property
    def view(self) -> View:
        """All segments as searches see them now."""
        return self.live.view

    @property
    def log_is_long(self) -> bool:
        """Whether the store's log should be folded into its file."""
        return self.unfolded_rows * (4 * self.spec.dim + _ROW_BYTES) > _LOG_BYTES

    def sealed(self) -> list[Part]:
        """Segments that have files, oldest first."""
        return [part for part in self.view.parts if part.entry is not None]

    def frozen(self) -> list[Part]:
        """Full segments that wait for their files, oldest first."""
        growing = self.live.growing_id
        return [part for part in self.view.parts if part.entry is None and part.id != growing]

    def install(self, gone: Sequence[Part], part: Part | None, seen_version: int) -> None:
        """Puts a segment in the place of those it was made of, for searches and on disk.

        Raises:
            OSError: the manifest could not be written; the next one will tell.
        """
        with self.structure:
            # a field may have been declared while the segment was made
            if part is not None and part.columns.fields != dict(self.spec.fields):
                part = self.files.with_columns(self.live.take_id(), part, self.spec.fields)
            part = self.live.swap(gone, part)
            self.save_manifest()
        self._forget_marks(gone, part, seen_version)

    def save_manifest(self) -> None:
        """Writes the segments as they are now, then removes files that are listed no more.

        Raises:
            OSError
        """
        with self.structure:
            before = self.manifest
            segments = tuple(part.entry for part in self.sealed() if part.entry is not None)
            fresh = replace(
                before,
                sequence=before.sequence + 1,
                sealed_slot=max((entry.last for entry in segments), default=0),
                next_segment=self.live.take_id(),
                segments=segments,
            )
            # until it is on disk, the files of the one before must stay
            self.manifest_is_old = True
            save_manifest(self.folder, fresh)
            self.manifest, self.manifest_is_old = fresh, False
            kept = {file.name for entry in segments for file in entry.files.values()}
            listed = [file.name for entry in before.segments for file in entry.files.values()]
            self.files.remove([name for name in listed if name not in kept])

    def save_columns(self) -> None:
        """Writes the columns of all sealed segments anew.

        Raises:
            OSError
        """
        with self.structure:
            for part in self.sealed():
                path = self.files.folder / f"{self.live.take_id():08d}.columns"
                written = {"columns": write_file(path, part.columns.save)}
                self.live.amend(part.id, partial(Part.with_files, files=written))
            self.save_manifest()

    def run_in_store(self, operation: Housekeeping) -> None:
        """Lets the writer do something between the writes of users."""
        self.writer.write(operation)

    def _publish(self, changes: Sequence[Change], version: int) -> None:
        self.live.publish(changes, version)
        self.unfolded_rows += sum(len(change.slots) for change in changes)
        full = self.options.is_full(self.live.growing_rows, self.spec.dim)
        if full:
            self.live.freeze()
        if full or self.log_is_long or any(len(change.dead) for change in changes):
            self.wake()

    def _forget_marks(self, gone: Sequence[Part], part: Part | None, seen_version: int) -> None:
        if not gone:
            return
        first = min(int(other.slots[0]) for other in gone)
        last = max(int(other.slots[-1]) for other in gone)
        dead = self.reader.dead(first, last)
        if part is not None:
            dead = dead[~np.isin(dead, part.slots)]
        self.run_in_store(
            Housekeeping(lambda store: store.forget(dead.tolist(), first, last, seen_version))
        )
