"""Packed values: what goes in comes out, and nothing that was damaged."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from embedders.base import Region
from services.runtime.cache.values import HEADER, pack, unpack
from services.runtime.encoding import Embedded

KEY = "ls1:space:float32:text:document:0.digest:00"
FLOATS = st.floats(allow_nan=False, width=32)
REGIONS = st.builds(Region, *[st.floats(allow_nan=False)] * 5)


@st.composite
def embeddings(draw: st.DrawFn) -> Embedded:
    count, dim = draw(st.integers(0, 3)), draw(st.integers(1, 5))
    rows = draw(arrays(np.float32, (count, dim), elements=FLOATS))
    regions = draw(st.lists(REGIONS, min_size=count, max_size=count) | st.just([]))
    tokens = draw(st.integers(0, 2**32 - 1))
    return Embedded(rows, regions, tokens, draw(st.booleans()), draw(st.booleans()))


@given(embeddings())
def test_what_is_packed_is_unpacked(found: Embedded) -> None:
    read = unpack(KEY, pack(KEY, found), found.rows.shape[1])
    assert read is not None
    assert read.rows.dtype == np.float32
    np.testing.assert_array_equal(read.rows, found.rows)
    assert list(read.regions) == list(found.regions)
    assert (read.tokens, read.truncated, read.composed) == (
        found.tokens,
        found.truncated,
        found.composed,
    )


@given(embeddings(), st.data())
def test_no_flipped_bit_passes(found: Embedded, data: st.DataObject) -> None:
    value = bytearray(pack(KEY, found))
    bit = data.draw(st.integers(0, 8 * len(value) - 1))
    value[bit // 8] ^= 1 << bit % 8
    assert unpack(KEY, bytes(value), found.rows.shape[1]) is None


@given(embeddings(), st.data())
def test_no_other_length_passes(found: Embedded, data: st.DataObject) -> None:
    value = pack(KEY, found)
    cut = data.draw(st.integers(0, len(value) - 1))
    assert unpack(KEY, value[:cut], found.rows.shape[1]) is None
    assert unpack(KEY, value + bytes(data.draw(st.integers(1, 50))), found.rows.shape[1]) is None


@given(st.binary(max_size=200), st.integers(1, 5))
def test_no_other_bytes_pass(value: bytes, dim: int) -> None:
    assert unpack(KEY, value, dim) is None


def test_neither_another_key_nor_another_dimension_passes() -> None:
    value = pack(KEY, Embedded(np.ones((1, 4), np.float32)))
    assert unpack(KEY, value, 4) is not None
    assert unpack(KEY + "1", value, 4) is None
    assert unpack(KEY, value, 2) is None


def test_the_layout_is_as_documented() -> None:
    rows = np.array([[1, 2], [3, 4]], np.float32)
    regions = [Region(1, 2, 3, 4, 0.5), Region(5, 6, 7, 8, 0.25)]
    value = pack(KEY, Embedded(rows, regions, 7, True, False))
    assert HEADER.size == 24
    assert value[:4] == bytes([1, 1, 0, 0])
    assert np.frombuffer(value, "<u4", 4, 4).tolist() == [2, 2, 2, 7]
    assert np.frombuffer(value, "<f4", 4, 24).tolist() == [1, 2, 3, 4]
    assert np.frombuffer(value[40:], "<f8").tolist() == [1, 2, 3, 4, 0.5, 5, 6, 7, 8, 0.25]
