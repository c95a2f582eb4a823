"""Variations of cropped faces for training, a whole batch at once."""

import math

import torch
from torch import Generator, Tensor

TURN_DEGREES, ZOOM, SHIFT = 10.0, 0.12, 0.07
BRIGHTNESS, CONTRAST, SATURATION, GREY = 0.25, 0.3, 0.4, 0.1
CUTOUT, CUTOUT_LARGEST = 0.5, 0.4


def augment(images: Tensor, generator: Generator) -> Tensor:
    """Float (n, 3, size, size) of about -1 to 1; flipped, moved, recoloured, partly covered."""
    return _cover(_recolour(_move(images, generator), generator), generator)


def _move(images: Tensor, generator: Generator) -> Tensor:
    """Mirrors half of them; turns, zooms and shifts all."""
    n = len(images)
    angle = _spread(n, generator) * math.radians(TURN_DEGREES)
    zoom = 1 + _spread(n, generator) * ZOOM
    mirror = torch.where(torch.rand(n, generator=generator) < 0.5, -1.0, 1.0)
    cos, sin = zoom * torch.cos(angle), zoom * torch.sin(angle)
    # shifts are in half widths of the picture
    across, down = (_spread(n, generator) * 2 * SHIFT for _ in range(2))
    matrix = torch.stack(
        [torch.stack([mirror * cos, -sin, across], 1), torch.stack([mirror * sin, cos, down], 1)], 1
    )
    grid = torch.nn.functional.affine_grid(matrix, list(images.shape), align_corners=False)
    return torch.nn.functional.grid_sample(
        images, grid, padding_mode="reflection", align_corners=False
    )


def _recolour(images: Tensor, generator: Generator) -> Tensor:
    n = len(images)
    grey = images.mean(dim=1, keepdim=True)
    colour = 1 + _spread(n, generator) * SATURATION
    colour = torch.where(torch.rand(n, generator=generator) < GREY, 0.0, colour)
    images = grey + (images - grey) * colour.view(n, 1, 1, 1)
    middle = grey.mean(dim=(2, 3), keepdim=True)
    contrast = (1 + _spread(n, generator) * CONTRAST).view(n, 1, 1, 1)
    brightness = (_spread(n, generator) * BRIGHTNESS).view(n, 1, 1, 1)
    return ((images - middle) * contrast + middle + brightness).clamp(-1, 1)


def _cover(images: Tensor, generator: Generator) -> Tensor:
    """Greys a rectangle of some of them (cutout, DeVries and Taylor 2017)."""
    n, size = len(images), images.shape[-1]
    chosen = torch.rand(n, generator=generator) < CUTOUT
    inside = chosen[:, None, None]
    for axis in (1, 2):
        length = torch.rand(n, generator=generator) * CUTOUT_LARGEST * size
        start = torch.rand(n, generator=generator) * size - length / 2
        line = torch.arange(size).expand(n, size)
        within = (line >= start[:, None]) & (line < (start + length)[:, None])
        inside = inside & within.unsqueeze(3 - axis)
    return images.masked_fill(inside.unsqueeze(1), 0.0)


def _spread(n: int, generator: Generator) -> Tensor:
    """Uniform in [-1, 1), float32 (n,)."""
    return torch.rand(n, generator=generator) * 2 - 1
