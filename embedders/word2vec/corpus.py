"""The text that Word2Vec is trained on: one sentence a line, words between white space.

Lines end at LF, a byte order mark at the beginning is left out, a line that is not UTF-8 is passed
over and counted: the rules of `latentspace_text`, but for its limit on the length of a line.
"""

import gzip
import hashlib
import lzma
import zlib
from codecs import BOM_UTF8
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
    """A plain file that gensim can read, with the SHA-256 of the unpacked text.

    Args:
        faulty: the number of the first line that was passed over (0: none), and how many were.
    """

    path: Path
    sha256: str
    lines: int
    words: int
    faulty: tuple[int, int] = (0, 0)

    def notes(self) -> tuple[str, ...]:
        """What was passed over, as a sentence."""
        first, count = self.faulty
        if not count:
            return ()
        return (f"{count} lines are not UTF-8 or have a NUL: left out, the first is line {first}",)


@contextmanager
def open_corpus(source: Path) -> Iterator[Corpus]:
    """The corpus as a plain file, unpacked beside the temporary files where it is .gz or .xz.

    Lines of more than 10,000 words are cut into several. The temporary file goes at the end.

    Raises:
        OptionError: no such file, damaged, or without a word that can be read; `field` is "source".
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
    """Copies word by word, cutting long lines, and counts."""
    digest, lines, words, first, faulty = hashlib.sha256(), 0, 0, 0, 0
    try:
        with _open_packed(source) as file:
            for line in file:
                digest.update(line)
                lines += 1
                sentence = _words(line.removeprefix(BOM_UTF8) if lines == 1 else line)
                if sentence is None:
                    first, faulty = first or lines, faulty + 1
                    continue
                words += len(sentence)
                for start in range(0, len(sentence), MAX_LINE_WORDS):
                    part = " ".join(sentence[start : start + MAX_LINE_WORDS])
                    copy.write(part.encode() + b"\n")
    except (EOFError, zlib.error, lzma.LZMAError, gzip.BadGzipFile) as error:
        raise OptionError("source", f"{source}: damaged or cut off: {error}") from error
    if not words:
        bad = f"; line {first} and {faulty - 1} others are not UTF-8" if faulty else ""
        message = f"{source}: no words; one sentence a line is expected{bad}"
        raise OptionError("source", message)
    return Corpus(Path(str(copy.name)), digest.hexdigest(), lines, words, (first, faulty))


def _words(line: bytes) -> list[str] | None:
    """Words of a line; None where it is not UTF-8.

    They are taken apart here: gensim counts words between any white space of Unicode, but trains
    on those between spaces.
    """
    try:
        text = line.decode()
    except UnicodeDecodeError:
        return None
    return None if "\0" in text else text.split()


def _open_packed(source: Path) -> BinaryIO:
    with source.open("rb") as file:
        head = file.read(len(XZ_MAGIC))
    if head.startswith(GZIP_MAGIC):
        return cast("BinaryIO", gzip.open(source, "rb"))
    if head == XZ_MAGIC:
        return cast("BinaryIO", lzma.open(source, "rb"))
    return source.open("rb")
