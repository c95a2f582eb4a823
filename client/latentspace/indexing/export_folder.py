"""Exports as a folder: vectors.npy, and beside it ids, payloads and what the collection is."""

import json
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from itertools import repeat
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

import numpy as np
from numpy.typing import NDArray

from latentspace.indexing.export_format import About, ExportError, ExportSource, modality_of
from latentspace.indexing.options import SourceError
from latentspace.indexing.records import BadRecord, Record
from latentspace.indexing.sources.fields import id_of
from latentspace.indexing.sources.reasons import RecordError
from latentspace.inputs import VectorInput
from latentspace.payloads import dump_payload
from latentspace.results.point import Point

VECTORS, IDS, PAYLOADS, META = "vectors.npy", "ids.txt", "payloads.jsonl", "meta.json"
MODALITIES = "modalities.txt"
EXPORT_FILES = (VECTORS, IDS, PAYLOADS, MODALITIES, META)
#: files that may be missing, and the line that then stands for each of theirs
ABSENT = {PAYLOADS: b"{}", MODALITIES: b""}


class FolderWriter:
    """Writes float32 rows, ids and payloads (one a line) into an empty folder, page by page."""

    def __init__(self, folder: Path, about: About) -> None:
        self._dim = about.dim
        self._rows = 0
        (folder / META).write_text(about.to_json() + "\n", encoding="utf-8")
        with ExitStack() as files:
            self._vectors = files.enter_context((folder / VECTORS).open("wb"))
            self._ids = files.enter_context((folder / IDS).open("wb"))
            self._payloads = files.enter_context((folder / PAYLOADS).open("wb"))
            self._modalities = files.enter_context((folder / MODALITIES).open("wb"))
            self._head_bytes = _write_head(self._vectors, 0, self._dim)
            self._files = files.pop_all()

    def write(self, points: Sequence[Point]) -> None:
        """Adds points.

        Raises:
            ExportError: an id has a line break.
        """
        for point in points:
            if "\n" in point.id:
                raise ExportError(
                    f"the id {point.id!r:.80} has a line break, which {IDS} cannot hold: "
                    "export to a .parquet file"
                )
        rows = np.stack([np.asarray(point.vector, "<f4") for point in points])
        self._vectors.write(rows.tobytes())
        self._ids.writelines(point.id.encode() + b"\n" for point in points)
        self._payloads.writelines(dump_payload(point.payload) + b"\n" for point in points)
        self._modalities.writelines(f"{point.modality or ''}\n".encode() for point in points)
        self._rows += len(points)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self._files:
            # how many rows there are is known only now; numpy leaves room for that
            self._vectors.seek(0)
            if _write_head(self._vectors, self._rows, self._dim) != self._head_bytes:
                raise ExportError(f"{self._rows} rows do not fit into the head of {VECTORS}")


class FolderExport(ExportSource):
    """The points of a folder that `FolderWriter` wrote, or of one like it made by hand.

    Needed are vectors.npy, any number format, (n, dim), and ids.txt, n lines; payloads.jsonl,
    modalities.txt and meta.json may be left out.

    Raises:
        SourceError: not such a folder.
    """

    def __init__(self, folder: Path) -> None:
        self.name = str(folder)
        self._folder = folder
        self._rows = _mapped(folder / VECTORS)
        self.about: About | None = None
        if (folder / META).exists():
            try:
                self.about = About.from_json((folder / META).read_bytes())
            except ValueError as error:
                raise SourceError(f"{folder / META}: {error}") from error

    def __reduce__(self) -> tuple[type[Self], tuple[Path]]:
        # opened anew by other processes, instead of taking all vectors along
        return type(self), (self._folder,)

    @property
    def dim(self) -> int:
        """Numbers a vector."""
        return int(self._rows.shape[1])

    def count(self) -> int:
        """Rows of vectors.npy."""
        return len(self._rows)

    def __iter__(self) -> Iterator[Record | BadRecord]:
        space_id = self.about.space_id if self.about else ""
        columns = (self._lines(name) for name in (IDS, PAYLOADS, MODALITIES))
        lines = zip(self._rows, *columns, strict=True)
        try:
            for number, (row, id, payload, kind) in enumerate(lines, start=1):
                place = f"{self.name}:{number}"
                modality = modality_of(kind.decode())
                vector = VectorInput(row.astype(np.float32), space_id, modality)
                yield _record(id.decode(), vector, payload, place)
        except ValueError as error:
            raise SourceError(
                f"{self.name}: {VECTORS}, {IDS}, {PAYLOADS} and {MODALITIES} do not belong"
                f" together ({error})"
            ) from error

    def _lines(self, name: str) -> Iterator[bytes]:
        path = self._folder / name
        if name in ABSENT and not path.exists():
            yield from repeat(ABSENT[name], len(self._rows))
            return
        try:
            with path.open("rb") as lines:
                for line in lines:
                    yield line.removesuffix(b"\n")
        except OSError as error:
            raise SourceError(f"{path}: {error.strerror}") from error


def is_folder_export(folder: Path) -> bool:
    """Whether a folder has the vectors and ids of an export."""
    return (folder / VECTORS).is_file() and (folder / IDS).is_file()


def _record(id: str, vector: VectorInput, payload: bytes, place: str) -> Record | BadRecord:
    try:
        found: Any = json.loads(payload)
        if not isinstance(found, dict):
            raise ValueError("not an object")
        id = id_of(id)
    except RecordError as error:
        return BadRecord(place, error.reason, str(error))
    except ValueError as error:
        return BadRecord(place, "UNREADABLE", f"{PAYLOADS}: {error}", id)
    return Record(id, vector, found, place)


def _write_head(file: BinaryIO, rows: int, dim: int) -> int:
    head = {"descr": "<f4", "fortran_order": False, "shape": (rows, dim)}
    np.lib.format.write_array_header_1_0(file, head)
    return file.tell()


def _mapped(path: Path) -> NDArray[Any]:
    try:
        # a plain view: rows of a memmap cost ten times as much
        mapped = np.load(path, mmap_mode="r", allow_pickle=False)
        rows: NDArray[Any] = mapped.view(np.ndarray)
    except (OSError, ValueError, EOFError) as error:
        raise SourceError(f"{path}: cannot be read ({error})") from error
    if rows.ndim != 2 or rows.dtype.kind not in "fiu":
        raise SourceError(f"{path}: expected numbers (n, dim), got {rows.dtype} {rows.shape}")
    return rows
