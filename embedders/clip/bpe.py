"""CLIP's byte-pair tokenizer (Radford et al. 2021) with its merging done in Rust.

open_clip's merging is pure Python: a word takes time quadratic in its length, which a text
without spaces (Chinese, or hostile) turns into seconds, and every word is kept for ever.
"""

from functools import lru_cache
from typing import Any

from open_clip.tokenizer import SimpleTokenizer
from tokenizers.models import BPE

WORD_END = "</w>"
# words kept with their pieces, and their longest: a few megabytes in all
WORDS_KEPT = 65_536
LETTERS_KEPT = 64


class ClipBpe(SimpleTokenizer):  # type: ignore[misc]
    """Gives the ids of `SimpleTokenizer`."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        # the order of the mapping is the order of the merges
        model = BPE(dict(self.encoder), list(self.bpe_ranks), end_of_word_suffix=WORD_END)
        self._special = frozenset(self.cache)

        def pieces(word: str) -> str:
            return " ".join(token.value for token in model.tokenize(word))

        self._pieces, self._kept_pieces = pieces, lru_cache(WORDS_KEPT)(pieces)

    def bpe(self, token: str) -> str:
        """Pieces of a word of byte letters, with spaces between them."""
        if token in self._special:
            return token
        return self._pieces(token) if len(token) > LETTERS_KEPT else self._kept_pieces(token)
