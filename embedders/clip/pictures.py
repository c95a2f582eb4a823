"""From an upright picture to what a vision tower reads, by open_clip's own transform.

The transform is cut in two: resizing and cropping in the preparing thread, which leaves the
model's picture as bytes, and scaling and normalising over a whole batch on the device. It is the
same arithmetic, on a quarter of the memory.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from open_clip.transform import MaybeToTensor, PreprocessCfg, image_transform_v2
from PIL import Image
from torchvision.transforms import Compose, Normalize

from embedders.errors import ModelFormatError

Picture = NDArray[np.uint8]


class Pictures:
    """Makes a model's pictures; safe in many threads.

    Args:
        preprocess_cfg: open_clip's settings of the model, all of them.
    """

    def __init__(self, preprocess_cfg: dict[str, Any]) -> None:
        try:
            config = PreprocessCfg(**preprocess_cfg)
            steps = image_transform_v2(config, is_train=False).transforms
        except (AssertionError, TypeError, ValueError) as error:
            raise ModelFormatError(f"preprocess_cfg {preprocess_cfg}: {error}") from error
        *shape, _, normalize = steps
        assert isinstance(steps[-2], MaybeToTensor)
        assert isinstance(normalize, Normalize)
        self._shape = Compose(shape)
        self._mean, self._std = (
            torch.tensor(values).view(1, -1, 1, 1) for values in (normalize.mean, normalize.std)
        )
        self.height, self.width = config.input_size[1:]

    def shape(self, image: Image.Image) -> Picture:
        """Resized and cropped, uint8 (height, width, 3)."""
        return np.array(self._shape(image), dtype=np.uint8)

    def collate(self, batch: Sequence[Picture], device: torch.device) -> torch.Tensor:
        """Normalised pictures, float32 (n, 3, height, width), on the device."""
        pixels = torch.from_numpy(np.stack(batch)).to(device, non_blocking=True)
        values = pixels.permute(0, 3, 1, 2).to(torch.float32).div_(255)
        return values.sub_(self._mean.to(device)).div_(self._std.to(device))
