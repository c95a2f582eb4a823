"""Writing the formats of other tools; names that end in .gz are compressed."""

from pathlib import Path
from typing import BinaryIO

from embedders.errors import ModelFormatError
from embedders.formats.opening import open_write
from embedders.vocabulary import Vocabulary


def save_word2vec_text(path: Path, vocabulary: Vocabulary) -> None:
    """word2vec text; every float32 is written so that it reads back the same.

    Raises:
        ModelFormatError: a key with white space.
    """
    _refuse_spaces(vocabulary)
    with open_write(path) as file:
        file.write(f"{len(vocabulary)} {vocabulary.dim}\n".encode())
        _write_rows(file, vocabulary)


def save_glove_text(path: Path, vocabulary: Vocabulary) -> None:
    """GloVe text: as word2vec text, without the header.

    Raises:
        ModelFormatError: a key with white space.
    """
    _refuse_spaces(vocabulary)
    with open_write(path) as file:
        _write_rows(file, vocabulary)


def save_word2vec_binary(path: Path, vocabulary: Vocabulary) -> None:
    """word2vec binary.

    Raises:
        ModelFormatError: a key with white space.
    """
    _refuse_spaces(vocabulary)
    rows = vocabulary.vectors.astype("<f4", copy=False)
    with open_write(path) as file:
        file.write(f"{len(vocabulary)} {vocabulary.dim}\n".encode())
        for key, row in zip(vocabulary.keys, rows, strict=True):
            file.write(key.encode() + b" " + row.tobytes() + b"\n")


def _write_rows(file: BinaryIO, vocabulary: Vocabulary) -> None:
    for key, row in zip(vocabulary.keys, vocabulary.vectors, strict=True):
        # 9 significant digits name a float32 exactly
        numbers = " ".join([f"{x:.9g}" for x in row.tolist()])
        file.write(f"{key} {numbers}\n".encode())


def _refuse_spaces(vocabulary: Vocabulary) -> None:
    for key in vocabulary.keys:
        if any(space in key for space in " \t\r\n"):
            raise ModelFormatError(
                f"key {key!r} has white space, which this format cannot tell from its end; "
                "save as safetensors"
            )
