"""Word similarity: do cosines order pairs of words as people do? (Finkelstein and others, 2002)

Rules are those of gensim's `evaluate_word_pairs`.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from embedders.base import Modality
from embedders.errors import OptionError
from embedders.evaluation.base import Figure, Outcome, Subject, require
from embedders.evaluation.correlation import correlations
from embedders.evaluation.dyads import Dyads
from embedders.evaluation.judgements import Judgements, read_judgements
from embedders.evaluation.tasks import TASKS
from embedders.evaluation.words import builtin_path, embedded_words, folded_vocabulary
from embedders.options import STRICT
from embedders.training import Progress

Column = Annotated[int, Field(ge=1, le=100)]


@dataclass(frozen=True, slots=True)
class WordSimilarityParams:
    """Parameters.

    Args:
        columns: of the first word, the second and the judgement, from 1.
        limit: only the first, most frequent, keys are known (0: all).
        fold_case: "Paris" and "paris" are one word.
        unknown_is_zero: count pairs with unknown words with similarity 0.
    """

    __pydantic_config__: ClassVar = STRICT

    columns: tuple[Column, Column, Column] = (1, 2, 3)
    limit: Annotated[int, Field(ge=0)] = 300_000
    fold_case: bool = True
    unknown_is_zero: bool = False


def evaluate(
    model: Subject, source: str, params: WordSimilarityParams, progress: Progress
) -> Outcome:
    """Spearman's and Pearson's correlation of each set.

    Raises:
        OptionError: the file is not as the format says, or too few pairs are known.
    """
    builtin = TASKS["word_similarity"].builtin
    names = builtin if not source else (source,) if source in builtin else ()
    paths = {f"/{name}": builtin_path(name) for name in names} or {"": Path(source)}
    first, second, score = params.columns
    sets = {suffix: read_judgements(path, score, first, second) for suffix, path in paths.items()}
    figures: list[Figure] = []
    known = total = 0
    for suffix, pairs in sets.items():
        scores, found = similarities(model, pairs, params, progress)
        counted = np.ones(len(found), np.bool_) if params.unknown_is_zero else found
        shared = words_of(pairs).part(counted)
        figures += correlations(pairs.gold[counted], scores[counted], suffix, shared)
        known, total = known + int(found.sum()), total + len(found)
    return Outcome(tuple(figures), known / total)


def words_of(pairs: Judgements) -> Dyads:
    """Which word is where, so that intervals draw words."""
    numbers = np.unique([*pairs.first, *pairs.second], return_inverse=True)[1].astype(np.intp)
    return Dyads(numbers[: len(pairs.first)], numbers[len(pairs.first) :])


def similarities(
    model: Subject, pairs: Judgements, params: WordSimilarityParams, progress: Progress
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Cosine of each pair (0 where a word is unknown), and whether both words are known."""
    if model.info.has_vocabulary:
        words = folded_vocabulary(model, params.limit, params.fold_case)
        unit = words.unit
        left = np.array([words.place(word) for word in pairs.first], np.intp)
        right = np.array([words.place(word) for word in pairs.second], np.intp)
    else:
        require(model, Modality.TEXT, "word similarity")
        unit, place = embedded_words(model, [*pairs.first, *pairs.second], progress)
        left = np.array([place.get(word, -1) for word in pairs.first], np.intp)
        right = np.array([place.get(word, -1) for word in pairs.second], np.intp)
    found = (left >= 0) & (right >= 0)
    scores = np.zeros(len(left))
    scores[found] = np.einsum("ij,ij->i", unit[left[found]], unit[right[found]], dtype=np.float64)
    if not found.any():
        raise OptionError("source", "every pair has a word that the model does not know")
    return scores, found
