"""How well a tower finds images by their captions, and captions by their images."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from embedders.clip.training.batches import normalized
from embedders.clip.training.views import whole
from embedders.vectors import IndexArray

CUTS = (1, 5, 10)
BATCH = 128
BLOCK = 1024


@torch.inference_mode()
def picture_rows(
    tower: nn.Module, pixels: NDArray[np.uint8], size: int, device: str, bfloat16: bool
) -> Tensor:
    """Unit rows of whole pictures uint8 (n, h, w, 3) at `size`; float32 (n, dim) on the CPU."""
    tower.eval()
    parts = []
    for start in range(0, len(pixels), BATCH):
        pictures = np.stack([whole(one, size) for one in pixels[start : start + BATCH]])
        with torch.autocast(torch.device(device).type, torch.bfloat16, enabled=bfloat16):
            parts.append(tower(normalized(pictures).to(device)).float().cpu())
    return functional.normalize(torch.cat(parts), dim=1)


def recall(rows: Tensor, texts: Tensor, owner: IndexArray) -> dict[str, float]:
    """Recall at 1, 5 and 10, as shares, both ways.

    Args:
        rows: of the images, of unit length (n, dim).
        texts: of the captions, of any length (captions, dim).
        owner: image of each caption, intp (captions,).
    """
    unit, places = functional.normalize(texts, dim=1), torch.from_numpy(owner)
    to_image, to_text = torch.empty(len(unit)), torch.zeros(len(rows))
    best = torch.full((len(rows),), -2.0)
    for part in torch.split(torch.arange(len(unit)), BLOCK):
        scores = unit[part] @ rows.T
        own = scores.gather(1, places[part, None])
        to_image[part] = (scores >= own).sum(dim=1).float() - 1
        best.scatter_reduce_(0, places[part], own[:, 0], "amax")
    # the same products again: others could differ in the last bit, and a caption beat itself
    for part in torch.split(torch.arange(len(unit)), BLOCK):
        to_text += (unit[part] @ rows.T > best).sum(dim=0)
    found = {f"text_to_image_recall_{k}": float((to_image < k).float().mean()) for k in CUTS}
    return found | {f"image_to_text_recall_{k}": float((to_text < k).float().mean()) for k in CUTS}
