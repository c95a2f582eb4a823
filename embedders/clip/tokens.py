"""From texts to token ids, as open_clip's own tokenizers give them."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from open_clip.tokenizer import HFTokenizer
from tokenizers import Tokenizer

from embedders.clip.bpe import ClipBpe
from embedders.clip.files import ClipFiles

DEFAULT_CONTEXT = 77
Ids = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class TextIds:
    """Token ids of a text, int64 (tokens,), without padding; `tokens` counts before truncation."""

    ids: Ids
    tokens: int
    truncated: bool


class Texts(ABC):
    """Tokenises; safe in many threads."""

    #: what fills a batch up to its longest text
    pad: int
    #: tokens of a text beyond which it is truncated
    context: int

    @abstractmethod
    def tokenize(self, texts: Sequence[str]) -> list[TextIds]:
        """Each text truncated to the context."""

    def collate(self, batch: Sequence[Ids], whole: bool) -> torch.Tensor:
        """A padded batch, int64 (n, longest), or (n, context) where `whole`."""
        width = self.context if whole else max(len(ids) for ids in batch)
        tokens = np.full((len(batch), width), self.pad, dtype=np.int64)
        for row, ids in zip(tokens, batch, strict=True):
            row[: len(ids)] = ids
        return torch.from_numpy(tokens)


def texts_of(files: ClipFiles) -> Texts:
    """The tokenizer that a model was trained with."""
    text_cfg = files.text_cfg
    context = int(text_cfg.get("context_length") or DEFAULT_CONTEXT)
    settings: Mapping[str, Any] = text_cfg.get("tokenizer_kwargs") or {}
    if files.tokenizer is None:
        simple = ClipBpe(context_length=context, **settings)
        return CalledTexts(simple, context) if simple.reduction_fn else ClipTexts(simple)
    mode = text_cfg.get("tokenizer_mode")
    own = HFTokenizer(str(files.tokenizer), context_length=context, tokenizer_mode=mode, **settings)
    return CalledTexts(own, context) if mode or not _is_plain(own.tokenizer) else FastTexts(own)


def _is_plain(tokenizer: Any) -> bool:
    return bool(
        getattr(tokenizer, "is_fast", False)
        and tokenizer.pad_token_id is not None
        and tokenizer.padding_side == "right"
        and tokenizer.truncation_side == "right"
    )


class ClipTexts(Texts):
    """CLIP's own byte-pair tokenizer."""

    pad = 0

    def __init__(self, simple: ClipBpe) -> None:
        self._simple, self.context = simple, int(simple.context_length)

    def tokenize(self, texts: Sequence[str]) -> list[TextIds]:
        """Each text between start and end; a truncated one keeps its end."""
        return [self._text(self._simple.encode(text)) for text in texts]

    def _text(self, inner: list[int]) -> TextIds:
        room, tokens = self.context - 2, len(inner) + 2
        ids = [self._simple.sot_token_id, *inner[:room], self._simple.eot_token_id]
        return TextIds(np.array(ids, dtype=np.int64), tokens, tokens > self.context)


class FastTexts(Texts):
    """A fast tokenizer of the transformers library, its Rust part called directly."""

    def __init__(self, own: Any) -> None:
        tokenizer = own.tokenizer
        self._clean = own.clean_fn
        self.context, self.pad = int(own.context_length), int(tokenizer.pad_token_id)
        # open_clip zeroes separators for models that were trained without them
        self._zeroed = tokenizer.sep_token_id if own.strip_sep_token else None
        self._whole = Tokenizer.from_str(tokenizer.backend_tokenizer.to_str())
        self._whole.no_padding()
        self._whole.no_truncation()
        self._cut = Tokenizer.from_str(self._whole.to_str())
        self._cut.enable_truncation(self.context)

    def tokenize(self, texts: Sequence[str]) -> list[TextIds]:
        """Each text truncated to the context; one call of the Rust tokenizer."""
        cleaned = [self._clean(text) for text in texts]
        found = self._whole.encode_batch_fast(cleaned)
        return [self._text(text, e.ids) for text, e in zip(cleaned, found, strict=True)]

    def _text(self, text: str, ids: list[int]) -> TextIds:
        tokens = len(ids)
        truncated = tokens > self.context
        # tokenised again, since truncation keeps the special tokens at the end
        kept = np.array(self._cut.encode(text).ids if truncated else ids, dtype=np.int64)
        if self._zeroed is not None:
            kept[kept == self._zeroed] = 0
        return TextIds(kept, tokens, truncated)


class CalledTexts(Texts):
    """Calls an open_clip tokenizer as it is; rows have the whole context."""

    pad = 0

    def __init__(self, tokenizer: Any, context: int) -> None:
        self._tokenizer, self.context = tokenizer, context

    def tokenize(self, texts: Sequence[str]) -> list[TextIds]:
        """Each text padded and truncated to the context."""
        rows = self._tokenizer(list(texts)).numpy()
        return [self._text(text, row) for text, row in zip(texts, rows, strict=True)]

    def _text(self, text: str, row: Ids) -> TextIds:
        inner = getattr(self._tokenizer, "tokenizer", None)
        if inner is None:
            tokens = len(self._tokenizer.encode(text)) + 2
        else:
            tokens = len(inner(self._tokenizer.clean_fn(text), truncation=False)["input_ids"])
        return TextIds(row, tokens, tokens > self.context)
