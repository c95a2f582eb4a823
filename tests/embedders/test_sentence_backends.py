"""Other runtimes give the rows of `SentenceTransformer.encode`."""

import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sentence_transformers import SentenceTransformer

from embedders import ComputeDtype, EncodeOptions, Encoder, Item, Modality, Prepared, load
from embedders.errors import MissingExtraError, OptionError
from embedders.vectors import FloatRows

MakeModel = Callable[..., Path]

TEXTS = ["A man is playing a guitar.", "a", "word " * 90, "Ein Kätzchen schläft …", "ok " * 17]
PROMPTS = {"query": "query: ", "document": ""}
RUNTIMES = {"onnx": "onnxruntime", "openvino": "openvino"}


@pytest.fixture(scope="module")
def folder(make_model: MakeModel) -> Path:
    return make_model(prompts=PROMPTS, after=("dense", "normalize"), scale=0.3)


@pytest.fixture(scope="module", params=sorted(RUNTIMES))
def encoder(request: pytest.FixtureRequest, folder: Path) -> Encoder:
    for package in ("onnx", "onnxscript", RUNTIMES[request.param]):
        pytest.importorskip(package, reason=f"{package} is missing: extra {request.param}")
    return load("m", "sentence", str(folder), {"device": "cpu", "backend": request.param})


@pytest.fixture(scope="module")
def theirs(folder: Path) -> SentenceTransformer:
    return SentenceTransformer(str(folder), device="cpu", local_files_only=True)


def embed(encoder: Encoder, texts: list[str], **options: Any) -> FloatRows:
    chosen = EncodeOptions(**options)
    encoder.check_options(chosen)
    prepared = encoder.prepare_batch([Item(Modality.TEXT, text) for text in texts], chosen)
    return encoder.encode([p for p in prepared if isinstance(p, Prepared)], chosen).rows


def test_rows_are_theirs(encoder: Encoder, theirs: SentenceTransformer) -> None:
    for role, expected in (
        ("document", theirs.encode_document(TEXTS)),
        ("query", theirs.encode_query(TEXTS)),
    ):
        found = embed(encoder, TEXTS, role=role)
        assert (found * expected).sum(axis=1).min() >= 0.99999
        alone = np.concatenate([embed(encoder, [text], role=role) for text in TEXTS])
        np.testing.assert_allclose(alone, found, atol=1e-5)


def test_many_threads_give_the_same_rows(encoder: Encoder) -> None:
    expected = [embed(encoder, [text]) for text in TEXTS]
    with ThreadPoolExecutor(4) as pool:
        found = pool.map(lambda i: embed(encoder, [TEXTS[i % 5]]), range(40))
        for i, rows in enumerate(found):
            np.testing.assert_allclose(rows, expected[i % 5], atol=1e-5)


def test_the_space_is_that_of_torch(encoder: Encoder, folder: Path) -> None:
    torch = load("t", "sentence", str(folder), {"device": "cpu"})
    assert encoder.info.space_id == torch.info.space_id
    assert encoder.info.limits == torch.info.limits
    assert encoder.info.memory_bytes == pytest.approx(torch.info.memory_bytes, rel=0.1)


def test_formats_of_the_runtime(encoder: Encoder, theirs: SentenceTransformer) -> None:
    with pytest.raises(OptionError, match=r"computes in .*float32, not float16") as caught:
        embed(encoder, TEXTS, compute_dtype=ComputeDtype.FLOAT16)
    assert caught.value.field == "compute_dtype"
    options = encoder._options  # type: ignore[attr-defined]
    if options.backend == "openvino":
        half = embed(encoder, TEXTS, compute_dtype=ComputeDtype.BFLOAT16)
        assert (half * theirs.encode(TEXTS)).sum(axis=1).min() >= 0.999


def test_what_a_backend_needs_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options = {"device": "cpu", "backend": "openvino"}
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(MissingExtraError, match=r"onnx: pip .*server\[openvino\]"):
        load("m", "sentence", str(folder), options)
    with pytest.raises(OptionError, match="'torch', 'onnx' or 'openvino'"):
        load("m", "sentence", str(folder), {"backend": "tensorrt"})


def test_other_runtimes_are_for_the_cpu() -> None:
    from embedders.sentence.backends import check_backend
    from embedders.sentence.options import Backend

    with pytest.raises(OptionError, match="set device: cpu") as caught:
        check_backend(Backend.ONNX, "cuda:0")
    assert caught.value.field == "backend"
