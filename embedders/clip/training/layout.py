"""The files of a trained model: open_clip's description, and what was trained as float16."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from embedders.clip.files import CONFIG_FILE
from embedders.clip.source import PACKAGED_TEXT
from embedders.errors import ModelFormatError

#: numbers of a row of the frozen text tower
TEXT_DIM = 384
#: tokens of a text beyond which it is truncated
CONTEXT = 128
#: of ImageNet, as most image towers have it
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
WEIGHTS_FILE = "model.safetensors"


@dataclass(frozen=True, slots=True)
class TrainedParts:
    """What a training makes.

    Args:
        tower: open_clip's `TimmModel`.
        projection: of text rows, float32 (dim, 384).
        logit_scale: what cosines are multiplied by, not its logarithm.
    """

    tower: nn.Module
    projection: Tensor
    logit_scale: float


def text_cfg() -> dict[str, Any]:
    """Description of the text tower: the packaged MiniLM with a linear projection."""
    return {
        "context_length": CONTEXT,
        "hf_model_name": PACKAGED_TEXT,
        "hf_tokenizer_name": PACKAGED_TEXT,
        "hf_pooler_type": "mean_pooler",
        "hf_proj_type": "linear",
    }


def model_cfg(architecture: str, dim: int, image_size: int) -> dict[str, Any]:
    """open_clip's description of a model of ours; `architecture` is timm's name."""
    return {
        "embed_dim": dim,
        "vision_cfg": {
            "timm_model_name": architecture,
            "timm_model_pretrained": False,
            "timm_pool": "avg",
            "timm_proj": "linear",
            "image_size": image_size,
        },
        "text_cfg": text_cfg(),
        "custom_text": True,
    }


def preprocess_cfg() -> dict[str, Any]:
    """How a picture is read: squeezed to a square, since it is so in training."""
    return {
        "mean": list(MEAN),
        "std": list(STD),
        "interpolation": "bicubic",
        "resize_mode": "squash",
    }


def weights_path(out: Path) -> Path:
    """The file of the weights: `out` itself, or in the folder `out`."""
    return out if out.suffix == ".safetensors" else out / WEIGHTS_FILE


def save_model(
    out: Path, cfg: Mapping[str, Any], parts: TrainedParts, metadata: Mapping[str, str]
) -> Path:
    """Writes the weights and, beside them, their description; gives the weights' path.

    Raises:
        ModelFormatError: a weight is not a finite float16: the training has diverged.
    """
    path = weights_path(out)
    path.parent.mkdir(parents=True, exist_ok=True)
    tensors = {f"visual.{name}": value for name, value in parts.tower.state_dict().items()}
    tensors["text.proj.weight"] = parts.projection
    tensors["logit_scale"] = torch.tensor(parts.logit_scale).log()
    save_file(
        {name: _stored(name, value) for name, value in tensors.items()},
        path,
        {"format": "pt", **metadata},
    )
    # save_file leaves it readable by its owner alone
    path.chmod(0o644)
    content = {"model_cfg": dict(cfg), "preprocess_cfg": preprocess_cfg()}
    config = path.with_name(CONFIG_FILE)
    config.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    return path


def _stored(name: str, value: Tensor) -> Tensor:
    kept = value.detach().cpu().contiguous()
    if not kept.is_floating_point():
        return kept
    half = kept.to(torch.float16)
    if not half.isfinite().all():
        raise ModelFormatError(f"{name}: not a finite float16; lower the learning rate")
    return half
