"""Tables on a terminal: nothing is cut, no id is broken, numbers stand below each other."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

import numpy as np
from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from latentspace.cli.cells import text_of

GAP = 2
# what may be broken anywhere, as JSON and lists, still gets so much room
LEAST_FOLDED = 20
# beside a number of at least this size no more decimals tell anything
LEAST_PLAIN, MOST_DECIMALS = 0.01, 6


@dataclass(frozen=True, slots=True)
class Column:
    """A column as it is printed.

    Args:
        cells: one for each row.
        numbers: all of its values are numbers: they stand at the right.
        least: the narrowest it can be without breaking a word that must stay whole.
    """

    title: str
    cells: list[str]
    numbers: bool
    least: int

    @classmethod
    def of(cls, name: str, values: Sequence[object]) -> "Column":
        """The column of some values."""
        there = [value for value in values if value is not None]
        numbers = bool(there) and all(map(_is_number, there))
        cells = _aligned(values) if numbers else [text_of(value) for value in values]
        title = name.replace("_", " ")
        whole = max((_longest_word(cell) for cell in [title, *cells]), default=0)
        folds = all(isinstance(value, Mapping | list | tuple | np.ndarray) for value in there)
        return cls(title, cells, numbers, min(whole, LEAST_FOLDED) if folds else whole)

    @property
    def natural(self) -> int:
        """Its width without any wrapping."""
        return max(cell_len(cell) for cell in [self.title, *self.cells])


def print_table(
    console: Console, names: Sequence[str], records: Sequence[Mapping[str, Any]]
) -> None:
    """Prints records as rows; where these do not fit, as blocks of lines."""
    columns = [Column.of(name, [record.get(name) for record in records]) for name in names]
    widths = _fitted(columns, console.width)
    if widths is None:
        for number, record in enumerate(records):
            if number:
                console.print()
            print_block(console, {name: record.get(name) for name in names})
        return
    _print_row(console, columns, widths, [column.title for column in columns], "bold")
    for row in zip(*(column.cells for column in columns), strict=True):
        _print_row(console, columns, widths, row)


def print_block(console: Console, record: Mapping[str, Any]) -> None:
    """Prints a record, a line for each key; words longer than a line are left to the terminal."""
    margin = max((cell_len(name) for name in record), default=0) + GAP
    room = max(1, console.width - margin)
    for name, value in record.items():
        cell = text_of(value) or "-"
        lines = wrapped_cell(cell, room) if _longest_word(cell) <= room else [cell]
        for number, line in enumerate(lines):
            title = "" if number else name.replace("_", " ")
            console.print(f"{title:<{margin}}{line}", soft_wrap=True)


def wrapped_cell(cell: str, width: int) -> list[str]:
    """Lines of at most `width`: words stay whole, but for those that are longer."""
    lines = [""]
    for word in cell.split():
        longer = f"{lines[-1]} {word}".lstrip()
        if cell_len(longer) <= width:
            lines[-1] = longer
            continue
        lines += [""] if lines[-1] else []
        for letter in word:
            if lines[-1] and cell_len(lines[-1] + letter) > width:
                lines.append("")
            lines[-1] += letter
    return lines


def _print_row(
    console: Console,
    columns: Sequence[Column],
    widths: Sequence[int],
    cells: Sequence[str],
    style: str = "",
) -> None:
    wrapped = [wrapped_cell(cell, width) for cell, width in zip(cells, widths, strict=True)]
    for lines in zip_longest(*wrapped, fillvalue=""):
        padded = [
            " " * (width - cell_len(line)) + line
            if column.numbers
            else line + " " * (width - cell_len(line))
            for column, line, width in zip(columns, lines, widths, strict=True)
        ]
        console.print(Text((" " * GAP).join(padded).rstrip(), style), soft_wrap=True)


def _fitted(columns: Sequence[Column], room: int) -> list[int] | None:
    """Widths that fill the room at most: the widest give way first; None where none do."""
    room -= GAP * (len(columns) - 1)
    if sum(column.least for column in columns) > room:
        return None
    widths = [column.natural for column in columns]
    while sum(widths) > room:
        loose = [i for i, column in enumerate(columns) if widths[i] > column.least]
        widths[max(loose, key=widths.__getitem__)] -= 1
    return widths


def _aligned(values: Sequence[Any]) -> list[str]:
    """Numbers with as many decimals as the most precise of them needs."""
    plain = [text_of(value) for value in values]
    if any("e" in cell for cell in plain):
        return plain
    decimals = max(len(cell.partition(".")[2]) for cell in plain)
    if any(isinstance(value, float) and abs(value) >= LEAST_PLAIN for value in values):
        decimals = min(decimals, MOST_DECIMALS)
    return [
        f"{value:.{decimals}f}" if isinstance(value, float) and math.isfinite(value) else cell
        for value, cell in zip(values, plain, strict=True)
    ]


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _longest_word(cell: str) -> int:
    return max(map(cell_len, cell.split()), default=0)
