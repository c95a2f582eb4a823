"""The FAISS engine: the collections of one data folder, in this process."""

import logging
import shutil
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path

from index.base import Collection, Engine, ProgressCallback
from index.collection import FaissCollection
from index.errors import CollectionExistsError, CollectionNotFoundError, StorageError
from index.lockfile import FolderLock
from index.names import check_name
from index.options import EngineOptions
from index.recipes import TABLE, recipe
from index.runtime import CollectionRuntime
from index.segments.durable import sync
from index.snapshot import read_snapshot, write_snapshot
from index.snapshot_check import check_restored
from index.store.schema import STORE_FILE, create_store, storage_errors
from index.store.spec_json import check_spec
from index.types import CollectionInfo, CollectionSpec

log = logging.getLogger(__name__)

COLLECTIONS_FOLDER = "collections"
# begins like no name, so that half-made and half-deleted folders are never taken for collections
_UNFINISHED = "."
# less is as good as nothing: the smallest write takes pages of the log and of the file
_LEAST_FREE_BYTES = 1 << 20


class FaissEngine(Engine):
    """Opens all collections of a folder; one process at a time.

    Args:
        data_dir: made if there is none.
        threads: cores for searches and builds together; 0 means all.
        options: sizes and limits; `threads` takes the place of theirs.

    Raises:
        LockedError: another process serves the folder.
        StorageError: the folder cannot be written.
    """

    capabilities = frozenset(
        {"filter", "payload", "snapshot", "update_recipe", *(f"recipe:{name}" for name in TABLE)}
    )

    def __init__(
        self, data_dir: Path, *, threads: int = 0, options: EngineOptions | None = None
    ) -> None:
        self._options = (options or EngineOptions()).with_threads(threads)
        self._lock = threading.RLock()
        self._builds = threading.Lock()
        self._open: dict[str, FaissCollection] = {}
        self._failed: dict[str, StorageError] = {}
        # names that are taken until their folders have gone
        self._doomed: set[str] = set()
        self._folder = data_dir / COLLECTIONS_FOLDER
        with storage_errors(f"data folder {data_dir}"):
            self._folder.mkdir(parents=True, exist_ok=True)
        self._folder_lock = FolderLock(data_dir)
        for path in sorted(self._folder.iterdir()):
            self._open_found(path)

    def create(self, name: str, spec: CollectionSpec) -> Collection:
        """See `Engine.create`."""
        check_name(name)
        check_spec(spec)
        recipe(spec.recipe)
        return self._make(
            name, lambda folder: create_store(folder / STORE_FILE, spec, time.time_ns())
        )

    def get(self, name: str) -> Collection:
        """See `Engine.get`.

        Raises:
            StorageError: it could not be opened when the engine was.
        """
        return self._get(name)

    def _get(self, name: str) -> FaissCollection:
        with self._lock:
            if name in self._failed:
                raise self._failed[name]
            if name not in self._open:
                raise CollectionNotFoundError(name)
            return self._open[name]

    def names(self) -> list[str]:
        """See `Engine.names`."""
        with self._lock:
            return sorted([*self._open, *self._failed])

    def write_faults(self) -> Mapping[str, str]:
        """See `Engine.write_faults`."""
        with self._lock:
            writers = {name: made.runtime.core.writer for name, made in self._open.items()}
        faults = {name: writer.fault for name, writer in writers.items() if writer.fault}
        free = shutil.disk_usage(self._folder).free
        if free < _LEAST_FREE_BYTES:
            faults[""] = f"{self._folder.parent} has {free} bytes of disk left"
        return faults

    def drop(self, name: str) -> None:
        """See `Engine.drop`."""
        with self._lock:
            if name not in self._open and name not in self._failed:
                raise CollectionNotFoundError(name)
            self._doomed.add(name)
            failed = self._failed.pop(name, None)
            collection = self._open.pop(name, None)
            if collection is not None:
                collection.runtime.dropped = True
        doomed = self._folder / f"{_UNFINISHED}{uuid.uuid4().hex}"
        try:
            # files may be opened by their paths until all reads have ended
            if collection is not None:
                collection.close()
            with storage_errors(f"deleting collection {name!r}"):
                (self._folder / name).rename(doomed)
                sync(self._folder)
        except StorageError as error:
            self._failed[name] = failed or error
            raise
        finally:
            with self._lock:
                self._doomed.discard(name)
        shutil.rmtree(doomed, ignore_errors=True)

    def snapshot(
        self, name: str, target: Path, progress: ProgressCallback | None = None
    ) -> CollectionInfo:
        """See `Engine.snapshot`."""
        runtime = self._get(name).runtime
        with runtime.serving():
            return write_snapshot(runtime, target, progress)

    def restore(
        self, source: Path, name: str, progress: ProgressCallback | None = None
    ) -> Collection:
        """See `Engine.restore`."""
        check_name(name)

        def fill(folder: Path) -> None:
            read_snapshot(source, folder, progress)
            check_restored(name, folder, self._options)

        return self._make(name, fill)

    def close(self) -> None:
        """See `Engine.close`."""
        with self._lock:
            collections, self._open = list(self._open.values()), {}
        for collection in collections:
            collection.close()
        self._folder_lock.release()

    def _make(self, name: str, fill: Callable[[Path], None]) -> Collection:
        """A collection whose folder appears whole or not at all."""
        self._check_free(name)
        unfinished = self._folder / f"{_UNFINISHED}{uuid.uuid4().hex}"
        try:
            with storage_errors(f"creating collection {name!r}"):
                unfinished.mkdir()
                fill(unfinished)
                sync(unfinished)
                with self._lock:
                    self._check_free(name)
                    unfinished.rename(self._folder / name)
                    sync(self._folder)
                    return self._opened(name)
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)

    def _check_free(self, name: str) -> None:
        if name in self._open or name in self._failed or name in self._doomed:
            raise CollectionExistsError(name)

    def _open_found(self, path: Path) -> None:
        if path.name.startswith(_UNFINISHED):
            shutil.rmtree(path, ignore_errors=True)
            return
        try:
            self._opened(path.name)
        except StorageError as error:
            # one damaged collection must not keep the others from being served
            failed = StorageError(f"collection {path.name!r} cannot be opened: {error}")
            log.error("%s", failed)
            self._failed[path.name] = failed

    def _opened(self, name: str) -> FaissCollection:
        runtime = CollectionRuntime(name, self._folder / name, self._options, self._builds)
        self._open[name] = FaissCollection(runtime)
        return self._open[name]
