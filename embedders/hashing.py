"""Family "hash": a deterministic encoder without weights, for tests and demonstrations.

A word's vector is uniform in [-1, 1)^dim, drawn from PCG64 (whose raw stream numpy guarantees)
seeded with the BLAKE2b hash of seed and word; a text is the mean of its words' vectors, so texts
that share words are near: for m and n different words of which s are shared, the expected cosine
is about s / sqrt(m * n) (random vectors of high dimension are nearly orthogonal). A key is read
as a one-word text, an image as one word made of all its bytes. Same everywhere.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from typing import Annotated, Any, ClassVar

import numpy as np
from pydantic import Field

from embedders.base import (
    Encoded,
    EncodeOptions,
    Encoder,
    Item,
    Limits,
    Modality,
    ModelInfo,
    Prepared,
)
from embedders.errors import InvalidItemError, ItemTooLargeError
from embedders.options import STRICT, read_options
from embedders.vectors import FloatRows, normalize_rows

ALGORITHM = "blake2b-pcg64-1"
WORD = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class HashOptions:
    """Options: dimension, a seed that names the space, and the longest text in words (0: any)."""

    __pydantic_config__: ClassVar = STRICT

    dim: Annotated[int, Field(ge=1, le=65_536)] = 64
    seed: str = ""
    max_tokens: Annotated[int, Field(ge=0)] = 0


class HashEncoder(Encoder):
    """Texts, images and keys to unit vectors, by hashing alone."""

    options_type: ClassVar[type[Any]] = HashOptions

    def __init__(self, model_id: str, options: HashOptions) -> None:
        self.options = options
        self.info = ModelInfo(
            id=model_id,
            family="hash",
            modalities=frozenset(Modality),
            dim=options.dim,
            revision=f"{ALGORITHM}-{options.seed}",
            normalized=True,
            limits=Limits(max_tokens=options.max_tokens),
            space_parts={"max_tokens": str(options.max_tokens)},
        )

    @classmethod
    def load(cls, model_id: str, source: str, options: Mapping[str, Any]) -> "HashEncoder":
        """A model; `source` is not read."""
        return cls(model_id, read_options(HashOptions, options, f"model {model_id!r}"))

    def prepare(self, item: Item, options: EncodeOptions) -> Prepared:
        """Words of a text (casefolded), or the whole of a key or image.

        Raises:
            InvalidItemError: empty.
            ItemTooLargeError: too many words, where truncation is refused.
        """
        words = self._words(item)
        limit = self.options.max_tokens or len(words)
        if len(words) > limit and options.refuse_truncation:
            raise ItemTooLargeError(f"the text has {len(words)} tokens, at most {limit} fit")
        kept = words[:limit]
        return Prepared(kept, item.modality, len(kept), len(words), len(words) > limit)

    def _forward(self, batch: Sequence[Prepared], options: EncodeOptions) -> Encoded:
        rows = [self._row(prepared.data) for prepared in batch]
        return Encoded.one_each(normalize_rows(np.stack(rows)))

    def _words(self, item: Item) -> list[bytes]:
        if isinstance(item.value, bytes):
            words = [item.value] if item.value else []
        else:
            text = item.value.casefold()
            words = [word.encode() for word in WORD.findall(text)]
            # punctuation alone is a text too, unlike white space alone
            if not words and text.strip():
                words = [text.strip().encode()]
        if not words:
            raise InvalidItemError(f"the {item.modality} is empty")
        return words

    def _row(self, words: list[bytes]) -> FloatRows:
        dim, seed = self.options.dim, self.options.seed
        rows = np.stack([word_row(word, seed, dim) for word in words])
        return np.asarray(rows.mean(axis=0), dtype=np.float32)


@lru_cache(maxsize=8192)
def word_row(word: bytes, seed: str, dim: int) -> FloatRows:
    """The vector of a word, float32 (dim,), uniform in [-1, 1)."""
    # a key of BLAKE2b has at most 64 bytes, a seed may be longer
    key = blake2b(seed.encode()).digest() if seed else b""
    digest = blake2b(word, digest_size=16, key=key).digest()
    raw = np.random.PCG64(int.from_bytes(digest, "little")).random_raw(dim)
    return np.asarray(raw / 2.0**63 - 1.0, dtype=np.float32)
