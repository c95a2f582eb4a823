"""Streams of batches, against the fake: order, laziness, errors, lost connections."""

from collections.abc import Iterator
from itertools import count, islice

import numpy as np
import pytest

from latentspace import (
    AsyncClient,
    Client,
    InvalidArgumentError,
    NotFoundError,
    PartialError,
    UnavailableError,
    text,
)
from latentspace.calls import RetryPolicy
from latentspace.requests.embedding import MAX_ITEMS
from tests.client.fake.world import World, vector_of

IN_FLIGHT = 4


def expected(texts: list[str]) -> np.ndarray:
    return np.array([vector_of(one.encode()) for one in texts])


def test_batches_come_in_order_with_all_their_rows(client: Client, world: World) -> None:
    texts = [f"t{i}" for i in range(MAX_ITEMS * 2 + 10)]
    batches = list(client.embed_stream("sentences", texts=iter(texts)))
    assert [batch.inputs for batch in batches] == [MAX_ITEMS, MAX_ITEMS, 10]
    np.testing.assert_array_equal(np.concatenate([b.rows for b in batches]), expected(texts))
    assert [request.batch_id for request in world.requests] == [0, 1, 2]
    assert {batch.space_id for batch in batches} == {"space-sentences"}


def test_options_and_the_size_of_batches(client: Client, world: World) -> None:
    inputs = [text(f"t{i}") for i in range(5)]
    batches = list(
        client.embed_stream("sentences", inputs=inputs, batch_items=2, role="query", dimensions=3)
    )
    assert [batch.rows.shape for batch in batches] == [(2, 3), (2, 3), (1, 3)]
    assert {request.options.role for request in world.requests} == {"query"}
    assert list(client.embed_stream("sentences", texts=[])) == []


def test_items_are_taken_as_they_are_needed(address: str) -> None:
    taken = 0

    def texts() -> Iterator[str]:
        nonlocal taken
        for taken in count(1):
            yield f"t{taken}"

    with Client(address) as client:
        stream = client.embed_stream("sentences", texts=texts(), batch_items=10)
        for done, batch in enumerate(islice(stream, 20)):
            np.testing.assert_array_equal(batch.rows[0], vector_of(f"t{done * 10 + 1}".encode()))
            # one item more tells that a batch is full
            assert taken <= (done + IN_FLIGHT) * 10 + 1


async def test_an_unending_stream_is_left(async_client: AsyncClient) -> None:
    stream = async_client.embed_stream("sentences", texts=(f"t{i}" for i in count()), batch_items=3)
    found = []
    async for batch in stream:
        found.append(batch)
        if len(found) == 7:
            break
    rows = np.concatenate([batch.rows for batch in found])
    np.testing.assert_array_equal(rows, expected([f"t{i}" for i in range(21)]))
    assert (await async_client.embed("sentences", text="after")).shape == rows[0].shape


def test_failed_items_belong_to_their_batch(client: Client) -> None:
    texts = ["a", "b", "c", "", "e"]
    batches = list(client.embed_stream("sentences", texts=texts, batch_items=2, on_error="return"))
    assert [list(batch.errors) for batch in batches] == [[], [1], []]
    with pytest.raises(PartialError) as caught:
        list(client.embed_stream("sentences", texts=texts, batch_items=2))
    assert set(caught.value.errors) == {1}


def test_what_fails_as_a_whole_ends_the_stream(client: Client) -> None:
    with pytest.raises(NotFoundError):
        list(client.embed_stream("nope", texts=["a", "b"]))
    with pytest.raises(InvalidArgumentError, match="batch_items"):
        list(client.embed_stream("sentences", texts=["a"], batch_items=0))
    with pytest.raises(InvalidArgumentError, match="expected a string"):
        list(client.embed_stream("sentences", texts=["a", 3], batch_items=1))  # type: ignore[list-item]


def test_a_lost_connection_costs_nothing(address: str, world: World, make: type[Client]) -> None:
    world.dropped_streams = 2
    texts = [f"t{i}" for i in range(30)]
    with make(address, retry=RetryPolicy(first_pause_s=0.01)) as client:
        batches = list(client.embed_stream("sentences", texts=iter(texts), batch_items=4))
        np.testing.assert_array_equal(np.concatenate([b.rows for b in batches]), expected(texts))
        world.dropped_streams = 99
        with pytest.raises(UnavailableError, match="connection is gone"):
            list(client.embed_stream("sentences", texts=texts))
