"""The manifest: which segment files a collection has. Replaced whole, never edited."""

import dataclasses
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from index.segments.durable import FileEntry, replace_file
from index.types import IndexParameters, MeasuredEffort, SearchParameters

# 2: efforts. Software that knows 1 alone builds the segments again
MANIFEST_FORMAT = 2
_READ_FORMATS = (1, 2)
MANIFEST_FILE = "manifest.json"


@dataclass(frozen=True, slots=True)
class SegmentEntry:
    """The files of one segment, by role: "rows", "keys", "columns", and "index" once it is built.

    Args:
        first: least slot that the segment stands for; slots between it and `last` that are not
            in the key file are dead.
        last: greatest slot that it stands for.
        rows: rows in its files.
        recipe: recipe of its index; "exact" where there is none.
        params: parameters its index was built with.
        effort: what was measured when its index was built.
    """

    id: int
    first: int
    last: int
    rows: int
    files: Mapping[str, FileEntry]
    recipe: str = "exact"
    params: IndexParameters = field(default_factory=IndexParameters)
    effort: MeasuredEffort | None = None


@dataclass(frozen=True, slots=True)
class Manifest:
    """All segments of a collection, oldest first.

    Args:
        store: uuid of the store that the segments were derived from.
        sequence: grows with every manifest.
        sealed_slot: every live slot up to it is in a segment.
        next_segment: id of the next segment.
    """

    store: str
    sequence: int = 0
    sealed_slot: int = 0
    next_segment: int = 1
    segments: tuple[SegmentEntry, ...] = field(default=())


def save_manifest(folder: Path, manifest: Manifest) -> None:
    """Puts it in the place of the one before, at once and for good.

    Raises:
        OSError
    """
    body = orjson.dumps(_plain(manifest), option=orjson.OPT_INDENT_2)
    head = orjson.dumps({"format": MANIFEST_FORMAT, "crc32": zlib.crc32(body)})
    replace_file(folder / MANIFEST_FILE, head + b"\n" + body)


def load_manifest(folder: Path, store: str) -> Manifest | None:
    """The manifest; None where it is missing, damaged, or of another store or format."""
    try:
        head, body = (folder / MANIFEST_FILE).read_bytes().split(b"\n", 1)
        known = orjson.loads(head)
        crc = zlib.crc32(body)
        if known not in [{"format": number, "crc32": crc} for number in _READ_FORMATS]:
            return None
        manifest = _parsed(orjson.loads(body))
    except (OSError, ValueError):
        return None
    return manifest if manifest.store == store else None


def _plain(manifest: Manifest) -> dict[str, Any]:
    return dataclasses.asdict(manifest)


def _parsed(data: dict[str, Any]) -> Manifest:
    segments = tuple(_segment(part) for part in data.pop("segments"))
    return Manifest(**data, segments=segments)


def _segment(data: dict[str, Any]) -> SegmentEntry:
    files = {role: FileEntry(**entry) for role, entry in data.pop("files").items()}
    params, effort = IndexParameters(**data["params"]), _effort(data.get("effort"))
    return SegmentEntry(**data | {"files": files, "params": params, "effort": effort})


def _effort(data: dict[str, Any] | None) -> MeasuredEffort | None:
    if data is None:
        return None
    return MeasuredEffort(**data | {"effort": SearchParameters(**data["effort"])})
