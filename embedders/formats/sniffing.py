"""Which format a file has, by its content."""

import re
from codecs import BOM_UTF8
from enum import StrEnum
from pathlib import Path

from embedders.errors import ModelFormatError
from embedders.formats.fasttext import begins_like_fasttext
from embedders.formats.opening import open_read

HEAD_BYTES = 65_536
HEAD_LINES = 5
HEADER = re.compile(rb"\s*(\d+)[ \t]+(\d+)[ \t]*\r?\n")
NUMBER = re.compile(rb"[+-]?(\d+\.?\d*|\.\d+|nan|inf)([eE][+-]?\d+)?", re.IGNORECASE)
PRINTABLE = re.compile(rb"[\t\r -~]*")
PICKLE = re.compile(rb"\x80[\x02-\x05]")


class VocabularyFormat(StrEnum):
    """Formats that can be read, all but SAFETENSORS also as .gz; FASTTEXT is not written."""

    SAFETENSORS = "safetensors"
    WORD2VEC_TEXT = "word2vec-text"
    WORD2VEC_BINARY = "word2vec-binary"
    GLOVE_TEXT = "glove-text"
    FASTTEXT = "fasttext-bin"


def sniff(path: Path) -> VocabularyFormat:
    """The format of a file; its name is not looked at.

    Raises:
        ModelFormatError: none of those known; a pickle is refused with the way to convert it.
    """
    with open_read(path) as file:
        head = file.read(HEAD_BYTES)
    head = head.removeprefix(BOM_UTF8)
    # safetensors: 8 bytes that give the length of a JSON header, then that header; looked for
    # first, since a length may begin like a pickle
    if head[8:9] == b"{" and int.from_bytes(head[:8], "little") < 1 << 32:
        return VocabularyFormat.SAFETENSORS
    _refuse_known_strangers(path, head)
    if begins_like_fasttext(head):
        return VocabularyFormat.FASTTEXT
    header = HEADER.match(head)
    if header:
        text = _looks_like_text(head[header.end() :])
        return VocabularyFormat.WORD2VEC_TEXT if text else VocabularyFormat.WORD2VEC_BINARY
    if _looks_like_text(head):
        return VocabularyFormat.GLOVE_TEXT
    raise ModelFormatError(
        f"{path}: not a known format; known: {', '.join(VocabularyFormat)} (also .gz)"
    )


def _looks_like_text(rows: bytes) -> bool:
    """Whether most of the first lines are a key, then printable ASCII with a number in it."""
    lines = rows.split(b"\n")
    # the last may be cut off; bytes that are no text seldom have a line feed
    complete = (lines[:-1] or lines)[:HEAD_LINES]
    rows_of_text = sum(_is_row_of_text(line) for line in complete if line.strip())
    return 2 * rows_of_text > len([line for line in complete if line.strip()])


def _is_row_of_text(line: bytes) -> bool:
    after_key = line.partition(b" ")[2] or line.partition(b"\t")[2]
    numeric = any(NUMBER.fullmatch(part) for part in after_key.split())
    return numeric and PRINTABLE.fullmatch(after_key) is not None


def _refuse_known_strangers(path: Path, head: bytes) -> None:
    if not head.strip():
        raise ModelFormatError(f"{path}: the file is empty")
    if PICKLE.match(head):
        raise ModelFormatError(
            f"{path}: a pickle, as gensim's save() writes, is never loaded since it can run code; "
            "convert it where you trust it: "
            "KeyedVectors.load(path).save_word2vec_format('vectors.bin', binary=True)"
        )
    if head.startswith(b"PK\x03\x04"):
        raise ModelFormatError(f"{path}: a zip archive; unpack it and load the vectors file in it")
