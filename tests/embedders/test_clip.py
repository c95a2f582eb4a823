"""CLIP models behind the contract: options, failures, spaces."""

import json
import os
import pickle
import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import pytest
import torch
from safetensors.torch import save_file

from embedders import ComputeDtype, EncodeOptions, Encoder, Item, Modality, Prepared, load
from embedders.errors import (
    InvalidItemError,
    ItemTooLargeError,
    ModalityError,
    ModelFormatError,
    OptionError,
)
from tests.embedders.clip_models import (
    PACKAGED,
    TINY,
    embed,
    pictures,
    png,
    save_tiny,
    state_of,
    write_config,
)

CPU = {"device": "cpu"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tiny")
    save_tiny(path)
    return path


@pytest.fixture(scope="module")
def encoder(folder: Path) -> Encoder:
    return load("tiny", "clip", str(folder), CPU)


def test_info(encoder: Encoder) -> None:
    info = encoder.info
    assert info.family == "clip"
    assert info.modalities == {Modality.TEXT, Modality.IMAGE}
    assert (info.dim, info.normalized, info.device) == (32, True, "cpu")
    assert info.limits.max_tokens == 16
    assert info.limits.max_image_pixels == 64_000_000
    assert info.logit_scale == pytest.approx(1 / 0.07, rel=1e-5)
    assert info.logit_bias is None
    assert info.memory_bytes > 1_000_000


def test_bad_items_fail_alone(encoder: Encoder) -> None:
    good = png(pictures(1)[0])
    items = [
        Item(Modality.IMAGE, good),
        Item(Modality.IMAGE, good[: len(good) // 2]),
        Item(Modality.TEXT, "a cat"),
        Item(Modality.IMAGE, b""),
        Item(Modality.TEXT, "  "),
        Item(Modality.TEXT, "\ud800"),
        Item(Modality.KEY, "cat"),
        Item(Modality.IMAGE, b"\0" * (21 << 20)),
        Item(Modality.TEXT, "x" * 100_001),
    ]
    found = encoder.prepare_batch(items)
    kinds = [type(entry) for entry in found]
    assert kinds == [
        Prepared,
        InvalidItemError,
        Prepared,
        InvalidItemError,
        InvalidItemError,
        InvalidItemError,
        ModalityError,
        ItemTooLargeError,
        ItemTooLargeError,
    ]
    assert "truncated" in str(found[1])
    texts = encoder.prepare_batch([items[2], items[4], items[2]])
    assert [type(entry) for entry in texts] == [Prepared, InvalidItemError, Prepared]


def test_costs_tokens_and_truncation(encoder: Encoder) -> None:
    short, long = encoder.prepare_batch(
        [Item(Modality.TEXT, "a cat"), Item(Modality.TEXT, "word " * 50)]
    )
    assert isinstance(short, Prepared)
    assert isinstance(long, Prepared)
    assert (short.cost, short.tokens, short.truncated) == (4, 4, False)
    assert (long.cost, long.tokens, long.truncated) == (16, 52, True)
    [picture] = encoder.prepare_batch([Item(Modality.IMAGE, png(pictures(1)[0]))])
    assert isinstance(picture, Prepared)
    assert picture.cost == 4
    options = EncodeOptions(refuse_truncation=True)
    [_, refused] = encoder.prepare_batch(
        [Item(Modality.TEXT, t) for t in ("x", "w " * 50)], options
    )
    assert isinstance(refused, ItemTooLargeError)
    assert "52 tokens, at most 16" in str(refused)
    with pytest.raises(ItemTooLargeError):
        encoder.prepare(Item(Modality.TEXT, "w " * 50), options)


def test_a_row_does_not_depend_on_its_batch(encoder: Encoder) -> None:
    texts = ["a", "a cat on a mat", "word " * 30, "b"]
    together = embed(encoder, texts)
    for text, row in zip(texts, together, strict=True):
        np.testing.assert_allclose(embed(encoder, [text])[0], row, atol=2e-6)
    images = pictures(3)
    together = embed(encoder, images)
    for image, row in zip(images, together, strict=True):
        np.testing.assert_allclose(embed(encoder, [image])[0], row, atol=2e-6)


def test_fewer_dimensions_are_renormalised(encoder: Encoder) -> None:
    whole, cut = (embed(encoder, pictures(2), dimensions=d) for d in (0, 8))
    expected = whole[:, :8] / np.linalg.norm(whole[:, :8], axis=1, keepdims=True)
    np.testing.assert_allclose(cut, expected, atol=1e-6)


def test_many_threads(encoder: Encoder) -> None:
    expected = embed(encoder, pictures(3))
    barrier = threading.Barrier(4)

    def work(_: int) -> Any:
        barrier.wait()
        return embed(encoder, pictures(3))

    with ThreadPoolExecutor(4) as pool:
        for rows in pool.map(work, range(4)):
            np.testing.assert_allclose(rows, expected, atol=1e-6)


def test_the_space_is_of_content_not_of_place(
    folder: Path, tmp_path: Path, encoder: Encoder
) -> None:
    moved = tmp_path / "moved"
    shutil.copytree(folder, moved)
    (moved / "open_clip_model.safetensors").rename(moved / "another_name.safetensors")
    assert load("other", "clip", str(moved), CPU).info.space_id == encoder.info.space_id


def test_the_space_of_this_model_is_pinned(tmp_path: Path) -> None:
    """Seeded weights on any machine: a change here breaks every stored collection."""
    write_config(tmp_path, TINY)
    model = open_clip.create_model(f"local-dir:{tmp_path}", load_weights=False)
    zeros = {name: torch.zeros_like(value) for name, value in state_of(model).items()}
    save_file(zeros, tmp_path / "model.safetensors")
    assert load("zero", "clip", str(tmp_path), CPU).info.space_id == "38af7d9892b8dc21"


def test_the_space_differs_after_any_change(folder: Path, tmp_path: Path, encoder: Encoder) -> None:
    spaces = {encoder.info.space_id}
    weights = folder / "open_clip_model.safetensors"
    short = {**TINY, "text_cfg": {**TINY["text_cfg"], "context_length": 16, "pad_id": 1}}
    for name, config, preprocessing in (
        ("mean", TINY, {"mean": [0.5, 0.5, 0.5]}),
        ("mode", TINY, {"resize_mode": "squash"}),
        ("gelu", {**TINY, "quick_gelu": True}, {}),
        ("pad", short, {}),
        (
            "clean",
            {**TINY, "text_cfg": {**TINY["text_cfg"], "tokenizer_kwargs": {"clean": "whitespace"}}},
            {},
        ),
    ):
        write_config(tmp_path / name, config, preprocessing)
        os.link(weights, tmp_path / name / weights.name)
        spaces.add(load(name, "clip", str(tmp_path / name), CPU).info.space_id)
    save_tiny(tmp_path / "seed", seed=1)
    spaces.add(load("seed", "clip", str(tmp_path / "seed"), CPU).info.space_id)
    spaces.add(load("fast", "clip", str(folder), {**CPU, "fast_jpeg": True}).info.space_id)
    assert len(spaces) == 8


def test_checkpoints_of_torch(folder: Path, tmp_path: Path, encoder: Encoder) -> None:
    model = open_clip.create_model(f"local-dir:{folder}")
    expected = embed(encoder, ["a cat"])
    training = {"epoch": 3, "name": "run", "state_dict": prefixed(model)}
    for name, content in (("plain.pt", model.state_dict()), ("epoch_3.pt", training)):
        place = tmp_path / name
        write_config(place, TINY)
        torch.save(content, place / name)
        for source in (place, place / name):
            found = embed(load("pt", "clip", str(source), CPU), ["a cat"])
            np.testing.assert_allclose(found, expected, atol=1e-6)


def prefixed(model: Any) -> dict[str, Any]:
    """As training on several devices saves it."""
    return {f"module.{name}": value for name, value in model.state_dict().items()}


class Payload:
    """Runs code when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("inside", [True, False])
def test_a_pickle_with_a_payload_is_refused_and_does_not_run(inside: bool, tmp_path: Path) -> None:
    write_config(tmp_path, TINY)
    proof, path = tmp_path / "it-ran", tmp_path / "model.pt"
    content = {"state_dict": {"logit_scale": torch.ones(1)}, "extra": Payload(proof)}
    if inside:
        torch.save(content, path)
    else:
        path.write_bytes(pickle.dumps(Payload(proof)))
    with pytest.raises(ModelFormatError, match=r"can run code|damaged"):
        load("evil", "clip", str(tmp_path), CPU)
    assert not proof.exists()
    with pytest.raises(FileNotFoundError):  # the payload would have run
        pickle.loads(pickle.dumps(Payload(tmp_path / "no" / "folder")))


def test_damaged_files_are_refused(folder: Path, tmp_path: Path) -> None:
    weights = (folder / "open_clip_model.safetensors").read_bytes()
    config = (folder / "open_clip_config.json").read_text()
    broken: dict[str, tuple[str, bytes, str]] = {
        "json": ("{", weights, "damaged JSON"),
        "empty": ("{}", weights, "model_cfg"),
        "tower": ('{"model_cfg": {"embed_dim": 3, "vision_cfg": {}}}', weights, "text_cfg"),
        "cut": (config, weights[:-100], "cannot be loaded"),
        "other": (
            json.dumps({"model_cfg": {**TINY, "embed_dim": 16}}),
            weights,
            "cannot be loaded",
        ),
        "unknown": (
            json.dumps({"model_cfg": {**TINY, "vision_cfg": {"wings": 2}}}),
            weights,
            "cannot be loaded",
        ),
    }
    for name, (text, content, message) in broken.items():
        place = tmp_path / name
        place.mkdir()
        (place / "open_clip_config.json").write_text(text)
        (place / "model.safetensors").write_bytes(content)
        with pytest.raises(ModelFormatError, match=message):
            load(name, "clip", str(place), CPU)


def test_towers_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    # timm's MobileNetV3 says 576 features and gives 1024; open_clip believes it
    vision = {"timm_model_name": "mobilenetv3_small_050", "timm_pool": "avg", "image_size": 64}
    save_tiny(tmp_path, {**TINY, "vision_cfg": vision})
    with pytest.raises(ModelFormatError, match="a tower fails"):
        load("odd", "clip", str(tmp_path), CPU)


def test_weights_that_the_packaged_tower_does_not_excuse(
    tmp_path: Path, minilm_folder: Path
) -> None:
    write_config(tmp_path, PACKAGED)
    save_file({"logit_scale": torch.ones(())}, tmp_path / "model.safetensors")
    with pytest.raises(ModelFormatError, match=r"weights missing.*visual\."):
        load("half", "clip", str(tmp_path), CPU)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"devise": "cpu"}, "options: architecture, device"),
        ({"device": "tpu9"}, "no device"),
        ({"max_image_pixels": 10**9}, "max_image_pixels"),
        ({"dtype": "float8"}, "dtype"),
    ],
)
def test_options_are_strict(folder: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        load("x", "clip", str(folder), options)


def test_image_limits_are_options(folder: Path) -> None:
    small = load("small", "clip", str(folder), {**CPU, "max_image_pixels": 100})
    assert small.info.limits.max_image_pixels == 100
    [found] = small.prepare_batch([Item(Modality.IMAGE, png(pictures(1)[0]))])
    assert isinstance(found, ItemTooLargeError)


def test_a_format_that_disagrees_is_refused(tmp_path: Path) -> None:
    model = save_tiny(tmp_path)
    state = state_of(model)
    # beyond float16: the rows become infinite
    state["visual.proj"] *= 1e6
    save_file(state, tmp_path / "open_clip_model.safetensors")
    encoder = load("loud", "clip", str(tmp_path), CPU)
    with pytest.raises(OptionError, match="use float32"):
        encoder.check_options(EncodeOptions(compute_dtype=ComputeDtype.FLOAT16))
    with pytest.raises(OptionError, match="use float32"):
        load("loud", "clip", str(tmp_path), {**CPU, "dtype": "float16"})


def test_a_chosen_format_is_the_default_and_alone_in_memory(folder: Path, encoder: Encoder) -> None:
    half = load("half", "clip", str(folder), {**CPU, "dtype": "bfloat16"})
    assert half.info.compute_dtype is ComputeDtype.BFLOAT16
    assert half.info.memory_bytes < 0.6 * encoder.info.memory_bytes
    assert half.info.space_id == encoder.info.space_id
    exact = embed(half, ["a cat"], compute_dtype=ComputeDtype.FLOAT32)
    np.testing.assert_allclose(exact, embed(encoder, ["a cat"]), atol=1e-6)


def test_memory_exhausted_on_the_device_is_a_memory_error(
    encoder: Encoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise torch.OutOfMemoryError("no memory left")

    monkeypatch.setattr("embedders.clip.towers.Towers.picture_rows", full)
    with pytest.raises(MemoryError, match="no memory left"):
        embed(encoder, pictures(1))
