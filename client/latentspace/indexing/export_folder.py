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
from latentspace.indexing.sources.opening import text_errors
from latentspace.indexing.sources.reasons import Reason, RecordError
from latentspace.inputs import VectorInput
from latentspace.payloads import dump_payload
from latentspace.results.point import Point
from latentspace_text import Line, read_lines

VECTORS, IDS, PAYLOADS, META = "vectors.npy", "ids.txt", "payloads.jsonl", "meta.json"
MODALITIES = "modalities.txt"
EXPORT_FILES = (VECTORS, IDS, PAYLOADS, MODALITIES, META)
#: files that may be missing, and the line that then stands for each of theirs
ABSENT = {PAYLOADS: "{}", MODALITIES: ""}


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
            ExportError: an id would be read as another, as one with a line break.
        """
        for point in points:
            if not _is_line(point.id):
                raise ExportError(
                    f"the id {point.id!r:.80} has a line break, or begins or ends with what a line "
                    f"does not keep, so {IDS} cannot hold it: export to a .parquet file"
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

    Needed are vectors.npy, any number format, (n, dim), and ids.txt, n lines by the rules of
    `latentspace_text`; payloads.jsonl, modalities.txt and meta.json may be left out.

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
        """The points.

        Raises:
            SourceError: a file has not a line for each vector, so that none can be told apart.
        """
        for name in (IDS, PAYLOADS, MODALITIES):
            self._check_lines(self._folder / name)
        space_id = self.about.space_id if self.about else ""
        columns = (self._lines(name) for name in (IDS, PAYLOADS, MODALITIES))
        for number, (row, *lines) in enumerate(zip(self._rows, *columns, strict=False), start=1):
            place = f"{self.name}:{number}"
            try:
                yield _record(row, *lines, space_id=space_id, place=place)
            except RecordError as error:
                known = "" if lines[0].fault else lines[0].text
                yield BadRecord(place, error.reason, str(error), known)

    def _lines(self, name: str) -> Iterator[Line]:
        path = self._folder / name
        if name in ABSENT and not path.exists():
            return repeat(Line(0, ABSENT[name]), len(self._rows))
        return _read(path)

    def _check_lines(self, path: Path) -> None:
        """Refuses a file that has fewer or more lines than there are vectors.

        Blank lines at the end are nothing.
        """
        if path.name in ABSENT and not path.exists():
            return
        count = last = 0
        for line in _read(path):
            count = line.number
            last = last if line.is_blank else count
        rows = len(self._rows)
        if not last <= rows <= count:
            lines = last if last > rows else count
            raise SourceError(
                f"{path}: has {lines} lines for the {rows} vectors of {VECTORS}: they do not belong"
                " together, a line for each vector is needed"
            )


def _is_line(id: str) -> bool:
    is_plain = not id.startswith("\ufeff") and not id.endswith("\r") and bool(id.strip())
    return is_plain and "\n" not in id and "\0" not in id


def is_folder_export(folder: Path) -> bool:
    """Whether a folder has the vectors and ids of an export."""
    return (folder / VECTORS).is_file() and (folder / IDS).is_file()


def _read(path: Path) -> Iterator[Line]:
    with text_errors():
        yield from read_lines(path)


def _record(
    row: NDArray[Any], id: Line, payload: Line, modality: Line, *, space_id: str, place: str
) -> Record:
    for name, line in ((IDS, id), (PAYLOADS, payload), (MODALITIES, modality)):
        if line.fault:
            raise RecordError(Reason.UNREADABLE, f"{name}: the line {line.fault}")
    if id.is_blank:
        raise RecordError(Reason.NO_ID, f"{IDS}: the line is blank")
    try:
        known: Any = json.loads(payload.text)
    except (ValueError, RecursionError) as error:
        raise RecordError(Reason.UNREADABLE, f"{PAYLOADS}: {error}") from None
    if not isinstance(known, dict):
        raise RecordError(Reason.UNREADABLE, f"{PAYLOADS}: not an object")
    with np.errstate(over="ignore"):
        values = row.astype(np.float32)
    vector = VectorInput(values, space_id, modality_of(modality.text.strip()))
    return Record(id_of(id.text), vector, known, place)


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
