"""Texts no longer than the longest of their batch.

open_clip pads every text to the context length, 77 tokens, where a caption has about 15. What
comes after the end of a text changes no row where attention is causal, or where padding is masked.
"""

from collections.abc import Mapping
from typing import Any

import torch
from open_clip.hf_model import ClsLastHiddenStatePooler, ClsPooler, HFTextEncoder, MeanPooler
from open_clip.transformer import TextTransformer

POOLED_AT_END = ("argmax", "eos")
MASKED_POOLERS = (MeanPooler, ClsPooler, ClsLastHiddenStatePooler)


class CausalText(TextTransformer):  # type: ignore[misc]
    """CLIP's text tower, its causal mask cut to the length of the batch."""

    def _embeds(self, text: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        rows, mask = super()._embeds(text)
        length = rows.shape[1]
        return rows, mask[:length, :length]


def may_trim(text_cfg: Mapping[str, Any]) -> bool:
    """Whether a text tower of this description is CLIP's causal one, with nothing added."""
    added = ("hf_model_name", "embed_cls", "no_causal_mask", "output_tokens")
    pooled = text_cfg.get("pool_type", POOLED_AT_END[0])
    return pooled in POOLED_AT_END and not any(text_cfg.get(name) for name in added)


def trim(model: Any) -> None:
    """Lets the model's text tower take batches shorter than its context, if rows stay the same."""
    tower = getattr(model, "text", None)
    if type(tower) is TextTransformer and _is_causal(tower):
        # in place: the class adds no state, and copies of the model keep it
        tower.__class__ = CausalText


def takes_short_batches(model: Any, pad: int) -> bool:
    """Whether texts may be padded with `pad` to the longest of a batch only."""
    tower = getattr(model, "text", None)
    if isinstance(tower, HFTextEncoder):
        return tower.config.pad_token_id == pad and isinstance(tower.pooler, MASKED_POOLERS)
    return isinstance(tower, CausalText)


def _is_causal(tower: Any) -> bool:
    return (
        tower.attn_mask is not None
        and tower.cls_emb is None
        and not tower.use_pad_mask
        and tower.pool_type in POOLED_AT_END
    )
