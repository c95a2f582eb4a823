"""Snapshots: a collection in one tar archive.

The first member is `snapshot.json`: format version, what was saved, and size and CRC-32 of every
other member. Then comes the store, as of one moment, and the segment files that belong to it, so
that a restored collection need not build its indexes again.
"""

import io
import os
import shutil
import sqlite3
import tarfile
import tempfile
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson

from index.base import ProgressCallback
from index.core import CollectionCore
from index.errors import SnapshotError
from index.loading import SEGMENTS_FOLDER, UNFINISHED_SNAPSHOT
from index.runtime import CollectionRuntime
from index.segments.durable import FileEntry, checksum, is_intact, sync
from index.segments.manifest import MANIFEST_FILE
from index.store.reader import read_meta
from index.store.schema import STORE_FILE, storage_errors
from index.types import CollectionInfo

SNAPSHOT_FORMAT = 1
_KIND = "latentspace collection"
_HEAD = "snapshot.json"
_MAX_HEAD_BYTES = 16 << 20
# pages copied between two looks at whether the collection is still there
_BACKUP_PAGES = 4096


def write_snapshot(
    runtime: CollectionRuntime, target: Path, progress: ProgressCallback | None
) -> CollectionInfo:
    """Writes an archive; it appears under its name when it is whole and on disk.

    Raises:
        StorageError
    """
    report = progress or (lambda stage, done, total: None)
    with (
        storage_errors(f"writing snapshot {target}"),
        tempfile.TemporaryDirectory(dir=runtime.core.folder, prefix=UNFINISHED_SNAPSHOT) as name,
    ):
        folder = Path(name)
        report("copy", 0, 1)
        info = _collect(runtime, folder)
        members = sorted(path for path in folder.rglob("*") if path.is_file())
        unfinished = target.with_name(f"{target.name}.new")
        try:
            _pack(unfinished, folder, members, info, report)
            sync(unfinished)
            unfinished.rename(target)
            sync(target.parent)
        finally:
            unfinished.unlink(missing_ok=True)
    return info


def read_snapshot(source: Path, folder: Path, progress: ProgressCallback | None) -> None:
    """Unpacks an archive into an empty folder.

    Raises:
        SnapshotError: damaged, or of another format version.
    """
    report = progress or (lambda stage, done, total: None)
    try:
        with tarfile.open(source, "r:") as archive:
            entries = _read_head(archive, source)
            for done, member in enumerate(archive):
                if member.name == _HEAD:
                    continue
                report("restore", done, len(entries) + 1)
                _unpack(archive, member, entries, folder)
    except (tarfile.TarError, EOFError) as error:
        raise SnapshotError(f"{source} is damaged, or no snapshot: {error}") from error
    except OSError as error:
        raise SnapshotError(f"{source} cannot be read: {error}") from error
    for name in entries:
        if not (folder / name).is_file():
            raise SnapshotError(f"{source} is damaged: {name} is missing")


def _collect(runtime: CollectionRuntime, folder: Path) -> CollectionInfo:
    """Fills a folder with the store of one moment and links to the segment files of that moment."""
    core = runtime.core
    (folder / SEGMENTS_FOLDER).mkdir()
    copy = sqlite3.connect(folder / STORE_FILE)
    try:
        with ExitStack() as stack:
            # the manifest cannot change before the read transaction has begun
            with core.structure:
                connection = stack.enter_context(core.reader.snapshot())
                version = int(read_meta(connection, "version"))
                _link_segments(core, folder)
                info = runtime.info()
            # inside the transaction it copies that moment, whatever is written meanwhile
            connection.backup(
                copy, pages=_BACKUP_PAGES, progress=lambda *_: core.reader.check_open(), sleep=0
            )
        (points,) = copy.execute("SELECT count(*) FROM points").fetchone()
        return replace(info, points=points, version=version)
    finally:
        copy.close()


def _link_segments(core: CollectionCore, folder: Path) -> None:
    for entry in core.manifest.segments:
        for file in entry.files.values():
            name = f"{SEGMENTS_FOLDER}/{file.name}"
            os.link(core.folder / name, folder / name)
    if core.manifest.segments:
        shutil.copyfile(core.folder / MANIFEST_FILE, folder / MANIFEST_FILE)


def _pack(
    target: Path, folder: Path, members: list[Path], info: CollectionInfo, report: ProgressCallback
) -> None:
    files = {
        path.relative_to(folder).as_posix(): (path.stat().st_size, checksum(path))
        for path in members
    }
    head = {
        "kind": _KIND,
        "format": SNAPSHOT_FORMAT,
        "points": info.points,
        "version": info.version,
        "spec": info.spec,
        "files": {name: {"size": size, "crc": crc} for name, (size, crc) in files.items()},
    }
    body = orjson.dumps(head, option=orjson.OPT_INDENT_2)
    with tarfile.open(target, "w:", format=tarfile.PAX_FORMAT) as archive:
        described = tarfile.TarInfo(_HEAD)
        described.size = len(body)
        archive.addfile(described, io.BytesIO(body))
        for done, name in enumerate(files):
            report("pack", done, len(files))
            archive.add(folder / name, name, recursive=False, filter=_plain_member)


def _plain_member(member: tarfile.TarInfo) -> tarfile.TarInfo:
    # nothing of this machine's users goes with it
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    member.type = tarfile.REGTYPE
    return member


def _read_head(archive: tarfile.TarFile, source: Path) -> dict[str, FileEntry]:
    member = archive.next()
    if member is None or member.name != _HEAD or member.size > _MAX_HEAD_BYTES:
        raise SnapshotError(f"{source} is no snapshot of a collection")
    file = archive.extractfile(member)
    try:
        head: dict[str, Any] = orjson.loads(file.read() if file else b"")
        kind, version = head["kind"], head["format"]
        files = head["files"] if version == SNAPSHOT_FORMAT else {}
        entries = {name: FileEntry(name, part["size"], part["crc"]) for name, part in files.items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise SnapshotError(f"{source} is damaged: {_HEAD}: {error}") from error
    if kind != _KIND:
        raise SnapshotError(f"{source} is a snapshot of {kind!r}, not of a collection")
    if version != SNAPSHOT_FORMAT:
        raise SnapshotError(
            f"{source} has snapshot format version {version}; this version reads {SNAPSHOT_FORMAT}"
        )
    return entries


def _unpack(
    archive: tarfile.TarFile,
    member: tarfile.TarInfo,
    entries: dict[str, FileEntry],
    folder: Path,
) -> None:
    entry = entries.get(member.name)
    inside = (folder / member.name).resolve().is_relative_to(folder.resolve())
    # a sparse member says a size of its own for few bytes
    plain = member.isreg() and not member.issparse()
    if entry is None or not inside or not plain or member.size != entry.size:
        raise SnapshotError(f"member {member.name[:200]!r} does not belong into a snapshot")
    path = folder / member.name
    path.parent.mkdir(exist_ok=True)
    file = archive.extractfile(member)
    assert file is not None
    with path.open("wb") as target:
        shutil.copyfileobj(file, target, 1 << 20)
    if not is_intact(folder, entry):
        raise SnapshotError(f"{archive.name!s} is damaged: {member.name} differs from its checksum")
