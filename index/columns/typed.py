"""Columns by field type: how JSON values become numbers and filter values become intervals."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from index.columns.field import Array, Column, Intervals, ListColumn, ScalarColumn
from index.columns.values import operand, stored
from index.filter import Condition, Op
from index.types import FieldType

_DTYPES: dict[FieldType, np.dtype[Any]] = {
    FieldType.KEYWORD: np.dtype(np.int32),
    FieldType.KEYWORD_LIST: np.dtype(np.int32),
    FieldType.INT: np.dtype(np.int64),
    FieldType.FLOAT: np.dtype(np.float64),
    FieldType.BOOL: np.dtype(np.int8),
    FieldType.DATETIME: np.dtype(np.int64),
}


class Codes:
    """Numbers of strings, in the order they were first seen."""

    def __init__(self, words: Sequence[str] = ()) -> None:
        self.words = list(words)
        self.numbers = {word: number for number, word in enumerate(self.words)}

    def number(self, word: str) -> int:
        """Number of a string; a new one is added."""
        number = self.numbers.setdefault(word, len(self.words))
        if number == len(self.words):
            self.words.append(word)
        return number

    def save(self) -> dict[str, Array]:
        """UTF-8 bytes one after the other, and their lengths."""
        encoded = [word.encode("utf-8", "surrogatepass") for word in self.words]
        return {
            "words": np.frombuffer(b"".join(encoded), dtype=np.uint8),
            "word_lengths": np.array([len(word) for word in encoded], dtype=np.int32),
        }

    @classmethod
    def load(cls, arrays: Mapping[str, Array]) -> "Codes":
        """From what `save` gave."""
        data = arrays["words"].tobytes()
        ends = np.cumsum(arrays["word_lengths"], dtype=np.int64).tolist()
        starts = [0, *ends[:-1]]
        pairs = zip(starts, ends, strict=False)
        return cls([data[start:end].decode("utf-8", "surrogatepass") for start, end in pairs])


class TypedColumn:
    """A field's column with the meaning of its type."""

    def __init__(self, declared: FieldType, arrays: Mapping[str, Array] | None = None) -> None:
        self.declared = declared
        self.codes = Codes() if arrays is None or "words" not in arrays else Codes.load(arrays)
        self.column = _column(declared, arrays)

    def append(self, values: Iterable[object]) -> None:
        """Adds rows of JSON values; a value of another type counts as absent."""
        self.column.append([self._held(value) for value in values])

    def update(self, position: int, value: object) -> None:
        """Changes a row."""
        self.column.update(position, self._held(value))

    def intervals(self, condition: Condition) -> Intervals:
        """What a checked condition asks for; `ne` as `eq`, since its rows are the others."""
        given = condition.value if isinstance(condition.value, tuple) else (condition.value,)
        values = [operand(value, self.declared) for value in given]
        if self.declared in (FieldType.KEYWORD, FieldType.KEYWORD_LIST):
            values = [self.codes.numbers.get(value, -1) for value in values]
        dtype = _DTYPES[self.declared]
        if condition.op in (Op.EQ, Op.NE, Op.IN):
            points = np.unique(np.array(values, dtype=dtype))
            return points, points
        return _range(condition.op, values[0], dtype)

    def save(self) -> dict[str, Array]:
        """What to save."""
        keyed = self.declared in (FieldType.KEYWORD, FieldType.KEYWORD_LIST)
        return self.column.arrays() | (self.codes.save() if keyed else {})

    def values_at(self, positions: Array) -> list[object]:
        """Values of these rows, of a type with at most one; None where absent."""
        values = self.column.arrays()["values"][positions].tolist()
        present = self.column.present.view[positions].tolist()
        if self.declared is FieldType.KEYWORD:
            words = self.codes.words
            values = [words[code] for code in values] if words else values
        elif self.declared is FieldType.BOOL:
            values = [bool(value) for value in values]
        return [value if there else None for value, there in zip(values, present, strict=True)]

    @property
    def memory_bytes(self) -> int:
        """Bytes held, estimated."""
        return self.column.memory_bytes + sum(len(word) + 120 for word in self.codes.words)

    def _held(self, value: object) -> Any:
        held = stored(value, self.declared)
        if held is None:
            return None
        if self.declared is FieldType.KEYWORD:
            return self.codes.number(held)
        if self.declared is FieldType.KEYWORD_LIST:
            return [self.codes.number(word) for word in held]
        return held


def _column(declared: FieldType, arrays: Mapping[str, Array] | None) -> Column:
    given = arrays or {}
    dtype = _DTYPES[declared]
    present = given.get("present", np.empty(0, dtype=np.bool_))
    if declared is not FieldType.KEYWORD_LIST:
        return ScalarColumn(given.get("values", np.empty(0, dtype=dtype)), present)
    return ListColumn(
        given.get("codes", np.empty(0, dtype=dtype)),
        given.get("starts", np.empty(0, dtype=np.int64)),
        given.get("lengths", np.empty(0, dtype=np.int32)),
        present,
    )


def _range(op: Op, value: Any, dtype: np.dtype[Any]) -> Intervals:
    if dtype.kind == "f":
        low, high = -np.inf, np.inf
        above, below = np.nextafter(value, np.inf), np.nextafter(value, -np.inf)
        empty = (op is Op.GT and value == np.inf) or (op is Op.LT and value == -np.inf)
    else:
        low, high = np.iinfo(dtype).min, np.iinfo(dtype).max
        above, below = value + 1, value - 1
        empty = (op is Op.GT and value == high) or (op is Op.LT and value == low)
    if empty:
        return np.empty(0, dtype=dtype), np.empty(0, dtype=dtype)
    first = {Op.GT: above, Op.GTE: value}.get(op, low)
    last = {Op.LT: below, Op.LTE: value}.get(op, high)
    return np.array([first], dtype=dtype), np.array([last], dtype=dtype)
