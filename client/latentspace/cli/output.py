"""What commands print: tables on a terminal, tab-separated lines in a pipe, or JSON."""

import json
import math
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, TextIO

import numpy as np
from rich.console import Console
from rich.table import Table

Record = Mapping[str, Any]


class Output:
    """Output of a command.

    Args:
        as_json: JSON lines with the records' own keys, whole.
        stream: where it goes; None is standard output.
    """

    def __init__(self, as_json: bool = False, stream: TextIO | None = None) -> None:
        self.as_json = as_json
        self._stream = stream or sys.stdout
        self.is_terminal = self._stream.isatty()

    def records(self, records: Iterable[Record], columns: Sequence[str]) -> None:
        """Many things alike, one a line; tables and pipes show `columns` of them."""
        if self.as_json:
            for record in records:
                self._json(record)
            return
        rows = [[_text(record.get(column)) for column in columns] for record in records]
        if self.is_terminal:
            self._table(columns, rows)
        else:
            self._lines(rows)

    def record(self, record: Record) -> None:
        """One thing, a line for each of its keys."""
        if self.as_json:
            self._json(record)
            return
        rows = [[name, _text(value)] for name, value in record.items()]
        if self.is_terminal:
            self._table(("", ""), rows)
        else:
            self._lines(rows)

    def say(self, message: str, record: Record) -> None:
        """What was done: a sentence for people, a record for programs."""
        if self.as_json:
            self._json(record)
        else:
            print(message, file=self._stream)

    def _json(self, record: Record) -> None:
        text = json.dumps(_plain(record), ensure_ascii=False, allow_nan=False)
        print(text, file=self._stream)

    def _table(self, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        table = Table(show_header=any(columns), header_style="bold", box=None, pad_edge=False)
        for column in columns:
            table.add_column(column.replace("_", " "), overflow="fold")
        for row in rows:
            table.add_row(*row)
        Console(file=self._stream, markup=False, highlight=False, emoji=False).print(table)

    def _lines(self, rows: Sequence[Sequence[str]]) -> None:
        for row in rows:
            cells = (cell.replace("\t", " ").replace("\n", " ") for cell in row)
            print("\t".join(cells), file=self._stream)


def _text(value: object) -> str:
    """A value in a cell."""
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case float():
            return f"{value:.6g}"
        case datetime():
            return value.isoformat(timespec="seconds")
        case Mapping():
            return json.dumps(_plain(value), ensure_ascii=False) if value else ""
        case np.ndarray():
            head = " ".join(f"{number:.4f}" for number in value[:4])
            return f"{head}{' ...' if len(value) > 4 else ''}"
        case list() | tuple():
            return ", ".join(map(_text, value))
    return str(value)


def _plain(value: object) -> Any:
    """A value as JSON has it; numbers that JSON does not have are null."""
    match value:
        case float():
            return value if math.isfinite(value) else None
        case datetime():
            return value.isoformat()
        case Mapping():
            return {str(key): _plain(item) for key, item in value.items()}
        case np.ndarray():
            return value.tolist()
        case list() | tuple():
            return [_plain(item) for item in value]
    return value
