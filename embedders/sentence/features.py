"""From texts to what a model's first module reads.

`FastTokens` tokenises with the Rust tokenizer directly: no padding, no copies, the GIL released.
`PreprocessedTexts` is for every other kind of first module and calls its own `preprocess`.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules import Transformer
from tokenizers import Tokenizer
from transformers import PreTrainedTokenizerBase

UNBOUNDED = 1 << 30


@dataclass(frozen=True, slots=True)
class TextTokens:
    """A text ready for a forward pass; `tokens` were counted before truncation."""

    data: Any
    cost: int
    tokens: int
    truncated: bool


class Features(ABC):
    """Tokenises texts and makes batches of them; safe in many threads."""

    #: tokens of a text beyond which it is truncated; 0 for no limit
    max_tokens: int

    @abstractmethod
    def tokenize(self, texts: Sequence[str], role: str) -> list[TextTokens]:
        """Each text with its role's prompt, truncated."""

    @abstractmethod
    def collate(self, batch: Sequence[Any], role: str) -> dict[str, Any]:
        """A padded batch of the `data` of texts, on the CPU."""


def features_of(model: SentenceTransformer) -> Features:
    """The quickest way that gives this model what its own `preprocess` would."""
    first = model[0]
    return FastTokens(model) if _is_plain(first) else PreprocessedTexts(model)


def _is_plain(first: Any) -> bool:
    """Whether the first module is a transformer with nothing special in its preprocessing."""
    if not isinstance(first, Transformer) or first.backend != "torch":
        return False
    tokenizer = first.processor
    special = (
        first.processing_kwargs
        or first.query_expansion
        or first.query_length is not None
        or first.document_length is not None
        or first.transformer_task != "feature-extraction"
    )
    return (
        not special
        and list(first.modality_config) == ["text"]
        and isinstance(tokenizer, PreTrainedTokenizerBase)
        and bool(tokenizer.is_fast)
        and tokenizer.pad_token_id is not None
        and not any(tokenizer.backend_tokenizer.encode("a").type_ids)
    )


class FastTokens(Features):
    """Texts to token ids; the ids of a text are an int64 array without padding."""

    def __init__(self, model: SentenceTransformer) -> None:
        tokenizer = model[0].processor
        self.max_tokens = _limit(tokenizer.model_max_length)
        self._whole = Tokenizer.from_str(tokenizer.backend_tokenizer.to_str())
        # tokenizer.json may bring its own truncation (MiniLM's: 128) and padding
        self._whole.no_padding()
        self._whole.no_truncation()
        self._cut = Tokenizer.from_str(self._whole.to_str())
        if self.max_tokens:
            self._cut.enable_truncation(self.max_tokens, direction=tokenizer.truncation_side)
        self._pad = int(tokenizer.pad_token_id)
        self._left = tokenizer.padding_side == "left"
        self._types = "token_type_ids" in tokenizer.model_input_names
        self._prompts = dict(model.prompts)
        self._prompt_tokens = {
            role: self._count_prompt(prompt, tokenizer) for role, prompt in self._prompts.items()
        }

    def tokenize(self, texts: Sequence[str], role: str) -> list[TextTokens]:
        """Each text with its role's prompt, truncated; one call of the Rust tokenizer."""
        prompt = self._prompts.get(role, "")
        whole = [prompt + text for text in texts] if prompt else list(texts)
        encodings = self._whole.encode_batch_fast(whole)
        return [self._text(text, e.ids) for text, e in zip(whole, encodings, strict=True)]

    def collate(self, batch: Sequence[Any], role: str) -> dict[str, Any]:
        """A padded batch of token ids, int64 (n, longest), with its mask."""
        longest = max(len(ids) for ids in batch)
        tokens = np.full((len(batch), longest), self._pad, dtype=np.int64)
        mask = np.zeros((len(batch), longest), dtype=np.int64)
        for row, ids in enumerate(batch):
            place = slice(longest - len(ids), longest) if self._left else slice(len(ids))
            tokens[row, place] = ids
            mask[row, place] = 1
        features: dict[str, Any] = {
            "input_ids": torch.from_numpy(tokens),
            "attention_mask": torch.from_numpy(mask),
            "modality": "text",
        }
        if self._types:
            features["token_type_ids"] = torch.zeros_like(features["input_ids"])
        if self._prompts.get(role):
            features["prompt_length"] = self._prompt_tokens[role]
        return features

    def _text(self, text: str, ids: list[int]) -> TextTokens:
        tokens = len(ids)
        truncated = bool(self.max_tokens) and tokens > self.max_tokens
        # tokenised again, since truncation keeps the special tokens at the end
        kept = self._cut.encode(text).ids if truncated else ids
        return TextTokens(np.array(kept, dtype=np.int64), len(kept), tokens, truncated)

    def _count_prompt(self, prompt: str, tokenizer: PreTrainedTokenizerBase) -> int:
        """Tokens of a prompt without the special one at its end, as pooling leaves them out."""
        ids = self._cut.encode(prompt).ids
        return len(ids) - (bool(ids) and ids[-1] in tokenizer.all_special_ids)


class PreprocessedTexts(Features):
    """Texts kept as they are; the first module's `preprocess` makes the batch."""

    def __init__(self, model: SentenceTransformer) -> None:
        self._model = model
        self._tokenizer = getattr(model, "tokenizer", None)
        limit = model.max_seq_length
        self.max_tokens = _limit(limit if isinstance(limit, int | float) else None)

    def tokenize(self, texts: Sequence[str], role: str) -> list[TextTokens]:
        """Each text as it is; its tokens are counted with its role's prompt."""
        prompt = self._model.prompts.get(role, "")
        return [self._text(text, self._count(prompt + text)) for text in texts]

    def collate(self, batch: Sequence[Any], role: str) -> dict[str, Any]:
        """What the model's own `preprocess` makes of the texts."""
        task = {"task": role} if role in ("query", "document") else {}
        prompt = self._model.prompts.get(role) or None
        return dict(self._model.preprocess(list(batch), prompt=prompt, **task))

    def _text(self, text: str, tokens: int) -> TextTokens:
        kept = min(tokens, self.max_tokens) if self.max_tokens else tokens
        return TextTokens(text, kept, tokens, kept < tokens)

    def _count(self, text: str) -> int:
        tokenizer = self._tokenizer
        if isinstance(tokenizer, Tokenizer):
            return max(1, len(tokenizer.encode(text, add_special_tokens=False).ids))
        if isinstance(tokenizer, PreTrainedTokenizerBase):
            return len(tokenizer(text, truncation=False, verbose=False)["input_ids"])
        return max(1, len(text.split()))


def _limit(limit: float | None) -> int:
    """A limit in tokens, 0 where there is none (transformers then says 1e30, others infinity)."""
    return int(limit) if limit is not None and 0 < limit < UNBOUNDED else 0
