"""Keys: whatever can change an answer changes the key, and nothing else does."""

import dataclasses
import re
from hashlib import blake2b
from pathlib import Path
from typing import Any

import pytest

from embedders import EncodeOptions, Item, Modality
from embedders.base import ComputeDtype, ModelInfo
from services.runtime.cache.keys import config_digest, keys_of

INFO = ModelInfo(
    id="model",
    family="hash",
    modalities=frozenset(Modality),
    dim=8,
    revision="r1",
    normalized=True,
    prompts={"query": "query: "},
    space_parts={"pooling": "mean"},
)
TEXT = Item(Modality.TEXT, "a text")
DIGEST = config_digest("hash", {})


def key(
    info: ModelInfo = INFO,
    digest: str = DIGEST,
    options: EncodeOptions | None = None,
    item: Item = TEXT,
) -> str:
    return keys_of(info, digest, options or EncodeOptions(), [item])[0]


def test_the_layout_is_as_documented() -> None:
    options = EncodeOptions("a:b", ComputeDtype.BFLOAT16, 4, True, True, True)
    content = blake2b(b"a text", digest_size=16).hexdigest()
    assert key(options=options) == (
        f"ls1:{INFO.space(4)}:bfloat16:text:a%3Ab:4tcu.{DIGEST}:{content}"
    )
    assert re.fullmatch("[0-9a-f]{16}", DIGEST)


OTHER_OPTIONS: dict[str, Any] = {
    "role": "query",
    "compute_dtype": ComputeDtype.FLOAT16,
    "dimensions": 4,
    "refuse_truncation": True,
    "cropped": True,
    "compose_unknown": True,
}


def test_every_option_of_a_call_is_known_here() -> None:
    """A new option must be thought about: does it belong in the key?"""
    assert OTHER_OPTIONS.keys() == {field.name for field in dataclasses.fields(EncodeOptions)}


@pytest.mark.parametrize("name", OTHER_OPTIONS)
def test_another_option_is_another_key(name: str) -> None:
    assert key(options=EncodeOptions(**{name: OTHER_OPTIONS[name]})) != key()


@pytest.mark.parametrize(
    "change",
    [
        {"revision": "r2"},
        {"prompts": {"query": "another: "}},
        {"space_parts": {"pooling": "cls"}},
        {"dim": 16},
        {"normalized": False},
        {"compute_dtype": ComputeDtype.BFLOAT16},
    ],
)
def test_another_model_is_another_key(change: dict[str, Any]) -> None:
    assert key(dataclasses.replace(INFO, **change)) != key()


def test_what_cannot_change_an_answer_is_not_in_the_key() -> None:
    renamed = dataclasses.replace(INFO, id="another", device="cuda:0", memory_bytes=7)
    assert key(renamed) == key()
    assert key(options=EncodeOptions(dimensions=INFO.dim)) == key()
    assert key(options=EncodeOptions(compute_dtype=INFO.compute_dtype)) == key()


def test_another_item_is_another_key() -> None:
    others = [
        Item(Modality.TEXT, "a texT"),
        Item(Modality.TEXT, "a text "),
        Item(Modality.KEY, "a text"),
        Item(Modality.IMAGE, b"a text"),
        Item(Modality.TEXT, "\ud800"),
    ]
    keys = {key(item=item) for item in [TEXT, *others]}
    assert len(keys) == 1 + len(others)


def test_another_configuration_is_another_digest(tmp_path: Path) -> None:
    detector = tmp_path / "detector.onnx"
    detector.write_bytes(b"one")
    options = {"detector": str(detector), "min_face": 24}
    first = config_digest("face", options)
    assert first == config_digest("face", dict(reversed(options.items())))
    assert first != config_digest("clip", options)
    assert first != config_digest("face", {**options, "min_face": 25})
    detector.write_bytes(b"two")
    assert first != config_digest("face", options)


@pytest.mark.parametrize("value", ["x" * 10_000, "nul\0byte", "/no/such/file", "/", 3, None, [1]])
def test_any_option_has_a_digest(value: object) -> None:
    assert config_digest("face", {"option": value}) != config_digest("face", {})
