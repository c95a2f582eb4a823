"""Filters written as JSON objects to the wire's filter tree.

    {"tag": "beach"}                                   equality
    {"year": {"gte": 2010, "lt": 2020}}                gt gte lt lte, in any combination
    {"tag": {"in": ["a", "b"]}, "seen": {"ne": True}}  in, ne; several fields are "and"
    {"caption": {"exists": False}}                     points without the field
    {"or": [{...}, {...}]}, {"and": [...]}, {"not": {...}}

Values are strings, integers, floats, booleans and datetimes that know their time zone. Against a
declared datetime, a string is read as RFC 3339 ("2024-06-05T10:00:00Z", or a date: midnight in
UTC) and a number as seconds since 1970; a `date` and a `numpy.datetime64` are in UTC.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from typing import Any, TypeVar

import numpy as np

from latentspace.errors import FilterSyntaxError
from latentspace.foreign_filters import as_ours
from latentspace.payloads import plain_value
from latentspace.v1 import filter_pb2

FilterLike = Mapping[str, Any]
T = TypeVar("T")

_BOUNDS = ("gt", "gte", "lt", "lte")
_OPERATORS = ("eq", "ne", "in", *_BOUNDS, "exists")


def filter_message(tree: FilterLike | None) -> filter_pb2.Filter | None:
    """The wire form of a filter; None and {} let every point pass.

    Raises:
        FilterSyntaxError: naming the path to what is wrong.
    """
    if tree is None or (isinstance(tree, Mapping) and not tree):
        return None
    return _object(tree, "")


def _object(tree: object, path: str) -> filter_pb2.Filter:
    if not isinstance(tree, Mapping):
        raise FilterSyntaxError(path, f"expected an object, got {_shown(tree)}")
    if not tree:
        raise FilterSyntaxError(path, "is empty; name a field, or leave it out")
    if ours := as_ours(tree):
        raise FilterSyntaxError(path, f"is written as one of Qdrant; here it is {ours}")
    parts: list[filter_pb2.Filter] = []
    for name, value in tree.items():
        parts += _member(name, value, path)
    return _all(parts)


def _member(name: object, value: object, path: str) -> list[filter_pb2.Filter]:
    """The conditions of one member of an object."""
    if not isinstance(name, str) or not name:
        raise FilterSyntaxError(path, f"field names are strings, got {_shown(name)}")
    here = f"{path}.{name}" if path else name
    if name in ("and", "or"):
        filters = filter_pb2.FilterList(filters=_list(value, here, _object, "filters"))
        if name == "and":
            return [filter_pb2.Filter(all=filters)]
        return [filter_pb2.Filter(any=filters)]
    if name == "not":
        return [filter_pb2.Filter(negation=_object(value, here))]
    if isinstance(value, Mapping):
        return _tests(name, value, here)
    return [_condition(filter_pb2.Condition(field=name, equal=_value(value, here)))]


def _tests(field: str, tests: Mapping[Any, Any], path: str) -> list[filter_pb2.Filter]:
    """The conditions of {"gte": 1, "ne": 5, ...} on one field."""
    if not tests:
        raise FilterSyntaxError(path, f"is empty; use one of {', '.join(_OPERATORS)}")
    for name in tests:
        if name not in _OPERATORS:
            known = ", ".join(_OPERATORS)
            raise FilterSyntaxError(path, f"unknown operator {_shown(name)}; one of {known}")
    bounds = {name: _bound(tests[name], f"{path}.{name}") for name in _BOUNDS if name in tests}
    conditions = [
        _test(field, name, value, f"{path}.{name}")
        for name, value in tests.items()
        if name not in bounds
    ]
    if bounds:
        interval = filter_pb2.Range(**bounds)
        conditions.append(filter_pb2.Condition(field=field, range=interval))
    return [_condition(condition) for condition in conditions]


def _test(field: str, name: str, value: object, path: str) -> filter_pb2.Condition:
    condition = filter_pb2.Condition(field=field)
    match name:
        case "eq":
            condition.equal.CopyFrom(_value(value, path))
        case "ne":
            condition.not_equal.CopyFrom(_value(value, path))
        case "in":
            getattr(condition, "in").values.extend(_list(value, path, _value, "values"))
        case _:
            if not isinstance(value, bool):
                raise FilterSyntaxError(path, f"expected true or false, got {_shown(value)}")
            condition.exists = value
    return condition


def _value(value: object, path: str) -> filter_pb2.Value:
    if isinstance(value, np.generic):
        try:
            value = plain_value(value)
        except TypeError as error:
            raise FilterSyntaxError(path, str(error)) from error
    match value:
        case bool():
            return filter_pb2.Value(bool_value=value)
        case str():
            return filter_pb2.Value(string_value=_unicode(value, path))
        case int():
            if not -(2**63) <= value < 2**63:
                raise FilterSyntaxError(path, f"{value} is beyond 64 bits")
            return filter_pb2.Value(int_value=value)
        case float():
            if math.isnan(value):
                raise FilterSyntaxError(path, "NaN equals nothing; use exists")
            return filter_pb2.Value(float_value=value)
        case datetime():
            return _datetime(value, path)
        case date():
            return filter_pb2.Value(string_value=value.isoformat())
    raise FilterSyntaxError(path, f"expected a value, got {_shown(value)}{_hint(value)}")


def _datetime(value: datetime, path: str) -> filter_pb2.Value:
    if value.utcoffset() is None:
        raise FilterSyntaxError(
            path, f"{value.isoformat()} has no time zone; use datetime(..., tzinfo=UTC)"
        )
    message = filter_pb2.Value()
    message.datetime_value.FromDatetime(value)
    return message


def _bound(value: object, path: str) -> filter_pb2.Value:
    message = _value(value, path)
    if message.WhichOneof("value") == "bool_value":
        raise FilterSyntaxError(path, f"expected a number or a datetime, got {_shown(value)}")
    return message


def _list(value: object, path: str, convert: Callable[[object, str], T], name: str) -> list[T]:
    if isinstance(value, str | bytes | Mapping) or not isinstance(
        value, Sequence | set | np.ndarray
    ):
        raise FilterSyntaxError(path, f"expected a list of {name}, got {_shown(value)}")
    if not len(value):
        raise FilterSyntaxError(path, f"is empty; give at least one of the {name}")
    return [convert(part, f"{path}[{i}]") for i, part in enumerate(value)]


def _all(parts: list[filter_pb2.Filter]) -> filter_pb2.Filter:
    if len(parts) == 1:
        return parts[0]
    return filter_pb2.Filter(all=filter_pb2.FilterList(filters=parts))


def _condition(condition: filter_pb2.Condition) -> filter_pb2.Filter:
    return filter_pb2.Filter(condition=condition)


def _unicode(value: str, path: str) -> str:
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise FilterSyntaxError(path, f"{_shown(value)} is not valid Unicode") from error
    return value


def _hint(value: object) -> str:
    match value:
        case None:
            return '; for points without the field use {"exists": false}'
        case list() | tuple() | set() | np.ndarray():
            return '; for one of several use {"in": [...]}'
    return ""


def _shown(value: object) -> str:
    return f"{value!r:.60}"
