"""Accuracy on analogy questions: a is to b as c is to what? (Mikolov and others, 2013)

The answer is the word whose unit row has the largest cosine to b - a + c (3CosAdd), the three
words of the question left out. Meant for watching a training: words are compared without case.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from embedders.errors import OptionError
from embedders.vectors import FloatRows, IndexArray, normalize_rows

#: the source "google": the questions that come with gensim
GOOGLE = "google"
BLOCK = 512


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


def read_questions(source: str) -> list[tuple[str, ...]]:
    """Questions of a file in the Google layout: ": section" lines, then four words a line.

    Args:
        source: a path, or "google".

    Raises:
        OptionError: not there, not UTF-8, or not of that layout; `field` is "analogies".
    """
    path = _google() if source == GOOGLE else Path(source).expanduser()
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise OptionError("analogies", f"{path}: cannot be read: {error}") from None
    questions: list[tuple[str, ...]] = []
    for number, line in enumerate(lines, 1):
        words = tuple(line.casefold().split())
        if not words or words[0].startswith(":"):
            continue
        if len(words) != 4:
            raise OptionError("analogies", f"{path}: line {number}: four words expected")
        questions.append(words)
    if not questions:
        raise OptionError("analogies", f"{path}: no questions in it")
    return questions


def score_analogies(
    keys: Sequence[str], vectors: FloatRows, questions: Sequence[Sequence[str]]
) -> AnalogyScore:
    """Answers the questions among all `keys`; of spellings that differ in case the first counts.

    Args:
        vectors: float32 (n, d), a row for each key.
        questions: four words each, in lower case.
    """
    places: dict[str, int] = {}
    for place, key in enumerate(keys):
        places.setdefault(key.casefold(), place)
    kept = np.fromiter(places.values(), np.intp, len(places))
    numbers = {key: number for number, key in enumerate(places)}
    known = [q for q in questions if all(word in numbers for word in q)]
    asked = np.array([[numbers[word] for word in q] for q in known], np.intp).reshape(-1, 4)
    rows = normalize_rows(vectors[kept])
    blocks = range(0, len(asked), BLOCK)
    right = sum(_right(rows, asked[start : start + BLOCK]) for start in blocks)
    return AnalogyScore(right, len(asked), len(questions))


def _right(rows: FloatRows, asked: IndexArray) -> int:
    a, b, c, expected = asked.T
    scores: NDArray[np.float32] = (rows[b] - rows[a] + rows[c]) @ rows.T
    np.put_along_axis(scores, asked[:, :3], -np.inf, axis=1)
    return int(np.count_nonzero(scores.argmax(axis=1) == expected))


def _google() -> Path:
    from gensim.test.utils import datapath

    return Path(datapath("questions-words.txt"))
