"""The shipped face model: its file, its card, and that it knows a face again."""

import hashlib

import cv2
import numpy as np
import pytest
import skimage.data

from embedders.base import EncodeOptions, Encoder, Item, Modality
from embedders.face.calibration import measure
from embedders.face.params import FaceParams
from embedders.face.people import held_out, read_people
from embedders.face.reading import crop_for
from embedders.face.trainer import embed_images
from embedders.face.weights import load_weights
from embedders.registry import load
from embedders.sources import MINIS, model_file
from embedders.training import silent
from tests.datasets import ROOT, needs
from tests.embedders.face_world import encoded

LFWCROP = "faces/lfwcrop.tar"


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    return load("faces", "face")


def test_the_card_is_of_this_file() -> None:
    content = model_file("face-mini").read_bytes()
    card = (MINIS / "face-mini" / "README.md").read_text()
    assert len(content) < 8 << 20
    assert hashlib.sha256(content).hexdigest() in card
    assert f"{len(content):,} bytes" in card


def test_one_face_in_two_photos_is_the_same(encoder: Encoder) -> None:
    photo = np.asarray(skimage.data.astronaut())
    darker = (cv2.GaussianBlur(photo, (5, 5), 1.2) * 0.7).astype(np.uint8)[:, ::-1]
    options = EncodeOptions()
    prepared = [
        encoder.prepare(Item(Modality.IMAGE, encoded(np.ascontiguousarray(p))), options)
        for p in (photo, darker)
    ]
    found = encoder.encode(prepared, options)
    # the largest face of each photo comes first
    one, other = (found.rows[found.index == number][0] for number in (0, 1))
    assert encoder.info.same_threshold is not None
    assert one @ other > encoder.info.same_threshold
    assert encoder.info.dim == 128


@needs(LFWCROP)
def test_the_figure_of_the_card() -> None:
    people = read_people(ROOT / LFWCROP, crop_for(FaceParams()), silent)
    part = people.part(held_out(people.names, 0.2) > 0)
    rows = embed_images(load_weights(model_file("face-mini")).network, part.images)
    assert measure(part.labels, rows)["accuracy_10_fold"] == pytest.approx(0.8140, abs=0.005)
