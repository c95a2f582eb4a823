"""What two vectors must share to be comparable: the same in every process, else different."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from embedders import ComputeDtype, EncodeOptions, Encoder, Item, Modality, ModelInfo, load
from embedders.formats import save_safetensors
from embedders.vocabulary import Vocabulary

MakeModel = Callable[..., Path]
INFO = ModelInfo(
    id="m",
    family="f",
    modalities=frozenset({Modality.TEXT}),
    dim=4,
    revision="1",
    normalized=False,
    prompts={"query": "q: ", "document": ""},
    space_parts={"pooling": "mean", "tokenizer": "a"},
)
#: of INFO, written down: a release that changes it breaks every stored collection
KNOWN = "f63209769a5b688a"


@pytest.mark.parametrize(
    "change",
    [
        {"revision": "2"},
        {"dim": 5},
        {"normalized": True},
        {"prompts": {"query": "ask: ", "document": ""}},
        {"prompts": {"query": "", "document": "q: "}},
        {"prompts": {}},
        {"space_parts": {"pooling": "cls", "tokenizer": "a"}},
        {"space_parts": {"pooling": "mean", "tokenizer": "b"}},
        {"space_parts": {"pooling": "mean"}},
    ],
)
def test_every_part_counts(change: dict[str, Any]) -> None:
    assert replace(INFO, **change).space_id != INFO.space_id


@pytest.mark.parametrize(
    "change",
    [
        {"id": "other"},
        {"device": "cuda:1"},
        {"compute_dtype": ComputeDtype.BFLOAT16},
        {"memory_bytes": 7},
        {"same_threshold": 0.5},
        {"prompts": {"document": "", "query": "q: "}},
        {"space_parts": {"tokenizer": "a", "pooling": "mean"}},
    ],
)
def test_nothing_else_counts(change: dict[str, Any]) -> None:
    assert replace(INFO, **change).space_id == INFO.space_id


def test_cut_rows_are_another_space() -> None:
    cut = [INFO.space(dimensions) for dimensions in (1, 2, 3)]
    assert len({*cut, INFO.space_id}) == 4
    assert INFO.space(4) == INFO.space(0) == INFO.space_id


def test_the_number_does_not_change_between_releases() -> None:
    assert INFO.space_id == KNOWN


CODE = """
import json, sys
from embedders import load
models = json.loads(sys.argv[1])
print(json.dumps([load("x", *model).info.space_id for model in models]))
"""


@pytest.fixture(scope="module")
def models(make_model: MakeModel, tmp_path_factory: pytest.TempPathFactory) -> list[list[Any]]:
    """A model of each family that needs no more than this package and sentence-transformers."""
    path = tmp_path_factory.mktemp("space") / "v.safetensors"
    rows = np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32)
    save_safetensors(path, Vocabulary(["a", "b", "c"], rows, np.array([3, 2, 1])), "word2vec")
    sentence = str(make_model(prompts={"query": "q: ", "document": ""}, scale=0.3))
    return [
        ["hash", "", {"seed": "s"}],
        ["word2vec", str(path), {}],
        ["node2vec", "", {}],
        ["averaged", str(path), {"weighting": "sif"}],
        ["sentence", sentence, {"device": "cpu"}],
    ]


@pytest.fixture(scope="module")
def encoders(models: list[list[Any]]) -> list[Encoder]:
    return [load("m", *model) for model in models]


def test_every_process_finds_the_same(models: list[list[Any]], encoders: list[Encoder]) -> None:
    found = subprocess.run(
        [sys.executable, "-c", CODE, json.dumps(models)],
        capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2],
        env={**os.environ, "PYTHONHASHSEED": "12345", "LC_ALL": "C", "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert json.loads(found.stdout) == [encoder.info.space_id for encoder in encoders]


def test_families_share_no_space(encoders: list[Encoder]) -> None:
    spaces = {encoder.info.space_id for encoder in encoders}
    assert len(spaces) == len(encoders)


def test_roles_and_formats_of_a_call_are_one_space(
    encoders: list[Encoder], models: list[list[Any]]
) -> None:
    """The two roles give other rows of one space, as the model means them to be compared."""
    sentence = encoders[-1]
    before = sentence.info.space_id
    rows = []
    for options in (
        EncodeOptions(role="query"),
        EncodeOptions(role="document"),
        EncodeOptions(role="document", compute_dtype=ComputeDtype.BFLOAT16),
    ):
        sentence.check_options(options)
        prepared = sentence.prepare(Item(Modality.TEXT, "some words"), options)
        rows.append(sentence.encode([prepared], options).rows[0])
        assert sentence.info.space_id == before
    assert not np.allclose(rows[0], rows[1])
    family, source, chosen = models[-1]
    half = load("h", family, source, {**chosen, "dtype": "bfloat16"})
    assert half.info.space_id == before
