"""Family "averaged": a text to the mean of its words' vectors, of unit length.

    row = normalise(sum over the known words w of weight(w) * v_w / |v_w|)

weight(w) is 1, or with weighting "sif" a / (a + p(w)) where p(w) is the word's share of the
corpus (Arora, Liang, Ma, "A Simple but Tough-to-Beat Baseline for Sentence Embeddings", 2017;
its second step, taking off the first principal component, needs a corpus and is left out).
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256
from typing import Annotated, Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from embedders.base import Encoded, EncodeOptions, Encoder, Item, Modality, ModelInfo, Prepared
from embedders.errors import InvalidItemError, ItemError, ItemTooLargeError, OptionError
from embedders.formats import BadRows
from embedders.lookup import load_vocabulary
from embedders.options import STRICT, read_options
from embedders.vectors import FloatRows, IndexArray, normalize_rows, row_norms
from embedders.vocabulary import Vocabulary
from embedders.word2vec.encoder import Word2VecEncoder
from embedders.word2vec.phrases import DELIMITER, METADATA, Phraser

WORD = re.compile(r"\w+")
#: part of the space: another way to take texts apart gives other vectors
TOKENS = "words-1"
# a sum of unit rows that is shorter is rounding, without a direction
CANCELLED = 1e-6
# scales below this are float32 numbers
_MOST_SCALE = 2.0**126


class Weighting(StrEnum):
    """How much a word counts: MEAN all alike, SIF rare ones more."""

    MEAN = "mean"
    SIF = "sif"


@dataclass(frozen=True, slots=True)
class AveragedOptions:
    """Options of averaged word vectors.

    Args:
        limit: keep only the first words of the file (0: all).
        bad_rows: "skip" passes over rows that cannot be used, and logs how many.
        weighting: "mean" or "sif", which needs a file with counts.
        sif_a: the a of SIF; the smaller, the less frequent words count.
        lowercase: of texts; vocabularies that tell case apart want False.
        max_characters: longer texts are refused.
    """

    __pydantic_config__: ClassVar = STRICT

    limit: Annotated[int, Field(ge=0)] = 0
    bad_rows: BadRows = BadRows.REFUSE
    weighting: Weighting = Weighting.MEAN
    sif_a: Annotated[float, Field(gt=0, le=1)] = 1e-3
    lowercase: bool = True
    max_characters: Annotated[int, Field(ge=1)] = 1_000_000


class _Words(NamedTuple):
    """Rows of the vocabulary, intp (n,), and unit rows made of subwords, float32 (m, d)."""

    positions: IndexArray
    composed: FloatRows


class AveragedEncoder(Encoder):
    """Texts to unit vectors by averaging; the default is the shipped `words-mini`.

    Words are runs of letters, digits and underscores, in lower case unless told otherwise;
    phrases that the vocabulary was trained with are joined where it has them. Words not known
    are left out, or made of subwords where the model has those and the call sets
    `compose_unknown`; a text without any known word is an `InvalidItemError`.
    """

    options_type: ClassVar[type[Any]] = AveragedOptions

    def __init__(self, model_id: str, vocabulary: Vocabulary, options: AveragedOptions) -> None:
        self.vocabulary, self.options = vocabulary, options
        phrases = vocabulary.metadata.get(METADATA, "")
        self._phraser = Phraser.from_json(phrases)
        weights = _weights(model_id, vocabulary, options)
        norms = row_norms(vocabulary.vectors)
        # rows are scaled by their weight when they are read: no second matrix of unit rows
        self._scales = _narrowed(weights / np.where(norms > 0, norms, 1))
        self.info = ModelInfo(
            id=model_id,
            family="averaged",
            modalities=frozenset({Modality.TEXT}),
            dim=vocabulary.dim,
            revision=vocabulary.revision,
            normalized=True,
            space_parts={
                "tokens": f"{TOKENS}, {'lower' if options.lowercase else 'any'} case",
                "phrases": _digest(phrases.encode()),
                "weights": _digest(np.asarray(weights, "<f4").tobytes()),
            },
            memory_bytes=vocabulary.nbytes,
        )

    @classmethod
    def load(cls, model_id: str, source: str, options: Mapping[str, Any]) -> "AveragedEncoder":
        """A model of a vocabulary file or a shipped model's name, as of the family word2vec.

        Raises:
            ModelFormatError, MissingExtraError, OptionError
        """
        read = read_options(AveragedOptions, options, f"model {model_id!r}")
        source = source or Word2VecEncoder.default_source
        return cls(model_id, load_vocabulary(model_id, source, read.limit, read.bad_rows), read)

    def prepare(self, item: Item, options: EncodeOptions) -> Prepared:
        """Takes a text apart; `tokens` are all its words, `cost` those that are known.

        Raises:
            InvalidItemError: no word in it is known.
            ItemTooLargeError: too many characters.
        """
        text = item.value if isinstance(item.value, str) else ""
        if len(text) > self.options.max_characters:
            raise ItemTooLargeError(
                f"the text has {len(text)} characters, at most {self.options.max_characters} "
                "are read"
            )
        words = WORD.findall(text.lower() if self.options.lowercase else text)
        found = self._find(words, options.compose_unknown)
        known = len(found.positions) + len(found.composed)
        if not known:
            raise InvalidItemError(
                f"none of the {len(words)} words of the text is in the vocabulary"
                if words
                else "the text has no words"
            )
        return Prepared(found, Modality.TEXT, known, len(words), composed=bool(len(found.composed)))

    def _find(self, words: Sequence[str], compose: bool) -> _Words:
        vocabulary, composed = self.vocabulary, list[FloatRows]()
        positions: list[int] = []
        for word in self._known_phrases(words):
            if word in vocabulary:
                positions.append(vocabulary.position(word))
            elif compose and vocabulary.subwords is not None:
                row = vocabulary.subwords.compose(word)
                composed += [] if row is None else [normalize_rows(row[None])[0]]
        made = np.stack(composed) if composed else np.empty((0, vocabulary.dim), np.float32)
        return _Words(np.array(positions, np.intp), made)

    def _known_phrases(self, words: Sequence[str]) -> list[str]:
        """The words, joined where the joined phrase is a key."""
        if not self._phraser.passes:
            return list(words)
        joined = self._phraser.apply(words)
        return [
            part
            for word in joined
            for part in ([word] if word in self.vocabulary else word.split(DELIMITER))
        ]

    def _forward(self, batch: Sequence[Prepared], options: EncodeOptions) -> Encoded:
        sums = np.stack([self._sum(prepared.data) for prepared in batch])
        norms = row_norms(sums)
        good = np.flatnonzero(norms > CANCELLED)
        errors: dict[int, ItemError] = {
            int(i): InvalidItemError("the vectors of the text's words cancel out")
            for i in np.flatnonzero(norms <= CANCELLED)
        }
        return Encoded(normalize_rows(sums[good]), good, errors=errors)

    def _sum(self, words: _Words) -> FloatRows:
        known = self._scales[words.positions] @ self.vocabulary.vectors[words.positions]
        return np.asarray(known + words.composed.sum(axis=0), dtype=np.float32)


def _narrowed(scales: NDArray[np.float64]) -> NDArray[np.floating[Any]]:
    """In float32, unless it cannot hold them: rows may be tiny."""
    return scales.astype(np.float32) if (scales < _MOST_SCALE).all() else scales


def _weights(
    model_id: str, vocabulary: Vocabulary, options: AveragedOptions
) -> NDArray[np.float64]:
    """The weight of each word, float64 (n,)."""
    if options.weighting is Weighting.MEAN:
        return np.ones(len(vocabulary))
    if vocabulary.counts is None:
        raise OptionError(
            "weighting",
            f"model {model_id!r}: sif needs the counts of words, which this file does not have; "
            "use mean, or a safetensors vocabulary or fastText .bin, which have them",
        )
    shares = vocabulary.counts / max(1, int(vocabulary.counts.sum()))
    return np.asarray(options.sif_a / (options.sif_a + shares))


def _digest(content: bytes) -> str:
    return sha256(content).hexdigest()
