"""Reading a vocabulary whatever its format."""

from collections.abc import Callable, Mapping
from pathlib import Path

from embedders.damage import naming
from embedders.errors import ModelFormatError
from embedders.formats.binary import read_word2vec_binary
from embedders.formats.fasttext import read_fasttext
from embedders.formats.layout import read_safetensors
from embedders.formats.rows import BadRows, RowCheck
from embedders.formats.sniffing import VocabularyFormat, sniff
from embedders.formats.text import read_glove_text, read_word2vec_text
from embedders.vocabulary import Vocabulary

Reader = Callable[[Path, int, RowCheck], Vocabulary]

READERS: Mapping[VocabularyFormat, Reader] = {
    VocabularyFormat.SAFETENSORS: read_safetensors,
    VocabularyFormat.WORD2VEC_TEXT: read_word2vec_text,
    VocabularyFormat.WORD2VEC_BINARY: read_word2vec_binary,
    VocabularyFormat.GLOVE_TEXT: read_glove_text,
    VocabularyFormat.FASTTEXT: read_fasttext,
}


def read_vocabulary(
    path: Path,
    limit: int = 0,
    format: VocabularyFormat | None = None,
    bad_rows: BadRows = BadRows.REFUSE,
) -> Vocabulary:
    """A vocabulary of any known format, plain or .gz.

    Args:
        limit: read only so many rows (0: all).
        format: None finds it out from the content.
        bad_rows: SKIP passes over rows whose key is blank, repeated or not UTF-8, or whose numbers
            do not fit; the vocabulary's notes count them.

    Raises:
        ModelFormatError: not there, unknown, damaged or cut off; says what and where.
    """
    if not path.is_file():
        raise ModelFormatError(f"{path}: no such file")
    with naming(path, ModelFormatError, "a file of vectors"):
        return READERS[format or sniff(path)](path, limit, RowCheck(path, bad_rows))
