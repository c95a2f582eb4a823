"""Batches of views of images, drawn while the last batch is learnt from."""

import math
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from embedders.clip.training.layout import MEAN, STD
from embedders.clip.training.views import ViewRange, draw_view
from embedders.vectors import IndexArray

# views are numbered anew in each epoch where a caller has no views of its own
MOST_VIEWS = 2**31


@dataclass(frozen=True, slots=True)
class Batch:
    """Views, and what they are of.

    Args:
        images: positions of the images, intp (n,).
        views: number of each image's view, intp (n,).
        pixels: float32 (n, 3, size, size), normalised.
        share: of each picture that is its own; the rest is that of the one before it in the
            batch (of the last one for the first).
    """

    images: IndexArray
    views: IndexArray
    pixels: Tensor
    share: float = 1.0


class ViewBatches:
    """Draws the batches of an epoch; repeatable by (seed, epoch).

    Args:
        pixels: uint8 (n, h, w, 3).
        cutmix: share of the batches whose pictures are mixed.
    """

    def __init__(
        self, pixels: NDArray[np.uint8], batch: int, span: ViewRange, cutmix: float, seed: int
    ) -> None:
        self._pixels, self._span, self._cutmix, self._seed = pixels, span, cutmix, seed
        self._batch = min(batch, len(pixels))
        self._pool = ThreadPoolExecutor(1)

    def __len__(self) -> int:
        return len(self._pixels) // self._batch

    def epoch(self, number: int, size: int, views: IndexArray | None) -> Iterator[Batch]:
        """All images once, but for an incomplete last batch; `views` None draws any view."""
        rng = np.random.default_rng((self._seed, number))
        kept = len(self) * self._batch
        order = rng.permutation(len(self._pixels))[:kept].astype(np.intp)
        drawn = rng.integers(MOST_VIEWS, size=kept) if views is None else rng.choice(views, kept)
        parts = zip(np.split(order, len(self)), np.split(drawn, len(self)), strict=True)
        ahead: Future[Batch] | None = None
        for images, chosen in parts:
            drawing = self._pool.submit(self._draw, images, chosen.astype(np.intp), size)
            if ahead is not None:
                yield self._mixed(ahead.result(), rng)
            ahead = drawing
        if ahead is not None:
            yield self._mixed(ahead.result(), rng)

    def _draw(self, images: IndexArray, views: IndexArray, size: int) -> Batch:
        pictures = [
            draw_view(self._pixels[i], size, (self._seed, int(i), int(v)), self._span)
            for i, v in zip(images, views, strict=True)
        ]
        return Batch(images, views, normalized(np.stack(pictures)))

    def _mixed(self, batch: Batch, rng: np.random.Generator) -> Batch:
        """CutMix (Yun and others, 2019): a box of each picture is the same box of another."""
        if rng.random() >= self._cutmix:
            return batch
        size = batch.pixels.shape[-1]
        side = int(size * math.sqrt(rng.random()))
        top, left = rng.integers(size - side + 1, size=2)
        box = (..., slice(top, top + side), slice(left, left + side))
        pixels = batch.pixels.clone()
        pixels[box] = batch.pixels.roll(1, 0)[box]
        return Batch(batch.images, batch.views, pixels, 1 - side * side / size / size)


def normalized(pictures: NDArray[np.uint8]) -> Tensor:
    """uint8 (n, size, size, 3) to what a tower reads, float32 (n, 3, size, size)."""
    values = torch.from_numpy(pictures).permute(0, 3, 1, 2).float().div_(255)
    mean, std = (torch.tensor(numbers).view(1, 3, 1, 1) for numbers in (MEAN, STD))
    return values.sub_(mean).div_(std).contiguous(memory_format=torch.channels_last)
