"""What a caller says of an import from a file of the server."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

from pydantic import Field

from embedders.errors import OptionError
from embedders.options import STRICT, read_options
from latentspace.enums import Dtype, FieldType, Modality
from latentspace.indexing.options import JobOptions
from latentspace.indexing.sources.options import SourceKind, SourceOptions
from latentspace.requests.options import EmbedOptions
from services.runtime.errors import RequestError

Count = Annotated[int, Field(ge=0)]


@dataclass(frozen=True, slots=True)
class ImportParams:
    """The options of `latentspace index`, by the names that `SourceOptions`, `JobOptions` and
    `EmbedOptions` give them."""

    __pydantic_config__ = STRICT

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
    batch_items: Annotated[int, Field(ge=1, le=1024)] = 256
    delete_missing: bool = False
    max_errors: Count | None = None
    resize: Count = 0
    role: str = ""
    compute_dtype: Dtype | None = None
    dimensions: Count = 0
    refuse_truncation: bool = False
    cropped: bool = False
    compose_unknown_keys: bool = False

    @property
    def source(self) -> SourceOptions:
        """How the source is read."""
        return SourceOptions(
            kind=self.kind,
            id_column=self.id_column,
            input_column=self.input_column,
            input_kind=self.input_kind,
            payload_columns=self.payload_columns,
            types=self.types,
            glob=self.glob,
            recursive=self.recursive,
            paragraphs=self.paragraphs,
            delimiter=self.delimiter,
            quotes=self.quotes,
            header=self.header,
            declared=self.declared,
            list_delimiter=self.list_delimiter,
            keep_text=self.keep_text,
        )

    def job(self, collection: str) -> JobOptions:
        """How records are indexed; options that are not said are left out, as a client would."""
        said = {name: getattr(self, name) for name in EmbedOptions.__annotations__}
        embed = EmbedOptions(**{name: value for name, value in said.items() if value})  # type: ignore[typeddict-item]
        return JobOptions(
            collection, self.batch_items, self.delete_missing, self.max_errors, self.resize, embed
        )


def read_import_params(params: Mapping[str, Any]) -> ImportParams:
    """Parameters, found to be good.

    Raises:
        RequestError: naming the parameter as "params.NAME".
    """
    try:
        return read_options(ImportParams, params, "import")
    except OptionError as error:
        raise RequestError(f"params.{error.field}", str(error)) from error
