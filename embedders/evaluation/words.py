"""What the protocols of words share: folded vocabularies and gensim's test sets."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from embedders.base import EncodeOptions, Item, Modality
from embedders.errors import MissingExtraError, OptionError
from embedders.evaluation.base import Subject, embed_all
from embedders.training import Progress
from embedders.vectors import FloatRows, IndexArray, normalize_rows
from latentspace_text import TextFileError
from latentspace_text import read_lines as text_lines

#: name -> file in gensim's test data
BUILTIN = {
    "google": "questions-words.txt",
    "wordsim353": "wordsim353.tsv",
    "simlex999": "simlex999.txt",
}


def builtin_path(name: str) -> Path:
    """The file of a built-in set.

    Raises:
        MissingExtraError: gensim, which brings it, is not installed.
    """
    try:
        from gensim.test.utils import datapath
    except ModuleNotFoundError as error:
        raise MissingExtraError(f"the built-in set {name!r}", "gensim", "words") from error
    return Path(datapath(BUILTIN[name]))


def read_lines(path: Path) -> list[str]:
    """Lines of a text file without their ends, by the rules of `latentspace_text`.

    Raises:
        OptionError: it cannot be read; names the line.
    """
    try:
        lines = list(text_lines(path))
    except TextFileError as error:
        raise OptionError("source", str(error).replace(str(path), path.name)) from error
    for line in lines:
        # a test set with a line left out would give another figure
        if line.fault:
            raise OptionError("source", f"{path.name}: line {line.number} {line.fault}")
    return [line.text for line in lines]


class FoldedVocabulary:
    """The first keys of a vocabulary, where "Paris" also answers to "paris".

    Of keys that differ in case alone the first, the most frequent, stands for all.

    Args:
        fold: whether case is looked over.
    """

    def __init__(self, keys: Sequence[str], rows: FloatRows, fold: bool) -> None:
        self.unit = normalize_rows(rows)
        self._fold = fold
        self._first: dict[str, int] = {}
        for place, key in enumerate(keys):
            self._first.setdefault(self._folded(key), place)
        #: for each row the first row whose key folds alike, intp (n,)
        self.leader: IndexArray = np.fromiter(
            (self._first[self._folded(key)] for key in keys), np.intp, len(keys)
        )

    def place(self, word: str) -> int:
        """Row of a word; -1 where it has none."""
        return self._first.get(self._folded(word), -1)

    def _folded(self, word: str) -> str:
        # upper, as gensim does: "ß" and "SS" are one
        return word.upper() if self._fold else word


def folded_vocabulary(model: Subject, limit: int, fold: bool) -> FoldedVocabulary:
    """The first `limit` keys of a model, unit rows (n, dim)."""
    return FoldedVocabulary(*model.vocabulary(limit), fold)


def embedded_words(
    model: Subject, words: Sequence[str], progress: Progress
) -> tuple[FloatRows, dict[str, int]]:
    """Unit rows of words embedded as texts, and the row of each word that could be."""
    distinct = list(dict.fromkeys(words))
    items = [Item(Modality.TEXT, word) for word in distinct]
    found = embed_all(model, items, EncodeOptions(), progress, "words")
    places = {word: i for i, word in enumerate(distinct) if i not in found.errors}
    return found.rows, places
