import asyncio
from collections.abc import Iterator

import numpy as np
import pytest

from latentspace import (
    AsyncClient,
    Client,
    InvalidArgumentError,
    ModelState,
    NotFoundError,
    PartialError,
    RowCountError,
    image,
    key,
    text,
)
from latentspace.requests.embedding import MAX_ITEMS
from latentspace.v1 import embedding_service_pb2
from tests.client.fake.world import TEXT_DIM, WORDS_DIM, World, vector_of


def expected(*texts: str) -> np.ndarray:
    return np.array([vector_of(one.encode()) for one in texts])


def test_models(client: Client) -> None:
    assert [model.id for model in client.models()] == ["faces", "sentences", "words"]
    words = client.model("words")
    assert (words.dim, words.space_id, words.state) == (WORDS_DIM, "space-words", ModelState.READY)
    assert words.same_threshold is None
    assert client.unload_model("words").state == "unloaded"
    assert client.load_model("words").state == "ready"
    with pytest.raises(NotFoundError, match="'nope' is not configured"):
        client.model("nope")


def test_lists_give_rows_and_one_gives_a_row(client: Client) -> None:
    rows = client.embed("sentences", texts=["a", "b", "a"])
    np.testing.assert_array_equal(rows, expected("a", "b", "a"))
    assert rows.dtype == np.float32
    assert rows.flags.writeable
    np.testing.assert_array_equal(client.embed("sentences", text="a"), expected("a")[0])
    king = client.embed("words", key="king")
    np.testing.assert_array_equal(client.embed("words", keys=["king"])[0], king)
    mixed = client.embed("sentences", inputs=[text("a"), text("b")])
    np.testing.assert_array_equal(mixed, expected("a", "b"))
    assert client.embed("faces", image=b"x").shape == (TEXT_DIM,)
    assert client.embed("faces", images=[b"x", np.zeros((2, 2), np.uint8)]).shape == (2, TEXT_DIM)


def test_options_are_sent(client: Client, world: World) -> None:
    rows = client.embed(
        "sentences", texts=["a"], role="query", dimensions=3, compute_dtype="bfloat16"
    )
    assert rows.shape == (1, 3)
    options = world.requests[-1].options
    assert (options.role, options.dimensions, options.compute_dtype) == ("query", 3, 3)
    with pytest.raises(InvalidArgumentError, match="compute_dtype: unknown value 'int8'; one of"):
        client.embed("sentences", texts=["a"], compute_dtype="int8")
    with pytest.raises(TypeError, match="no keyword 'rolle'; did you mean 'role'"):
        client.embed("sentences", texts=["a"], rolle="query")  # type: ignore[call-arg]


def test_failed_items_keep_their_places(client: Client) -> None:
    texts = ["a", "", "b", ""]
    with pytest.raises(PartialError) as caught:
        client.embed("sentences", texts=texts)
    assert set(caught.value.errors) == {1, 3}
    assert isinstance(caught.value.errors[1], InvalidArgumentError)
    vectors = caught.value.vectors
    assert vectors is not None
    np.testing.assert_array_equal(vectors[[0, 2]], expected("a", "b"))
    assert np.isnan(vectors[[1, 3]]).all()
    rows = client.embed("sentences", texts=texts, on_error="return")
    np.testing.assert_array_equal(rows, vectors)
    batch = client.embed_batch("sentences", texts=texts, on_error="return")
    assert list(batch.errors) == [1, 3]
    assert batch.index.tolist() == [0, 2]


def test_the_only_item_raises_its_own_error(client: Client) -> None:
    for items in ({"key": "qween"}, {"keys": ["qween"]}):
        with pytest.raises(NotFoundError, match="'qween' is not in the vocabulary"):
            client.embed("words", **items)


def test_inputs_that_give_several_rows(client: Client) -> None:
    images = [b"faces:2", b"faces:0", b"faces:1"]
    batch = client.embed_batch("faces", images=images)
    assert batch.index.tolist() == [0, 0, 2]
    assert batch.of(0).shape == (2, TEXT_DIM)
    assert batch.of(1).shape == (0, TEXT_DIM)
    assert not batch.errors
    with pytest.raises(RowCountError, match=r"input 0 gave 2 vectors.*embed_batch"):
        client.embed("faces", images=images)
    with pytest.raises(RowCountError, match="input 1 gave 0"):
        client.embed("faces", images=[b"faces:1", b"faces:0"])


def test_large_batches_are_split_and_put_together(client: Client, world: World) -> None:
    texts = [f"t{i}" for i in range(MAX_ITEMS * 2 + 10)]
    texts[MAX_ITEMS + 3] = ""
    texts[5] = "a text of more than five words"
    batch = client.embed_batch("sentences", texts=texts, on_error="return")
    sent = [r for r in world.requests if isinstance(r, embedding_service_pb2.EmbedRequest)]
    assert sorted(len(r.inputs) for r in sent) == [10, MAX_ITEMS, MAX_ITEMS]
    assert list(batch.errors) == [MAX_ITEMS + 3]
    kept = [one for one in texts if one]
    np.testing.assert_array_equal(batch.rows, expected(*kept))
    assert batch.index.tolist() == [i for i, one in enumerate(texts) if one]
    assert batch.truncated == (5,)
    assert batch.token_counts[5] == 7
    assert len(batch.token_counts) == batch.inputs == len(texts)
    assert batch.timing.total_ns == 3000


def test_parts_are_split_by_bytes_too(address: str, world: World, make: type[Client]) -> None:
    with make(address, max_message_bytes=1 << 20) as client:
        rows = client.embed("sentences", texts=["x" * 200_000 + str(i) for i in range(7)])
    assert rows.shape == (7, TEXT_DIM)
    sent = [r for r in world.requests if isinstance(r, embedding_service_pb2.EmbedRequest)]
    assert sorted(len(r.inputs) for r in sent) == [1, 2, 2, 2]


def test_generators_are_read_once(client: Client) -> None:
    def texts() -> Iterator[str]:
        yield from ("a", "b")

    np.testing.assert_array_equal(client.embed("sentences", texts=texts()), expected("a", "b"))


@pytest.mark.parametrize(
    ("items", "problem"),
    [
        ({"texts": []}, "empty"),
        ({}, "exactly one"),
        ({"texts": ["a"], "text": "a"}, "exactly one"),
        ({"text": "a", "key": "b"}, "exactly one"),
        ({"texts": "hello"}, "expected a list"),
        ({"texts": [3]}, "expected a string"),
        ({"inputs": ["bare"]}, "expected text"),
    ],
)
def test_bad_items_are_refused_before_sending(
    client: Client, world: World, items: dict[str, object], problem: str
) -> None:
    with pytest.raises(InvalidArgumentError, match=problem):
        client.embed("sentences", **items)  # type: ignore[arg-type]
    assert not world.requests


def test_one_bad_kind_among_many(client: Client) -> None:
    with pytest.raises(PartialError) as caught:
        client.embed("sentences", inputs=[text("a"), key("king"), image(b"x")])
    assert set(caught.value.errors) == {1, 2}


async def test_many_calls_at_once(async_client: AsyncClient) -> None:
    rows = await asyncio.gather(
        *(async_client.embed("sentences", texts=[f"t{i}"]) for i in range(100))
    )
    np.testing.assert_array_equal(np.concatenate(rows), expected(*(f"t{i}" for i in range(100))))
