"""Payload columns of a segment: what filters read.

One writer at a time (`append`, `update`, `add_field`); any number of readers beside it.
"""

import threading
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from index.columns.selection import Selection
from index.columns.typed import TypedColumn
from index.columns.values import MODALITY, check_fields, check_filter, validate_payload
from index.errors import StorageError
from index.filter import All, AnyOf, Condition, Filter, Not, Op
from index.types import FieldType

__all__ = ["MODALITY", "Columns", "Selection", "check_fields", "check_filter", "validate_payload"]

_FORMAT = 1
_ATTEMPTS = 3
# selections kept for the next search with the same filter
_KEPT = 4
# below this share of the rows, further conditions are tested row by row
_NARROW = 16


class Columns:
    """Declared fields, and the built-in keyword `modality`, of rows 0..n-1."""

    def __init__(self, fields: Mapping[str, FieldType]) -> None:
        check_fields(fields)
        self._start(fields, {name: TypedColumn(kind) for name, kind in _with_modality(fields)}, 0)

    def _start(
        self, fields: Mapping[str, FieldType], columns: dict[str, TypedColumn], rows: int
    ) -> None:
        self.fields, self._columns, self.rows = dict(fields), columns, rows
        self._lock = threading.RLock()
        self._changes = 0
        self._kept: dict[tuple[Filter, int], tuple[int, Selection]] = {}

    def append(self, payloads: Sequence[Mapping[str, Any]], modalities: Sequence[str]) -> None:
        """Adds rows, payloads as parsed JSON; values of another type count as absent."""
        with self._lock:
            for name, column in self._columns.items():
                column.append(_values(name, payloads, modalities))
            self.rows += len(payloads)

    def update(self, position: int, payload: Mapping[str, Any], modality: str) -> None:
        """Takes the place of a row's payload and modality."""
        with self._lock:
            self._changes += 1
            for name, column in self._columns.items():
                column.update(position, modality or None if name == MODALITY else payload.get(name))
            self._changes += 1

    def add_field(
        self, name: str, declared: FieldType, payloads: Iterable[Mapping[str, Any]]
    ) -> None:
        """Declares a field; `payloads` of all rows, in their order."""
        check_fields({name: declared})
        column = TypedColumn(declared)
        column.append(payload.get(name) for payload in payloads)
        with self._lock:
            if len(column.column.present.view) != self.rows:
                raise ValueError(f"{len(column.column.present.view)} payloads, {self.rows} rows")
            self._columns = {**self._columns, name: column}
            self.fields = {**self.fields, name: declared}

    def select(self, filter: Filter, rows: int | None = None) -> Selection:
        """Rows that pass, of the first `rows` (None: all).

        Raises:
            FilterError: it does not fit the declared fields.
        """
        check_filter(filter, self.fields)
        seen = self.rows if rows is None else min(rows, self.rows)
        for _ in range(_ATTEMPTS):
            before = self._changes
            kept = self._kept.get((filter, seen))
            if kept is not None and kept[0] == before:
                return kept[1]
            found = _Reader(self._columns, seen).select(filter)
            if before == self._changes and before % 2 == 0:
                self._keep(filter, seen, before, found)
                return found
        with self._lock:
            return _Reader(self._columns, seen).select(filter)

    def _keep(self, filter: Filter, rows: int, changes: int, found: Selection) -> None:
        with self._lock:
            if len(self._kept) >= _KEPT:
                self._kept.pop(next(iter(self._kept)))
            self._kept[filter, rows] = changes, found

    def group_keys(self, name: str, positions: NDArray[np.integer]) -> list[object]:
        """Values of a keyword, int or bool field at these rows; None where it is absent."""
        column = self._columns[name]
        return column.values_at(positions)

    @property
    def memory_bytes(self) -> int:
        """Bytes held, estimated."""
        return sum(column.memory_bytes for column in self._columns.values())

    def save(self, path: Path) -> None:
        """Writes all columns to one file, without pickle."""
        with self._lock:
            arrays = {
                f"{number}.{part}": array
                for number, column in enumerate(self._columns.values())
                for part, array in column.save().items()
            }
            names = [f"{column.declared}:{name}" for name, column in self._columns.items()]
            with path.open("wb") as file:
                np.savez(
                    file,
                    allow_pickle=False,
                    format=np.array([_FORMAT, self.rows]),
                    names=np.array(names, dtype=np.str_),
                    **arrays,
                )

    @classmethod
    def load(cls, path: Path, fields: Mapping[str, FieldType]) -> "Columns":
        """Reads what `save` wrote.

        Raises:
            StorageError: damaged, of another format, or of other fields than `fields`.
        """
        try:
            with np.load(path, allow_pickle=False) as archive:
                arrays = {name: archive[name] for name in archive.files}
            version, rows = arrays["format"].tolist()
            names = arrays["names"].tolist()
        except (OSError, ValueError, KeyError, EOFError, BadZipFile) as error:
            raise StorageError(f"{path}: columns cannot be read: {error}") from error
        wanted = [f"{kind}:{name}" for name, kind in _with_modality(fields)]
        if version != _FORMAT or sorted(names) != sorted(wanted):
            raise StorageError(f"{path}: holds format {version}, fields {names}; not {wanted}")
        made = cls.__new__(cls)
        made._start(fields, _columns(names, arrays), rows)
        return made


class _Reader:
    """Evaluates a checked filter over the first `rows` rows."""

    def __init__(self, columns: Mapping[str, TypedColumn], rows: int) -> None:
        self._columns, self._rows = columns, rows

    def select(self, node: Filter) -> Selection:
        match node:
            case Condition():
                return self._condition(node)
            case All(parts):
                return self._all(parts)
            case AnyOf(parts):
                return Selection.union(self._rows, [self.select(part) for part in parts])
            case Not(part):
                return self.select(part).complement()

    def _condition(self, node: Condition) -> Selection:
        typed = self._columns[node.field]
        if node.op is Op.EXISTS:
            present = typed.column.exists(self._rows)
            return present if node.value else present.complement()
        found = typed.column.select(typed.intervals(node), self._rows)
        return found.complement() if node.op is Op.NE else found

    def _all(self, parts: Sequence[Filter]) -> Selection:
        chosen = Selection.all(self._rows)
        for part in sorted(parts, key=self._estimate):
            if chosen.count * _NARROW < self._rows:
                positions = chosen.positions()
                chosen = Selection(self._rows, positions[self._test(part, positions)])
            else:
                chosen = chosen.both(self.select(part))
        return chosen

    def _estimate(self, node: Filter) -> int:
        match node:
            case Condition(op=Op.EXISTS):
                return self._rows
            case Condition():
                typed = self._columns[node.field]
                count = typed.column.estimate(typed.intervals(node), self._rows)
                return self._rows - count if node.op is Op.NE else count
            case All(parts):
                return min((self._estimate(part) for part in parts), default=self._rows)
            case AnyOf(parts):
                return min(self._rows, sum(self._estimate(part) for part in parts))
            case Not(part):
                return self._rows - self._estimate(part)

    def _test(self, node: Filter, positions: NDArray[np.int64]) -> NDArray[np.bool_]:
        match node:
            case Condition():
                return self._test_condition(node, positions)
            case All(parts):
                passed = np.ones(len(positions), dtype=np.bool_)
                for part in parts:
                    passed &= self._test(part, positions)
                return passed
            case AnyOf(parts):
                passed = np.zeros(len(positions), dtype=np.bool_)
                for part in parts:
                    passed |= self._test(part, positions)
                return passed
            case Not(part):
                return ~self._test(part, positions)

    def _test_condition(self, node: Condition, positions: NDArray[np.int64]) -> NDArray[np.bool_]:
        typed = self._columns[node.field]
        if node.op is Op.EXISTS:
            passed: NDArray[np.bool_] = typed.column.present.view[positions] == node.value
            return passed
        hit = typed.column.test(typed.intervals(node), positions)
        return ~hit if node.op is Op.NE else hit


def _with_modality(fields: Mapping[str, FieldType]) -> list[tuple[str, FieldType]]:
    return [(MODALITY, FieldType.KEYWORD), *fields.items()]


def _values(
    name: str, payloads: Sequence[Mapping[str, Any]], modalities: Sequence[str]
) -> Iterable[object]:
    if name == MODALITY:
        return [modality or None for modality in modalities]
    return [payload.get(name) for payload in payloads]


def _columns(names: Sequence[str], arrays: Mapping[str, Any]) -> dict[str, TypedColumn]:
    made = {}
    for number, declaration in enumerate(names):
        kind, _, name = declaration.partition(":")
        prefix = f"{number}."
        own = {key[len(prefix) :]: part for key, part in arrays.items() if key.startswith(prefix)}
        made[name] = TypedColumn(FieldType(kind), own)
    return made
