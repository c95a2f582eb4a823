"""Collections into files, and such files as sources."""

import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from latentspace.indexing.export_folder import META, FolderExport, FolderWriter, is_folder_export
from latentspace.indexing.export_format import About, ExportError, ExportSource, Writer
from latentspace.indexing.export_parquet import ParquetExport, ParquetWriter, is_parquet_export
from latentspace.indexing.options import DIGEST_FIELD
from latentspace.results.point import Point

PARQUET = (".parquet", ".pq")
OTHER_FILES = (".npy", ".npz", ".csv", ".json", ".jsonl", ".txt")
# the largest payload, and how much of a message (64 MiB) a page may take
PAYLOAD_BYTES = 64 * 1024
PAGE_BYTES = 48 * 2**20
PAGE_POINTS = 1024

OnPoints = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Exported:
    """What was written: `points` of the collection that `about` describes, into `path`."""

    path: Path
    points: int
    about: About


@contextmanager
def export_file(out: Path, about: About, columns: bool) -> Iterator[Writer]:
    """A writer of points; the file or folder appears when it is whole.

    Until then, and after a failure, what was there before stays.

    Args:
        out: a name that ends in .parquet, else a folder for vectors.npy, ids.txt, payloads.jsonl
            and meta.json.
        columns: declared fields as columns of their own (Parquet only).

    Raises:
        ExportError: `out` is in the way, or cannot hold the points.
    """
    with _whole(out) as partial, _writer(partial, out, about, columns) as writer:
        yield writer


def points_of_page(dim: int) -> int:
    """Points to ask for at once, so that a page fits a message whatever its payloads are."""
    return max(1, min(PAGE_POINTS, PAGE_BYTES // (PAYLOAD_BYTES + 4 * dim)))


def without_digests(points: Iterable[Point]) -> list[Point]:
    """Points without the digests of indexing jobs, which speak of the source that was indexed."""
    return [_without_digest(point) for point in points]


def open_export(path: Path) -> ExportSource | None:
    """An export, or a folder made like one; None where the path is something else.

    Raises:
        SourceError: an export that cannot be read.
        ExportError: a Parquet file, but pyarrow is not installed.
    """
    if path.is_dir():
        return FolderExport(path) if is_folder_export(path) else None
    if path.suffix in PARQUET and path.is_file() and is_parquet_export(path):
        return ParquetExport(path)
    return None


def _writer(partial: Path, out: Path, about: About, columns: bool) -> Writer:
    if out.suffix in PARQUET:
        return ParquetWriter(partial, about, columns)
    if columns:
        raise ExportError("columns are of Parquet files: name one that ends in .parquet")
    partial.mkdir()
    return FolderWriter(partial, about)


def _without_digest(point: Point) -> Point:
    payload = point.payload or {}
    if DIGEST_FIELD not in payload:
        return point
    return replace(point, payload={k: v for k, v in payload.items() if k != DIGEST_FIELD})


@contextmanager
def _whole(out: Path) -> Iterator[Path]:
    """A name beside `out`, which becomes `out` if nothing is raised and vanishes else."""
    _check_free(out)
    partial = out.with_name(f".{out.name}.{os.getpid()}.partial")
    try:
        yield partial
        _put(partial, out)
    finally:
        _remove(partial)


def _check_free(out: Path) -> None:
    if out.suffix in OTHER_FILES:
        raise ExportError(f"{out}: name a file that ends in .parquet, or a folder")
    if out.suffix not in PARQUET and out.exists() and not _replaceable(out):
        raise ExportError(f"{out} is there and is not an export: name another folder")
    if not out.parent.is_dir():
        raise ExportError(f"{out.parent} is not a folder")


def _replaceable(out: Path) -> bool:
    return out.is_dir() and ((out / META).exists() or not any(out.iterdir()))


def _put(partial: Path, out: Path) -> None:
    if not out.is_dir():
        partial.replace(out)
        return
    # a folder cannot take the place of a full one
    old = partial.with_suffix(".old")
    out.rename(old)
    partial.rename(out)
    _remove(old)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
