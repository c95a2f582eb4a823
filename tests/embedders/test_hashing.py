import subprocess
import sys

import numpy as np
import pytest

from embedders import EncodeOptions, Encoder, Item, Modality, load
from embedders.errors import InvalidItemError, ItemError, ItemTooLargeError
from embedders.vectors import FloatRows

#: of "king" in 4 dimensions
PINNED = [0.0756304, -0.8569638, 0.0840098, 0.5028276]


def rows(encoder: Encoder, *values: str | bytes, modality: Modality = Modality.TEXT) -> FloatRows:
    prepared = [encoder.prepare(Item(modality, value), EncodeOptions()) for value in values]
    return encoder.encode(prepared).rows


def test_rows_are_unit_float32_of_any_dimension() -> None:
    for dim in (1, 7, 384, 2000):
        found = rows(load("h", "hash", options={"dim": dim}), "a b c", "d")
        assert found.dtype == np.float32
        assert found.shape == (2, dim)
        np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, rtol=1e-5)


def test_the_first_numbers_are_pinned() -> None:
    """A change here breaks every stored collection of the family."""
    found = rows(load("h", "hash", options={"dim": 4}), "king")[0]
    np.testing.assert_allclose(found, PINNED, atol=1e-6)


def test_another_process_gives_the_same_rows() -> None:
    code = (
        "from embedders import *; e = load('h', 'hash', options={'dim': 4});"
        "print(e.encode(e.prepare_batch([Item(Modality.TEXT, 'king')])).rows[0].tolist())"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    here = rows(load("h", "hash", options={"dim": 4}), "king")[0].tolist()
    assert found.stdout.strip() == str(here)


def test_cosine_grows_with_shared_words() -> None:
    a, b, c, d = rows(
        load("h", "hash", options={"dim": 512}),
        "the king rules the land", "the king rules the sea", "the king sleeps", "purple bicycles",
    )  # fmt: skip
    assert a @ b > a @ c > a @ d
    assert abs(a @ d) < 0.2


def test_word_order_and_case_do_not_count_but_the_seed_does() -> None:
    encoder = load("h", "hash")
    one, two = rows(encoder, "King rules", "rules KING")
    np.testing.assert_allclose(one, two, atol=1e-6)
    other = load("h", "hash", options={"seed": "other"})
    assert abs(rows(other, "King rules")[0] @ one) < 0.6
    assert other.info.space_id != encoder.info.space_id


def test_images_and_keys() -> None:
    encoder = load("h", "hash")
    one, two = rows(encoder, b"\xff\xd8a", b"\xff\xd8b", modality=Modality.IMAGE)
    assert abs(one @ two) < 0.6
    key, text = rows(encoder, "king", modality=Modality.KEY), rows(encoder, "king")
    np.testing.assert_array_equal(key, text)


@pytest.mark.parametrize(("modality", "value"), [(Modality.TEXT, " \n"), (Modality.IMAGE, b"")])
def test_empty_items_fail_alone(modality: Modality, value: str | bytes) -> None:
    encoder = load("h", "hash")
    bad, good = encoder.prepare_batch([Item(modality, value), Item(Modality.TEXT, "x")])
    assert isinstance(bad, InvalidItemError)
    assert not isinstance(good, ItemError)
    assert encoder.encode([good]).rows.shape == (1, 64)


def test_truncation_is_reported_or_refused() -> None:
    encoder = load("h", "hash", options={"max_tokens": 2})
    item = Item(Modality.TEXT, "one two three")
    prepared = encoder.prepare(item, EncodeOptions())
    assert (prepared.tokens, prepared.cost, prepared.truncated) == (3, 2, True)
    np.testing.assert_array_equal(encoder.encode([prepared]).rows, rows(encoder, "one two"))
    with pytest.raises(ItemTooLargeError, match="3 tokens, at most 2"):
        encoder.prepare(item, EncodeOptions(refuse_truncation=True))


def test_dimensions_cut_and_renormalise() -> None:
    encoder = load("h", "hash")
    prepared = encoder.prepare(Item(Modality.TEXT, "king"), EncodeOptions())
    full = encoder.encode([prepared]).rows
    cut = encoder.encode([prepared], EncodeOptions(dimensions=8)).rows
    expected = full[:, :8] / np.linalg.norm(full[:, :8])
    np.testing.assert_allclose(cut, expected, atol=1e-6)
