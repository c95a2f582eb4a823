"""Numbered lines of files, decoded one by one."""

import codecs
import gzip
import lzma
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple, cast

# longer ones are not text for people, and would fill the memory
MAX_LINE_BYTES = 16 << 20
GZIP_MAGIC, XZ_MAGIC = b"\x1f\x8b", b"\xfd7zXZ\x00"
#: what reading a damaged gzip or xz file raises
DAMAGE = (EOFError, zlib.error, lzma.LZMAError, gzip.BadGzipFile)
_OTHER_ENCODINGS = {
    codecs.BOM_UTF32_LE: "UTF-32",
    codecs.BOM_UTF32_BE: "UTF-32",
    codecs.BOM_UTF16_LE: "UTF-16",
    codecs.BOM_UTF16_BE: "UTF-16",
}


class TextFileError(Exception):
    """A file cannot be opened, or not be read any further; names the file, the line and why."""


class Line(NamedTuple):
    """A line of a file.

    Args:
        number: from 1; blank and faulty lines count.
        text: without its end. Of a faulty line: what could be decoded, for messages only.
        end: its end, LF or CR LF; "" at the end of a file.
        fault: why the text cannot be used; "" of a sound line.
        quotes: of a line too long to keep, which has no text: how many double quotes it has.
    """

    number: int
    text: str
    end: str = "\n"
    fault: str = ""
    quotes: int = 0

    @property
    def is_blank(self) -> bool:
        """Whether it has nothing but white space."""
        return (not self.text or self.text.isspace()) and not self.fault


def read_lines(path: Path) -> Iterator[Line]:
    """The lines of a file, unpacked where it is gzip or xz.

    Raises:
        TextFileError: it cannot be read, is damaged or cut off, or is UTF-16.
    """
    try:
        with path.open("rb") as file:
            yield from open_lines(unpacked(file, file.peek(len(XZ_MAGIC))), str(path))
    except OSError as error:
        raise TextFileError(f"{path}: {error.strerror or error}") from error


def open_lines(file: BinaryIO, name: str) -> Iterator[Line]:
    """The lines of an opened file.

    Args:
        name: of the file, for messages.

    Raises:
        TextFileError: it cannot be read, is damaged or cut off, or is UTF-16; names the line.
    """
    number = 0
    try:
        while raw := file.readline(MAX_LINE_BYTES + 1):
            number += 1
            if number == 1:
                raw = _begun(raw, name)
            yield _line(number, raw) if len(raw) <= MAX_LINE_BYTES else _skipped(number, raw, file)
    except DAMAGE as error:
        message = f"{name}: line {number + 1}: damaged or cut off ({error})"
        raise TextFileError(message) from error
    except OSError as error:
        raise TextFileError(f"{name}: line {number + 1}: {error.strerror or error}") from error


def unpacked(file: BinaryIO, start: bytes) -> BinaryIO:
    """The content of a file that begins with `start`, which may be gzip or xz."""
    if start.startswith(GZIP_MAGIC):
        return cast("BinaryIO", gzip.GzipFile(fileobj=file))
    if start.startswith(XZ_MAGIC):
        return cast("BinaryIO", lzma.LZMAFile(file))
    return file


def _begun(raw: bytes, name: str) -> bytes:
    """The first line without its byte order mark."""
    for mark, encoding in _OTHER_ENCODINGS.items():
        if raw.startswith(mark):
            raise TextFileError(f"{name}: this is {encoding}; save it as UTF-8")
    return raw.removeprefix(codecs.BOM_UTF8)


def _line(number: int, raw: bytes) -> Line:
    try:
        text = raw.decode()
    except UnicodeDecodeError as error:
        fault = f"is not UTF-8: byte {error.start + 1} of the line ({error.reason})"
        text = raw.decode(errors="replace")
        return Line(number, text.rstrip("\r\n"), "\n" if raw.endswith(b"\n") else "", fault)
    if "\0" in text:
        fault = f"has a NUL byte, at letter {text.index(chr(0)) + 1}"
        return Line(number, text.rstrip("\r\n"), "\n" if raw.endswith(b"\n") else "", fault)
    if text[-2:] == "\r\n":
        return Line(number, text[:-2], "\r\n")
    if text[-1:] == "\n":
        return Line(number, text[:-1])
    return Line(number, text, "")


def _skipped(number: int, raw: bytes, file: BinaryIO) -> Line:
    """A line too long to keep, read to its end."""
    quotes = raw.count(b'"')
    while not raw.endswith(b"\n") and (raw := file.readline(MAX_LINE_BYTES)):
        quotes += raw.count(b'"')
    return Line(number, "", "\n" if raw else "", f"has over {MAX_LINE_BYTES} bytes", quotes)
