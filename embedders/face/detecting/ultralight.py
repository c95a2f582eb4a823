"""Faces by an ONNX detector with the outputs of Ultra-Light-Fast-Generic-Face-Detector-1MB.

Its input is RGB, (value - 127) / 128, (1, 3, height, width); its outputs are `scores` (1, n, 2),
background and face, already a softmax, and `boxes` (1, n, 4), the corners as shares of width and
height, already decoded. Overlapping boxes are left to us: the best stays (non-maximum
suppression).
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from embedders.base import Region
from embedders.errors import ModelFormatError
from embedders.face.detecting.base import Detector, Found
from embedders.face.geometry import Frame, Picture
from embedders.face.onnx import open_onnx

MEAN, SCALE = 127.0, 128.0
# as in the detector's own examples
LEAST_SCORE, MOST_OVERLAP = 0.7, 0.3
SCORES, BOXES = "scores", "boxes"
# frame side and centre from a box: of its height (fitted, see docs/faces.md)
FRAME_SIDE, FRAME_DOWN = 0.96, 0.0


class UltraLightDetector(Detector):
    """Faces at many angles, by a small network.

    Raises:
        ModelFormatError: not an ONNX file of this kind.
    """

    def __init__(self, path: Path, min_side: int) -> None:
        super().__init__(min_side)
        self._session = open_onnx(path)
        self._height, self._width = _input_size(self._session, path)
        self._input = self._session.get_inputs()[0].name

    def _find(self, picture: Picture) -> Sequence[Found]:
        canvas, scale = _fitted(picture, self._width, self._height)
        values = (canvas.astype(np.float32) - MEAN) / SCALE
        scores, boxes = self._session.run(
            [SCORES, BOXES], {self._input: values.transpose(2, 0, 1)[None]}
        )
        return suppressed(
            boxes[0] * np.array([self._width, self._height] * 2) / scale, scores[0, :, 1]
        )


def suppressed(corners: NDArray[Any], scores: NDArray[Any]) -> list[Found]:
    """Detections from corners (n, 4) in pixels and scores (n,), without overlaps."""
    kept = np.flatnonzero(scores > LEAST_SCORE)
    corners, scores = corners[kept].astype(np.float64), scores[kept]
    boxes = np.concatenate([corners[:, :2], corners[:, 2:] - corners[:, :2]], axis=1)
    best = cv2.dnn.NMSBoxes(boxes.tolist(), scores.tolist(), LEAST_SCORE, MOST_OVERLAP)
    return [_found(boxes[i].tolist(), float(scores[i])) for i in np.asarray(best, dtype=np.intp)]


def _found(box: list[float], score: float) -> Found:
    x, y, width, height = box
    side = FRAME_SIDE * height
    across, down = x + width / 2, y + height / 2 + FRAME_DOWN * height
    frame = Frame(across - side / 2, down - side / 2, side)
    return Found(Region(x, y, width, height, min(1.0, score)), frame)


def _fitted(picture: Picture, width: int, height: int) -> tuple[Picture, float]:
    """The picture scaled into the upper left of a grey canvas, and its scale."""
    scale = min(width / picture.shape[1], height / picture.shape[0])
    size = (max(1, round(picture.shape[1] * scale)), max(1, round(picture.shape[0] * scale)))
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    canvas = np.full((height, width, 3), round(MEAN), dtype=np.uint8)
    canvas[: size[1], : size[0]] = cv2.resize(picture, size, interpolation=how)
    return canvas, scale


def _input_size(session: Any, path: Path) -> tuple[int, int]:
    """Height and width of the input."""
    shape = session.get_inputs()[0].shape
    outputs = {output.name for output in session.get_outputs()}
    if not {SCORES, BOXES} <= outputs:
        raise ModelFormatError(f"{path}: a detector has the outputs {SCORES!r} and {BOXES!r}")
    if len(shape) != 4 or not all(isinstance(side, int) for side in shape[2:]):
        raise ModelFormatError(f"{path}: the input is {shape}, not (1, 3, height, width)")
    return int(shape[2]), int(shape[3])
