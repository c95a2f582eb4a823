"""The two towers of a CLIP model, one copy a compute format.

A format other than float32 is served only if its rows agree with float32 (cosine at least 0.999
on probes of both kinds). Rows are scaled to unit length in float32, whatever the format.
"""

import logging
from collections.abc import Mapping
from copy import deepcopy
from threading import Lock
from typing import Any

import numpy as np
import torch

from embedders.base import ComputeDtype
from embedders.clip.files import ClipFiles
from embedders.clip.loading import load_model
from embedders.clip.pictures import Pictures
from embedders.clip.tokens import Texts
from embedders.clip.trimming import takes_short_batches
from embedders.errors import ModelFormatError, OptionError

TORCH_DTYPES: Mapping[ComputeDtype, torch.dtype] = {
    ComputeDtype.FLOAT32: torch.float32,
    ComputeDtype.FLOAT16: torch.float16,
    ComputeDtype.BFLOAT16: torch.bfloat16,
}
MIN_COSINE = 0.999
PROBES = ("a photo of a dog", "two people at a table", "Sunset over the sea, seen from a hill.")
PROBE_PICTURES = 3
log = logging.getLogger(__name__)


class Towers:
    """Towers by compute format; safe in many threads.

    Args:
        exact: the model in float32 on the CPU; kept only while it is served.
    """

    def __init__(
        self, files: ClipFiles, exact: Any, texts: Texts, pictures: Pictures, device: str
    ) -> None:
        self._files, self._texts, self._pictures = files, texts, pictures
        self.device = torch.device(device)
        self._whole = not takes_short_batches(exact, texts.pad)
        self._loaded: dict[ComputeDtype, Any] = {}
        self._spare: Any = exact
        self._lock = Lock()

    def get(self, dtype: ComputeDtype) -> Any:
        """The model in a format, made now where it was not.

        Raises:
            OptionError: rows in this format differ too much from float32.
            ModelFormatError: files are damaged.
        """
        # read without the lock: it is held for seconds while a format is made
        found = self._loaded.get(dtype)
        if found is None:
            with self._lock:
                found = self._loaded.get(dtype) or self._make(dtype)
                self._loaded[dtype] = found
        return found

    def close(self) -> None:
        """Gives all memory back."""
        self._spare = None
        self._loaded.clear()
        if self.device.type == "cuda":
            torch.cuda.empty_cache()

    @property
    def memory_bytes(self) -> int:
        """Bytes of all parameters and buffers held."""
        return sum(_size(model) for model in list(self._loaded.values()))

    @torch.inference_mode()
    def check(self, model: Any, dtype: ComputeDtype, dim: int) -> None:
        """Refuses towers that do not give rows of one width.

        Raises:
            ModelFormatError
        """
        texts = [text.ids for text in self._texts.tokenize(PROBES[:1])]
        pictures = probe_pictures(self._pictures.height, self._pictures.width)[:1]
        try:
            rows = self.text_rows(model, texts), self.picture_rows(model, pictures, dtype)
        except torch.OutOfMemoryError as error:
            raise MemoryError(f"{self.device}: {error}") from error
        except (RuntimeError, ValueError, TypeError, IndexError) as error:
            raise ModelFormatError(f"{self._files.weights}: a tower fails: {error}") from error
        if any(part.shape != (1, dim) for part in rows):
            shapes = ", ".join(str(tuple(part.shape)) for part in rows)
            raise ModelFormatError(f"{self._files.weights}: rows {shapes} instead of (1, {dim})")

    def text_rows(self, model: Any, batch: list[Any]) -> torch.Tensor:
        """Rows of texts, float32 (n, dim) of unit length, on the device."""
        tokens = self._texts.collate(batch, self._whole).to(self.device, non_blocking=True)
        return _unit(model.encode_text(tokens))

    def picture_rows(self, model: Any, batch: list[Any], dtype: ComputeDtype) -> torch.Tensor:
        """Rows of pictures, float32 (n, dim) of unit length, on the device."""
        pixels = self._pictures.collate(batch, self.device)
        return _unit(model.encode_image(pixels.to(TORCH_DTYPES[dtype])))

    def _make(self, dtype: ComputeDtype) -> Any:
        exact = self._loaded.get(ComputeDtype.FLOAT32) or self._exact()
        if dtype is ComputeDtype.FLOAT32:
            return exact
        model = deepcopy(exact).to(TORCH_DTYPES[dtype])
        worst = self._agreement(exact, model, dtype)
        log.info(
            "%s: %s agrees with float32 to a cosine of %.5f", self._files.weights, dtype, worst
        )
        if not worst >= MIN_COSINE:
            raise OptionError(
                "compute_dtype",
                f"{dtype} rows of this model agree with float32 only to a cosine of {worst:.4f}, "
                f"{MIN_COSINE} is asked; use float32",
            )
        return model

    def _exact(self) -> Any:
        model, self._spare = self._spare or load_model(self._files), None
        return model.to(self.device)

    @torch.inference_mode()
    def _agreement(self, exact: Any, other: Any, dtype: ComputeDtype) -> float:
        """The lowest cosine between the rows of two formats over the probes."""
        texts = [text.ids for text in self._texts.tokenize(PROBES)]
        pictures = probe_pictures(self._pictures.height, self._pictures.width)
        one = [
            self.text_rows(exact, texts),
            self.picture_rows(exact, pictures, ComputeDtype.FLOAT32),
        ]
        two = [self.text_rows(other, texts), self.picture_rows(other, pictures, dtype)]
        return float((torch.cat(one) * torch.cat(two)).sum(dim=1).min())


def probe_pictures(height: int, width: int) -> list[Any]:
    """Noise at three scales, uint8 (height, width, 3), the same at every call."""
    rng = np.random.default_rng(0)
    pictures = []
    for cells in (2, 8, 32):
        coarse = rng.integers(0, 256, (cells, cells, 3), dtype=np.uint8)
        rows, columns = (np.arange(side) * cells // side for side in (height, width))
        pictures.append(coarse[rows][:, columns])
    return pictures


def _unit(features: torch.Tensor) -> torch.Tensor:
    return torch.nn.functional.normalize(features.float(), dim=-1)


def _size(model: Any) -> int:
    tensors = [*model.parameters(), *model.buffers()]
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)
