from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from latentspace import MessageTooLargeError
from latentspace.chunks import ITEM_HEAD_BYTES, MESSAGE_HEAD_BYTES, row_spans, split

MAX = 1 << 20


@given(st.lists(st.binary(max_size=50)), st.integers(1, 7), st.integers(1, 200))
def test_parts_are_the_whole_and_within_limits(
    items: list[bytes], max_items: int, chunk_bytes: int
) -> None:
    parts = list(split(items, len, max_items=max_items, chunk_bytes=chunk_bytes, max_bytes=MAX))
    assert [one for part in parts for one in part] == items
    for part in parts:
        assert 1 <= len(part) <= max_items
        size = sum(len(one) + ITEM_HEAD_BYTES for one in part)
        assert size <= chunk_bytes or len(part) == 1
    # no part could have taken the first item of the next
    for part, after in pairwise(parts):
        size = sum(len(one) + ITEM_HEAD_BYTES for one in [*part, after[0]])
        assert len(part) == max_items or size > chunk_bytes


def test_an_item_over_the_limit_is_named() -> None:
    items = [b"a", b"b" * 100, b"c" * MAX]
    with pytest.raises(MessageTooLargeError, match="item 2 takes") as caught:
        list(split(items, len, max_items=2, chunk_bytes=10, max_bytes=MAX))
    assert "max_message_bytes" in str(caught.value)
    fits = MAX - MESSAGE_HEAD_BYTES - ITEM_HEAD_BYTES
    assert list(split([b"c" * fits], len, max_items=2, chunk_bytes=10, max_bytes=MAX))


def test_parts_are_made_as_they_are_asked_for() -> None:
    taken = []

    def items() -> object:
        for i in range(100):
            taken.append(i)
            yield b"x"

    parts = split(items(), len, max_items=10, chunk_bytes=1000, max_bytes=MAX)  # type: ignore[arg-type]
    next(parts)
    assert len(taken) <= 11


@given(st.integers(0, 1000), st.integers(1, 5000), st.integers(1, 300), st.integers(1, 20_000))
def test_spans_are_the_whole_and_within_limits(
    count: int, row_bytes: int, max_items: int, chunk_bytes: int
) -> None:
    spans = row_spans(count, row_bytes, max_items=max_items, chunk_bytes=chunk_bytes)
    assert [i for span in spans for i in range(count)[span]] == list(range(count))
    for span in spans:
        rows = len(range(count)[span])
        assert rows <= max_items
        assert rows * row_bytes <= chunk_bytes or rows == 1
