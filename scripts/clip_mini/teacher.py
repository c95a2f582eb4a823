"""Features of the teacher, an ImageNet MobileNetV2 (int8, TensorFlow Lite), for views of images.

Only its outputs are used; none of its weights enters the student.
"""

from pathlib import Path

import numpy as np
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray

from embedders.clip.training.views import Pixels, ViewRange, draw_view, whole

LAYER = "mobilenetv2_1.00_224/global_average_pooling2d/Mean"
SIZE = 224
DIM = 1280
WHOLE = -1

Features = NDArray[np.float16]


class Teacher:
    """The network up to its pooled features; one thread."""

    def __init__(self, path: Path) -> None:
        # the features are no output of the graph, so all tensors must be kept
        self.graph = Interpreter(str(path), num_threads=1, experimental_preserve_all_tensors=True)
        self.graph.allocate_tensors()
        self.input = self.graph.get_input_details()[0]["index"]
        found = [t for t in self.graph.get_tensor_details() if t["name"] == LAYER]
        self.layer, (self.scale, self.zero) = found[0]["index"], found[0]["quantization"]

    def __call__(self, pixels: Pixels) -> Features:
        """Features float16 (1280,) of pixels uint8 (224, 224, 3)."""
        self.graph.set_tensor(self.input, pixels[None])
        self.graph.invoke()
        raw = self.graph.get_tensor(self.layer).reshape(-1).astype(np.float32)
        return np.asarray((raw - self.zero) * self.scale, dtype=np.float16)


class ViewFeatures:
    """Features of views of images, computed once and kept in files.

    Args:
        span: as the student's views are drawn.
        name: of the files in the folder `work`.
    """

    def __init__(
        self,
        teacher: Teacher,
        images: NDArray[np.uint8],
        span: ViewRange,
        seed: int,
        work: Path,
        name: str,
    ) -> None:
        self._teacher, self._images, self._span, self._seed = teacher, images, span, seed
        self._work, self._name = work, name

    def __call__(self, view: int) -> Features:
        """Features (n, 1280) of one view of each image; view `WHOLE` is the image."""
        file = self._work / f"teacher-{self._name}-{view}.npy"
        if not file.exists():
            # renamed when whole: a call that was cut off leaves no half file
            part = file.with_suffix(".part.npy")
            np.save(part, np.stack([self._one(i, view) for i in range(len(self._images))]))
            part.rename(file)
        return np.asarray(np.load(file, allow_pickle=False))

    def _one(self, place: int, view: int) -> Features:
        image = self._images[place]
        if view == WHOLE:
            return self._teacher(whole(image, SIZE))
        return self._teacher(draw_view(image, SIZE, (self._seed, place, view), self._span))
