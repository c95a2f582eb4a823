"""Models without weights, asked directly."""

from collections.abc import Callable

import numpy as np
import pytest
from gensim.models import KeyedVectors
from numpy.typing import NDArray

from embedders.base import Encoder
from embedders.evaluation.local import LocalSubject
from embedders.hashing import HashEncoder
from embedders.vocabulary import Vocabulary
from embedders.word2vec.encoder import Word2VecEncoder

Lookup = Callable[[list[str], NDArray[np.float32]], LocalSubject]


@pytest.fixture
def toy() -> LocalSubject:
    """Texts and images by hashing; a text that fails is an empty one."""
    encoder: Encoder = HashEncoder.load("toy", "", {"dim": 32})
    return LocalSubject(encoder)


@pytest.fixture
def lookup() -> Lookup:
    """A model of these keys and rows."""

    def make(keys: list[str], rows: NDArray[np.float32]) -> LocalSubject:
        return LocalSubject(Word2VecEncoder("words", Vocabulary(keys, rows)))

    return make


def keyed(keys: list[str], rows: NDArray[np.float32]) -> KeyedVectors:
    """The same as gensim holds it."""
    vectors = KeyedVectors(rows.shape[1], count=0)
    vectors.add_vectors(keys, rows)
    return vectors
