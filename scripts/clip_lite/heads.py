"""The shared space: a linear map of the tower's features, and one of MiniLM's rows."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from embedders.clip.training.captioned import CaptionedImages
from embedders.clip.training.layout import TEXT_DIM
from embedders.clip.training.objectives import CaptionTable, Contrastive, contrastive_loss

FIRST_SCALE = 20.0
TEXT_DROP = 0.1


@dataclass(frozen=True, slots=True)
class HeadParams:
    """How the maps are trained."""

    dim: int = 384
    steps: int = 400
    batch: int = 1000
    learning_rate: float = 1e-3
    weight_decay: float = 0.2
    drop: float = 0.3


@dataclass(frozen=True, slots=True)
class Space:
    """The fitted space.

    Args:
        weight: of the tower's features, float32 (dim, 1280).
        bias: float32 (dim,).
        projection: of text rows, float32 (dim, 384).
        scale: what cosines are multiplied by.
    """

    weight: Tensor
    bias: Tensor
    projection: Tensor
    scale: float


def fitted_space(
    features: Tensor, images: CaptionedImages, texts: Tensor, params: HeadParams
) -> Space:
    """Fits both maps by CLIP's loss.

    Args:
        features: of views of the images, float16 (views, n, 1280).
        texts: rows of all captions, float32 (captions, 384).
    """
    norm = nn.BatchNorm1d(features.shape[-1], affine=False)
    linear = nn.Linear(features.shape[-1], params.dim, bias=False)
    first = torch.empty(params.dim, TEXT_DIM)
    nn.init.kaiming_uniform_(first, a=math.sqrt(5))
    table = CaptionTable(texts, images)
    text = Contrastive(table, first, FIRST_SCALE)
    optimizer = torch.optim.AdamW(
        [*linear.parameters(), *text.parameters()],
        lr=params.learning_rate,
        weight_decay=params.weight_decay,
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, params.learning_rate, params.steps, pct_start=0.1
    )
    for _ in range(params.steps):
        chosen = torch.randperm(features.shape[1])[: params.batch]
        views = torch.randint(len(features), (len(chosen),))
        rows = functional.dropout(table.draw(chosen.numpy()), TEXT_DROP)
        scaled = functional.dropout(norm(features[views, chosen].float()), params.drop)
        loss = contrastive_loss(linear(scaled), text.text(rows), text.log_scale.exp(), 1.0)
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        optimizer.step()
        schedule.step()
    return _folded(norm, linear, text)


def _folded(norm: nn.BatchNorm1d, linear: nn.Linear, text: Contrastive) -> Space:
    """The norm's statistics in the weights, so that a plain linear layer does both."""
    mean, variance = norm.get_buffer("running_mean"), norm.get_buffer("running_var")
    weight = linear.weight.detach() / (variance + norm.eps).sqrt()
    return Space(weight, -weight @ mean, text.projection, text.logit_scale)
