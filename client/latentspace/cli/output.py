"""What commands print: tables on a terminal, tab-separated lines in a pipe, or JSON."""

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TextIO

from rich.console import Console

from latentspace.cli.cells import plain, text_of
from latentspace.cli.tables import print_block, print_table

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
        if self.is_terminal:
            print_table(self._console(), columns, list(records))
        else:
            self._lines([text_of(record.get(column)) for column in columns] for record in records)

    @property
    def is_table(self) -> bool:
        """Whether people read it."""
        return self.is_terminal and not self.as_json

    def record(self, record: Record) -> None:
        """One thing, a line for each of its keys."""
        if self.as_json:
            self._json(record)
            return
        if self.is_terminal:
            print_block(self._console(), record)
        else:
            self._lines([name, text_of(value)] for name, value in record.items())

    def say(self, message: str, record: Record) -> None:
        """What was done: a sentence for people, a record for programs."""
        if self.as_json:
            self._json(record)
        else:
            print(message, file=self._stream)

    def _json(self, record: Record) -> None:
        text = json.dumps(plain(record), ensure_ascii=False, allow_nan=False)
        print(text, file=self._stream)

    def _console(self) -> Console:
        return Console(file=self._stream, markup=False, highlight=False, emoji=False)

    def _lines(self, rows: Iterable[Sequence[str]]) -> None:
        for row in rows:
            cells = (cell.replace("\t", " ").replace("\n", " ") for cell in row)
            print("\t".join(cells), file=self._stream)
