"""Rows against `SentenceTransformer.encode` on the same files."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sentence_transformers import SentenceTransformer

from embedders import ComputeDtype, EncodeOptions, Encoder, Item, Modality, Prepared, load
from embedders.vectors import FloatRows
from embedders.visible import is_visible

MakeModel = Callable[..., Path]

TEXTS = [
    "A man is playing a guitar.",
    "a",
    ".",
    "  leading and trailing space\n",
    "word " * 2000,
    "Ein Kätzchen schläft – früh am Morgen …",
    "日本語のテキストと English を混ぜる。",
    "e\u0301 \u00e9 \u200d \U0001f468\u200d\U0001f469\u200d\U0001f467 \u202e reversed",
    "control \x00\x01\x7f characters\ttabs",
    "[CLS] [SEP] [MASK] [PAD] special names",
    "http://example.org/a?b=c&d=e#f",
    "x" * 5000,
    "exactly " * 254,
    "exactly " * 255,
]


@pytest.fixture(scope="session")
def ours() -> Encoder:
    return load("minilm", "sentence", "minilm", {"device": "cpu"})


@pytest.fixture(scope="session")
def theirs(minilm_folder: Path) -> SentenceTransformer:
    return SentenceTransformer(str(minilm_folder), device="cpu", local_files_only=True)


def embed(encoder: Encoder, texts: list[str], **options: Any) -> FloatRows:
    chosen = EncodeOptions(**options)
    encoder.check_options(chosen)
    prepared = encoder.prepare_batch([Item(Modality.TEXT, text) for text in texts], chosen)
    good = [entry for entry in prepared if isinstance(entry, Prepared)]
    assert len(good) == len(texts)
    return encoder.encode(good, chosen).rows


def cosines(one: FloatRows, other: FloatRows) -> FloatRows:
    norms = np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1)
    return np.asarray((one * other).sum(axis=1) / norms)


def test_float32_rows_are_theirs(ours: Encoder, theirs: SentenceTransformer) -> None:
    found, expected = embed(ours, TEXTS), theirs.encode(TEXTS)
    assert found.dtype == np.float32
    assert cosines(found, expected).min() >= 0.99999
    np.testing.assert_allclose(found, expected, atol=2e-6)


@pytest.mark.parametrize("dtype", [ComputeDtype.BFLOAT16, ComputeDtype.FLOAT16])
def test_half_formats_agree(
    dtype: ComputeDtype, ours: Encoder, theirs: SentenceTransformer
) -> None:
    found = embed(ours, TEXTS, compute_dtype=dtype)
    assert cosines(found, theirs.encode(TEXTS)).min() >= 0.999
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-5)
    assert not np.array_equal(found, embed(ours, TEXTS))


@settings(max_examples=15, deadline=None)
@given(
    st.lists(
        # texts without a visible character are refused
        st.text(min_size=1, max_size=60).filter(lambda text: any(map(is_visible, text))),
        min_size=1,
        max_size=6,
    )
)
def test_any_texts_agree(ours: Encoder, theirs: SentenceTransformer, texts: list[str]) -> None:
    assert cosines(embed(ours, texts), theirs.encode(texts)).min() >= 0.99999


def test_rows_do_not_depend_on_their_neighbours(ours: Encoder) -> None:
    together = embed(ours, TEXTS)
    alone = np.concatenate([embed(ours, [text]) for text in TEXTS])
    np.testing.assert_allclose(together, alone, atol=2e-6)
    backwards = embed(ours, TEXTS[::-1])[::-1]
    np.testing.assert_allclose(together, backwards, atol=2e-6)


def test_many_threads_give_the_same_rows(ours: Encoder) -> None:
    expected = embed(ours, TEXTS[:4])
    with ThreadPoolExecutor(4) as pool:
        for found in pool.map(lambda _: embed(ours, TEXTS[:4]), range(12)):
            np.testing.assert_allclose(found, expected, atol=2e-6)


def test_dimensions_cut_and_renormalise(ours: Encoder, theirs: SentenceTransformer) -> None:
    expected = theirs.encode(TEXTS, truncate_dim=100)
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    np.testing.assert_allclose(embed(ours, TEXTS, dimensions=100), expected, atol=2e-6)


PROMPTS = {"query": "query: ", "document": "passage: ", "clustering": "sort by topic: "}


@pytest.mark.parametrize("pooling", ["mean", "cls", "max", "lasttoken", "weightedmean"])
@pytest.mark.parametrize("include_prompt", [True, False])
def test_prompts_and_poolings(pooling: str, include_prompt: bool, make_model: MakeModel) -> None:
    folder = make_model(pooling, prompts=PROMPTS, include_prompt=include_prompt)
    mine = load("m", "sentence", str(folder), {"device": "cpu"})
    model = SentenceTransformer(str(folder), device="cpu")
    queries, documents = model.encode_query(TEXTS), model.encode_document(TEXTS)
    assert cosines(queries, documents).min() < 0.999
    assert cosines(embed(mine, TEXTS, role="query"), queries).min() >= 0.99999
    assert cosines(embed(mine, TEXTS, role="document"), documents).min() >= 0.99999
    named = model.encode(TEXTS, prompt_name="clustering")
    assert cosines(embed(mine, TEXTS, role="clustering"), named).min() >= 0.99999


@pytest.mark.parametrize("after", [("dense",), ("dense", "normalize"), ()])
def test_any_modules_after_pooling(after: tuple[str, ...], make_model: MakeModel) -> None:
    folder = make_model(after=after, scale=0.3)
    mine = load("m", "sentence", str(folder), {"device": "cpu"})
    expected = SentenceTransformer(str(folder), device="cpu").encode(TEXTS)
    assert mine.info.dim == expected.shape[1]
    assert mine.info.normalized is ("normalize" in after)
    np.testing.assert_allclose(embed(mine, TEXTS), expected, rtol=1e-3, atol=1e-5)
    half = embed(mine, TEXTS, compute_dtype=ComputeDtype.BFLOAT16)
    assert cosines(half, expected).min() >= 0.99


def test_a_first_module_of_another_kind(minilm_folder: Path, tmp_path: Path) -> None:
    """Static embeddings: no transformer, so the model's own preprocessing is used."""
    from sentence_transformers.sentence_transformer.modules import StaticEmbedding
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(minilm_folder / "tokenizer.json"))
    tokenizer.no_truncation()
    model = SentenceTransformer(
        modules=[StaticEmbedding(tokenizer, embedding_dim=24)], device="cpu"
    )
    model.save_pretrained(str(tmp_path), create_model_card=False)
    mine = load("static", "sentence", str(tmp_path), {"device": "cpu"})
    np.testing.assert_allclose(embed(mine, TEXTS), model.encode(TEXTS), atol=1e-5)
    assert mine.info.limits.max_tokens == 0
    assert mine.prepare(Item(Modality.TEXT, "one two"), EncodeOptions()).tokens == 2
