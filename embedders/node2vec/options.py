"""How a graph is read."""

from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar

from embedders.options import STRICT


class Delimiter(StrEnum):
    """What stands between the fields of a line; AUTO: a tab, a comma, or else white space."""

    AUTO = "auto"
    TAB = "tab"
    COMMA = "comma"
    SPACE = "space"


class EdgeWeights(StrEnum):
    """AUTO: the third field where there is one; IGNORE: only the first two fields are read."""

    AUTO = "auto"
    USE = "use"
    IGNORE = "ignore"


class Duplicates(StrEnum):
    """What becomes of an edge that comes again with another weight."""

    REFUSE = "refuse"
    SUM = "sum"
    LAST = "last"


class Loops(StrEnum):
    """What becomes of an edge from a node to itself."""

    KEEP = "keep"
    DROP = "drop"


@dataclass(frozen=True, slots=True)
class GraphOptions:
    """How a graph is read.

    Args:
        directed: edges lead one way.
        weights: whether edges have weights.
        delimiter: of an edge list.
        header: the first line of an edge list names its columns.
        duplicates: an edge that comes again with the same weight is always one edge.
        self_loops: whether edges from a node to itself stay.
        variable: of a .mat file, the matrix.
    """

    __pydantic_config__: ClassVar = STRICT

    directed: bool = False
    weights: EdgeWeights = EdgeWeights.AUTO
    delimiter: Delimiter = Delimiter.AUTO
    header: bool = False
    duplicates: Duplicates = Duplicates.REFUSE
    self_loops: Loops = Loops.KEEP
    variable: str = "network"
