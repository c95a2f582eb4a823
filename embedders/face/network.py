"""The network of our own face models: edge histograms, whitened, then learnt layers.

A convolution that learns from some thousand photos of a thousand people learns the photos. So the
first layer is fixed (`EdgeDirections`), the second is the whitening of its principal components,
and what tells people apart is a linear layer that starts as Fisher's discriminant, and a hidden
branch beside it; these two learn from triplets.
"""

from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

from embedders.face.gradients import EdgeDirections
from embedders.options import STRICT

ImageSize = Annotated[int, Field(ge=64, le=256, multiple_of=64)]


@dataclass(frozen=True, slots=True)
class NetworkShape:
    """What a network is built from.

    Args:
        image_size: pixels of a side of the square input.
        components: principal components kept of the edge histograms.
        hidden: units of the branch.
        dim: numbers of an embedding.
    """

    __pydantic_config__: ClassVar = STRICT

    image_size: ImageSize = 64
    components: Annotated[int, Field(ge=1, le=4096)] = 400
    hidden: Annotated[int, Field(ge=1, le=8192)] = 512
    dim: Annotated[int, Field(ge=2, le=1024)] = 128


class Whitening(nn.Module):
    """Takes the mean off, and turns and scales the components to unit variance."""

    def __init__(self, features: int, components: int) -> None:
        super().__init__()
        self.mean = nn.Parameter(torch.zeros(features), requires_grad=False)
        self.turn = nn.Parameter(torch.zeros(features, components), requires_grad=False)

    def forward(self, x: Tensor) -> Tensor:
        """Float32 (n, features) to (n, components)."""
        return (x - self.mean) @ self.turn


class Head(nn.Module):
    """The learnt part: a linear layer and a hidden branch, to unit length."""

    def __init__(self, shape: NetworkShape, dropout: float = 0.0) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.linear = nn.Linear(shape.components, shape.dim, bias=False)
        self.hidden = nn.Linear(shape.components, shape.hidden)
        self.out = nn.Linear(shape.hidden, shape.dim)
        # the branch begins as nothing, and so the whole as the linear layer
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Float32 (n, components) to unit (n, dim)."""
        x = self.dropout(x)
        branch = self.out(self.dropout(self.hidden(x).relu()))
        return nn.functional.normalize(self.linear(x) + branch)


class FaceNetwork(nn.Module):
    """Cropped faces to unit vectors."""

    def __init__(self, shape: NetworkShape, dropout: float = 0.0) -> None:
        super().__init__()
        self.shape = shape
        self.edges = EdgeDirections(shape.image_size)
        self.whitening = Whitening(self.edges.features, shape.components)
        self.head = Head(shape, dropout)

    def describe(self, x: Tensor) -> Tensor:
        """The fixed part: float32 (n, 3, size, size), see `scale_pixels`, to (n, components)."""
        components: Tensor = self.whitening(self.edges(x))
        return components

    def forward(self, x: Tensor) -> Tensor:
        """Float32 (n, 3, size, size) to unit float32 (n, dim)."""
        rows: Tensor = self.head(self.describe(x))
        return rows


def scale_pixels(pixels: Tensor) -> Tensor:
    """uint8 RGB (n, size, size, 3) to float32 (n, 3, size, size): (value - 127.5) / 128."""
    return (pixels.permute(0, 3, 1, 2).to(torch.float32) - 127.5) / 128.0
