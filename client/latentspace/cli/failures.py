"""What a job could not index: in a file, as events, or the first few on standard error."""

from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Self

from latentspace.cli.exits import complain
from latentspace.cli.output import Output
from latentspace.cli.progress import event
from latentspace.indexing.dead_letters import DeadLetters
from latentspace.indexing.records import BadRecord

SHOWN = 5


class Failures:
    """Takes bad records as they come; `tell` says at the end what became of them.

    Args:
        path: of the dead-letter file; None keeps the first few only.

    Raises:
        OSError: the file cannot be written.
    """

    def __init__(self, out: Output, path: Path | None) -> None:
        self._out = out
        self._path = path
        self._first: list[BadRecord] = []
        self._count = 0
        self._files = ExitStack()
        self._letters = None if path is None else self._files.enter_context(DeadLetters(path))

    def __call__(self, bad: BadRecord) -> None:
        """Keeps one."""
        self._count += 1
        if self._letters is not None:
            self._letters.write(bad)
        if self._out.as_json:
            event(self._out, "failed", **asdict(bad))
        elif len(self._first) < SHOWN:
            self._first.append(bad)

    def tell(self) -> None:
        """Says where all are, or shows the first few and how to get the rest."""
        if not self._count or self._out.as_json:
            return
        if self._path is not None:
            complain(f"{_records(self._count)} failed: {self._path} says which and why")
            return
        for bad in self._first:
            complain(f"{bad.place or bad.id}: {bad.message}")
        if self._count > len(self._first):
            more = self._count - len(self._first)
            complain(f"and {_records(more)} more: --dead-letters FILE writes all of them down")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._files.close()


def _records(count: int) -> str:
    return f"{count:,} record{'s' * (count != 1)}"
