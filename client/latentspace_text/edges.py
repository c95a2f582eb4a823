"""Edge lists: a line an edge, its source, its target and, where it has one, its weight.

Fields stand between tabs, commas (with quotes as in CSV) or white space; names have no white space
around, but where quotes keep it. A line is a comment where it begins with # or %, one or several,
and a space follows or nothing: "# FromNodeId	ToNodeId", "% sym". All others are edges, so that
names may begin with these signs. What networkx writes by default is read too: "a b {}" is an edge
of weight 1, "a b {'weight': 2.0}" one of weight 2.
"""

import ast
import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from latentspace_text.cells import CellError, split_cells

_COMMENT = re.compile(r"(?:#+|%+)(?: |\Z)")
# an attribute dict of networkx is shorter
_MAX_ATTRIBUTES = 10_000


class Delimiter(StrEnum):
    """What stands between the fields of an edge list."""

    TAB = "\t"
    COMMA = ","
    SPACE = " "  # any white space


@dataclass(frozen=True, slots=True)
class EdgeFormat:
    """How the lines of one edge list are read."""

    delimiter: Delimiter

    @classmethod
    def of(cls, head: Iterable[str], delimiter: str = "") -> "EdgeFormat":
        """The format of a file that begins with these lines.

        Args:
            delimiter: a tab, a comma or a space; "" takes the first of these in the first edge.
        """
        if delimiter:
            return cls(Delimiter(delimiter))
        first = next((text for text in head if text.strip() and not is_comment(text)), "")
        if Delimiter.TAB in first:
            return cls(Delimiter.TAB)
        bare = first.partition("{")[0]  # attributes of networkx have commas
        return cls(Delimiter.COMMA if Delimiter.COMMA in bare else Delimiter.SPACE)

    def splitter(self) -> Callable[[str], list[str]]:
        """A function of a line's text that gives its fields; none of a blank line or a comment.

        It raises ValueError where quotes or attributes are broken.
        """
        split = _SPLIT[self.delimiter]

        def fields(text: str) -> list[str]:
            return [] if is_comment(text) else split(text)

        return fields


def is_comment(text: str) -> bool:
    """Whether a line of an edge list is a comment."""
    return _COMMENT.match(text) is not None


def _by_tabs(text: str) -> list[str]:
    if text.isspace() or not text:
        return []
    return [name.strip() for name in text.split("\t")]


def _by_commas(text: str) -> list[str]:
    if not text.strip():
        return []
    try:
        return split_cells(text, ",")
    except CellError as error:
        raise ValueError(str(error)) from None


def _by_spaces(text: str) -> list[str]:
    if "{" not in text:
        return text.split()
    fields = text.split(maxsplit=2)
    if len(fields) == 3 and fields[2].startswith("{") and fields[2].rstrip().endswith("}"):
        return [*fields[:2], _weight(fields[2])]
    return text.split()


def _weight(attributes: str) -> str:
    """The weight among the attributes of an edge; 1 where there is none."""
    if attributes.strip() == "{}":
        return "1"
    values: object = None
    if len(attributes) <= _MAX_ATTRIBUTES:
        for read in (ast.literal_eval, json.loads):
            try:
                values = read(attributes)
                break
            except (ValueError, SyntaxError, RecursionError, MemoryError):
                continue
    if not isinstance(values, Mapping):
        raise ValueError(f"the attributes {attributes!r:.60} are not a dict of plain values")
    return str(values.get("weight", 1))


_SPLIT = {Delimiter.TAB: _by_tabs, Delimiter.COMMA: _by_commas, Delimiter.SPACE: _by_spaces}
