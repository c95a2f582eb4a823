"""The image tower that a training starts from."""

from typing import Any

import timm
import torch
from open_clip.hf_model import HFTextEncoder
from open_clip.timm_model import TimmModel
from torch import nn

from embedders.clip.loading import load_model
from embedders.clip.options import ClipOptions
from embedders.clip.params import ClipParams
from embedders.clip.source import clip_files
from embedders.clip.training.layout import TrainedParts, model_cfg, preprocess_cfg
from embedders.clip.training.objectives import FIRST_SCALE, first_projection
from embedders.errors import OptionError

DEFAULT_SIZE = 128


def starting_parts(params: ClipParams) -> tuple[TrainedParts, dict[str, Any]]:
    """Tower, projection and scale to start from, and the description of the model to be.

    Raises:
        OptionError: `start` is not of this kind, or `architecture` is unknown to timm.
        ModelFormatError: the files of `start` are missing or damaged.
    """
    return _learnt(params) if params.start else _random(params)


def _random(params: ClipParams) -> tuple[TrainedParts, dict[str, Any]]:
    if not timm.is_model(params.architecture):
        raise OptionError(
            "architecture", f"architecture {params.architecture!r} is not one of timm.list_models()"
        )
    size = params.image_size or DEFAULT_SIZE
    torch.manual_seed(params.seed)
    tower = new_tower(params.architecture, params.dim, size)
    parts = TrainedParts(tower, first_projection(params.dim), FIRST_SCALE)
    return parts, model_cfg(params.architecture, params.dim, size)


def new_tower(architecture: str, dim: int, size: int) -> nn.Module:
    """open_clip's image tower with random weights."""
    tower: nn.Module = TimmModel(architecture, dim, image_size=size, pool="avg", proj="linear")
    return tower


def _learnt(params: ClipParams) -> tuple[TrainedParts, dict[str, Any]]:
    files = clip_files(params.start, ClipOptions())
    if files.image_tower is not None:
        raise OptionError(
            "start",
            f"{params.start}: its image tower is a package's and stays as it is; start from"
            " 'clip-mini' or from a model trained here",
        )
    if not files.frozen_text or dict(files.preprocess_cfg) != preprocess_cfg():
        raise OptionError("start", f"{params.start}: not a model trained here")
    model = load_model(files).requires_grad_(True)
    tower, text = model.get_submodule("visual"), model.get_submodule("text")
    if not isinstance(tower, TimmModel) or not _is_linear(text):
        raise OptionError("start", f"{params.start}: not a timm tower with linear projections")
    vision = files.model_cfg["vision_cfg"]
    size = params.image_size or int(vision["image_size"])
    cfg = {**files.model_cfg, "vision_cfg": {**vision, "image_size": size}}
    projection = model.get_parameter("text.proj.weight").detach()
    scale = float(model.get_parameter("logit_scale").detach().exp())
    return TrainedParts(tower, projection, scale), cfg


def _is_linear(text: nn.Module) -> bool:
    return isinstance(text, HFTextEncoder) and isinstance(text.proj, nn.Linear)
