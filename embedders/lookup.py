"""What lookup families share: a vocabulary behind the encoder contract."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Self

from pydantic import Field

from embedders.base import Encoded, EncodeOptions, Encoder, Item, Modality, ModelInfo, Prepared
from embedders.errors import InvalidItemError
from embedders.formats import read_vocabulary
from embedders.options import STRICT, read_options
from embedders.sources import model_file
from embedders.vocabulary import Vocabulary


@dataclass(frozen=True, slots=True)
class LookupOptions:
    """Options: `limit` keeps only the first keys of the file (0: all)."""

    __pydantic_config__: ClassVar = STRICT

    limit: Annotated[int, Field(ge=0)] = 0


class LookupEncoder(Encoder):
    """Keys to the rows of a vocabulary, unchanged (not scaled to unit length).

    Keys are matched exactly: case and accents count. An unknown key is an `UnknownKeyError`
    with close spellings, other-case ones first.
    """

    family: ClassVar[str]
    default_source: ClassVar[str]

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
            memory_bytes=vocabulary.vectors.nbytes,
        )

    @classmethod
    def load(cls, model_id: str, source: str, options: Mapping[str, Any]) -> Self:
        """A model of a vocabulary file or a shipped model's name.

        Raises:
            ModelFormatError, OptionError
        """
        read = read_options(LookupOptions, options, f"model {model_id!r}")
        return cls(model_id, read_vocabulary(model_file(source or cls.default_source), read.limit))

    def prepare(self, item: Item, options: EncodeOptions) -> Prepared:
        """Finds the key.

        Raises:
            InvalidItemError: empty, or not text.
            UnknownKeyError: not in the vocabulary.
        """
        if not isinstance(item.value, str) or not item.value:
            raise InvalidItemError("a key is a string that is not empty")
        return Prepared(self.vocabulary.position(item.value), Modality.KEY)

    def _forward(self, batch: Sequence[Prepared], options: EncodeOptions) -> Encoded:
        positions = [prepared.data for prepared in batch]
        return Encoded.one_each(self.vocabulary.vectors[positions])
