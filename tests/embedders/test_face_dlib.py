"""dlib's face model: found by its hash, equal to dlib's own call, refused with the cure."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
import skimage.data

from embedders.base import Item, Modality, Prepared
from embedders.errors import MissingExtraError, ModelFormatError
from embedders.face.embedding import dlib as module
from embedders.face.geometry import DLIB_EYES
from embedders.registry import load
from tests.embedders.face_world import encoded

INSTALLED = all(importlib.util.find_spec(name) for name in ("dlib", module.PACKAGE))
needs_dlib = pytest.mark.skipif(not INSTALLED, reason="extra faces-dlib is not installed")


def test_without_the_package_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PACKAGE", "no_such_package")
    with pytest.raises(MissingExtraError, match=r"latentspace-server\[faces-dlib\]"):
        load("faces", "face", "dlib")


def test_other_weights_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "other_weights"
    (package / "models").mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / module.FILE).write_bytes(b"not the weights")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(module, "PACKAGE", "other_weights")
    with pytest.raises(ModelFormatError, match="its hash differs"):
        load("faces", "face", "dlib")


@needs_dlib
def test_rows_are_those_of_dlib_itself() -> None:
    import dlib

    network = dlib.face_recognition_model_v1(str(module.weights_path()))
    random = np.random.default_rng(0)
    crops = [random.integers(0, 255, (150, 150, 3)).astype(np.uint8) for _ in range(3)]
    theirs = np.array([np.array(network.compute_face_descriptor(crop)) for crop in crops])
    theirs /= np.linalg.norm(theirs, axis=1, keepdims=True)
    np.testing.assert_allclose(module.DlibEmbedder().embed(crops), theirs, atol=1e-4)


@needs_dlib
def test_a_person_is_nearer_to_their_mirror_image_than_to_another() -> None:
    encoder = load("faces", "face", "dlib", {"crops": "detect"})
    assert encoder.info.dim == 128
    assert DLIB_EYES.left[0] < DLIB_EYES.right[0]
    astronaut = skimage.data.astronaut()
    items = [
        Item(Modality.IMAGE, encoded(np.ascontiguousarray(picture)))
        for picture in (astronaut, astronaut[:, ::-1])
    ]
    prepared = [one for one in encoder.prepare_batch(items) if isinstance(one, Prepared)]
    rows = encoder.encode(prepared).rows
    assert len(rows) == 2
    assert float(rows[0] @ rows[1]) > 0.93
