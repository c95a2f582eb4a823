"""Filter trees of the wire, evaluated on one payload at a time."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from latentspace.v1 import filter_pb2


def passes(tree: filter_pb2.Filter, payload: Mapping[str, Any]) -> bool:
    match tree.WhichOneof("filter"):
        case "condition":
            return _holds(tree.condition, payload)
        case "all":
            return all(passes(part, payload) for part in tree.all.filters)
        case "any":
            return any(passes(part, payload) for part in tree.any.filters)
        case "negation":
            return not passes(tree.negation, payload)
    raise ValueError("an empty filter")


def plain(value: filter_pb2.Value) -> Any:
    kind = value.WhichOneof("value")
    if kind == "datetime_value":
        return value.datetime_value.ToDatetime(tzinfo=UTC)
    return getattr(value, str(kind))


def _holds(condition: filter_pb2.Condition, payload: Mapping[str, Any]) -> bool:
    stored = payload.get(condition.field)
    test = condition.WhichOneof("test")
    if test == "exists":
        return (stored is not None) == condition.exists
    if stored is None:
        return test == "not_equal"
    values = stored if isinstance(stored, list) else [stored]
    match test:
        case "equal":
            return any(_equal(v, plain(condition.equal)) for v in values)
        case "not_equal":
            return not any(_equal(v, plain(condition.not_equal)) for v in values)
        case "in":
            wanted = [plain(value) for value in getattr(condition, "in").values]
            return any(_equal(v, w) for v in values for w in wanted)
        case "range":
            return any(_inside(v, condition.range) for v in values)
    raise ValueError("a condition without a test")


def _inside(stored: Any, interval: filter_pb2.Range) -> bool:
    bounds = {field.name: plain(value) for field, value in interval.ListFields()}
    if any(isinstance(bound, datetime) for bound in bounds.values()):
        stored = datetime.fromisoformat(stored) if isinstance(stored, str) else stored
    tests = {
        "gt": lambda bound: stored > bound,
        "gte": lambda bound: stored >= bound,
        "lt": lambda bound: stored < bound,
        "lte": lambda bound: stored <= bound,
    }
    return all(tests[name](bound) for name, bound in bounds.items())


def _equal(stored: Any, wanted: Any) -> bool:
    if isinstance(wanted, datetime) and isinstance(stored, str):
        return datetime.fromisoformat(stored) == wanted
    return isinstance(stored, bool) == isinstance(wanted, bool) and bool(stored == wanted)
