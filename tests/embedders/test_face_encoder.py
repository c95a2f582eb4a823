"""Faces in photos: detected, cut out, embedded; ONNX files against a plain onnxruntime call."""

import json
from pathlib import Path

import cv2
import numpy as np
import onnxruntime
import pytest
import skimage.data
import torch
import yaml
from numpy.typing import NDArray

from embedders.base import Encoded, EncodeOptions, Encoder, Item, Modality, Prepared
from embedders.errors import (
    InvalidItemError,
    ItemTooLargeError,
    ModelFormatError,
    NoFaceError,
    OptionError,
)
from embedders.face.detecting.choosing import detector_of
from embedders.face.geometry import Eyes, Frame, align, centre_square, supposed_eyes
from embedders.face.network import FaceNetwork, NetworkShape
from embedders.face.weights import round_weights, save_weights
from embedders.registry import load
from tests.datasets import ROOT, needs
from tests.embedders.face_world import encoded, person, write_detector, write_onnx

MOBILE, LIGHT = "faces/mobilefacenet.onnx", "faces/version-RFB-320-opt.onnx"
CROPPED = EncodeOptions(cropped=True)
# of the astronaut's face, by hand: x and y that her face covers
FACE = (180, 70, 265, 165)


@pytest.fixture(scope="module")
def astronaut() -> NDArray[np.uint8]:
    return np.asarray(skimage.data.astronaut())


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network of random weights."""
    torch.manual_seed(0)
    network = FaceNetwork(NetworkShape(components=16, hidden=8, dim=8)).eval()
    torch.nn.init.normal_(network.whitening.turn, std=0.02)
    round_weights(network)
    path = tmp_path_factory.mktemp("weights") / "model.safetensors"
    points = {"best": {"threshold": 0.4, "far": 0.1, "frr": 0.1}}
    points["far_1e-2"] = {"threshold": 0.6, "far": 0.01, "frr": 0.4}
    save_weights(path, network, {"thresholds": json.dumps(points)})
    return path


@pytest.fixture(scope="module")
def encoder(weights: Path) -> Encoder:
    return load("faces", "face", str(weights))


def run(encoder: Encoder, *pictures: bytes, options: EncodeOptions = EncodeOptions()) -> Encoded:
    """Rows of images; one that fails raises."""
    prepared = [encoder.prepare(Item(Modality.IMAGE, data), options) for data in pictures]
    return encoder.encode(prepared, options)


def test_a_photo_of_one_face(encoder: Encoder, astronaut: NDArray[np.uint8]) -> None:
    found = run(encoder, encoded(astronaut))
    assert found.rows.shape == (1, 8)
    assert found.regions is not None
    [region] = found.regions
    left, top, right, bottom = FACE
    middle = (region.x + region.width / 2, region.y + region.height / 2)
    assert middle == pytest.approx(((left + right) / 2, (top + bottom) / 2), abs=12)
    assert 70 < region.width < 130
    assert 0 < region.quality <= 1


def test_two_faces_give_two_rows_the_largest_first(
    encoder: Encoder, astronaut: NDArray[np.uint8]
) -> None:
    small = np.zeros_like(astronaut)
    small[:384, :384] = cv2.resize(astronaut, (384, 384), interpolation=cv2.INTER_AREA)
    both = np.concatenate([small, astronaut], axis=1)
    found = run(encoder, encoded(astronaut), encoded(both))
    assert found.index.tolist() == [0, 1, 1]
    assert found.regions is not None
    _, large, little = found.regions
    assert large.x > 512 > little.x + little.width
    assert large.width > little.width


def test_a_photo_without_a_face_fails_alone(encoder: Encoder, astronaut: NDArray[np.uint8]) -> None:
    items = [
        Item(Modality.IMAGE, data)
        for data in (encoded(skimage.data.coffee()), encoded(astronaut), b"nothing", b"")
    ]
    none, one, broken, empty = encoder.prepare_batch(items)
    assert isinstance(none, NoFaceError)
    assert "cropped" in str(none)
    assert isinstance(one, Prepared)
    assert isinstance(broken, InvalidItemError)
    assert isinstance(empty, InvalidItemError)


def test_cropped_skips_detection(encoder: Encoder) -> None:
    wide = np.concatenate([np.zeros((64, 20, 3), np.uint8), person(1, 0)], axis=1)
    wide = np.concatenate([wide, np.zeros((64, 20, 3), np.uint8)], axis=1)
    found = run(encoder, encoded(person(1, 0)), encoded(wide), options=CROPPED)
    assert found.regions is None
    np.testing.assert_array_equal(found.rows[0], found.rows[1])


def test_what_the_model_says_of_itself(encoder: Encoder, weights: Path) -> None:
    info = encoder.info
    assert info.modalities == {Modality.IMAGE}
    assert info.same_threshold == 0.4
    strict = load("faces", "face", str(weights), {"same_at": "far_1e-2"})
    assert strict.info.same_threshold == 0.6
    assert strict.info.space_id == info.space_id
    with pytest.raises(OptionError, match="far_1e-3"):
        load("faces", "face", str(weights), {"same_at": "far_1e-3"})
    with pytest.raises(OptionError, match="float32"):
        encoder.check_options(EncodeOptions(compute_dtype="bfloat16"))  # type: ignore[arg-type]


def test_limits_of_images(weights: Path, astronaut: NDArray[np.uint8]) -> None:
    encoder = load("faces", "face", str(weights), {"max_image_pixels": 1000})
    with pytest.raises(ItemTooLargeError):
        encoder.prepare(Item(Modality.IMAGE, encoded(astronaut)), EncodeOptions())


def test_alignment_is_cv2s_affine_and_brings_the_eyes_to_the_template() -> None:
    template = Eyes((0.3, 0.4), (0.7, 0.4))
    dots = np.zeros((400, 400, 3), np.uint8)
    eyes = Eyes((150.5, 180.5), (230.5, 220.5))
    for x, y in (eyes.left, eyes.right):
        cv2.circle(dots, (int(x), int(y)), 6, (255, 255, 255), -1)
    cut = align(dots, eyes, template, 100)
    assert cut.shape == (100, 100, 3)
    for half, (x, y) in ((slice(0, 50), template.left), (slice(50, 100), template.right)):
        rows, columns = np.nonzero(cut[:, half, 0] > 128)
        assert columns.mean() + (half.start or 0) + 0.5 == pytest.approx(100 * x, abs=0.7)
        assert rows.mean() + 0.5 == pytest.approx(100 * y, abs=0.7)


def test_a_turned_face_is_cut_out_upright(astronaut: NDArray[np.uint8]) -> None:
    template = Eyes((0.27, 0.23), (0.73, 0.23))

    def cut(picture: NDArray[np.uint8], use_eyes: bool) -> NDArray[np.float64]:
        [face] = detector_of("opencv", 24).detect(picture)[:1]
        assert face.eyes_found
        box = face.region
        eyes = face.eyes if use_eyes else supposed_eyes(Frame(box.x, box.y, box.width))
        values = align(picture, eyes, template, 64).astype(np.float64)
        return np.asarray((values - values.mean()) / values.std())

    turn = cv2.getRotationMatrix2D((222, 115), 12, 1.0)
    turned = np.asarray(cv2.warpAffine(astronaut, turn, (512, 512)), np.uint8)
    straight = cut(astronaut, True)
    by_eyes, by_box = ((straight * cut(turned, use)).mean() for use in (True, False))
    assert by_eyes > 0.8
    assert by_eyes > by_box + 0.1


def test_the_middle_square() -> None:
    picture = np.random.default_rng(0).integers(0, 255, (30, 50, 3), dtype=np.uint8)
    np.testing.assert_array_equal(centre_square(picture, 30), picture[:, 10:40])


@pytest.mark.parametrize(
    ("shape", "layout", "channels"),
    [((1, 3, 32, 32), "nchw", "rgb"), (("n", 32, 32, 3), "nhwc", "bgr")],
)
def test_a_described_onnx_file_is_fed_as_described(
    tmp_path: Path, shape: tuple[int | str, ...], layout: str, channels: str
) -> None:
    write_onnx(tmp_path / "tiny.onnx", shape)
    described = {
        "model": "tiny.onnx",
        "size": 32,
        "layout": layout,
        "channels": channels,
        "mean": [100.0, 110.0, 120.0],
        "scale": 50.0,
        "output": "minus",
        "same_threshold": 0.25,
    }
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump(described))
    encoder = load("tiny", "face", str(tmp_path / "tiny.yaml"), {"crops": "model"})
    pictures = [np.asarray(cv2.resize(person(i, 0), (32, 32)), np.uint8) for i in range(3)]
    found = run(encoder, *(encoded(p) for p in pictures), options=CROPPED).rows
    session = onnxruntime.InferenceSession(str(tmp_path / "tiny.onnx"))
    for picture, row in zip(pictures, found, strict=True):
        ordered = picture[..., ::-1] if channels == "bgr" else picture
        values = (ordered.astype(np.float32) - np.array([100, 110, 120], np.float32)) / 50
        values = values.transpose(2, 0, 1) if layout == "nchw" else values
        [expected] = session.run(["minus"], {"picture": values[None].astype(np.float32)})
        np.testing.assert_allclose(row, expected[0] / np.linalg.norm(expected), atol=1e-5)
    assert encoder.info.same_threshold == 0.25


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"size": 48}, "size 48"),
        ({"output": "other"}, "vector, minus"),
        ({"dim": 7}, "dim: it gives 6"),
        ({"scale": 0.0}, "scale"),
        ({"model": "../tiny.onnx"}, "not in the folder"),
        ({"model": "none.onnx"}, "no file"),
        ({"colour": "rgb"}, "colour"),
        ({"channels": "hsv"}, "channels"),
        ({"left_eye": [0.9, 0.4]}, "left_eye"),
    ],
)
def test_descriptions_that_do_not_fit_say_which_field(
    tmp_path: Path, change: dict[str, object], said: str
) -> None:
    write_onnx(tmp_path / "tiny.onnx", (1, 3, 32, 32))
    path = tmp_path / "tiny.yaml"
    path.write_text(yaml.safe_dump({"model": "tiny.onnx", "size": 32, **change}))
    with pytest.raises(ModelFormatError, match=said):
        load("tiny", "face", str(path))


@pytest.mark.parametrize("name", ["a.onnx", "none.safetensors", "none.yaml"])
def test_sources_that_are_none(tmp_path: Path, name: str) -> None:
    with pytest.raises(ModelFormatError):
        load("faces", "face", str(tmp_path / name))


def test_damaged_weights_are_refused(tmp_path: Path, weights: Path) -> None:
    broken = tmp_path / "model.safetensors"
    broken.write_bytes(weights.read_bytes()[:200])
    with pytest.raises(ModelFormatError, match="safetensors"):
        load("faces", "face", str(broken))


def test_an_onnx_detector_by_path(tmp_path: Path, weights: Path) -> None:
    corners = np.array([[0.1, 0.1, 0.3, 0.5], [0.11, 0.1, 0.3, 0.5], [0.6, 0.2, 0.7, 0.4]])
    path = write_detector(tmp_path / "detector.onnx", corners, np.array([0.9, 0.8, 0.95]))
    encoder = load("faces", "face", str(weights), {"detector": str(path), "min_face": 5})
    # an 80 x 60 input: this picture fills it, at twice the size
    found = run(encoder, encoded(np.zeros((120, 160, 3), np.uint8)))
    assert found.regions is not None
    large, little = found.regions
    assert (large.x, large.y, large.width, large.height) == pytest.approx((16, 12, 32, 48), abs=0.1)
    assert large.quality == pytest.approx(0.9)
    assert (little.x, little.y) == pytest.approx((96, 24), abs=0.1)


@pytest.mark.parametrize("name", ["haar", "none.onnx"])
def test_detectors_that_are_none(weights: Path, name: str) -> None:
    with pytest.raises((OptionError, ModelFormatError)):
        load("faces", "face", str(weights), {"detector": name})


@needs(LIGHT)
def test_the_ultra_light_detector(weights: Path, astronaut: NDArray[np.uint8]) -> None:
    encoder = load("faces", "face", str(weights), {"detector": str(ROOT / LIGHT)})
    found = run(encoder, encoded(astronaut))
    assert found.regions is not None
    [region] = found.regions
    left, _, _, bottom = FACE
    assert region.x == pytest.approx(left, abs=10)
    assert region.y + region.height == pytest.approx(bottom, abs=15)
    assert region.quality > 0.9
    with pytest.raises(NoFaceError):
        run(encoder, encoded(skimage.data.coffee()))


@needs(MOBILE)
def test_mobilefacenet_is_its_own_session(tmp_path: Path, astronaut: NDArray[np.uint8]) -> None:
    (tmp_path / "mobile.onnx").write_bytes((ROOT / MOBILE).read_bytes())
    path = tmp_path / "mobile.yaml"
    path.write_text("model: mobile.onnx\nsize: 112\nmean: 127.5\nscale: 128.0\n")
    encoder = load("mobile", "face", str(path))
    crop = np.ascontiguousarray(astronaut[62:174, 166:278])
    row = run(encoder, encoded(crop), options=CROPPED).rows[0]
    session = onnxruntime.InferenceSession(str(ROOT / MOBILE))
    values = ((crop.astype(np.float32) - 127.5) / 128).transpose(2, 0, 1)[None]
    [expected] = session.run(None, {"input": values})
    np.testing.assert_allclose(row, expected[0] / np.linalg.norm(expected), atol=1e-5)
    assert run(encoder, encoded(astronaut)).rows.shape == (1, 128)
