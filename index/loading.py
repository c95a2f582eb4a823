"""Opening a collection's folder: the store, the segments, and the rows no segment has yet."""

import logging
import shutil
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import orjson

from index.columns.table import Columns
from index.core import CollectionCore
from index.errors import StorageError
from index.options import EngineOptions
from index.segments.files import SegmentFiles
from index.segments.live import LiveSegments
from index.segments.manifest import MANIFEST_FILE, Manifest, load_manifest
from index.segments.opening import Opening
from index.segments.part import View
from index.store.accept import Accepted
from index.store.change import Change
from index.store.reader import StoreReader
from index.store.schema import STORE_FILE, storage_errors
from index.store.writer import StoreWriter

log = logging.getLogger(__name__)

SEGMENTS_FOLDER = "segments"
UNFINISHED_SNAPSHOT = ".snapshot-"


def open_core(name: str, folder: Path, options: EngineOptions) -> CollectionCore:
    """An open collection without its background thread.

    Raises:
        StorageError
    """
    with storage_errors(f"opening collection {name!r}"), ExitStack() as stack:
        _clear(folder)
        try:
            store = StoreWriter(folder / STORE_FILE)
            stack.callback(store.close)
            reader = StoreReader(folder / STORE_FILE)
            stack.callback(reader.close)
            files = SegmentFiles(folder / SEGMENTS_FOLDER, reader, reader.spec.dim)
            core = _load(name, folder, options, store, reader, files)
        except (ValueError, LookupError, TypeError) as error:
            # SQLite has no checksums: a damaged page may show as a value that cannot be
            raise StorageError(f"collection {name!r}: the store is damaged: {error}") from error
        stack.pop_all()
        return core


def _clear(folder: Path) -> None:
    (folder / SEGMENTS_FOLDER).mkdir(exist_ok=True)
    for left in folder.glob(f"{UNFINISHED_SNAPSHOT}*"):
        shutil.rmtree(left)


def _load(
    name: str,
    folder: Path,
    options: EngineOptions,
    store: StoreWriter,
    reader: StoreReader,
    files: SegmentFiles,
) -> CollectionCore:
    uuid = str(reader.meta("uuid"))
    manifest = load_manifest(folder, uuid)
    lost = manifest is None and (folder / MANIFEST_FILE).exists()
    manifest = manifest or Manifest(store=uuid)
    opening, live = _segments(files, reader, manifest, store.version, options)
    reason = "the manifest is damaged" if lost else ""
    if live.view.live != reader.count():
        reason = f"segments hold {live.view.live} points, the store {reader.count()}"
        nothing = replace(manifest, segments=())
        opening, live = _segments(files, reader, nothing, store.version, options)
    core = CollectionCore(name, folder, options, reader.spec, reader, files, manifest, live, store)
    core.damaged.update(opening.damaged)
    if reason:
        log.warning("collection %s: %s; all segments are made again", name, reason)
        core.damaged.update({part.id: reason for part in core.frozen()})
    core.manifest_is_old = opening.changed or bool(reason)
    entries = [part.entry for part in core.sealed() if part.entry is not None]
    files.remove(files.strays([*manifest.segments, *entries]))
    return core


def _segments(
    files: SegmentFiles,
    reader: StoreReader,
    manifest: Manifest,
    version: int,
    options: EngineOptions,
) -> tuple[Opening, LiveSegments]:
    fields = reader.spec.fields
    opening = Opening(files, manifest, reader.spec)
    opening.bring_up_to_date(reader)
    view = View(tuple(opening.parts), version)
    live = LiveSegments(reader.spec.dim, view, opening.next_segment, lambda: Columns(fields))
    for block in reader.blocks(opening.sealed_slot):
        assert block.rows is not None
        objects = [orjson.loads(payload) if fields else {} for payload in block.payloads]
        points = Accepted(block.ids, block.codes.tolist(), block.payloads, objects, block.rows)
        live.publish([Change(slots=block.slots, added=points)], version)
        if options.is_full(live.growing_rows, reader.spec.dim):
            live.freeze()
    return opening, live
