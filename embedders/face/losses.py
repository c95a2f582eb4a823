"""The triplet loss and its miners, from pytorch-metric-learning.

FaceNet (Schroff, Kalenichenko, Philbin, CVPR 2015) learns f so that for an anchor a, a positive
p of the same person and a negative n of another

    loss = sum over triplets of max(0, ||f(a) - f(p)||^2 - ||f(a) - f(n)||^2 + margin),

with f on the unit sphere. Here the mean over the triplets that cost anything takes the place of
the sum, so that the learning rate does not depend on how many were found.
"""

from typing import Any

from pytorch_metric_learning.distances import LpDistance
from pytorch_metric_learning.losses import TripletMarginLoss
from pytorch_metric_learning.miners import BatchHardMiner, TripletMarginMiner
from torch import Tensor, nn

from embedders.face.params import Mining

#: the names of pytorch-metric-learning
KINDS = {Mining.SEMI_HARD: "semihard", Mining.HARD: "hard", Mining.ALL: "all"}


class TripletObjective(nn.Module):
    """The triplet loss over the mined triplets of a batch."""

    def __init__(self, mining: Mining, margin: float) -> None:
        super().__init__()
        distance = LpDistance(normalize_embeddings=True, p=2, power=2)
        self.miner: Any = (
            BatchHardMiner(distance=distance)
            if mining is Mining.BATCH_HARD
            else TripletMarginMiner(margin, type_of_triplets=KINDS[mining], distance=distance)
        )
        self.loss: Any = TripletMarginLoss(margin=margin, distance=distance)

    def forward(self, embeddings: Tensor, labels: Tensor) -> Tensor:
        """Float (n, dim) and int64 (n,) to a scalar; 0 where no triplet is found."""
        loss: Tensor = self.loss(embeddings, labels, self.miner(embeddings, labels))
        return loss
