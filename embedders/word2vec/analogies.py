"""Analogy questions asked while a vocabulary is trained; the protocol is that of evaluation."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from embedders.errors import OptionError
from embedders.evaluation import analogies
from embedders.evaluation.analogies import Questions
from embedders.evaluation.words import FoldedVocabulary, builtin_path
from embedders.training import silent
from embedders.vectors import FloatRows

#: the source "google": the questions that come with gensim
GOOGLE = "google"


@dataclass(frozen=True, slots=True)
class AnalogyScore:
    """What a vocabulary got right; `answered` are the questions whose four words it knows."""

    right: int
    answered: int
    asked: int

    @property
    def accuracy(self) -> float:
        """Share of the answered questions, 0 where none was."""
        return self.right / max(1, self.answered)

    @property
    def coverage(self) -> float:
        """Share of the questions that could be answered."""
        return self.answered / max(1, self.asked)


def read_questions(source: str) -> Questions:
    """Questions of "google" or of a file in that layout.

    Raises:
        OptionError: not there, not UTF-8, or not of that layout; `field` is "analogies".
    """
    try:
        path = builtin_path(GOOGLE) if source == GOOGLE else Path(source).expanduser()
        return analogies.read_questions(path)
    except OptionError as error:
        raise OptionError("analogies", str(error)) from error


def score_analogies(keys: Sequence[str], vectors: FloatRows, questions: Questions) -> AnalogyScore:
    """Answers the questions among all `keys`; of spellings that differ in case the first counts.

    Args:
        vectors: float32 (n, d), a row for each key.
    """
    words = FoldedVocabulary(keys, vectors, fold=True)
    known, right = analogies.answer(words, questions, silent)
    return AnalogyScore(int((known & right).sum()), int(known.sum()), len(known))
