"""WebDataset: a tar in which the files of one sample share a name and stand together."""

import io
import json
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from latentspace.enums import Modality
from latentspace.images import FilePart
from latentspace.indexing.options import SourceError
from latentspace.indexing.records import BadRecord, Record, Source
from latentspace.indexing.sources.folder import IMAGE_SUFFIXES
from latentspace.indexing.sources.mapping import Columns, Layout
from latentspace.indexing.sources.reasons import Reason, RecordError
from latentspace_text.lines import DAMAGE

KEY = "__key__"
JSON, TEXT = ".json", ".txt"
#: no server takes larger messages by default
MAX_FILE_BYTES = 64 << 20


@dataclass(slots=True)
class _Sample:
    """The files of one key, by suffix."""

    key: str
    files: dict[str, bytes] = field(default_factory=dict)
    image: bytes | FilePart | None = None
    too_large: str = ""
    is_cut: bool = False


class WebDatasetSource(Source):
    """The samples of a tar, packed or not, as rows; ids are keys, by default.

    Images of a tar that is not packed are passed over, and read where they are needed.

    A sample is a row of `__key__` (path and name up to the first dot), `image` (.jpg and the
    like), `text` (.txt) and the fields of its .json. The image is embedded where there is one,
    else the text, or what `columns` say; the rest but the image is payload. Other files are
    passed over, and so are hidden ones.
    """

    def __init__(self, path: Path, columns: Columns) -> None:
        self.name = str(path)
        self._path = path
        self._columns = columns

    def __iter__(self) -> Iterator[Record | BadRecord]:
        for number, sample in enumerate(_samples(self._path), 1):
            place = f"{self._path.name}/{sample.key}".encode(errors="replace").decode()
            try:
                row = _row(sample)
            except RecordError as error:
                yield BadRecord(place, error.reason, str(error), sample.key)
            else:
                yield self._layout(row).record(row, number, place)

    def _layout(self, row: dict[str, Any]) -> Layout:
        said = self._columns
        kind = said.input_kind
        if not said.input and kind is None:
            kind = Modality.IMAGE if "image" in row else Modality.TEXT
        chosen = said.input or str(kind)
        if said.input in set(Modality):
            kind = kind or Modality(said.input)
        layout = said.plain_layout(self._path.parent, said.id or KEY, chosen, kind)
        return replace(layout, hidden=frozenset({"", KEY, "image"}))


def _row(sample: _Sample) -> dict[str, Any]:
    if sample.is_cut:
        raise RecordError(Reason.UNREADABLE, "the file is damaged or cut off within this sample")
    if sample.too_large:
        message = f"{sample.too_large} has over {MAX_FILE_BYTES} bytes"
        raise RecordError(Reason.BAD_INPUT, message)
    row: dict[str, Any] = {}
    try:
        if JSON in sample.files:
            row = json.loads(sample.files[JSON])
            if not isinstance(row, dict):
                raise ValueError(f"expected an object, got {type(row).__name__}")
    except (ValueError, RecursionError) as error:
        raise RecordError(Reason.BAD_PAYLOAD, f"{JSON}: {error}") from None
    try:
        if TEXT in sample.files:
            row["text"] = sample.files[TEXT].decode()
    except UnicodeDecodeError as error:
        raise RecordError(Reason.BAD_INPUT, f"{TEXT} is not UTF-8: {error.reason}") from None
    return row | {KEY: sample.key} | ({} if sample.image is None else {"image": sample.image})


def _samples(path: Path) -> Iterator[_Sample]:
    """Samples as they end.

    Raises:
        SourceError: damaged or cut off; the last sample before is marked as cut, since more of
            its files may have come.
    """
    sample, last = None, ""
    try:
        with tarfile.open(path) as tar:
            for member in _members(tar):
                key, suffix = _split(member.name)
                if not member.isreg() or suffix not in {JSON, TEXT, *IMAGE_SUFFIXES}:
                    continue
                if sample is None or sample.key != key:
                    if sample is not None:
                        yield sample
                        last = sample.key
                    sample = _Sample(key)
                _add(sample, tar, member, suffix, path)
    except (tarfile.TarError, *DAMAGE, OSError) as error:
        if sample is not None and sample.key != last:
            sample.is_cut = True
            yield sample
        after = f" after {last}" if last else ""
        raise SourceError(f"{path}: damaged or cut off{after} ({error})") from error
    if sample is not None:
        yield sample


def _add(
    sample: _Sample, tar: tarfile.TarFile, member: tarfile.TarInfo, suffix: str, path: Path
) -> None:
    if member.size > MAX_FILE_BYTES:
        sample.too_large = suffix
    elif suffix not in IMAGE_SUFFIXES:
        sample.files[suffix] = _contents(tar, member)
    elif sample.image is None:
        sample.image = _image(tar, member, path)


def _members(tar: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    """The members of a tar.

    Raises:
        TarError: it ends in something else than the end of a tar.
    """
    while (member := tar.next()) is not None:
        # a list of all it saw, which would grow with the file; not in its type
        vars(tar)["members"].clear()
        yield member
    # tarfile takes a damaged header for the end
    assert tar.fileobj is not None, "open"
    tar.fileobj.seek(tar.offset)
    rest = tar.fileobj.read(tarfile.BLOCKSIZE)
    if rest.strip(b"\0"):
        raise tarfile.ReadError(f"no file begins at byte {tar.offset}")


def _image(tar: tarfile.TarFile, member: tarfile.TarInfo, path: Path) -> bytes | FilePart:
    packed = not isinstance(tar.fileobj, io.BufferedReader)
    if packed or member.issparse() or not member.size:
        return _contents(tar, member)
    return FilePart(str(path), member.offset_data, member.size)


def _contents(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    file = tar.extractfile(member)
    assert file is not None, "a regular file"
    return file.read()


def _split(name: str) -> tuple[str, str]:
    """Key and suffix, lower case with its dot; ("", "") of hidden files."""
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if not parts or any(part.startswith((".", "__MACOSX")) for part in parts):
        return "", ""
    stem, dot, suffix = parts[-1].partition(".")
    return "/".join([*parts[:-1], stem]), (dot + suffix).lower()
