"""What a sentence model tells of itself, and what it refuses."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from embedders import ComputeDtype, EncodeOptions, Encoder, Item, Modality, load
from embedders.errors import (
    EmbedderError,
    InvalidItemError,
    ItemTooLargeError,
    ModalityError,
    ModelFormatError,
    OptionError,
)
from embedders.sentence.grouping import length_groups
from embedders.sentence.source import verify_sha256

MakeModel = Callable[..., Path]

CPU = {"device": "cpu"}


@pytest.fixture(scope="module")
def minilm() -> Encoder:
    return load("minilm", "sentence", options=CPU)


def text(value: str) -> Item:
    return Item(Modality.TEXT, value)


def test_info(minilm: Encoder) -> None:
    info = minilm.info
    assert (info.dim, info.normalized, info.limits.max_tokens) == (384, True, 256)
    assert info.modalities == {Modality.TEXT}
    assert dict(info.prompts) == {"query": "", "document": ""}
    assert 90e6 < info.memory_bytes < 92e6
    assert info.compute_dtype is ComputeDtype.FLOAT32


def test_bad_texts_fail_alone(minilm: Encoder) -> None:
    found = minilm.prepare_batch(
        [text(""), text(" \n\t\u3000"), text("good"), Item(Modality.KEY, "king"), text("\ud800"),
         text("x" * 1_000_001)]
    )  # fmt: skip
    kinds = [type(entry).__name__ for entry in found]
    assert kinds == [
        "InvalidItemError", "InvalidItemError", "Prepared", "ModalityError", "InvalidItemError",
        "ItemTooLargeError",
    ]  # fmt: skip
    with pytest.raises(ModalityError):
        minilm.prepare(Item(Modality.IMAGE, b"x"), EncodeOptions())
    with pytest.raises(InvalidItemError, match="no visible character"):
        minilm.prepare(text(" "), EncodeOptions())


def test_truncation_is_counted_or_refused(minilm: Encoder) -> None:
    fits = minilm.prepare(text("word " * 254), EncodeOptions(refuse_truncation=True))
    assert (fits.tokens, fits.cost, fits.truncated) == (256, 256, False)
    cut = minilm.prepare(text("word " * 255), EncodeOptions())
    assert (cut.tokens, cut.cost, cut.truncated) == (257, 256, True)
    with pytest.raises(ItemTooLargeError, match="257 tokens, at most 256 fit"):
        minilm.prepare(text("word " * 255), EncodeOptions(refuse_truncation=True))


def test_prompts_count_as_tokens(make_model: MakeModel) -> None:
    model = load("m", "sentence", str(make_model(prompts={"query": "one two three "})), CPU)
    asked = model.prepare(text("four"), EncodeOptions(role="query"))
    stored = model.prepare(text("four"), EncodeOptions())
    assert (asked.tokens, stored.tokens) == (6, 3)


def test_options_are_checked(minilm: Encoder) -> None:
    with pytest.raises(OptionError, match="'poem' is unknown; one of: document, query"):
        minilm.check_options(EncodeOptions(role="poem"))
    for options, field in (
        ({"dtype": "int4"}, "dtype"),
        ({"device": "toaster"}, "device"),
        ({"colour": 1}, "colour"),
        ({"max_tokens": "many"}, "max_tokens"),
    ):
        with pytest.raises(OptionError) as caught:
            load("m", "sentence", "minilm", {**CPU, **options})
        assert caught.value.field == field
    if not torch.cuda.is_available():
        with pytest.raises(OptionError, match="no CUDA device"):
            load("m", "sentence", "minilm", {"device": "cuda:0"})


def test_max_tokens_lowers_the_limit_and_names_another_space(minilm: Encoder) -> None:
    short = load("m", "sentence", "minilm", {**CPU, "max_tokens": 16})
    assert short.info.limits.max_tokens == 16
    assert short.prepare(text("word " * 30), EncodeOptions()).cost == 16
    assert short.info.space_id != minilm.info.space_id


def test_space_is_stable_across_processes_and_copies(
    minilm: Encoder, minilm_folder: Path, tmp_path: Path
) -> None:
    shutil.copytree(minilm_folder, tmp_path / "copy")
    (tmp_path / "copy" / "README.md").write_text("another card")
    code = (
        "from embedders import load;"
        f"print(load('other', 'sentence', {str(tmp_path / 'copy')!r}, "
        "{'device': 'cpu', 'dtype': 'bfloat16'}).info.space_id)"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == minilm.info.space_id


def test_space_follows_weights_prompts_pooling_and_tokenizer(make_model: MakeModel) -> None:
    def space(folder: Path, **options: object) -> str:
        return load("m", "sentence", str(folder), {**CPU, **options}).info.space_id

    base = make_model()
    spaces = [
        space(base),
        space(make_model(seed=1)),
        space(make_model(pooling="cls")),
        space(make_model(after=("normalize",))),
        space(make_model(prompts={"query": "q: "})),
        space(base, prompts={"query": "ask: "}),
    ]
    tokenizer = json.loads((base / "tokenizer.json").read_text())
    tokenizer["normalizer"]["lowercase"] = False
    changed = base.parent / "changed"
    shutil.copytree(base, changed)
    (changed / "tokenizer.json").write_text(json.dumps(tokenizer))
    spaces.append(space(changed))
    assert len(set(spaces)) == len(spaces)
    assert space(base) == spaces[0]


def test_auto_dtype_is_a_format_whose_rows_agree() -> None:
    model = load("m", "sentence", "minilm", {**CPU, "dtype": "auto"})
    found = torch.cpu.get_capabilities()
    half = bool(found.get("avx512_bf16") or found.get("amx_bf16"))
    expected = ComputeDtype.BFLOAT16 if half else ComputeDtype.FLOAT32
    assert model.info.compute_dtype is expected
    assert model.info.memory_bytes < (50e6 if half else 92e6)


def test_a_format_whose_rows_differ_is_refused(make_model: MakeModel) -> None:
    """Activations beyond float16 become infinite: the rows are not a number."""
    folder = make_model(scale=3e4)
    model = load("m", "sentence", str(folder), CPU)
    options = EncodeOptions(compute_dtype=ComputeDtype.FLOAT16)
    with pytest.raises(OptionError, match="float16 rows of this model agree"):
        model.check_options(options)
    with pytest.raises(OptionError, match="use float32"):
        load("m", "sentence", str(folder), {**CPU, "dtype": "float16"})


def test_minilm_is_loaded_only_with_its_hash(tmp_path: Path) -> None:
    damaged = tmp_path / "model.safetensors"
    damaged.write_bytes(b"x")
    with pytest.raises(ModelFormatError, match=r"SHA-256 is 2d711642b726b044.*refused"):
        verify_sha256(damaged, "53aa")
    with pytest.raises(ModelFormatError, match="no such file"):
        verify_sha256(tmp_path / "none", "53aa")


def test_pickled_weights_are_refused(make_model: MakeModel) -> None:
    folder = make_model(after=("dense",))
    dense = folder / "2_Dense"
    (dense / "model.safetensors").rename(dense / "pytorch_model.bin")
    with pytest.raises(ModelFormatError, match=r"pytorch_model.bin: a pickle.*save_pretrained"):
        load("m", "sentence", str(folder), CPU)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("model.safetensors", None, r"no .safetensors weights"),
        ("model.safetensors", b"\0" * 64, "damaged|cannot be loaded"),
        ("config.json", b"{", "cannot be loaded|damaged JSON"),
        ("modules.json", b"[{]", "damaged JSON"),
        ("modules.json", b'{"a": 1}', "a list of modules"),
        ("modules.json", b'[{"path": "../../../etc", "type": "x"}]', "outside the model"),
        ("modules.json", b'[{"path": "", "type": "os.path.join"}]', "cannot be loaded"),
        ("tokenizer.json", b"{}", "cannot be loaded"),
    ],
)
def test_damaged_folders(
    name: str, content: bytes | None, message: str, make_model: MakeModel
) -> None:
    folder = make_model()
    if content is None:
        (folder / name).unlink()
    else:
        (folder / name).write_bytes(content)
    with pytest.raises(ModelFormatError, match=message):
        load("m", "sentence", str(folder), CPU)


@pytest.mark.parametrize("source", ["no-such-model-anywhere", "a/b", "/no/such/folder", "a b?"])
def test_unknown_models_offline(source: str) -> None:
    with pytest.raises(EmbedderError, match=r"no such folder|neither a folder"):
        load("m", "sentence", source, {**CPU, "local_files_only": True})


def test_groups_hold_every_text_once_with_little_padding() -> None:
    rng = np.random.default_rng(0)
    for _ in range(50):
        lengths = rng.integers(3, 257, size=rng.integers(1, 200)).tolist()
        groups = length_groups(lengths, 48, 2048)
        assert sorted(np.concatenate(groups).tolist()) == list(range(len(lengths)))
        for group in groups:
            sizes = [lengths[i] for i in group]
            assert len(sizes) * max(sizes) - sum(sizes) <= 48
            assert len(sizes) * max(sizes) <= 2048 or len(sizes) == 1


def test_like_lengths_stay_together() -> None:
    assert len(length_groups([7] * 64, 48, 8192)) == 1
    assert [group.tolist() for group in length_groups([5, 200, 6], 48, 8192)] == [[1], [2, 0]]
