"""Snapshots of collections: archives in a folder of the data folder, each with a card beside it."""

import json
import re
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from index.base import Engine
from index.segments.durable import replace_file
from index.store.schema import storage_errors
from services.runtime.collections import NAME
from services.runtime.errors import RequestError, SnapshotNotFoundError
from services.runtime.operations import Report
from services.runtime.records import RecordReader

ARCHIVE, CARD = ".tar", ".json"


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A snapshot; `created_ns` is Unix time, `bytes` the size of the archive."""

    name: str
    collection: str
    points: int
    bytes: int
    created_ns: int
    version: int


class Snapshots:
    """All snapshots of a server.

    Args:
        folder: where archives are; made when the first is written.
    """

    def __init__(self, engine: Engine, folder: Path) -> None:
        self._engine, self._folder = engine, folder
        self._cards = RecordReader(Snapshot)
        # left by a process that was killed while it wrote
        for path in folder.glob("*.new"):
            path.unlink()

    def name_for(self, collection: str, wanted: str) -> str:
        """The name of a new snapshot.

        Raises:
            RequestError: not a name, or taken.
        """
        name = wanted or f"{collection[:96]}-{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}"
        if not NAME.fullmatch(name):
            raise RequestError("snapshot", f"{name[:40]!r} is not a name for a snapshot")
        if self._card(name).exists() or self.archive(name).exists():
            raise RequestError("snapshot", f"there is a snapshot {name!r} already")
        return name

    def create(self, collection: str, name: str, report: Report) -> Mapping[str, Any]:
        """Writes the archive, then its card: a snapshot is listed when it is whole.

        Raises:
            StorageError: nothing is left behind.
        """
        archive = self.archive(name)
        with storage_errors(f"writing snapshot {name!r}"):
            self._folder.mkdir(parents=True, exist_ok=True)
            info = self._engine.snapshot(collection, archive, report)
            size = archive.stat().st_size
            made = Snapshot(name, info.name, info.points, size, time.time_ns(), info.version)
            try:
                replace_file(self._card(name), json.dumps(asdict(made)).encode())
            except OSError:
                archive.unlink()
                raise
        return {"snapshot": name, "bytes": size, "points": info.points}

    def restore(self, name: str, collection: str, report: Report) -> Mapping[str, Any]:
        """A new collection from an archive.

        Raises:
            SnapshotError, CollectionExistsError
        """
        restored = self._engine.restore(self.archive(name), collection, report)
        return {"collection": collection, "points": restored.info.points}

    def delete(self, name: str) -> int:
        """Deletes a snapshot: first its card, so that none is listed whole without its archive.

        Returns:
            Size of the archive, in bytes.

        Raises:
            SnapshotNotFoundError, StorageError
        """
        self.check(name)
        archive = self.archive(name)
        with storage_errors(f"deleting snapshot {name!r}"):
            size = archive.stat().st_size
            self._card(name).unlink(missing_ok=True)
            archive.unlink()
        return size

    def all(self, collection: str = "") -> list[Snapshot]:
        """Snapshots, newest first; an archive without a card has no collection yet."""
        cards = (
            self._cards.read(path.read_bytes(), f"card {path.name}")
            for path in self._folder.glob(f"*{CARD}")
        )
        found = [card for card in cards if card is not None]
        known = {snapshot.name for snapshot in found}
        for path in self._folder.glob(f"*{ARCHIVE}"):
            if path.stem not in known:
                stat = path.stat()
                found.append(Snapshot(path.stem, "", 0, stat.st_size, stat.st_mtime_ns, 0))
        wanted = [s for s in found if collection in ("", s.collection)]
        return sorted(wanted, key=lambda s: s.created_ns, reverse=True)

    def check(self, name: str) -> None:
        """Refuses names of no snapshot.

        Raises:
            SnapshotNotFoundError
        """
        if not re.fullmatch(NAME, name) or not self.archive(name).is_file():
            raise SnapshotNotFoundError(
                name, [path.stem for path in self._folder.glob(f"*{ARCHIVE}")]
            )

    def archive(self, name: str) -> Path:
        """Path of the archive."""
        return self._folder / f"{name}{ARCHIVE}"

    def _card(self, name: str) -> Path:
        return self._folder / f"{name}{CARD}"
