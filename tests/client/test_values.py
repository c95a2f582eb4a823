"""Vectors, images, payloads and inputs on their way to the wire."""

import io
import zlib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from latentspace import InvalidArgumentError, image, key, point, text, vector
from latentspace.images import image_bytes
from latentspace.inputs import input_message, plural_inputs
from latentspace.payloads import dump_payload, load_payload
from latentspace.v1 import types_pb2
from latentspace.vectors import as_row, as_rows, pack, unpack

shapes = hnp.array_shapes(min_dims=2, max_dims=2, min_side=0, max_side=20)


@given(hnp.arrays(np.float32, shapes))
def test_float32_rows_are_kept_to_the_bit(rows: np.ndarray[Any, np.dtype[np.float32]]) -> None:
    batch = pack(as_rows(rows), "space")
    assert (batch.count, batch.dim, batch.space_id) == (*rows.shape, "space")
    assert batch.dtype == types_pb2.DTYPE_FLOAT32
    assert unpack(batch).tobytes() == rows.tobytes()


@given(hnp.arrays(np.float16, shapes, elements=st.floats(-100, 100, width=16)))
def test_float16_rows_travel_as_they_are(rows: np.ndarray[Any, np.dtype[np.float16]]) -> None:
    batch = pack(as_rows(rows))
    assert batch.dtype == types_pb2.DTYPE_FLOAT16
    assert len(batch.data) == 2 * rows.size
    np.testing.assert_array_equal(unpack(batch), rows.astype(np.float32))


def test_bfloat16_replies_are_read() -> None:
    exact = np.array([[1.0, -2.5, 0.15625]], np.float32)
    upper = (exact.view("<u4") >> 16).astype("<u2")
    batch = types_pb2.VectorBatch(
        data=upper.tobytes(), dtype=types_pb2.DTYPE_BFLOAT16, dim=3, count=1
    )
    np.testing.assert_array_equal(unpack(batch), exact)


@pytest.mark.parametrize(
    "rows",
    [
        [[1, 2], [3, 4]],
        ((1.0, 2.0), (3.0, 4.0)),
        [np.array([1.0, 2.0]), np.array([3.0, 4.0])],
        np.array([[1, 2], [3, 4]], np.int64),
        np.array([[1, 2], [3, 4]], ">f4"),
        np.array([[1, 2], [3, 4]], ">f8"),
        np.asfortranarray([[1.0, 2.0], [3.0, 4.0]]),
        np.array([[1, 0, 2], [3, 0, 4]], np.float32)[:, ::2],
    ],
)
def test_all_sorts_of_rows_are_taken(rows: Any) -> None:
    np.testing.assert_array_equal(unpack(pack(as_rows(rows))), [[1, 2], [3, 4]])


@pytest.mark.parametrize("rows", [[1.0, 2.0], [[1.0], [1.0, 2.0]], [["a"]], np.zeros((1, 1, 1)), 3])
def test_bad_rows_are_named(rows: Any) -> None:
    with pytest.raises(InvalidArgumentError, match=r"vectors(\[\d\])?: "):
        as_rows(rows)


def test_what_is_unpacked_can_be_written() -> None:
    rows = unpack(pack(as_rows([[1.0, 2.0]])))
    rows += 1
    assert rows.tolist() == [[2.0, 3.0]]
    with pytest.raises(InvalidArgumentError, match=r"\(dim,\)"):
        as_row([[1.0]])


@pytest.mark.parametrize("shape", [(3, 5), (3, 5, 1), (4, 2, 2), (7, 9, 3), (1, 1, 4)])
def test_pixels_become_a_png_that_others_read(shape: tuple[int, ...]) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    read = np.asarray(Image.open(io.BytesIO(image_bytes(pixels))))
    np.testing.assert_array_equal(read, pixels[:, :, 0] if shape[2:] == (1,) else pixels)


def test_images_from_everything(tmp_path: Path) -> None:
    file = tmp_path / "a.bin"
    file.write_bytes(b"bytes")
    for source in (b"bytes", bytearray(b"bytes"), memoryview(b"bytes"), file, str(file)):
        assert image_bytes(source) == b"bytes"
    drawn = Image.new("RGB", (3, 2), (10, 20, 30))
    read = Image.open(io.BytesIO(image_bytes(drawn)))
    assert (read.size, read.getpixel((0, 0))) == ((3, 2), (10, 20, 30))
    with pytest.raises(FileNotFoundError):
        image_bytes(tmp_path / "none.png")


@pytest.mark.parametrize(
    "source", [3, None, np.full((2, 2), 2.0), np.zeros((2, 2, 5), np.uint8), [1]]
)
def test_what_is_no_image(source: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="image: "):
        image_bytes(source)


def test_payloads() -> None:
    payload = {
        "name": "Zoë",
        "year": np.int64(3),
        "when": datetime(2020, 1, 1, tzinfo=UTC),
        "list": np.array([1.5, 2.5]),
        "deep": {"a": [None, True]},
    }
    assert load_payload(dump_payload(payload)) == {
        "name": "Zoë",
        "year": 3,
        "when": "2020-01-01T00:00:00+00:00",
        "list": [1.5, 2.5],
        "deep": {"a": [None, True]},
    }
    assert dump_payload(None) == b"{}"
    assert load_payload(b"") == {}


@pytest.mark.parametrize(
    "payload",
    [
        {"a": float("nan")},
        {"a": object()},
        {"a": datetime(2020, 1, 1)},
        [1],
        "x",
        {"a": "\ud800"},
    ],
)
def test_bad_payloads_are_refused_before_sending(payload: Any) -> None:
    with pytest.raises(InvalidArgumentError, match=r"payloads\[3\]"):
        dump_payload(payload, "payloads[3]")


def test_inputs_on_the_wire() -> None:
    assert input_message(text("a")).text == "a"
    assert input_message(key("k")).key == "k"
    assert input_message(image(b"i")).image == b"i"
    assert list(input_message(vector([1, 2], "s")).vector.values) == [1, 2]
    assert input_message(vector([1, 2], "s")).vector.space_id == "s"
    ref = input_message(point("p", "c")).point
    assert (ref.id, ref.collection, ref.vector_name) == ("p", "c", "")


@pytest.mark.parametrize("item", ["bare", 3, None, text("\ud800"), key(3)])  # type: ignore[arg-type]
def test_what_is_no_input(item: Any) -> None:
    with pytest.raises(InvalidArgumentError):
        input_message(item)


def test_one_kind_of_input_at_a_time() -> None:
    for given_kinds in ({}, {"texts": ["a"], "keys": ["b"]}):
        with pytest.raises(InvalidArgumentError, match="exactly one"):
            plural_inputs(**given_kinds)  # type: ignore[arg-type]
    with pytest.raises(InvalidArgumentError, match="expected a list"):
        plural_inputs(texts="hello")


def test_images_are_read_when_they_are_sent(tmp_path: Path) -> None:
    absent = plural_inputs(images=[tmp_path / "later.png"])
    (tmp_path / "later.png").write_bytes(zlib.compress(b"x"))
    assert [input_message(one).image for one in absent] == [zlib.compress(b"x")]
