"""Opening a collection's folder: the store, the segments, and the rows no segment has yet."""

import logging
from pathlib import Path

import orjson

from index.accept import Accepted
from index.change import Change
from index.columns import Columns
from index.core import CollectionCore
from index.live import LiveSegments
from index.manifest import MANIFEST_FILE, Manifest, load_manifest
from index.opening import Opening
from index.options import EngineOptions
from index.part import View
from index.segment_files import SegmentFiles
from index.store_reader import StoreReader
from index.store_schema import STORE_FILE, storage_errors
from index.store_writer import StoreWriter

log = logging.getLogger(__name__)

SEGMENTS_FOLDER = "segments"


def open_core(name: str, folder: Path, options: EngineOptions) -> CollectionCore:
    """An open collection without its background thread.

    Raises:
        StorageError
    """
    with storage_errors(f"opening collection {name!r}"):
        (folder / SEGMENTS_FOLDER).mkdir(exist_ok=True)
        store = StoreWriter(folder / STORE_FILE)
        reader = StoreReader(folder / STORE_FILE)
        files = SegmentFiles(folder / SEGMENTS_FOLDER, reader, reader.spec.dim)
        uuid = str(reader.meta("uuid"))
        manifest = load_manifest(folder, uuid)
        had_one = (folder / MANIFEST_FILE).exists()
        opening, live = _segments(files, reader, manifest, store.version, options)
        reason = "" if manifest or not had_one else "the manifest is damaged"
        if live.view.live != reader.count():
            reason = f"segments hold {live.view.live} points, the store {reader.count()}"
            opening, live = _segments(files, reader, None, store.version, options)
        core = CollectionCore(
            name, folder, options, reader.spec, reader, files,
            manifest or Manifest(store=uuid), live, store,
        )  # fmt: skip
        core.damaged.update(opening.damaged)
        if reason:
            log.warning("collection %s: %s; all segments are made again", name, reason)
            core.damaged.update({part.id: reason for part in core.frozen()})
        if opening.changed or reason:
            core.save_manifest()
        files.remove(files.strays(core.manifest.segments))
        return core


def _segments(
    files: SegmentFiles,
    reader: StoreReader,
    manifest: Manifest | None,
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
        if live.growing_rows >= options.seal_rows:
            live.freeze()
    return opening, live
