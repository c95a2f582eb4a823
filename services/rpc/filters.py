"""Filters of the wire to the neutral tree."""

from datetime import UTC

from index.filter import All, AnyOf, Condition, Filter, Not, Op, Scalar
from latentspace.v1 import filter_pb2 as pb
from services.runtime.errors import RequestError

# A tree deeper than this is no question that a person or a program asks.
MAX_DEPTH = 32
MAX_NODES = 10_000
# values of all tests of membership together: reading so many takes a few tens of milliseconds
MAX_VALUES = 65_536


def read_filter(message: pb.Filter, field: str = "filter") -> Filter:
    """A filter tree.

    Raises:
        RequestError: a part is not set, or the tree is too deep or too large; names it.
    """
    return _Reader().read(message, field, 0)


class _Reader:
    def __init__(self) -> None:
        self.nodes = self.values = 0

    def read(self, message: pb.Filter, field: str, depth: int) -> Filter:
        self.nodes += 1
        if depth > MAX_DEPTH or self.nodes > MAX_NODES:
            raise RequestError(
                field, f"a filter has at most {MAX_DEPTH} levels and {MAX_NODES} parts"
            )
        kind = message.WhichOneof("filter")
        if kind == "condition":
            self.count_values(message.condition, field)
            return read_condition(message.condition, f"{field}.condition")
        if kind == "all":
            return All(self.parts(message.all, f"{field}.all", depth))
        if kind == "any":
            return AnyOf(self.parts(message.any, f"{field}.any", depth))
        if kind == "negation":
            return Not(self.read(message.negation, f"{field}.negation", depth + 1))
        raise RequestError(field, "set one of condition, all, any, negation")

    def count_values(self, condition: pb.Condition, field: str) -> None:
        self.values += len(getattr(condition, "in").values)
        if self.values > MAX_VALUES:
            raise RequestError(
                f"{field}.condition.in.values",
                f"a filter has at most {MAX_VALUES:,} values: declare a field that stands for the"
                " set, or ask in several calls",
            )

    def parts(self, message: pb.FilterList, field: str, depth: int) -> tuple[Filter, ...]:
        if not message.filters:
            raise RequestError(f"{field}.filters", "give at least one filter")
        return tuple(
            self.read(part, f"{field}.filters[{i}]", depth + 1)
            for i, part in enumerate(message.filters)
        )


def read_condition(message: pb.Condition, field: str) -> Filter:
    """A test of one field; a range of two bounds is two tests.

    Raises:
        RequestError
    """
    name = message.field
    if not name:
        raise RequestError(f"{field}.field", "name a declared field")
    kind = message.WhichOneof("test")
    if kind == "equal":
        return Condition(name, Op.EQ, read_value(message.equal, f"{field}.equal"))
    if kind == "not_equal":
        return Condition(name, Op.NE, read_value(message.not_equal, f"{field}.not_equal"))
    if kind == "exists":
        return Condition(name, Op.EXISTS, message.exists)
    if kind == "range":
        return _range(name, message.range, f"{field}.range")
    if kind == "in":
        values = getattr(message, "in").values
        if not values:
            raise RequestError(f"{field}.in.values", "give at least one value")
        read = tuple(read_value(v, f"{field}.in.values[{i}]") for i, v in enumerate(values))
        return Condition(name, Op.IN, read)
    raise RequestError(field, "set one of equal, not_equal, in, range, exists")


def _range(name: str, message: pb.Range, field: str) -> Filter:
    bounds = [
        Condition(name, Op(bound.name), read_value(value, f"{field}.{bound.name}"))
        for bound, value in message.ListFields()
    ]
    if not bounds:
        raise RequestError(field, "set at least one of gt, gte, lt, lte")
    return bounds[0] if len(bounds) == 1 else All(tuple(bounds))


def read_value(message: pb.Value, field: str) -> Scalar:
    """One value.

    Raises:
        RequestError: none is set, or a time is out of range.
    """
    kind = message.WhichOneof("value")
    if kind is None:
        raise RequestError(field, "set one of the values")
    if kind == "datetime_value":
        try:
            return message.datetime_value.ToDatetime(tzinfo=UTC)
        except (ValueError, OverflowError) as error:
            raise RequestError(field, f"not a time: {error}") from error
    value: Scalar = getattr(message, kind)
    return value
