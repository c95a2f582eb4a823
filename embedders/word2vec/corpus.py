"""The text that Word2Vec is trained on: one sentence a line, words between spaces."""

import gzip
import hashlib
import lzma
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import BinaryIO, cast

from embedders.errors import OptionError

# gensim's corpus_file mode leaves out what comes after so many words of a line
MAX_LINE_WORDS = 10_000
GZIP_MAGIC = b"\x1f\x8b"
XZ_MAGIC = b"\xfd7zXZ\x00"


@dataclass(frozen=True, slots=True)
class Corpus:
    """A plain file that gensim can read, with the SHA-256 of the unpacked text."""

    path: Path
    sha256: str
    lines: int
    words: int


@contextmanager
def open_corpus(source: Path) -> Iterator[Corpus]:
    """The corpus as a plain file, unpacked beside the temporary files where it is .gz or .xz.

    Lines of more than 10,000 words are cut into several. The temporary file goes at the end.

    Raises:
        OptionError: no such file, damaged, not UTF-8, or empty; `field` is "source".
    """
    if not source.is_file():
        raise OptionError("source", f"{source}: no such file")
    # always a copy: gensim takes only plain files, and cuts long lines without a word
    with NamedTemporaryFile("wb", suffix=".txt", delete=False) as copy:
        plain = Path(copy.name)
        try:
            corpus = _copy(source, cast("BinaryIO", copy))
            copy.close()
            yield corpus
        finally:
            with suppress(FileNotFoundError):
                plain.unlink()


def _copy(source: Path, copy: BinaryIO) -> Corpus:
    """Copies line by line, cutting long ones, and counts."""
    digest, lines, words = hashlib.sha256(), 0, 0
    try:
        with _open_packed(source) as file:
            for line in file:
                digest.update(line)
                lines += 1
                found = _check_utf8(source, lines, line).split()
                words += len(found)
                for start in range(0, len(found), MAX_LINE_WORDS):
                    copy.write(b" ".join(found[start : start + MAX_LINE_WORDS]) + b"\n")
    except (EOFError, zlib.error, lzma.LZMAError, gzip.BadGzipFile) as error:
        raise OptionError("source", f"{source}: damaged or cut off: {error}") from error
    if not words:
        raise OptionError("source", f"{source}: no words; one sentence a line is expected")
    return Corpus(Path(str(copy.name)), digest.hexdigest(), lines, words)


def _check_utf8(source: Path, number: int, line: bytes) -> bytes:
    try:
        line.decode()
    except UnicodeDecodeError as error:
        message = f"{source}: line {number} is not UTF-8: {error.reason}"
        raise OptionError("source", message) from None
    return line


def _open_packed(source: Path) -> BinaryIO:
    with source.open("rb") as file:
        head = file.read(len(XZ_MAGIC))
    if head.startswith(GZIP_MAGIC):
        return cast("BinaryIO", gzip.open(source, "rb"))
    if head == XZ_MAGIC:
        return cast("BinaryIO", lzma.open(source, "rb"))
    return source.open("rb")
