"""What lookup families share: a vocabulary behind the encoder contract."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Self

import numpy as np
from pydantic import Field

from embedders.base import Encoded, EncodeOptions, Encoder, Item, Modality, ModelInfo, Prepared
from embedders.errors import InvalidItemError, UnknownKeyError
from embedders.formats import BadRows, read_vocabulary
from embedders.options import STRICT, read_options
from embedders.sources import model_file
from embedders.vectors import FloatRows
from embedders.vocabulary import Vocabulary

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class LookupOptions:
    """Options of a vocabulary.

    Args:
        limit: keep only the first keys of the file (0: all).
        bad_rows: "skip" passes over rows whose key is blank, repeated or not UTF-8, or whose
            numbers do not fit, and logs how many.
    """

    __pydantic_config__: ClassVar = STRICT

    limit: Annotated[int, Field(ge=0)] = 0
    bad_rows: BadRows = BadRows.REFUSE


def load_vocabulary(model_id: str, source: str, limit: int, bad_rows: BadRows) -> Vocabulary:
    """The vocabulary of a file or a shipped model's name; what was passed over is logged.

    Raises:
        ModelFormatError
    """
    vocabulary = read_vocabulary(model_file(source), limit, bad_rows=bad_rows)
    for note in vocabulary.notes:
        log.warning("model %r: %s", model_id, note)
    return vocabulary


class LookupEncoder(Encoder):
    """Keys to the rows of a vocabulary, unchanged (not scaled to unit length).

    Keys are matched exactly: case and accents count. An unknown key is an `UnknownKeyError`
    with close spellings, other-case ones first; where the model can make a row for it and the
    call sets `compose_unknown`, it gets that row and is marked as composed.
    """

    options_type: ClassVar[type[Any]] = LookupOptions

    family: ClassVar[str]
    default_source: ClassVar[str]
    #: what `compose` makes rows of, for messages
    composed_of: ClassVar[str] = "its subwords"

    def __init__(self, model_id: str, vocabulary: Vocabulary) -> None:
        self.vocabulary = vocabulary
        self.info = ModelInfo(
            id=model_id,
            family=self.family,
            modalities=frozenset({Modality.KEY}),
            dim=vocabulary.dim,
            revision=vocabulary.revision,
            # as the file has them: what it happens to hold must not decide the space
            normalized=False,
            memory_bytes=vocabulary.nbytes,
        )

    @classmethod
    def load(cls, model_id: str, source: str, options: Mapping[str, Any]) -> Self:
        """A model of a vocabulary file or a shipped model's name.

        Raises:
            ModelFormatError, OptionError
        """
        read = read_options(LookupOptions, options, f"model {model_id!r}")
        source = source or cls.default_source
        return cls(model_id, load_vocabulary(model_id, source, read.limit, read.bad_rows))

    def prepare(self, item: Item, options: EncodeOptions) -> Prepared:
        """Finds the key.

        Raises:
            InvalidItemError: empty, or not text.
            UnknownKeyError: not in the vocabulary, and not composed.
        """
        if not isinstance(item.value, str) or not item.value:
            raise InvalidItemError("a key is a string that is not empty")
        key = item.value
        if key in self.vocabulary:
            return Prepared(self.vocabulary.position(key), Modality.KEY)
        row = self.compose(key)
        if row is not None and options.compose_unknown:
            return Prepared(row, Modality.KEY, composed=True)
        cure = "" if row is None else f"compose_unknown_keys makes a row of {self.composed_of}"
        raise UnknownKeyError(key, self.vocabulary.suggest(key), cure)

    def compose(self, key: str) -> FloatRows | None:
        """A row for a key that is not in the vocabulary, float32 (d,); None where it cannot."""
        subwords = self.vocabulary.subwords
        return None if subwords is None else subwords.compose(key)

    def _forward(self, batch: Sequence[Prepared], options: EncodeOptions) -> Encoded:
        vectors = self.vocabulary.vectors
        if not any(prepared.composed for prepared in batch):
            return Encoded.one_each(vectors[[prepared.data for prepared in batch]])
        rows = [p.data if p.composed else vectors[p.data] for p in batch]
        return Encoded.one_each(np.stack(rows))
