"""An open collection: opening and closing it, and what needs all its parts at once."""

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from index.declaring import declare_fields, store_spec
from index.errors import CollectionNotFoundError, StorageError
from index.loading import open_core
from index.options import EngineOptions
from index.recipes import concrete, recipe
from index.segments.part import View
from index.store.operations import WriteOperation
from index.store.reader import StoreReader
from index.store.schema import storage_errors
from index.store.spec_json import check_index_parameters, check_search_parameters
from index.types import (
    CollectionInfo,
    CollectionSpec,
    CollectionState,
    FieldType,
    IndexParameters,
    SearchParameters,
    WriteResult,
)
from index.untyped import faiss
from index.upkeep.maintenance import Maintenance

_DISK_SECONDS = 1.0
# most that a drop waits for reads in progress
_DRAIN_SECONDS = 60.0


class CollectionRuntime:
    """Everything of one collection; safe in many threads."""

    def __init__(
        self, name: str, folder: Path, options: EngineOptions, builds: threading.Lock
    ) -> None:
        self.core = open_core(name, folder, options)
        self._last_search_ns = -(1 << 62)
        self._threads = threading.local()
        self._disk: tuple[float, int] = (0.0, 0)
        self.dropped = False
        self._created_ns = int(self.core.reader.meta("created_ns"))
        self.maintenance = Maintenance(self.core, builds, lambda: self._last_search_ns)
        self.core.wake = self.maintenance.wake
        self.maintenance.wake()

    @property
    def spec(self) -> CollectionSpec:
        """What users decided."""
        return self.core.spec

    @property
    def view(self) -> View:
        """All segments as searches see them now."""
        return self.core.live.view

    @property
    def reader(self) -> StoreReader:
        """The store, for reading."""
        return self.core.reader

    def write(self, operation: WriteOperation) -> WriteResult:
        """Blocks until the write is durable."""
        return self.core.writer.write(operation)

    def begin_search(self) -> None:
        """Notes that there are searches, and limits FAISS in this thread to its cores."""
        self._last_search_ns = time.monotonic_ns()
        threads = self.core.options.search_threads
        if getattr(self._threads, "limit", 0) != threads:
            faiss.omp_set_num_threads(threads)
            self._threads.limit = threads

    def info(self) -> CollectionInfo:
        """The collection as it is now."""
        core, view = self.core, self.view
        fault = f"writes fail: {core.writer.fault}" if core.writer.fault else ""
        reason = "; ".join(filter(None, [*sorted(set(core.damaged.values())), core.trouble, fault]))
        return CollectionInfo(
            name=core.name,
            spec=core.spec,
            recipe=concrete(core.spec.recipe, view.live, core.spec.dim, core.options.memory_bytes),
            points=view.live,
            version=view.version,
            state=CollectionState.DEGRADED if reason else CollectionState.READY,
            state_reason=reason or core.note,
            segments=tuple(part.info for part in view.parts),
            disk_bytes=self._disk_bytes(),
            memory_bytes=core.live.memory_bytes,
            created_ns=self._created_ns,
            write_fault=core.writer.fault,
            failed_writes=core.writer.failed_writes,
        )

    def update(
        self,
        add_fields: Mapping[str, FieldType] | None,
        recipe_name: str | None,
        index: IndexParameters | None,
        search: SearchParameters | None,
    ) -> None:
        """See `Collection.update`."""
        if recipe_name is not None:
            recipe(recipe_name)
        if index is not None:
            check_index_parameters(index)
        if search is not None:
            check_search_parameters(search)
        if add_fields:
            with storage_errors(f"declaring fields of collection {self.core.name!r}"):
                declare_fields(self.core, add_fields)
        if search is not None:
            with self.core.structure:
                store_spec(self.core, replace(self.spec, search=search))
        if recipe_name is not None or index is not None:
            self.maintenance.recipe_change.ask(
                recipe_name or self.spec.recipe, index or self.spec.index
            )
        self.maintenance.wake()

    def close(self) -> None:
        """Ends background work, answers writes that wait, closes files."""
        self.maintenance.close()
        self.core.writer.close()
        # reads in progress have the files until they end, if they are to be removed
        self.core.reader.close(_DRAIN_SECONDS if self.dropped else 0.0)

    @contextmanager
    def serving(self) -> Iterator[None]:
        """Around each call: of a collection that is dropped meanwhile there is none any more.

        Raises:
            CollectionNotFoundError
        """
        try:
            yield
        except StorageError as error:
            if self.dropped:
                raise CollectionNotFoundError(self.core.name) from error
            raise

    def _disk_bytes(self) -> int:
        # `info` is read often, folders are not
        measured, found = self._disk
        if time.monotonic() - measured > _DISK_SECONDS or not found:
            try:
                found = sum(_size(path) for path in self.core.folder.rglob("*"))
            except FileNotFoundError:
                # dropped while it was being measured
                found = 0
            self._disk = (time.monotonic(), found)
        return found


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        # background work replaces files at any time
        return 0
