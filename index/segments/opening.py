"""From the files of a collection to its segments, mending what is damaged from the store."""

import logging
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np

from index.errors import RecipeError, StorageError
from index.names import MODALITIES
from index.segments.durable import is_intact
from index.segments.files import SegmentFiles
from index.segments.indexing import load_index
from index.segments.manifest import Manifest, SegmentEntry
from index.segments.part import Part, Slots, View
from index.store.reader import StoreReader
from index.types import CollectionSpec

log = logging.getLogger(__name__)


class Opening:
    """Maps and loads the segments that a manifest lists. Every file is compared with its
    checksum first, so that damage is found before an answer depends on it.

    A damaged index is left out, to be built again; other damage is mended from the store.

    Args:
        damaged: by segment id, why its index has to be built again.
        changed: the manifest does not describe `parts` any more.
    """

    def __init__(self, files: SegmentFiles, manifest: Manifest, spec: CollectionSpec) -> None:
        self._files, self._spec = files, spec
        self.parts: list[Part] = []
        self.damaged: dict[int, str] = {}
        self.changed = False
        self.next_segment = manifest.next_segment
        intact = _check_all(files, manifest.segments)
        for entry in manifest.segments:
            self._open(entry, [role for role, file in entry.files.items() if not intact[file.name]])

    @property
    def sealed_slot(self) -> int:
        """Every live slot up to it is in one of the parts."""
        return max((part.entry.last for part in self.parts if part.entry), default=0)

    def bring_up_to_date(self, reader: StoreReader) -> None:
        """Applies deletions and changed payloads that the segment files do not know."""
        dead, touched = reader.marks()
        if not self.parts:
            return
        view = View(tuple(self.parts)).bury(dead)
        self.parts = list(view.parts)
        replay_payloads(self._files, view, touched)

    def _open(self, entry: SegmentEntry, lost: Sequence[str]) -> None:
        try:
            if {"rows", "keys"} & set(lost):
                raise StorageError(f"{' and '.join(lost)} damaged or missing")
            part: Part | None = self._with_index(self._mapped(entry, lost), lost)
        except StorageError as error:
            part = self._remade(entry, str(error))
        if part is not None:
            self.parts.append(part)

    def _mapped(self, entry: SegmentEntry, lost: Sequence[str]) -> Part:
        part = self._files.open_keys(entry)
        try:
            if "columns" in lost:
                raise StorageError("columns damaged or missing")
            return self._files.open_columns(part, self._spec.fields)
        except StorageError as error:
            log.warning("segment %d: %s; read again from the store", entry.id, error)
            self.changed = True
            return self._files.with_columns(self._number(), part, self._spec.fields)

    def _with_index(self, part: Part, lost: Sequence[str]) -> Part:
        assert part.entry is not None
        if "index" not in part.entry.files:
            return part
        try:
            if "index" in lost:
                raise RecipeError("index damaged or missing")
            return load_index(self._files.folder, part, self._spec)
        except RecipeError as error:
            log.warning("segment %d: %s; it will be built again", part.id, error)
            self.changed = True
            self.damaged[part.id] = f"segment {part.id}: {error}"
        kept = {role: file for role, file in part.entry.files.items() if role != "index"}
        return replace(part, entry=replace(part.entry, files=kept, recipe="exact", effort=None))

    def _remade(self, entry: SegmentEntry, reason: str) -> Part | None:
        log.warning("segment %d: %s; read again from the store", entry.id, reason)
        self.changed = True
        part = self._files.remake(self._number(), entry, self._spec.fields)
        if part is not None and entry.recipe != "exact":
            self.damaged[part.id] = f"segment {entry.id}: {reason}"
        return part

    def _number(self) -> int:
        self.next_segment += 1
        return self.next_segment - 1


def replay_payloads(files: SegmentFiles, view: View, touched: Slots) -> None:
    """Writes the stored payloads of these slots (ascending) into the columns."""
    objects = files.read_objects(touched)
    for ordinal, positions in view.locate(touched):
        part = view.parts[ordinal]
        places = np.searchsorted(touched, part.slots[positions])
        for position, place in zip(positions.tolist(), places.tolist(), strict=True):
            part.columns.update(position, objects[place], MODALITIES[part.codes[position]])


def _check_all(files: SegmentFiles, entries: Sequence[SegmentEntry]) -> Mapping[str, bool]:
    listed = [file for entry in entries for file in entry.files.values()]
    with ThreadPoolExecutor(2) as pool:
        intact = pool.map(lambda file: is_intact(files.folder, file), listed)
        return {file.name: whole for file, whole in zip(listed, intact, strict=True)}
