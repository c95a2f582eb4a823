"""What an image tower learns from."""

import math
from abc import ABC, abstractmethod

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from embedders.clip.training.batches import Batch
from embedders.clip.training.captioned import CaptionedImages
from embedders.clip.training.layout import TEXT_DIM
from embedders.vectors import IndexArray

# CLIP's own bounds (Radford and others, 2021)
FIRST_SCALE, LARGEST_SCALE = 1 / 0.07, 100.0


class Objective(nn.Module, ABC):
    """A loss; its parameters are trained beside the tower's."""

    #: views that may be drawn; None: any
    views: IndexArray | None = None

    @property
    @abstractmethod
    def projection(self) -> Tensor:
        """Of text rows, float32 (dim, 384)."""

    @property
    @abstractmethod
    def logit_scale(self) -> float:
        """What cosines are multiplied by."""

    @abstractmethod
    def forward(self, batch: Batch, pooled: Tensor, rows: Tensor) -> Tensor:
        """The loss of a batch.

        Args:
            pooled: features of the tower, float32 (n, width).
            rows: embeddings of the pictures, float32 (n, dim), of any length.
        """


class CaptionTable(nn.Module):
    """Text rows of all captions, and a random one of an image.

    Args:
        rows: float32 (captions, 384).
    """

    def __init__(self, rows: Tensor, images: CaptionedImages) -> None:
        super().__init__()
        self.register_buffer("rows", rows, persistent=False)
        count = np.bincount(images.owner, minlength=len(images.pixels))
        self._first, self._count = np.cumsum(count) - count, count

    def draw(self, images: IndexArray) -> Tensor:
        """Rows (n, 384) of one caption of each image."""
        nth = torch.rand(len(images)).numpy() * self._count[images]
        places = torch.from_numpy(self._first[images] + nth.astype(np.intp))
        table: Tensor = self.get_buffer("rows")
        return table[places.to(table.device)]


class Contrastive(Objective):
    """CLIP's loss: each picture is told from the captions of the others, and each caption so.

    With s the scale, v and t unit rows of n pictures and their captions,

        L = -1/2n sum_i [log softmax_j(s v_i . t_j)_i + log softmax_j(s t_i . v_j)_i].

    A mixed picture belongs to both captions by its shares.
    """

    def __init__(self, captions: CaptionTable, projection: Tensor, scale: float) -> None:
        super().__init__()
        self.captions = captions
        self.text = nn.Linear(TEXT_DIM, len(projection), bias=False)
        self.text.weight.data.copy_(projection)
        self.log_scale = nn.Parameter(torch.tensor(math.log(scale)))

    @property
    def projection(self) -> Tensor:
        """Of text rows."""
        return self.text.weight.detach()

    @property
    def logit_scale(self) -> float:
        """Learnt, at most 100."""
        return min(LARGEST_SCALE, float(self.log_scale.detach().exp()))

    def forward(self, batch: Batch, pooled: Tensor, rows: Tensor) -> Tensor:
        """CLIP's loss over the batch."""
        texts = self.text(self.captions.draw(batch.images))
        scale = self.log_scale.exp().clamp(max=LARGEST_SCALE)
        return contrastive_loss(rows, texts, scale, batch.share)


def contrastive_loss(rows: Tensor, texts: Tensor, scale: Tensor, share: float) -> Tensor:
    """CLIP's loss of pictures (n, dim) and their captions (n, dim), of any length.

    Args:
        share: of each picture that is its own; the rest is that of the one before it.
    """
    logits = scale * functional.normalize(rows, dim=1) @ functional.normalize(texts, dim=1).T
    own = torch.eye(len(rows), device=rows.device)
    target = share * own + (1 - share) * own.roll(1, 0)
    to_texts = functional.cross_entropy(logits, target)
    # columns of the target sum to one as its rows do
    return (to_texts + functional.cross_entropy(logits.T, target.T)) / 2


def first_projection(dim: int) -> Tensor:
    """A random projection (dim, 384) that keeps lengths about as they are."""
    return torch.randn(dim, TEXT_DIM) / math.sqrt(dim)
