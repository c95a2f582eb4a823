"""Features of photos from the frozen image tower."""

import numpy as np
import timm
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from embedders.clip.image_tower import ARCHITECTURE, image_tower_weights, packaged_image_tower
from embedders.clip.training.captioned import CaptionedImages
from embedders.clip.training.views import ViewRange, draw_view, whole

# what the network was trained to read: (value - 127) / 128 of values 0 to 255
MEAN, STD = (127 / 255,) * 3, (128 / 255,) * 3
WHOLE = -1
BATCH = 64


def frozen_trunk() -> nn.Module:
    """The network up to its pooled features, (n, 1280), in evaluation mode."""
    trunk: nn.Module = timm.create_model(ARCHITECTURE, num_classes=0)
    trunk.load_state_dict(image_tower_weights(packaged_image_tower()))
    return trunk.eval().requires_grad_(False)


@torch.inference_mode()
def view_features(
    trunk: nn.Module, images: CaptionedImages, view: int, size: int, seed: int
) -> Tensor:
    """Features float32 (n, 1280) of one view of each photo; view `WHOLE` is the photo."""
    rows, span = [], ViewRange()
    for start in range(0, len(images.pixels), BATCH):
        part = images.pixels[start : start + BATCH]
        pictures = [
            whole(pixels, size)
            if view == WHOLE
            else draw_view(pixels, size, (seed, start + i, view), span)
            for i, pixels in enumerate(part)
        ]
        rows.append(trunk(_normalized(np.stack(pictures))))
    return torch.cat(rows)


def _normalized(pictures: NDArray[np.uint8]) -> Tensor:
    """uint8 (n, size, size, 3) to what the tower reads, float32 (n, 3, size, size)."""
    values = torch.from_numpy(pictures).permute(0, 3, 1, 2).float()
    return values.sub_(127).div_(128).contiguous(memory_format=torch.channels_last)
