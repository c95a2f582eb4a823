"""Which column of a table is what."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from latentspace.enums import FieldType, Modality
from latentspace.indexing.options import SourceError
from latentspace.indexing.records import BadRecord, Record
from latentspace.indexing.sources.cells import typed
from latentspace.indexing.sources.fields import id_of, input_of
from latentspace.indexing.sources.reasons import Reason, RecordError
from latentspace.indexing.sources.row_groups import BadCell
from latentspace.indexing.sources.values import plain
from latentspace.inputs import Input, TextInput
from latentspace.payloads import KEPT_CHARACTERS

ID = "id"


@dataclass(frozen=True, slots=True)
class Columns:
    """What a user says of the columns of a table.

    Args:
        id: of the ids; by default "id" where there is one, else ids are row numbers from 1, as
            text: stable as long as rows are only appended.
        input: what is embedded; by default the first there is of text, image, key, vector.
        input_kind: what stands in it; by default what its name says, else what its values are:
            bytes are an image, lists a vector, all else is text.
        payload: columns that are kept; by default all others that have a name.
        types: what the text of a column stands for, in formats where all is text (CSV).
        declared: fields of the collection, which need not be columns: they are types too, and
            make whole numbers of floats such as 2020.0 in all formats.
        list_delimiter: stands between the parts of a keyword_list in a cell.
        keep_text: a text that is embedded stays in the payload, by the name of its column, unless
            it is longer than 16,000 letters.
    """

    id: str = ""
    input: str = ""
    input_kind: Modality | None = None
    payload: tuple[str, ...] | None = None
    types: Mapping[str, FieldType] = field(default_factory=dict)
    declared: Mapping[str, FieldType] = field(default_factory=dict)
    list_delimiter: str = ","
    keep_text: bool = False

    def layout(
        self, names: Collection[str], source: str, folder: Path, *, cells: bool = False
    ) -> "Layout":
        """What the columns of one table mean; images are relative to `folder`.

        Args:
            cells: all values are text, and stand for what the types say.

        Raises:
            SourceError: a column is not there; lists those that are.
        """
        for name in (self.id, self.input, *(self.payload or ()), *self.types):
            if name and name not in names:
                raise SourceError(f"{source}: no column {name!r}; there are {_listed(names)}")
        chosen = self.input or next((kind.value for kind in Modality if kind in names), "")
        if not chosen:
            kinds = ", ".join(Modality)
            message = f"say which column to embed: none of {kinds} is there, but {_listed(names)}"
            raise SourceError(f"{source}: {message}")
        kind = self.input_kind or (Modality(chosen) if chosen in set(Modality) else None)
        key = self.id or (ID if ID in names and chosen != ID else "")
        return replace(
            self.plain_layout(folder, key, chosen, kind), list_delimiter=self.list_delimiter * cells
        )

    def plain_layout(
        self, folder: Path, id_column: str, chosen: str, kind: Modality | None
    ) -> "Layout":
        """A layout of values that have types of their own, for these columns."""
        types = {**self.declared, **self.types}
        return Layout(folder, id_column, chosen, kind, self.payload, types, keeps=self.keep_text)


@dataclass(frozen=True, slots=True)
class Layout:
    """Makes records of the rows of one table; an id column of "" is the row number.

    Args:
        list_delimiter: of the lists in cells of text; "" where values have types of their own.
        keeps: a text that is embedded stays in the payload.
    """

    folder: Path
    id: str
    input: str
    kind: Modality | None
    payload: tuple[str, ...] | None = None
    types: Mapping[str, FieldType] = field(default_factory=dict)
    hidden: frozenset[str] = frozenset({""})
    list_delimiter: str = ""
    keeps: bool = False

    def record(self, row: Mapping[str, Any], number: int, place: str) -> Record | BadRecord:
        """A row as a record, or what is wrong with it."""
        point_id, column = "", ""
        try:
            column = self.id or "id"
            point_id = id_of(_held(row.get(self.id) if self.id else number))
            column = self.input
            item = input_of(_held(row.get(self.input)), self.kind, self.folder)
            column = "payload"
            return Record(point_id, item, self._payload(row, item), place)
        except RecordError as error:
            return BadRecord(place, error.reason, f"{column}: {error}", point_id)

    def needs(self, names: Collection[str]) -> list[str]:
        """Those of the columns that records are made of."""
        if self.payload is None:
            return [name for name in names if name not in self.hidden]
        return [name for name in names if name in {self.id, self.input, *self.payload}]

    def _payload(self, row: Mapping[str, Any], item: Input) -> dict[str, Any]:
        kept = {}
        for name in row if self.payload is None else self.payload:
            if self.payload is None and (name in (self.id, self.input) or name in self.hidden):
                continue
            if name not in row:
                continue
            try:
                value = self._value(name, _held(row[name], Reason.BAD_PAYLOAD))
                if value is not None or not self._is_cell(name):
                    kept[name] = plain(value)
            except (ValueError, ArithmeticError, RecursionError) as error:
                raise RecordError(Reason.BAD_PAYLOAD, f"{name}: {error}") from None
        if self.keeps and isinstance(item, TextInput) and len(item.value) <= KEPT_CHARACTERS:
            kept.setdefault(self.input, item.value)
        return kept

    def _is_cell(self, name: str) -> bool:
        return bool(self.list_delimiter) and name in self.types

    def _value(self, name: str, value: object) -> object:
        """A value as its declared type has it."""
        if isinstance(value, str) and self._is_cell(name):
            return typed(value, self.types[name], self.list_delimiter)
        if isinstance(value, float) and self.types.get(name) is FieldType.INT:
            return int(value) if value.is_integer() else value
        return value


def _held(value: object, reason: Reason = Reason.UNREADABLE) -> object:
    if isinstance(value, BadCell):
        raise RecordError(reason, value.message)
    return value


def _listed(names: Collection[str]) -> str:
    return ", ".join(sorted(map(repr, names))) or "none"
