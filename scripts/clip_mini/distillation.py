"""What the student learns from: the teacher's place of each view, and the captions."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from embedders.clip.training.batches import Batch
from embedders.clip.training.objectives import CaptionTable, Objective, contrastive_loss
from embedders.vectors import IndexArray

from .heads import Space

#: captions over which teacher and student are compared in a step
BANK = 2048
CONTRASTIVE = 0.25


class Distillation(Objective):
    """Distillation of a space in which texts have their places already.

    With z the student's unit row of a view, e the teacher's, t_j unit rows of captions and s the
    scale, the loss is the sum of

    - 1 - cos(z, e),
    - the divergence of softmax_j(s z . t_j) from softmax_j(s e . t_j), as in Hinton and others
      (2015), over captions drawn anew in each step,
    - the smooth L1 distance of a linear map of the student's pooled features from the teacher's
      features, each scaled to variance 1,
    - a quarter of CLIP's loss, over the pictures that have captions and are not mixed.

    Teacher and student see the same crops (Beyer and others, "Knowledge distillation: a good
    teacher is patient and consistent", 2022). A mixed picture has the mixed features of both:
    they are means over the picture, so this is nearly what the teacher would have found.

    Args:
        features: the teacher's, float16 (views, n, 1280); view v is row v.
        captioned: how many of the n images, the first, have captions.
        width: of the student's pooled features.
    """

    def __init__(
        self, space: Space, features: Tensor, captions: CaptionTable, captioned: int, width: int
    ) -> None:
        super().__init__()
        self.head, self.features, self.captions = space.head, features, captions
        self.captioned, self._scale = captioned, space.scale
        self.register_buffer("text_projection", space.projection, persistent=False)
        self.guess = nn.Linear(width, features.shape[-1])
        self.views: IndexArray = torch.arange(len(features)).numpy()
        texts = captions.get_buffer("rows") @ space.projection.T
        self.register_buffer("texts", functional.normalize(texts, dim=1), persistent=False)

    @property
    def projection(self) -> Tensor:
        """Of text rows; fixed."""
        return self.get_buffer("text_projection")

    @property
    def logit_scale(self) -> float:
        """Fixed, as fitted with the teacher."""
        return self._scale

    def forward(self, batch: Batch, pooled: Tensor, rows: Tensor) -> Tensor:
        """The sum of the four."""
        features = self._teacher(batch)
        wanted = functional.normalize(self.head(features), dim=1)
        found = functional.normalize(rows, dim=1)
        loss = (1 - (found * wanted).sum(dim=1)).mean()
        loss = loss + self._divergence(found, wanted)
        guess = self.guess(pooled)
        loss = loss + functional.smooth_l1_loss(guess, self.head.scaled(features))
        return loss + CONTRASTIVE * self._contrastive(batch, found)

    def _teacher(self, batch: Batch) -> Tensor:
        """The teacher's features of the batch, float32 (n, 1280)."""
        views, images = torch.from_numpy(batch.views), torch.from_numpy(batch.images)
        features = self.features[views, images].to(self.guess.weight.device).float()
        return batch.share * features + (1 - batch.share) * features.roll(1, 0)

    def _divergence(self, found: Tensor, wanted: Tensor) -> Tensor:
        texts = self.get_buffer("texts")
        bank = texts[torch.randint(len(texts), (BANK,), device=texts.device)]
        scale = self.logit_scale
        mine = functional.log_softmax(scale * found @ bank.T, dim=1)
        theirs = functional.softmax(scale * wanted @ bank.T, dim=1)
        return functional.kl_div(mine, theirs, reduction="batchmean")

    def _contrastive(self, batch: Batch, found: Tensor) -> Tensor:
        own = batch.images < self.captioned
        if batch.share < 1 or not own.any():
            return found.new_zeros(())
        texts = self.captions.draw(batch.images[own]) @ self.projection.T
        scale = torch.tensor(self.logit_scale)
        return contrastive_loss(found[torch.from_numpy(own)], texts, scale, 1.0)
