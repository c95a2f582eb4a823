"""Crops of faces: brought from any convention to the model's, or refused with the cure."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import skimage.data
from numpy.typing import NDArray

from embedders.base import EncodeOptions, Item, Modality, Prepared
from embedders.errors import NoFaceError
from embedders.face.conventions import CONVENTION_EYES, CropAligner, CropConvention
from embedders.face.detecting.choosing import detector_of
from embedders.face.geometry import ARCFACE_EYES, DLIB_EYES, Eyes, align
from embedders.registry import load
from tests.embedders.face_world import write_onnx

# of the astronaut's face, as the cascade sees them in the whole photo
EYES = Eyes((201.9, 100.8), (244.5, 103.4))
SIZE = 112


@pytest.fixture(scope="module")
def astronaut() -> NDArray[np.uint8]:
    return np.asarray(skimage.data.astronaut())


def aligner(convention: CropConvention, eyes: Eyes = ARCFACE_EYES) -> CropAligner:
    return CropAligner(convention, detector_of("opencv", 24), eyes, SIZE)


def correlation(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> float:
    """Of the middle of two pictures, where both come from inside a crop."""
    part = np.s_[36:76, 20:92]
    return float(np.corrcoef(a[part].ravel(), b[part].ravel())[0, 1])


@pytest.mark.parametrize("convention", list(CONVENTION_EYES))
@pytest.mark.parametrize("side", [64, 150, 250])
def test_a_named_crop_shows_the_face_as_a_cut_of_the_photo_does(
    astronaut: NDArray[np.uint8], convention: CropConvention, side: int
) -> None:
    crop = align(astronaut, EYES, CONVENTION_EYES[convention], side)
    direct = align(astronaut, EYES, ARCFACE_EYES, SIZE)
    assert correlation(aligner(convention)(crop), direct) > 0.97
    # a bare resize shows another part of the face, but for the model's own convention
    resized = aligner(CropConvention.MODEL)(crop)
    assert (correlation(resized, direct) > 0.9) == (convention is CropConvention.ARCFACE)


def test_a_crop_of_any_kind_is_detected_again(astronaut: NDArray[np.uint8]) -> None:
    direct = align(astronaut, EYES, ARCFACE_EYES, SIZE)
    for eyes in (DLIB_EYES, ARCFACE_EYES, Eyes((0.4, 0.5), (0.62, 0.48))):
        for side in (96, 160, 250):
            crop = align(astronaut, EYES, eyes, side)
            assert correlation(aligner(CropConvention.DETECT)(crop), direct) > 0.9, (eyes, side)


def test_models_from_elsewhere_align_crops_or_say_that_they_cannot(
    astronaut: NDArray[np.uint8], tmp_path: Path
) -> None:
    crop = align(astronaut, EYES, DLIB_EYES, 128)
    write_onnx(tmp_path / "face.onnx", (1, 3, SIZE, SIZE))
    description = tmp_path / "face.yaml"
    description.write_text("model: face.onnx\n")
    source = str(description)
    found = load("f", "face", source)
    named = load("f", "face", source, {"crops": "dlib"})
    assert named.info.space_id == found.info.space_id
    grey = np.full((80, 80, 3), 128, np.uint8)
    items = [Item(Modality.IMAGE, png(picture)) for picture in (crop, grey)]
    cropped = EncodeOptions(cropped=True)
    [face, refused] = found.prepare_batch(items, cropped)
    assert isinstance(face, Prepared)
    assert isinstance(refused, NoFaceError)
    assert "cannot be aligned" in str(refused)
    assert "option crops" in str(refused)
    assert all(isinstance(one, Prepared) for one in named.prepare_batch(items, cropped))


def png(picture: NDArray[np.uint8]) -> bytes:
    return cv2.imencode(".png", picture[..., ::-1])[1].tobytes()
