"""ONNX embedders of faces, run by onnxruntime as their description says."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from embedders.errors import ModelFormatError
from embedders.face.embedding.base import EmbedderInfo, FaceEmbedder, Threshold
from embedders.face.embedding.description import (
    Channels,
    Layout,
    read_description,
)
from embedders.face.geometry import Picture
from embedders.face.onnx import open_onnx, output_name
from embedders.vectors import FloatRows, normalize_rows

FLOAT_TYPES = {"tensor(float)": np.float32, "tensor(float16)": np.float16}


class OnnxEmbedder(FaceEmbedder):
    """A described ONNX file.

    Raises:
        ModelFormatError: a description or a file that do not fit each other.
    """

    def __init__(self, path: Path) -> None:
        self._described, model = read_description(path)
        self._session = open_onnx(model)
        self._output = output_name(self._session, self._described.output, model)
        [given] = self._session.get_inputs()[:1]
        if given.type not in FLOAT_TYPES or len(given.shape) != 4:
            raise ModelFormatError(f"{model}: the input is {given.type} of {given.shape}, not 4-d")
        self._input, self._dtype = given.name, FLOAT_TYPES[given.type]
        # a file exported for one picture at a time says so by a number
        self._one_by_one = given.shape[0] == 1
        self.info = self._describe(model)

    def embed(self, crops: Sequence[Picture]) -> FloatRows:
        """Float32 (n, dim)."""
        rows = self._raw(self.values(np.stack(crops)))
        return normalize_rows(rows) if self._described.normalize else rows

    def values(self, crops: Picture) -> NDArray[Any]:
        """What the model reads, of RGB uint8 (n, size, size, 3) crops."""
        described = self._described
        if described.channels is Channels.BGR:
            crops = crops[..., ::-1]
        mean, scale = (np.asarray(v, np.float32) for v in (described.mean, described.scale))
        values = (crops.astype(np.float32) - mean) / scale
        if described.layout is Layout.NCHW:
            values = values.transpose(0, 3, 1, 2)
        return np.ascontiguousarray(values, dtype=self._dtype)

    def _raw(self, values: NDArray[Any]) -> FloatRows:
        batches = np.split(values, len(values)) if self._one_by_one else [values]
        rows = [self._session.run([self._output], {self._input: batch})[0] for batch in batches]
        flat = [np.asarray(part, np.float32).reshape(len(part), -1) for part in rows]
        return np.concatenate(flat)

    def _describe(self, model: Path) -> EmbedderInfo:
        described = self._described
        size = described.size
        try:
            rows = self._raw(self.values(np.zeros((1, size, size, 3), np.uint8)))
        # onnxruntime raises classes of its own that share no base but this one
        except Exception as error:
            raise ModelFormatError(
                f"{model} does not take crops as described (size {size}, {described.layout}): "
                f"{error}"
            ) from error
        dim = rows.shape[1]
        if described.dim not in (0, dim):
            raise ModelFormatError(f"{model}: dim: it gives {dim} numbers, not {described.dim}")
        threshold = described.same_threshold
        content = model.read_bytes()
        return EmbedderInfo(
            dim=dim,
            size=size,
            eyes=described.eyes,
            revision=hashlib.sha256(content).hexdigest(),
            normalized=described.normalize,
            memory_bytes=len(content),
            parts=described.parts(),
            thresholds={} if threshold is None else {"best": Threshold(threshold)},
        )
