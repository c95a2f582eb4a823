"""dlib's face network (King, 2017), from the package of its weights: optional.

A ResNet of 29 convolutions, trained on about 3 million faces of 7,485 people, none of whom is in
LFW by its author's care. The weights are in the public domain by his word; the package gives them
under CC0 1.0. Only this one file of the package is read, by dlib itself: nothing is unpickled.
"""

import hashlib
import importlib.util
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from embedders.errors import MissingExtraError, ModelFormatError
from embedders.face.embedding.base import EmbedderInfo, FaceEmbedder
from embedders.face.geometry import DLIB_EYES, Picture
from embedders.vectors import FloatRows, normalize_rows

SOURCE, EXTRA = "dlib", "faces-dlib"
PACKAGE = "face_recognition_models"
FILE = "models/dlib_face_recognition_resnet_model_v1.dat"
SHA256 = "55533b28a95800a551ba546ba62fe69625c7e95a7061c338adffead08719da30"
DIM, SIZE = 128, 150


class DlibEmbedder(FaceEmbedder):
    """dlib's network; one crop at a time is computed, since its object cannot be shared.

    Raises:
        MissingExtraError: dlib or its weights are not installed.
        ModelFormatError: the file is not the one that is known.
    """

    def __init__(self) -> None:
        path = weights_path()
        self._network = _network(path)
        self._lock = threading.Lock()
        self.info = EmbedderInfo(
            dim=DIM,
            size=SIZE,
            eyes=DLIB_EYES,
            revision=SHA256,
            normalized=True,
            memory_bytes=path.stat().st_size,
        )

    def embed(self, crops: Sequence[Picture]) -> FloatRows:
        """Unit rows, float32 (n, 128)."""
        with self._lock:
            found = self._network.compute_face_descriptor([np.ascontiguousarray(c) for c in crops])
        return normalize_rows(np.array([np.array(row) for row in found], np.float32))


def weights_path() -> Path:
    """The file of the weights.

    Raises:
        MissingExtraError: its package is not installed.
        ModelFormatError: it is another file.
    """
    # the package's own code is not run: it needs a setuptools of long ago
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        raise MissingExtraError("face model 'dlib'", PACKAGE, EXTRA)
    path = Path(spec.origin).parent / FILE
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ModelFormatError(f"cannot read {path}: {error}") from error
    if hashlib.sha256(content).hexdigest() != SHA256:
        raise ModelFormatError(f"{path}: its hash differs: install {PACKAGE} 0.3.0 again")
    return path


def _network(path: Path) -> Any:
    try:
        import dlib
    except ImportError as error:
        raise MissingExtraError("face model 'dlib'", "dlib", EXTRA) from error
    return dlib.face_recognition_model_v1(str(path))
