"""What a user says of a source."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from enum import StrEnum

from latentspace.enums import FieldType, Modality
from latentspace.indexing.options import SourceError
from latentspace.indexing.sources.mapping import Columns


class SourceKind(StrEnum):
    """What a source is."""

    IMAGES = "images"
    CSV = "csv"
    TSV = "tsv"
    JSONL = "jsonl"
    PARQUET = "parquet"
    WEBDATASET = "webdataset"
    TEXT = "text"
    EDGES = "edges"


@dataclass(frozen=True, slots=True)
class SourceOptions:
    """How a source is read; what is not said is found out.

    Args:
        kind: by default what the path is or its suffix says.
        id_column, input_column, input_kind, payload_columns, types, declared, list_delimiter,
            keep_text: see `Columns`.
        glob: of images below a folder, see `FolderSource`.
        recursive: folders in the folder as well.
        paragraphs: of a text, up to a blank line, instead of lines.
        delimiter: of the fields of CSV and edges; "" finds it.
        quotes: whether fields of CSV may stand between double quotes.
        header: the first line of an edge list names its columns; that of CSV always does.
    """

    kind: SourceKind | None = None
    id_column: str = ""
    input_column: str = ""
    input_kind: Modality | None = None
    payload_columns: tuple[str, ...] | None = None
    types: Mapping[str, FieldType] = field(default_factory=dict)
    glob: str = "*"
    recursive: bool = True
    paragraphs: bool = False
    delimiter: str = ""
    quotes: bool = True
    header: bool = False
    declared: Mapping[str, FieldType] = field(default_factory=dict)
    list_delimiter: str = ","
    keep_text: bool = False

    def columns(self) -> Columns:
        """What they say of columns."""
        return Columns(
            id=self.id_column,
            input=self.input_column,
            input_kind=self.input_kind,
            payload=self.payload_columns,
            types=self.types,
            declared=self.declared,
            list_delimiter=self.list_delimiter,
            keep_text=self.keep_text,
        )

    def check(self, kind: SourceKind) -> None:
        """Refuses what means nothing for a kind.

        Raises:
            SourceError: names the option.
        """
        defaults = SourceOptions()
        for one in fields(self):
            said = getattr(self, one.name) != getattr(defaults, one.name)
            if said and one.name not in {"kind", "declared", *_ALLOWED[kind]}:
                raise SourceError(f"{one.name} does not go with a source of the kind {kind}")
        if not self.list_delimiter:
            raise SourceError("list_delimiter is empty; name what stands between parts of lists")


_COLUMNS = ("id_column", "input_column", "input_kind", "payload_columns", "keep_text")
_CSV = (*_COLUMNS, "types", "delimiter", "quotes", "list_delimiter")
_ALLOWED: dict[SourceKind, tuple[str, ...]] = {
    SourceKind.IMAGES: ("glob", "recursive"),
    SourceKind.CSV: _CSV,
    SourceKind.TSV: _CSV,
    SourceKind.JSONL: _COLUMNS,
    SourceKind.PARQUET: _COLUMNS,
    SourceKind.WEBDATASET: _COLUMNS,
    SourceKind.TEXT: ("input_kind", "payload_columns", "paragraphs"),
    SourceKind.EDGES: ("payload_columns", "delimiter", "header"),
}
