"""Faces drawn for tests, folders of them, and tiny ONNX files."""

from io import BytesIO
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

SIZE = 64


def person(number: int, photo: int) -> NDArray[np.uint8]:
    """A picture of its person: smooth blobs of their own, with noise of the photo's own."""
    own = np.random.default_rng(number)
    small = own.uniform(40, 215, (8, 8, 3))
    picture = np.asarray(
        Image.fromarray(small.astype(np.uint8)).resize((SIZE, SIZE), Image.Resampling.BICUBIC)
    ).astype(np.float64)
    photos = np.random.default_rng([number, photo])
    shifted = np.roll(picture, photos.integers(-2, 3, 2), axis=(0, 1))
    noisy = shifted * photos.uniform(0.8, 1.2) + photos.normal(0, 25, picture.shape)
    return noisy.clip(0, 255).astype(np.uint8)


def write_people(folder: Path, people: int, photos: int) -> Path:
    """FOLDER/PERSON/N.png."""
    for number in range(people):
        place = folder / f"person{number:03d}"
        place.mkdir(parents=True)
        for photo in range(photos):
            Image.fromarray(person(number, photo)).save(place / f"{photo}.png")
    return folder


def encoded(picture: NDArray[np.uint8], kind: str = "PNG") -> bytes:
    """A picture as the bytes of a file."""
    buffer = BytesIO()
    Image.fromarray(picture).save(buffer, kind)
    return buffer.getvalue()


def write_onnx(path: Path, shape: tuple[int | str, ...], dim: int = 6) -> Path:
    """A linear embedder: the input flattened, times a random matrix; NCHW or NHWC alike."""
    size = int(np.prod([side for side in shape[1:] if isinstance(side, int)]))
    weights = np.random.default_rng(0).normal(size=(size, dim)).astype(np.float32) / size**0.5
    graph = helper.make_graph(
        [
            helper.make_node("Flatten", ["picture"], ["flat"]),
            helper.make_node("MatMul", ["flat", "weights"], ["vector"]),
            helper.make_node("Neg", ["vector"], ["minus"]),
        ],
        "embedder",
        [helper.make_tensor_value_info("picture", TensorProto.FLOAT, shape)],
        [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, [shape[0], dim])
            for name in ("vector", "minus")
        ],
        [numpy_helper.from_array(weights, "weights")],
    )
    save(path, graph)
    return path


def write_detector(path: Path, boxes: NDArray[np.float32], scores: NDArray[np.float32]) -> Path:
    """A detector that always says the same: corners (n, 4) as shares, scores (n,)."""
    two = np.stack([1 - scores, scores], axis=1).astype(np.float32)
    values = {"boxes": boxes.astype(np.float32)[None], "scores": two[None]}
    nodes = [
        helper.make_node("Constant", [], [name], value=numpy_helper.from_array(value))
        for name, value in values.items()
    ]
    outputs = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, value.shape)
        for name, value in values.items()
    ]
    given = helper.make_tensor_value_info("input", TensorProto.FLOAT, [1, 3, 60, 80])
    save(path, helper.make_graph(nodes, "detector", [given], outputs))
    return path


def save(path: Path, graph: onnx.GraphProto) -> None:
    """Writes a graph that any recent onnxruntime opens."""
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.checker.check_model(model)
    onnx.save(model, str(path))
