"""BERT as one TorchScript call.

A transformer of transformers' runs Python between its operations, and so holds Python's one lock
again and again: two threads that encode, and the loop that serves, wait for each other. The script
runs without it: with two threads, MiniLM in bfloat16 takes half the time for single texts. Most
sentence models are BERTs (MiniLM, BGE, E5, GTE); others run as they are.

The arithmetic is that of Devlin and others (2019), operation by operation as in transformers, but
that query, key and value are one product.
"""

import logging
import warnings
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import BertModel

log = logging.getLogger(__name__)

PROBE_LENGTHS = (1, 7, 4)


class BertLayer(nn.Module):
    """Attention and feed-forward of one layer, sharing the weights of transformers' layer."""

    def __init__(self, layer: Any, heads: int) -> None:
        super().__init__()
        attention, own = layer.attention, layer.attention.self
        parts = (own.query, own.key, own.value)
        self.qkv_weight = nn.Parameter(torch.cat([p.weight for p in parts]), requires_grad=False)
        self.qkv_bias = nn.Parameter(torch.cat([p.bias for p in parts]), requires_grad=False)
        self.mixed = attention.output.dense
        self.mixed_norm = attention.output.LayerNorm
        self.wide = layer.intermediate.dense
        self.narrow = layer.output.dense
        self.norm = layer.output.LayerNorm
        self.heads = heads

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """Hidden states (n, tokens, d); `mask` is bool (n, 1, 1, tokens)."""
        n, tokens, d = x.shape[0], x.shape[1], x.shape[2]
        qkv = functional.linear(x, self.qkv_weight, self.qkv_bias)
        qkv = qkv.view(n, tokens, 3, self.heads, d // self.heads).permute(2, 0, 3, 1, 4)
        found = functional.scaled_dot_product_attention(qkv[0], qkv[1], qkv[2], attn_mask=mask)
        found = found.transpose(1, 2).reshape(n, tokens, d)
        x = self.mixed_norm(x + self.mixed(found))
        return self.norm(x + self.narrow(functional.gelu(self.wide(x))))  # type: ignore[no-any-return]


class Bert(nn.Module):
    """Embeddings and all layers."""

    def __init__(self, network: BertModel) -> None:
        super().__init__()
        embeddings: Any = network.embeddings
        self.words = embeddings.word_embeddings
        self.positions = embeddings.position_embeddings
        self.types = embeddings.token_type_embeddings
        self.norm = embeddings.LayerNorm
        heads = int(network.config.num_attention_heads)
        self.layers = nn.ModuleList([BertLayer(layer, heads) for layer in network.encoder.layer])

    def forward(self, ids: Tensor, mask: Tensor, types: Tensor) -> Tensor:
        """Hidden states (n, tokens, d) of int64 (n, tokens) ids, attention mask and token types."""
        x = self.words(ids) + self.types(types) + self.positions.weight[: ids.shape[1]]
        x = self.norm(x)
        seen = (mask != 0).unsqueeze(1).unsqueeze(1)
        for layer in self.layers:
            x = layer(x, seen)
        return x  # type: ignore[no-any-return]


class ScriptedBert(nn.Module):
    """The script, called as transformers' own network is."""

    def __init__(self, network: BertModel) -> None:
        super().__init__()
        self.config = network.config
        with warnings.catch_warnings():
            # scripting is called deprecated in favour of ahead-of-time compilation, which needs a
            # C++ compiler on every machine
            warnings.simplefilter("ignore", FutureWarning)
            self.script = torch.jit.script(Bert(network).eval())

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor,
        token_type_ids: Tensor | None = None,
        **_: Any,
    ) -> dict[str, Tensor]:
        """Hidden states of a padded batch."""
        types = torch.zeros_like(input_ids) if token_type_ids is None else token_type_ids
        return {"last_hidden_state": self.script(input_ids, attention_mask, types)}


def script_network(module: Any) -> bool:
    """Puts the script in the place of a transformer module's network, where it is a BERT.

    Args:
        module: the Transformer module of sentence-transformers.

    Returns:
        Whether it was replaced; not, where the two do not agree.
    """
    network: Any = getattr(module, "model", None)
    if not _is_plain_bert(network):
        return False
    try:
        scripted = ScriptedBert(network).eval()
        agree = _agree(network, scripted)
    # torch raises errors of many kinds; the network itself still works
    except Exception as error:  # noqa: BLE001
        log.warning("the transformer runs unscripted: %s", str(error).splitlines()[:1])
        return False
    if agree:
        module.model = scripted
    else:
        log.warning("the transformer runs unscripted: the script gave other rows")
    return agree


def _is_plain_bert(network: Any) -> bool:
    config = getattr(network, "config", None)
    return (
        type(network) is BertModel
        and getattr(config, "hidden_act", "") == "gelu"
        and getattr(config, "position_embedding_type", "absolute") in ("absolute", None)
        and not getattr(config, "is_decoder", False)
    )


def _agree(network: BertModel, scripted: ScriptedBert) -> bool:
    """Whether both give the same for a padded batch, but for rounding."""
    longest = max(PROBE_LENGTHS)
    mask = torch.zeros((len(PROBE_LENGTHS), longest), dtype=torch.int64)
    for row, length in enumerate(PROBE_LENGTHS):
        mask[row, :length] = 1
    ids = torch.arange(mask.numel()).reshape(mask.shape) % int(network.config.vocab_size)
    given = {"input_ids": ids, "attention_mask": mask, "token_type_ids": torch.zeros_like(ids)}
    given = {name: value.to(network.device) for name, value in given.items()}
    with torch.inference_mode():
        rows = [
            model(**given)["last_hidden_state"].float()[given["attention_mask"] != 0]
            for model in (network, scripted)
        ]
    cosine = functional.cosine_similarity(rows[0], rows[1])
    rounding = 1e-5 if next(network.parameters()).dtype is torch.float32 else 1e-2
    return bool((cosine > 1 - rounding).all())
