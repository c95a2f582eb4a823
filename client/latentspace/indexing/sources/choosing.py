"""Which source a path stands for."""

from pathlib import Path

from latentspace.indexing.options import SourceError
from latentspace.indexing.records import Source
from latentspace.indexing.sources.csv import CsvSource
from latentspace.indexing.sources.distinct import Distinct
from latentspace.indexing.sources.edges import EdgesSource
from latentspace.indexing.sources.folder import IMAGE_SUFFIXES, FolderSource
from latentspace.indexing.sources.jsonl import JsonlSource
from latentspace.indexing.sources.opening import STDIN, Lines
from latentspace.indexing.sources.options import SourceKind, SourceOptions
from latentspace.indexing.sources.parquet import ParquetSource
from latentspace.indexing.sources.stdin import StdinSource
from latentspace.indexing.sources.text import TextSource
from latentspace.indexing.sources.webdataset import WebDatasetSource

PACKED = (".gz", ".xz")
SUFFIXES = {
    **dict.fromkeys(IMAGE_SUFFIXES, SourceKind.IMAGES),
    ".csv": SourceKind.CSV,
    ".tsv": SourceKind.TSV,
    **dict.fromkeys((".jsonl", ".ndjson"), SourceKind.JSONL),
    **dict.fromkeys((".parquet", ".pq"), SourceKind.PARQUET),
    **dict.fromkeys((".tar", ".tgz"), SourceKind.WEBDATASET),
    **dict.fromkeys((".txt", ".text"), SourceKind.TEXT),
    **dict.fromkeys((".edges", ".edgelist"), SourceKind.EDGES),
}
_FILES_ONLY = (SourceKind.IMAGES, SourceKind.PARQUET, SourceKind.WEBDATASET)


def open_source(source: str, options: SourceOptions | None = None) -> Source:
    """The source that a path stands for, without repeated ids; "-" is standard input.

    Raises:
        SourceError: not there, not known what it is (lists the kinds), or options that do not
            go with it. What is wrong inside is told when it is read.
    """
    said = options or SourceOptions()
    kind = said.kind or (SourceKind.TEXT if said.paragraphs else _kind(source))
    if kind is None:
        said.check(SourceKind.JSONL)
        return Distinct(StdinSource(Lines(source), said.columns()))
    said.check(kind)
    if source == STDIN:
        if kind in _FILES_ONLY:
            raise SourceError(f"a source of the kind {kind} cannot come by standard input")
    elif not Path(source).exists():
        raise SourceError(f"{source}: no such file or folder")
    elif Path(source).is_dir() and kind is not SourceKind.IMAGES:
        raise SourceError(f"{source}: a folder; a source of the kind {kind} is a file")
    return _open(source, kind, said)


def _open(source: str, kind: SourceKind, said: SourceOptions) -> Source:
    lines, columns = Lines(source), said.columns()
    # as shells pass it
    delimiter = said.delimiter.replace(r"\t", "\t")
    match kind:
        # the ids of these three cannot repeat
        case SourceKind.IMAGES:
            return FolderSource(Path(source), said.glob, said.recursive)
        case SourceKind.TEXT:
            return TextSource(lines, columns, said.paragraphs)
        case SourceKind.EDGES:
            return EdgesSource(lines, columns, delimiter, said.header)
        case SourceKind.CSV:
            return Distinct(CsvSource(lines, columns, delimiter, said.quotes))
        case SourceKind.TSV:
            return Distinct(CsvSource(lines, columns, delimiter or "\t", said.quotes))
        case SourceKind.JSONL:
            return Distinct(JsonlSource(lines, columns))
        case SourceKind.PARQUET:
            return Distinct(ParquetSource(Path(source), columns))
        case SourceKind.WEBDATASET:
            return Distinct(WebDatasetSource(Path(source), columns))


def _kind(source: str) -> SourceKind | None:
    """What a path is; None is standard input, which is looked into."""
    path = Path(source)
    if source == STDIN:
        return None
    if path.is_dir():
        return SourceKind.IMAGES
    suffixes = [suffix.lower() for suffix in path.suffixes if suffix.lower() not in PACKED]
    kind = SUFFIXES.get(suffixes[-1]) if suffixes else None
    if kind is None:
        if not path.exists():
            raise SourceError(f"{source}: no such file or folder")
        kinds = ", ".join(SourceKind)
        raise SourceError(f"{source}: say of which kind it is, its name does not tell: {kinds}")
    return kind
