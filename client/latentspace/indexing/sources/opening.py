"""Files and standard input as lines of text, unpacked where they are gzip or xz."""

import gzip
import lzma
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import BinaryIO, TypeVar, cast

from latentspace.indexing.options import SourceError

STDIN = "-"
STDIN_NAME = "standard input"
GZIP_MAGIC, XZ_MAGIC = b"\x1f\x8b", b"\xfd7zXZ\x00"
# beyond this a file is not one of lines, and would fill the memory
MAX_LINE_BYTES = 64 << 20

DAMAGE = (EOFError, zlib.error, lzma.LZMAError, gzip.BadGzipFile)

T = TypeVar("T")


class Lines:
    """Lines with their ends, decoded one by one; a leading byte order mark is left out.

    Standard input can be read once, files as often as one likes.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self.name = STDIN_NAME if path == STDIN else path
        self.short = STDIN_NAME if path == STDIN else Path(path).name
        #: where relative paths in the text begin
        self.folder = Path() if path == STDIN else Path(path).parent
        self._taken = False

    def __iter__(self) -> Iterator[str]:
        """The lines, as far as they can be read.

        Raises:
            SourceError: not there, not UTF-8, damaged or cut off; names the line.
        """
        number = 0
        try:
            with self._open() as file:
                while line := file.readline(MAX_LINE_BYTES + 1):
                    number += 1
                    if len(line) > MAX_LINE_BYTES:
                        raise self._error(number, f"the line has over {MAX_LINE_BYTES} bytes")
                    yield line.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError as error:
            raise self._error(number, f"not UTF-8 ({error.reason})") from None
        except DAMAGE as error:
            raise self._error(number + 1, f"damaged or cut off ({error})") from error
        except OSError as error:
            raise self._error(number + 1, error.strerror or str(error)) from error

    def _error(self, number: int, message: str) -> SourceError:
        return SourceError(f"{self.name}: line {number}: {message}")

    @contextmanager
    def _open(self) -> Iterator[BinaryIO]:
        if self.path != STDIN:
            with open(self.path, "rb") as file:
                yield _unpacked(cast("BinaryIO", file), file.peek(len(XZ_MAGIC)))
            return
        if self._taken:
            raise SourceError(f"{STDIN_NAME} can be read only once")
        self._taken = True
        stdin = _own_stdin()
        start = stdin.peek(len(XZ_MAGIC)) if hasattr(stdin, "peek") else b""
        yield _unpacked(stdin, start)


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


def _unpacked(file: BinaryIO, start: bytes) -> BinaryIO:
    if start.startswith(GZIP_MAGIC):
        return cast("BinaryIO", gzip.GzipFile(fileobj=file))
    if start.startswith(XZ_MAGIC):
        return cast("BinaryIO", lzma.LZMAFile(file))
    return file
