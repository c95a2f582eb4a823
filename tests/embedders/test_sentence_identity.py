"""The packaged model saved anew is the same space; any other setting is another."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from sentence_transformers import SentenceTransformer

from embedders import Encoder, Item, Modality, load
from embedders.sentence.options import SentenceOptions
from embedders.sentence.source import model_folder
from embedders.vectors import FloatRows

#: of the packaged model, written down: another would refuse every stored collection
SPACE = "8623e4a5aaf511f3"
CPU = {"device": "cpu"}


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("saved") / "model"
    SentenceTransformer(str(model_folder("", SentenceOptions())), device="cpu").save_pretrained(
        str(folder)
    )
    return folder


def row(encoder: Encoder) -> FloatRows:
    [prepared] = encoder.prepare_batch([Item(Modality.TEXT, "some words")])
    return encoder.encode([prepared]).rows  # type: ignore[list-item]


def test_the_packaged_model_and_its_copies_are_one_space(saved: Path, tmp_path: Path) -> None:
    packaged = load("m", "sentence", "", CPU)
    assert packaged.info.space_id == SPACE
    anew = load("m", "sentence", str(saved), CPU)
    assert (anew.info.space_id, anew.info.revision) == (SPACE, packaged.info.revision)
    np.testing.assert_array_equal(row(anew), row(packaged))
    again = tmp_path / "again"
    SentenceTransformer(str(saved), device="cpu").save_pretrained(str(again))
    # safetensors of another order, JSON of another layout
    tensors = load_file(again / "model.safetensors")
    save_file(dict(reversed(tensors.items())), again / "model.safetensors", {"format": "pt"})
    config = json.loads((again / "config.json").read_text())
    (again / "config.json").write_text(json.dumps(config, indent=7, sort_keys=True))
    assert load("m", "sentence", str(again), CPU).info.space_id == SPACE
    half = load("m", "sentence", str(saved), {**CPU, "dtype": "bfloat16"})
    assert half.info.space_id == SPACE


@pytest.mark.parametrize(
    "change", ["weight", "pooling", "epsilon", "letters", "length", "prompts", "normalise"]
)
def test_every_setting_that_changes_a_vector_counts(
    change: str, saved: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "model"
    shutil.copytree(saved, folder)
    options: dict[str, object] = dict(CPU)
    if change == "weight":
        tensors = load_file(folder / "model.safetensors")
        name = next(name for name in tensors if name.endswith("layer.3.output.dense.bias"))
        tensors[name] = tensors[name] + np.float32(0.01)
        save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    elif change == "pooling":
        edit(folder / "1_Pooling" / "config.json", pooling_mode="cls")
    elif change == "epsilon":
        edit(folder / "config.json", layer_norm_eps=1e-5)
    elif change == "letters":
        tokenizer = json.loads((folder / "tokenizer.json").read_text())
        tokenizer["normalizer"]["lowercase"] = False
        (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
        edit(folder / "tokenizer_config.json", do_lower_case=False)
    elif change == "length":
        options["max_tokens"] = 128
    elif change == "prompts":
        options["prompts"] = {"query": "query: "}
    else:
        modules = json.loads((folder / "modules.json").read_text())
        (folder / "modules.json").write_text(json.dumps(modules[:2]))
    assert load("m", "sentence", str(folder), options).info.space_id != SPACE


def edit(path: Path, **changes: object) -> None:
    content = json.loads(path.read_text())
    path.write_text(json.dumps({**content, **changes}))
