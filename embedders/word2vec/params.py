"""Parameters of Word2Vec training."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import Field

from embedders.formats.layout import StorageDtype
from embedders.options import STRICT, NamesFile


class Architecture(StrEnum):
    """What predicts what: SKIP_GRAM the context from the word, CBOW the word from the context."""

    SKIP_GRAM = "skip-gram"
    CBOW = "cbow"


class PhraseScoring(StrEnum):
    """How two neighbours are scored: DEFAULT as in the paper, NPMI between -1 and 1."""

    DEFAULT = "default"
    NPMI = "npmi"


@dataclass(frozen=True, slots=True)
class Word2VecParams:
    """Parameters, named as in the papers; defaults are the original tool's, but for epochs.

    Args:
        dim: numbers a vector.
        window: words on each side that count as context, at most.
        min_count: words that occur less often are left out.
        epochs: passes over the corpus.
        negative: noise words a positive one.
        architecture: "skip-gram" or "cbow".
        sample: frequent words are thinned out above this share of the corpus (0: not).
        alpha: learning rate at the start; 0 means 0.025 for skip-gram, 0.05 for cbow.
        seed: of the random numbers; the result repeats exactly only with one thread.
        threads: workers.
        max_vocabulary: keep at most so many words, the most frequent (0: all).
        storage: number format of the file.
        phrase_passes: times that neighbours are joined to phrases before training (0: not).
        phrase_min_count: phrases that occur less often are left out.
        phrase_threshold: least score of a phrase; higher gives fewer.
        phrase_scoring: "default" or "npmi" (then a threshold between -1 and 1).
        analogies: questions asked after each epoch: "google" or a file ("": none).
        analogy_vocabulary: among so many words, the most frequent (0: all).
    """

    __pydantic_config__: ClassVar = STRICT

    dim: Annotated[int, Field(ge=1, le=4096)] = 100
    window: Annotated[int, Field(ge=1, le=100)] = 5
    min_count: Annotated[int, Field(ge=1)] = 5
    epochs: Annotated[int, Field(ge=1, le=1000)] = 5
    negative: Annotated[int, Field(ge=1, le=100)] = 5
    architecture: Architecture = Architecture.SKIP_GRAM
    sample: Annotated[float, Field(ge=0, lt=1)] = 1e-3
    alpha: Annotated[float, Field(ge=0, le=1)] = 0.0
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 1
    threads: Annotated[int, Field(ge=1, le=256)] = 1
    max_vocabulary: Annotated[int, Field(ge=0)] = 0
    storage: StorageDtype = StorageDtype.FLOAT32
    phrase_passes: Annotated[int, Field(ge=0, le=2)] = 0
    phrase_min_count: Annotated[int, Field(ge=1)] = 5
    phrase_threshold: Annotated[float, Field(gt=-1)] = 10.0
    phrase_scoring: PhraseScoring = PhraseScoring.DEFAULT
    analogies: Annotated[str, NamesFile(builtin=("", "google"))] = ""
    analogy_vocabulary: Annotated[int, Field(ge=0)] = 30_000

    @property
    def learning_rate(self) -> float:
        """`alpha`, or the architecture's default."""
        return self.alpha or (0.025 if self.architecture is Architecture.SKIP_GRAM else 0.05)
