"""Files and standard input as numbered lines of text."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import BinaryIO, TypeVar

from latentspace.indexing.options import SourceError
from latentspace_text import Line, TextFileError, open_lines, read_lines
from latentspace_text.lines import unpacked

STDIN = "-"
STDIN_NAME = "standard input"
MAGIC_BYTES = 6

T = TypeVar("T")


class Lines:
    """The lines of a file, by the rules of `latentspace_text`.

    Standard input can be read once, files as often as one likes.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self.name = STDIN_NAME if path == STDIN else path
        self.short = STDIN_NAME if path == STDIN else Path(path).name
        #: where relative paths in the text begin
        self.folder = Path() if path == STDIN else Path(path).parent
        self._taken = False

    def __iter__(self) -> Iterator[Line]:
        """The lines, as far as they can be read.

        Raises:
            SourceError: not there, damaged or cut off, or UTF-16; names the line.
        """
        with text_errors():
            if self.path != STDIN:
                yield from read_lines(Path(self.path))
                return
            if self._taken:
                raise SourceError(f"{STDIN_NAME} can be read only once")
            self._taken = True
            stdin = _own_stdin()
            start = stdin.peek(MAGIC_BYTES) if hasattr(stdin, "peek") else b""
            yield from open_lines(unpacked(stdin, start), STDIN_NAME)


@contextmanager
def text_errors() -> Iterator[None]:
    """Errors of text files as those of sources."""
    try:
        yield
    except TextFileError as error:
        raise SourceError(str(error)) from error


def _own_stdin() -> BinaryIO:
    """Standard input by a file object that nobody else has.

    Python closes its own when it ends, and cannot while a thread waits in it.
    """
    try:
        return open(sys.stdin.fileno(), "rb", closefd=False)
    except (OSError, ValueError):  # it is no file, as in tests
        return sys.stdin.buffer


def peeked(items: Iterator[T], count: int) -> tuple[list[T], Iterator[T]]:
    """The first items, and all of them; an error among the first comes in its place."""
    head: list[T] = []
    try:
        for item in items:
            head.append(item)
            if len(head) == count:
                break
    except SourceError as error:
        return head, chain(head, _failing(error))
    return head, chain(head, items)


def _failing(error: SourceError) -> Iterator[T]:
    raise error
    yield
