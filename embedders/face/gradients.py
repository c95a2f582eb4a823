"""A fixed description of a face by the directions of its edges, on three scales.

Histograms of oriented gradients (Dalal and Triggs, 2005) with soft directions and overlapping
cells, each scaled by the strength of its surroundings, then the square root (as in RootSIFT,
Arandjelovic and Zisserman, 2012). Nothing in it is learnt, so that a few thousand photos are
enough for what comes after.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

DIRECTIONS, CELLS = 8, 16
LUMA = (0.299, 0.587, 0.114)
# binomial blurs on each axis
NARROW, WIDE = (0.25, 0.5, 0.25), (0.0625, 0.25, 0.375, 0.25, 0.0625)
# halvings before each scale, and its blur: deviations of 0.7, 1.7 and 2.6 pixels of the picture
SCALES = ((0, NARROW), (1, NARROW), (0, WIDE))
WEAKEST = 1e-3


class EdgeDirections(nn.Module):
    """Pictures to edge histograms, (n, 3, size, size) to (n, features)."""

    turns: Tensor
    luma: Tensor

    def __init__(self, size: int) -> None:
        super().__init__()
        angles = torch.arange(DIRECTIONS) * (2 * math.pi / DIRECTIONS)
        turns = torch.stack([angles.cos(), angles.sin()], 1)
        # not learnt, and so not in the file
        self.register_buffer("turns", turns.view(DIRECTIONS, 2, 1, 1), persistent=False)
        self.register_buffer("luma", torch.tensor(LUMA).view(1, 3, 1, 1), persistent=False)
        self.size = size
        # cells overlap by half
        self.features = len(SCALES) * DIRECTIONS * (CELLS - 1) ** 2

    def forward(self, x: Tensor) -> Tensor:
        """Float32 (n, 3, size, size) to float32 (n, features)."""
        grey = (x * self.luma).sum(1, keepdim=True)
        half, found = self.size // CELLS, []
        for halvings, blur in SCALES:
            if halvings:
                grey, half = F.avg_pool2d(grey, 2), half // 2
            grey = _blurred(grey, blur)
            found.append(self._histograms(grey, half))
        return torch.cat(found, 1)

    def _histograms(self, grey: Tensor, half: int) -> Tensor:
        """Cells of 2 x half pixels, one every half pixels."""
        wide = F.pad(grey, (1, 1, 1, 1), mode="replicate")
        across = wide[:, :, 1:-1, 2:] - wide[:, :, 1:-1, :-2]
        down = wide[:, :, 2:, 1:-1] - wide[:, :, :-2, 1:-1]
        edges = torch.cat([across, down], 1)
        strength = edges.square().sum(1, keepdim=True).add(1e-8).sqrt()
        along = F.conv2d(edges / strength, self.turns).relu()
        maps = along.square().square() * strength
        cells = F.avg_pool2d(maps, 2 * half, half)
        around = F.avg_pool2d(cells.sum(1, keepdim=True), 3, 1, 1, count_include_pad=False)
        return (cells / (around + WEAKEST)).sqrt().flatten(1)


def _blurred(grey: Tensor, blur: tuple[float, ...]) -> Tensor:
    """Weighed means of neighbours, one axis after the other; the edge is repeated."""
    line, reach = grey.new_tensor(blur), len(blur) // 2
    wide = F.pad(grey, (reach, reach, reach, reach), mode="replicate")
    across = F.conv2d(wide, line.view(1, 1, 1, -1))
    return F.conv2d(across, line.view(1, 1, -1, 1))
