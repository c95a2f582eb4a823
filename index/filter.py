"""The neutral filter tree: what a filter says, not how it is evaluated."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

#: against a declared datetime, strings and numbers are read as moments (index.columns.moments)
Scalar = str | int | float | bool | datetime


class Op(StrEnum):
    """Tests of one field. A point without the field passes only `ne` and `exists` False."""

    EQ = "eq"
    NE = "ne"
    IN = "in"
    GT = "gt"
    GTE = "gte"
    LT = "lt"
    LTE = "lte"
    EXISTS = "exists"


@dataclass(frozen=True, slots=True)
class Condition:
    """One test. `value`: a tuple for IN, a bool for EXISTS, else a scalar; datetimes are aware."""

    field: str
    op: Op
    value: Scalar | tuple[Scalar, ...]


@dataclass(frozen=True, slots=True)
class All:
    """Every part holds; of no parts, true."""

    parts: tuple["Filter", ...]


@dataclass(frozen=True, slots=True)
class AnyOf:
    """At least one part holds; of no parts, false."""

    parts: tuple["Filter", ...]


@dataclass(frozen=True, slots=True)
class Not:
    """The part does not hold."""

    part: "Filter"


Filter = Condition | All | AnyOf | Not
