"""Google analogy questions: "a is to b as c is to ?" (Mikolov and others, 2013).

The answer is the word, other than a, b and c, whose vector is nearest by cosine to

    b / |b| - a / |a| + c / |c|.

Rules and figures are those of gensim's `evaluate_word_analogies`, question by question.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from embedders.errors import OptionError
from embedders.evaluation.base import Figure, Outcome, Subject
from embedders.evaluation.dyads import Dyads, mean_figure
from embedders.evaluation.words import (
    FoldedVocabulary,
    builtin_path,
    folded_vocabulary,
    read_lines,
)
from embedders.options import STRICT
from embedders.training import Progress
from embedders.vectors import IndexArray, normalize_rows

# Candidates that gensim looks at before it gives a question up.
CANDIDATES = 5
BLOCK = 256
WORDS = 4
UNNAMED = "unnamed"


@dataclass(frozen=True, slots=True)
class AnalogyParams:
    """Parameters.

    Args:
        limit: only the first, most frequent, keys are known (0: all).
        fold_case: "Paris" and "paris" are one word.
        unknown_is_wrong: count questions with unknown words as answered wrongly.
    """

    __pydantic_config__: ClassVar = STRICT

    limit: Annotated[int, Field(ge=0)] = 300_000
    fold_case: bool = True
    unknown_is_wrong: bool = False


@dataclass(frozen=True, slots=True)
class Questions:
    """Questions as four words each, and the section of each."""

    sections: list[str]
    section: IndexArray
    words: list[list[str]]


def evaluate(model: Subject, source: str, params: AnalogyParams, progress: Progress) -> Outcome:
    """Accuracy over all questions, of semantic and syntactic ones, and by section.

    Raises:
        OptionError: not a lookup model, or the file is not as the format says.
    """
    if not model.info.has_vocabulary:
        message = f"analogies need a model with a vocabulary; {model.info.id!r} has none"
        raise OptionError("model", message)
    builtin = source in ("", "google")
    questions = read_questions(builtin_path("google") if builtin else Path(source))
    words = folded_vocabulary(model, params.limit, params.fold_case)
    known, right = answer(words, questions, progress)
    counted = np.ones(len(known), np.bool_) if params.unknown_is_wrong else known
    if not counted.any():
        raise OptionError("source", "every question has a word that the model does not know")
    return Outcome(_figures(questions, counted, right), float(known.mean()))


def read_questions(path: Path) -> Questions:
    """Questions of a file: sections begin with ": NAME", a line has four words.

    Raises:
        OptionError: a line of another shape, or no question.
    """
    sections: list[str] = []
    section: list[int] = []
    words: list[list[str]] = []
    for number, line in enumerate(read_lines(path), 1):
        if line.startswith(":"):
            sections.append(line[1:].strip() or UNNAMED)
        elif parts := line.split():
            if len(parts) != WORDS:
                message = f"{path.name}: line {number} has {len(parts)} words, not {WORDS}"
                raise OptionError("source", message)
            sections = sections or [UNNAMED]
            section.append(len(sections) - 1)
            words.append(parts)
    if not words:
        raise OptionError("source", f"{path.name} has no questions")
    return Questions(sections, np.array(section, np.intp), words)


def answer(
    words: FoldedVocabulary, questions: Questions, progress: Progress
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """For each question whether all its words are known, and whether it is answered rightly."""
    flat = (words.place(word) for question in questions.words for word in question)
    places = np.fromiter(flat, np.intp).reshape(-1, WORDS)
    known: NDArray[np.bool_] = np.all(places >= 0, axis=1)
    right = np.zeros(len(places), np.bool_)
    asked = np.flatnonzero(known)
    for start in range(0, len(asked), BLOCK):
        progress("questions", start, len(asked))
        block = asked[start : start + BLOCK]
        right[block] = predict(words, places[block]) == places[block, 3]
    progress("questions", len(asked), len(asked))
    return known, right


def predict(words: FoldedVocabulary, places: IndexArray) -> IndexArray:
    """The row, of those that fold alike the first, that answers each question; intp (n,).

    Args:
        places: rows of a, b and c, intp (n, 3 or more).
    """
    unit, rows = words.unit, np.arange(len(places))
    a, b, c = (unit[places[:, i]] for i in range(3))
    scores = normalize_rows(b - a + c) @ unit.T
    scores[rows[:, None], places[:, :3]] = -np.inf
    best = scores.argmax(axis=1)
    for _ in range(CANDIDATES - 1):
        # another spelling of an input is no answer either
        again = np.flatnonzero((words.leader[best][:, None] == places[:, :3]).any(axis=1))
        if not len(again):
            break
        scores[again, best[again]] = -np.inf
        best[again] = scores[again].argmax(axis=1)
    found: IndexArray = words.leader[best]
    return found


def _figures(
    questions: Questions, counted: NDArray[np.bool_], right: NDArray[np.bool_]
) -> tuple[Figure, ...]:
    groups = {"accuracy": counted}
    syntactic = np.array([name.startswith("gram") for name in questions.sections])
    if syntactic.any() and not syntactic.all():
        groups["accuracy/semantic"] = counted & ~syntactic[questions.section]
        groups["accuracy/syntactic"] = counted & syntactic[questions.section]
    for number, name in enumerate(questions.sections):
        groups[f"accuracy/{name}"] = counted & (questions.section == number)
    pairs = pairs_of_words(questions)
    return tuple(
        mean_figure(name, right[mask], pairs.part(mask))
        for name, mask in groups.items()
        if mask.any()
    )


def pairs_of_words(questions: Questions) -> Dyads:
    """Which a:b and c:d each question is made of: a section asks for all of its pairs by pairs."""
    halves = [
        f"{section}\t{a}\t{b}"
        for start in (0, 2)
        for section, words in zip(questions.section, questions.words, strict=True)
        for a, b in [words[start : start + 2]]
    ]
    numbers = np.unique(halves, return_inverse=True)[1].astype(np.intp)
    return Dyads(numbers[: len(questions.words)], numbers[len(questions.words) :])
