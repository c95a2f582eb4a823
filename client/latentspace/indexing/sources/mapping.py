"""Which column of a table is what."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from latentspace.enums import FieldType, Modality
from latentspace.indexing.options import SourceError
from latentspace.indexing.records import BadRecord, Record
from latentspace.indexing.sources.fields import id_of, input_of
from latentspace.indexing.sources.reasons import Reason, RecordError
from latentspace.indexing.sources.values import plain, typed

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
    """

    id: str = ""
    input: str = ""
    input_kind: Modality | None = None
    payload: tuple[str, ...] | None = None
    types: Mapping[str, FieldType] = field(default_factory=dict)

    def layout(self, names: Collection[str], source: str, folder: Path) -> "Layout":
        """What the columns of one table mean; images are relative to `folder`.

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
        return Layout(folder, key, chosen, kind, self.payload, self.types)


@dataclass(frozen=True, slots=True)
class Layout:
    """Makes records of the rows of one table; an id column of "" is the row number."""

    folder: Path
    id: str
    input: str
    kind: Modality | None
    payload: tuple[str, ...] | None = None
    types: Mapping[str, FieldType] = field(default_factory=dict)
    hidden: frozenset[str] = frozenset({""})

    def record(self, row: Mapping[str, Any], number: int, place: str) -> Record | BadRecord:
        """A row as a record, or what is wrong with it."""
        point_id, column = "", self.id
        try:
            point_id = id_of(row.get(self.id) if self.id else number)
            column = self.input
            item = input_of(row.get(self.input), self.kind, self.folder)
            column = "payload"
            return Record(point_id, item, self._payload(row), place)
        except RecordError as error:
            return BadRecord(place, error.reason, f"{column}: {error}", point_id)

    def needs(self, names: Collection[str]) -> list[str]:
        """Those of the columns that records are made of."""
        if self.payload is None:
            return [name for name in names if name not in self.hidden]
        return [name for name in names if name in {self.id, self.input, *self.payload}]

    def _payload(self, row: Mapping[str, Any]) -> dict[str, Any]:
        kept = {}
        for name in row if self.payload is None else self.payload:
            if self.payload is None and (name in (self.id, self.input) or name in self.hidden):
                continue
            if name not in row:
                continue
            try:
                value = row[name]
                if name in self.types and isinstance(value, str):
                    value = typed(value, self.types[name])
                    if value is None:
                        continue
                kept[name] = plain(value)
            except (ValueError, RecursionError) as error:
                raise RecordError(Reason.BAD_PAYLOAD, f"{name}: {error}") from None
        return kept


def _listed(names: Collection[str]) -> str:
    return ", ".join(sorted(map(repr, names))) or "none"
