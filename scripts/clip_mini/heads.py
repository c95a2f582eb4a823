"""The shared space, fitted on the teacher's features: an image head and a text projection."""

import math
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional

from embedders.clip.training.captioned import CaptionedImages
from embedders.clip.training.layout import TEXT_DIM
from embedders.clip.training.objectives import CaptionTable, Contrastive, contrastive_loss

FIRST_SCALE = 20.0
TEXT_DROP = 0.1


@dataclass(frozen=True, slots=True)
class HeadParams:
    """How the heads are trained."""

    dim: int = 384
    hidden: int = 1024
    steps: int = 400
    batch: int = 1000
    learning_rate: float = 1e-3
    weight_decay: float = 0.2
    drop: float = 0.3


class ImageHead(nn.Module):
    """Teacher's features (n, 1280) to the shared space (n, dim)."""

    def __init__(self, width: int, params: HeadParams) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(width, affine=False)
        self.drop = nn.Dropout(params.drop)
        self.linear = nn.Linear(width, params.dim, bias=False)
        self.bend = nn.Sequential(
            nn.Linear(width, params.hidden),
            nn.GELU(),
            nn.Dropout(params.drop),
            nn.Linear(params.hidden, params.dim, bias=False),
        )

    def forward(self, features: Tensor) -> Tensor:
        """A linear map and a bent one, added."""
        found = self.drop(self.norm(features))
        placed: Tensor = self.linear(found) + self.bend(found)
        return placed

    def scaled(self, features: Tensor) -> Tensor:
        """Features with mean 0 and variance 1 each, by the statistics of the training."""
        mean, variance = self.norm.running_mean, self.norm.running_var
        assert mean is not None
        assert variance is not None
        return (features - mean) / (variance + self.norm.eps).sqrt()


@dataclass(frozen=True, slots=True)
class Space:
    """The fitted space.

    Args:
        head: in evaluation mode.
        projection: of text rows, float32 (dim, 384).
        scale: what cosines are multiplied by.
    """

    head: ImageHead
    projection: Tensor
    scale: float


def fitted_space(
    path: Path, features: Tensor, images: CaptionedImages, texts: Tensor, params: HeadParams
) -> Space:
    """The space of the file `path`, fitted first where there is none.

    Args:
        features: the teacher's of views of the images, float16 (views, n, 1280).
        texts: rows of all captions, float32 (captions, 384).
    """
    head = ImageHead(features.shape[-1], params)
    if not path.exists():
        _fit(path, head, features, images, texts, params)
    tensors = load_file(path)
    projection, scale = tensors.pop("projection"), float(tensors.pop("scale"))
    head.load_state_dict(tensors)
    return Space(head.eval().requires_grad_(False), projection, scale)


def _fit(
    path: Path,
    head: ImageHead,
    features: Tensor,
    images: CaptionedImages,
    texts: Tensor,
    params: HeadParams,
) -> None:
    first = torch.empty(params.dim, TEXT_DIM)
    nn.init.kaiming_uniform_(first, a=math.sqrt(5))
    table = CaptionTable(texts, images)
    text = Contrastive(table, first, FIRST_SCALE)
    trained = [*head.parameters(), *text.parameters()]
    optimizer = torch.optim.AdamW(
        trained, lr=params.learning_rate, weight_decay=params.weight_decay
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, params.learning_rate, params.steps, pct_start=0.1
    )
    for _ in range(params.steps):
        chosen = torch.randperm(features.shape[1])[: params.batch]
        views = torch.randint(len(features), (len(chosen),))
        rows = functional.dropout(table.draw(chosen.numpy()), TEXT_DROP)
        found = head(features[views, chosen].float())
        loss = contrastive_loss(found, text.text(rows), text.log_scale.exp(), 1.0)
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        optimizer.step()
        schedule.step()
    tensors = {**head.state_dict(), "projection": text.projection}
    tensors["scale"] = torch.tensor(text.logit_scale)
    save_file({name: value.contiguous() for name, value in tensors.items()}, path)
