"""The scripted BERT against the network of transformers."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from sentence_transformers import SentenceTransformer
from transformers import BertConfig, BertModel

from embedders.sentence import scripted
from embedders.sentence.scripted import ScriptedBert, script_network


def bert(dtype: torch.dtype = torch.float32, **changes: Any) -> BertModel:
    """A small network of random weights, far from those it is made with."""
    torch.manual_seed(0)
    sizes = {"hidden_size": 48, "num_attention_heads": 4, "intermediate_size": 80}
    config = BertConfig(vocab_size=50, num_hidden_layers=3, **{**sizes, **changes})
    network: Any = BertModel(config, add_pooling_layer=False)
    network.eval()
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return network.to(dtype)  # type: ignore[no-any-return]


def padded_batch(lengths: list[int]) -> dict[str, torch.Tensor]:
    mask = torch.zeros((len(lengths), max(lengths)), dtype=torch.int64)
    for row, length in enumerate(lengths):
        mask[row, :length] = 1
    ids = torch.randint(0, 50, mask.shape, generator=torch.Generator().manual_seed(1))
    types = torch.randint(0, 2, mask.shape, generator=torch.Generator().manual_seed(2))
    return {"input_ids": ids, "attention_mask": mask, "token_type_ids": types}


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("lengths", [[1], [9], [3, 12, 1, 7], [5] * 8])
def test_hidden_states_are_those_of_transformers(dtype: torch.dtype, lengths: list[int]) -> None:
    network = bert(dtype)
    batch = padded_batch(lengths)
    with torch.inference_mode():
        expected = network(**batch).last_hidden_state.float()
        found = ScriptedBert(network)(**batch)["last_hidden_state"].float()
    seen = batch["attention_mask"] != 0
    tolerance = 1e-5 if dtype is torch.float32 else 0.1
    torch.testing.assert_close(found[seen], expected[seen], atol=tolerance, rtol=tolerance)
    assert expected[seen].std() > 0.1


def test_token_types_may_be_left_out() -> None:
    network, batch = bert(), padded_batch([4, 6])
    batch["token_type_ids"].zero_()
    script = ScriptedBert(network)
    with torch.inference_mode():
        told = script(**batch)["last_hidden_state"]
        del batch["token_type_ids"]
        assert torch.equal(script(**batch)["last_hidden_state"], told)


def test_the_packaged_model_is_scripted(minilm_folder: Path) -> None:
    module: Any = SentenceTransformer(str(minilm_folder), device="cpu", local_files_only=True)[0]
    assert isinstance(module.model, BertModel)
    assert script_network(module)
    assert isinstance(module.model, ScriptedBert)


def test_networks_of_other_kinds_stay_as_they_are() -> None:
    for network in (bert(hidden_act="relu"), torch.nn.Linear(2, 2), None):
        module = SimpleNamespace(model=network)
        assert not script_network(module)
        assert module.model is network


def test_a_script_that_gives_other_rows_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    class Wrong(ScriptedBert):
        def forward(self, *args: Any, **features: Any) -> dict[str, torch.Tensor]:
            rows = super().forward(*args, **features)["last_hidden_state"]
            return {"last_hidden_state": rows.flip(-1)}

    monkeypatch.setattr(scripted, "ScriptedBert", Wrong)
    network = bert()
    module = SimpleNamespace(model=network)
    assert not script_network(module)
    assert module.model is network
