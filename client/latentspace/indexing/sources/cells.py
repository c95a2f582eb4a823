"""Cells of text as the values that declared fields hold."""

import ast
import json
import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from latentspace.enums import FieldType

TRUE = frozenset({"true", "yes", "t", "y", "1", "1.0"})
FALSE = frozenset({"false", "no", "f", "n", "0", "0.0"})

_NUMBER = re.compile(r"[+-]?\d+(\.\d*)?([eE][+-]?\d{1,3})?", re.ASCII)
_EPOCH_NUMBER = re.compile(r"-?\d+(\.\d+)?", re.ASCII)
_BASIC_DATE = re.compile(r"\d{8}", re.ASCII)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_INT_LIMIT = 2**63
# digits of a whole number, and how many of its units a second has
_UNITS = ((19, 10**9), (16, 10**6), (13, 10**3))


def typed(cell: str, kind: FieldType, list_delimiter: str = ",") -> Any:
    """The value that the text of a cell stands for; None where it is empty, but as a keyword.

    | type | cells |
    |---|---|
    | keyword | the text as it is |
    | keyword_list | a list of JSON or Python (`["a", "b"]`), else parts between delimiters |
    | int | whole numbers, also as `2020.0`, which pandas writes where some are missing |
    | float | numbers |
    | bool | true, yes, t, y, 1 or false, no, f, n, 0, in any case |
    | datetime | ISO 8601; without offset it is UTC; numbers count seconds since 1970, or, of 13,
      16 and 19 digits, milli-, micro- and nanoseconds |

    Raises:
        ValueError: it is nothing of the kind.
    """
    text = cell.strip()
    if kind is FieldType.KEYWORD:
        return cell
    if not text:
        return None
    match kind:
        case FieldType.KEYWORD_LIST:
            return _list(text, list_delimiter)
        case FieldType.INT:
            return _int(text)
        case FieldType.FLOAT:
            return float(text)
        case FieldType.BOOL:
            return _bool(text)
        case FieldType.DATETIME:
            return _datetime(text)


def _list(text: str, delimiter: str) -> list[str]:
    if not text.startswith("["):
        return [word for part in text.split(delimiter) if (word := part.strip())]
    for read in (json.loads, ast.literal_eval):
        try:
            values = read(text)
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            continue
        if isinstance(values, list) and all(isinstance(part, str | int | float) for part in values):
            return [part if isinstance(part, str) else json.dumps(part) for part in values]
    raise ValueError(f"{text!r:.80} begins like a list, and is none of JSON or Python")


def _int(text: str) -> int:
    value = Decimal(text) if _NUMBER.fullmatch(text) else Decimal("NaN")
    if not value.is_finite() or value != value.to_integral_value():
        raise ValueError(f"{text!r:.80} is not a whole number")
    if not -_INT_LIMIT <= value < _INT_LIMIT:
        raise ValueError(f"{text!r:.80} does not fit in 64 bits")
    return int(value)


def _bool(text: str) -> bool:
    if (folded := text.lower()) not in TRUE | FALSE:
        raise ValueError(f"{text!r:.80} is not true or false")
    return folded in TRUE


def _datetime(text: str) -> datetime:
    if not _EPOCH_NUMBER.fullmatch(text) or _BASIC_DATE.fullmatch(text):
        return datetime.fromisoformat(text)
    digits = len(text.lstrip("-"))
    unit = next((unit for length, unit in _UNITS if digits == length and "." not in text), 1)
    try:
        return _EPOCH + timedelta(microseconds=int(Decimal(text) * 10**6 / unit))
    except OverflowError:
        raise ValueError(f"{text!r:.80} is no time between the years 1 and 9999") from None
