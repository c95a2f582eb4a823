"""Face networks of our own trainer."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from embedders.face.embedding.base import EmbedderInfo, FaceEmbedder
from embedders.face.geometry import LFWCROP_EYES, Picture
from embedders.face.network import scale_pixels
from embedders.face.weights import load_weights
from embedders.vectors import FloatRows


class NetworkEmbedder(FaceEmbedder):
    """The network of a safetensors file, float32 on the CPU.

    Raises:
        ModelFormatError: not a file of our trainer.
    """

    def __init__(self, path: Path) -> None:
        weights = load_weights(path)
        self._network = weights.network
        shape = weights.network.shape
        numbers = sum(p.numel() for p in weights.network.state_dict().values())
        self.info = EmbedderInfo(
            dim=shape.dim,
            size=shape.image_size,
            eyes=LFWCROP_EYES,
            revision=weights.revision,
            normalized=True,
            memory_bytes=4 * numbers,
            thresholds=weights.thresholds,
            trained_here=True,
        )

    def embed(self, crops: Sequence[Picture]) -> FloatRows:
        """Unit rows, float32 (n, dim)."""
        pixels = torch.from_numpy(np.stack(crops))
        with torch.inference_mode():
            rows = self._network(scale_pixels(pixels))
        return np.asarray(rows.numpy(), dtype=np.float32)
