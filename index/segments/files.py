"""Making the files of sealed segments, and opening them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from embedders.vectors import FloatRows
from index.columns.table import Columns
from index.errors import StorageError
from index.names import MODALITIES
from index.segments.durable import FileEntry, write_file
from index.segments.ids import PackedIds
from index.segments.manifest import SegmentEntry
from index.segments.part import Part
from index.segments.rowfile import Keys, map_rows, read_keys, write_keys, write_rows
from index.store.reader import StoreReader
from index.types import FieldType, SegmentState

_BLOCK_ROWS = 8192


class SegmentFiles:
    """The segment folder of a collection. Files are never changed, only made and removed."""

    def __init__(self, folder: Path, reader: StoreReader, dim: int) -> None:
        self.folder, self._reader, self._dim = folder, reader, dim

    def make(
        self, number: int, parts: Sequence[Part], fields: Mapping[str, FieldType]
    ) -> Part | None:
        """A segment of the live rows of neighbouring parts; None if there are none.

        Raises:
            OSError, StorageError: nothing is left behind.
        """
        keys = _joined_keys(parts)
        if not len(keys.slots):
            return None
        first, last = span(parts)
        return self._write(number, first, last, keys, _live_rows(parts), fields)

    def remake(
        self, number: int, lost: SegmentEntry, fields: Mapping[str, FieldType]
    ) -> Part | None:
        """A segment read from the store, in the place of one whose files are damaged."""
        # keys are gathered while the rows stream by, since they come from one query
        rows_path = self.folder / f"{number:08d}.rows"
        found: list[Keys] = []

        def rows() -> Iterator[FloatRows]:
            for block in self._reader.blocks(lost.first - 1, lost.last):
                found.append(Keys(block.slots, PackedIds.pack(block.ids), block.codes))
                assert block.rows is not None
                yield block.rows

        written = write_file(rows_path, lambda path: write_rows(path, rows(), self._dim))
        if not found:
            rows_path.unlink()
            return None
        return self._finish(number, lost.first, lost.last, _concatenated(found), written, fields)

    def open_keys(self, entry: SegmentEntry) -> Part:
        """A segment from intact row and key files, without columns or index.

        Raises:
            StorageError
        """
        keys = read_keys(self.folder / entry.files["keys"].name)
        rows = map_rows(self.folder / entry.files["rows"].name)
        if rows.shape != (len(keys.slots), self._dim):
            raise StorageError(f"{rows.shape} rows, {len(keys.slots)} keys")
        return _part(entry, keys, rows, Columns({}))

    def open_columns(self, part: Part, fields: Mapping[str, FieldType]) -> Part:
        """The part with its columns.

        Raises:
            StorageError: of other fields or another number of rows.
        """
        assert part.entry is not None
        columns = Columns.load(self.folder / part.entry.files["columns"].name, fields)
        if columns.rows != len(part):
            raise StorageError(f"{columns.rows} columns, {len(part)} rows")
        return replace(part, columns=columns)

    def with_columns(self, number: int, part: Part, fields: Mapping[str, FieldType]) -> Part:
        """The part with columns made anew from the store, and their file."""
        columns = self.read_columns(part.slots, part.codes, fields)
        written = write_file(self.folder / f"{number:08d}.columns", columns.save)
        assert part.entry is not None
        entry = replace(part.entry, files={**part.entry.files, "columns": written})
        return replace(part, columns=columns, entry=entry)

    def read_columns(
        self, slots: NDArray[np.int64], codes: NDArray[np.uint8], fields: Mapping[str, FieldType]
    ) -> Columns:
        """Columns of rows with these slots (ascending); rows that have gone have no fields."""
        columns = Columns(fields)
        for start in range(0, len(slots), _BLOCK_ROWS):
            part = slots[start : start + _BLOCK_ROWS]
            modalities = [MODALITIES[code] for code in codes[start : start + _BLOCK_ROWS].tolist()]
            columns.append(self.read_objects(part) if fields else [{}] * len(part), modalities)
        return columns

    def read_objects(self, slots: NDArray[np.int64]) -> list[Mapping[str, Any]]:
        """Parsed payloads of slots (ascending); {} for those that have gone."""
        objects: list[Mapping[str, Any]] = [{}] * len(slots)
        if not len(slots):
            return objects
        for block in self._reader.blocks(int(slots[0]) - 1, int(slots[-1]), with_vectors=False):
            places = np.searchsorted(slots, block.slots)
            wanted = slots[np.minimum(places, len(slots) - 1)] == block.slots
            for place, payload, take in zip(
                places.tolist(), block.payloads, wanted.tolist(), strict=True
            ):
                if take and payload != b"{}":
                    objects[place] = orjson.loads(payload)
        return objects

    def remove(self, names: Sequence[str]) -> None:
        """Deletes files that no manifest lists; those who have them open keep them."""
        for name in names:
            (self.folder / name).unlink(missing_ok=True)

    def strays(self, entries: Sequence[SegmentEntry]) -> list[str]:
        """Names of files that these entries do not list."""
        listed = {file.name for entry in entries for file in entry.files.values()}
        return [path.name for path in self.folder.iterdir() if path.name not in listed]

    def _write(
        self,
        number: int,
        first: int,
        last: int,
        keys: Keys,
        rows: Iterator[FloatRows],
        fields: Mapping[str, FieldType],
    ) -> Part:
        path = self.folder / f"{number:08d}.rows"
        written = write_file(path, lambda target: write_rows(target, rows, self._dim))
        return self._finish(number, first, last, keys, written, fields)

    def _finish(
        self,
        number: int,
        first: int,
        last: int,
        keys: Keys,
        rows: FileEntry,
        fields: Mapping[str, FieldType],
    ) -> Part:
        stem = f"{number:08d}"
        try:
            columns = self.read_columns(keys.slots, keys.codes, fields)
            files = {
                "rows": rows,
                "keys": write_file(
                    self.folder / f"{stem}.keys", lambda path: write_keys(path, keys)
                ),
                "columns": write_file(self.folder / f"{stem}.columns", columns.save),
            }
        except BaseException:  # whatever it was, no part of a segment stays behind
            self.remove([rows.name, f"{stem}.keys"])
            raise
        entry = SegmentEntry(number, first, last, len(keys.slots), files)
        return _part(entry, keys, map_rows(self.folder / rows.name), columns)


def span(parts: Sequence[Part]) -> tuple[int, int]:
    """First and last slot that neighbouring parts stand for."""
    first, last = parts[0], parts[-1]
    return (
        first.entry.first if first.entry else int(first.slots[0]),
        last.entry.last if last.entry else int(last.slots[-1]),
    )


def _part(entry: SegmentEntry, keys: Keys, rows: FloatRows, columns: Columns) -> Part:
    state = SegmentState.BUILDING
    return Part(entry.id, state, rows, keys.slots, keys.codes, keys.ids, columns, entry=entry)


def _live_rows(parts: Sequence[Part]) -> Iterator[FloatRows]:
    for part in parts:
        positions = part.positions()
        for start in range(0, len(positions), _BLOCK_ROWS):
            chosen = positions[start : start + _BLOCK_ROWS]
            yield (
                part.rows[chosen]
                if part.alive is not None
                else part.rows[chosen[0] : chosen[-1] + 1]
            )


def _joined_keys(parts: Sequence[Part]) -> Keys:
    live = [(part, part.positions()) for part in parts]
    return Keys(
        np.concatenate([part.slots[positions] for part, positions in live]),
        PackedIds.join([part.ids.take(positions) for part, positions in live]),
        np.concatenate([part.codes[positions] for part, positions in live]),
    )


def _concatenated(keys: Sequence[Keys]) -> Keys:
    return Keys(
        np.concatenate([part.slots for part in keys]),
        PackedIds.join([part.ids for part in keys]),
        np.concatenate([part.codes for part in keys]),
    )
