"""Each bad input gets a clear status that names its field; the server lives and loses nothing."""

from collections.abc import Callable, Iterator
from typing import Any

import grpc
import numpy as np
import pytest
from google.protobuf.message import Message
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo
from google.rpc.status_pb2 import Status

from latentspace import Client
from latentspace.v1 import collection_service_pb2 as collections
from latentspace.v1 import embedding_service_pb2 as embedding
from latentspace.v1 import search_service_pb2 as search
from latentspace.v1 import types_pb2 as types
from latentspace.v1.collection_service_pb2_grpc import CollectionServiceStub
from latentspace.v1.embedding_service_pb2_grpc import EmbeddingServiceStub
from latentspace.v1.filter_pb2 import FIELD_TYPE_UNSPECIFIED
from latentspace.v1.search_service_pb2_grpc import SearchServiceStub

DIM = 16
Code = grpc.StatusCode
Call = Callable[[Message], Message]


def batch(rows: np.ndarray, space_id: str = "") -> types.VectorBatch:
    return types.VectorBatch(
        data=rows.astype("<f4").tobytes(), dim=rows.shape[1], count=len(rows), space_id=space_id
    )


def refused(call: object, request: Message) -> tuple[grpc.StatusCode, str, str, str]:
    """Code, reason, field and message of a refused call."""
    with pytest.raises(grpc.RpcError) as caught:
        call(request)  # type: ignore[operator]
    error = caught.value
    sent: Any = error.trailing_metadata()
    details = dict(sent).get("grpc-status-details-bin")
    reason, field = "", ""
    for packed in Status.FromString(details).details if details else ():
        info, bad = ErrorInfo(), BadRequest()
        if packed.Unpack(info):
            reason = info.reason
            assert info.domain == "latentspace"
        elif packed.Unpack(bad):
            field = bad.field_violations[0].field
    return error.code(), reason, field, error.details() or ""


@pytest.fixture
def filled(client: Client, name: str) -> Iterator[str]:
    """A collection of ten points."""
    client.create_collection(name, model="toy", recipe="exact")
    client.upsert(name, ids=[f"p{i}" for i in range(10)], texts=[f"text {i}" for i in range(10)])
    yield name
    assert client.count(name) == 10
    assert client.search(name, text="text 3", k=1)[0].id == "p3"
    client.delete_collection(name)


def test_unknown_model(channel: grpc.Channel) -> None:
    request = embedding.EmbedRequest(model="nope", inputs=[types.Input(text="x")])
    code, reason, _, message = refused(EmbeddingServiceStub(channel).Embed, request)
    assert (code, reason) == (Code.NOT_FOUND, "MODEL_NOT_FOUND")
    assert "'nope'" in message
    assert "toy" in message


def test_a_model_that_is_not_loaded_says_how_to_load_it(channel: grpc.Channel) -> None:
    request = embedding.EmbedRequest(model="later", inputs=[types.Input(text="x")])
    code, reason, _, message = refused(EmbeddingServiceStub(channel).Embed, request)
    assert (code, reason) == (Code.FAILED_PRECONDITION, "MODEL_NOT_READY")
    assert "load" in message


def test_a_model_that_cannot_be_loaded_says_why(channel: grpc.Channel, client: Client) -> None:
    call = EmbeddingServiceStub(channel).LoadModel
    code, reason, _, message = refused(call, embedding.LoadModelRequest(model="broken"))
    assert (code, reason) == (Code.FAILED_PRECONDITION, "MODEL_FORMAT")
    assert "no.bin" in message
    assert client.model("broken").state == "failed"


def test_unknown_collection(channel: grpc.Channel) -> None:
    call = SearchServiceStub(channel).Search
    request = search.SearchRequest(collection="nope", vectors=batch(np.ones((1, DIM))))
    assert refused(call, request)[:2] == (Code.NOT_FOUND, "COLLECTION_NOT_FOUND")


def test_empty_batches(channel: grpc.Channel, filled: str) -> None:
    embed = EmbeddingServiceStub(channel).Embed
    code, _, field, _ = refused(embed, embedding.EmbedRequest(model="toy"))
    assert (code, field) == (Code.INVALID_ARGUMENT, "inputs")
    upsert = CollectionServiceStub(channel).UpsertPoints
    points = collections.PointWrites(vectors=batch(np.ones((0, DIM))))
    request = collections.UpsertPointsRequest(collection=filled, points=points)
    code, _, field, _ = refused(upsert, request)
    assert (code, field) == (Code.INVALID_ARGUMENT, "points.ids")
    search_call = SearchServiceStub(channel).Search
    code, _, field, _ = refused(search_call, search.SearchRequest(collection=filled))
    assert (code, field) == (Code.INVALID_ARGUMENT, "queries")


def test_wrong_dimension(channel: grpc.Channel, filled: str) -> None:
    request = search.SearchRequest(collection=filled, vectors=batch(np.ones((1, DIM + 1))))
    code, _, field, message = refused(SearchServiceStub(channel).Search, request)
    assert (code, field) == (Code.INVALID_ARGUMENT, "vectors.dim")
    assert f"{DIM + 1} dimensions" in message
    assert str(DIM) in message
    points = collections.PointWrites(ids=["x"], vectors=batch(np.ones((1, DIM - 1))))
    upsert = collections.UpsertPointsRequest(collection=filled, points=points)
    code, _, field, _ = refused(CollectionServiceStub(channel).UpsertPoints, upsert)
    assert (code, field) == (Code.INVALID_ARGUMENT, "points.vectors.dim")


def test_bytes_that_do_not_fit_the_shape(channel: grpc.Channel, filled: str) -> None:
    short = types.VectorBatch(data=b"\0" * 7, dim=DIM, count=1)
    request = search.SearchRequest(collection=filled, vectors=short)
    code, _, field, _ = refused(SearchServiceStub(channel).Search, request)
    assert (code, field) == (Code.INVALID_ARGUMENT, "vectors.data")


def test_wrong_space(channel: grpc.Channel, client: Client, filled: str) -> None:
    other = client.model("other").space_id
    assert other != client.model("toy").space_id
    request = search.SearchRequest(collection=filled, vectors=batch(np.ones((1, DIM)), other))
    code, reason, _, message = refused(SearchServiceStub(channel).Search, request)
    assert (code, reason) == (Code.FAILED_PRECONDITION, "SPACE_MISMATCH")
    assert other in message
    points = collections.PointWrites(ids=["x"], vectors=batch(np.ones((1, DIM)), other))
    upsert = collections.UpsertPointsRequest(collection=filled, points=points)
    call = CollectionServiceStub(channel).UpsertPoints
    assert refused(call, upsert)[1] == "SPACE_MISMATCH"


@pytest.mark.parametrize("bad", [np.nan, np.inf, 0.0])
def test_bad_vectors_fail_alone(
    channel: grpc.Channel, client: Client, name: str, bad: float
) -> None:
    client.create_collection(name, dim=4, metric="cosine", recipe="exact")
    rows = np.eye(4, dtype=np.float32)
    rows[2] = bad
    points = collections.PointWrites(ids=list("abcd"), vectors=batch(rows))
    request = collections.UpsertPointsRequest(collection=name, points=points)
    reply = CollectionServiceStub(channel).UpsertPoints(request)
    assert reply.written == 3
    assert [e.index for e in reply.errors] == [2]
    assert reply.errors[0].status.code == Code.INVALID_ARGUMENT.value[0]
    assert sorted(p.id for p in client.scroll(name)) == ["a", "b", "d"]
    found = SearchServiceStub(channel).Search(
        search.SearchRequest(collection=name, vectors=batch(rows), k=1)
    )
    assert list(found.results.counts) == [1, 1, 0, 1]
    assert list(found.results.ids) == ["a", "b", "d"]
    assert [e.index for e in found.errors] == [2]


def test_ids_and_payloads_that_do_not_fit_fail_alone(
    channel: grpc.Channel, client: Client, name: str
) -> None:
    client.create_collection(name, dim=4, fields={"year": "int"}, recipe="exact")
    ids = ["good", "", "x" * 10_000, "utf", "list", "typed", "good", "large"]
    payloads = [b'{"year": 1}', b"{}", b"{}", b'{"a": "\xff"}', b"[1]", b'{"year": "x"}', b"{}"]
    payloads.append(b'{"a": "' + b"x" * 70_000 + b'"}')
    rows = np.random.default_rng(0).standard_normal((8, 4))
    points = collections.PointWrites(ids=ids, vectors=batch(rows), payloads=payloads)
    request = collections.UpsertPointsRequest(collection=name, points=points)
    reply = CollectionServiceStub(channel).UpsertPoints(request)
    assert reply.written == 1
    assert [e.index for e in reply.errors] == [1, 2, 3, 4, 5, 6, 7]
    assert {e.status.code for e in reply.errors} == {Code.INVALID_ARGUMENT.value[0]}
    messages = [e.status.message for e in reply.errors]
    assert "512" in messages[1]
    assert "UTF-8" in messages[2]
    assert "year" in messages[4]
    assert [(p.id, p.payload) for p in client.scroll(name)] == [("good", {"year": 1})]


def test_columns_of_different_lengths(channel: grpc.Channel, filled: str) -> None:
    points = collections.PointWrites(ids=["a", "b"], vectors=batch(np.ones((1, DIM))))
    request = collections.UpsertPointsRequest(collection=filled, points=points)
    call = CollectionServiceStub(channel).UpsertPoints
    assert refused(call, request)[2] == "points.vectors"


def test_vectors_keep_what_they_were_made_from(
    channel: grpc.Channel, client: Client, name: str
) -> None:
    client.create_collection(name, model="toy")
    call = CollectionServiceStub(channel).UpsertPoints
    kinds = [types.MODALITY_IMAGE, types.MODALITY_UNSPECIFIED]

    def write(kinds: list[Any], **more: Any) -> collections.UpsertPointsRequest:
        points = collections.PointWrites(ids=["a", "b"], modalities=kinds, **more)
        return collections.UpsertPointsRequest(collection=name, points=points)

    rows = {"vectors": batch(np.ones((2, DIM)))}
    assert call(write(kinds, **rows)).written == 2
    assert [one.modality for one in client.get(name, ["a", "b"])] == ["image", "vector"]
    assert refused(call, write(kinds[:1], **rows))[2] == "points.modalities"
    assert refused(call, write([7, 1], **rows))[2] == "points.modalities"
    texts = {"inputs": [types.Input(text="x"), types.Input(text="y")]}
    assert refused(call, write(kinds, **texts))[2] == "points.modalities"


def test_a_message_over_the_limit(channel: grpc.Channel, filled: str) -> None:
    request = embedding.EmbedRequest(model="toy", inputs=[types.Input(text="x" * 100_000_000)])
    code, _, _, message = refused(EmbeddingServiceStub(channel).Embed, request)
    assert code is Code.RESOURCE_EXHAUSTED
    assert "larger than max" in message


def test_a_message_that_cannot_be_read(channel: grpc.Channel, filled: str) -> None:
    call: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(
        "/latentspace.v1.EmbeddingService/Embed"
    )
    for garbage in (b"\x0a\xff\xff", b"\x0a\x02\xc3\x28"):
        with pytest.raises(grpc.RpcError) as caught:
            call(garbage)
        assert caught.value.code() is Code.INVALID_ARGUMENT
        assert "cannot be read" in str(caught.value.details())


def test_an_input_of_no_kind_is_named(channel: grpc.Channel) -> None:
    inputs = [types.Input(text="x"), types.Input()]
    request = embedding.EmbedRequest(model="toy", inputs=inputs)
    code, _, field, _ = refused(EmbeddingServiceStub(channel).Embed, request)
    assert (code, field) == (Code.INVALID_ARGUMENT, "inputs[1]")


def test_too_many_items(channel: grpc.Channel) -> None:
    request = embedding.EmbedRequest(model="toy", inputs=[types.Input(text="x")] * 2001)
    code, _, field, message = refused(EmbeddingServiceStub(channel).Embed, request)
    assert (code, field) == (Code.INVALID_ARGUMENT, "inputs")
    assert "2000" in message


@pytest.mark.parametrize("k", [10_001, 2**32 - 1])
def test_k_out_of_range(channel: grpc.Channel, filled: str, k: int) -> None:
    request = search.SearchRequest(collection=filled, vectors=batch(np.ones((1, DIM))), k=k)
    assert refused(SearchServiceStub(channel).Search, request)[2] == "k"


@pytest.mark.parametrize("bad", ["", "../up", "a/b", ".hidden", "x" * 129, "ü", "a b"])
def test_names_that_are_no_names(channel: grpc.Channel, bad: str) -> None:
    spec = collections.CollectionSpec(dim=4)
    request = collections.CreateCollectionRequest(collection=bad, spec=spec)
    code, _, field, _ = refused(CollectionServiceStub(channel).CreateCollection, request)
    assert (code, field) == (Code.INVALID_ARGUMENT, "collection")


def test_a_collection_is_not_made_twice_nor_over_a_vocabulary(
    channel: grpc.Channel, filled: str
) -> None:
    call = CollectionServiceStub(channel).CreateCollection
    spec = collections.CollectionSpec(dim=4)
    for taken in (filled, "words"):
        request = collections.CreateCollectionRequest(collection=taken, spec=spec)
        assert refused(call, request)[0] is Code.ALREADY_EXISTS


def test_specs_that_do_not_fit(channel: grpc.Channel, name: str) -> None:
    call = CollectionServiceStub(channel).CreateCollection
    for spec, field in [
        (collections.CollectionSpec(), "spec.dim"),
        (collections.CollectionSpec(dim=4, recipe="soup"), "recipe"),
        (collections.CollectionSpec(dim=4, metric=9), "spec.metric"),  # type: ignore[arg-type]
        (collections.CollectionSpec(dim=4, fields={"a": FIELD_TYPE_UNSPECIFIED}), "fields"),
    ]:
        request = collections.CreateCollectionRequest(collection=name, spec=spec)
        code, _, at, _ = refused(call, request)
        assert code is Code.INVALID_ARGUMENT
        assert field in at


def test_vocabularies_are_read_only(channel: grpc.Channel) -> None:
    stub = CollectionServiceStub(channel)
    points = collections.PointWrites(ids=["x"], vectors=batch(np.ones((1, 25))))
    for call, request in [
        (stub.UpsertPoints, collections.UpsertPointsRequest(collection="words", points=points)),
        (
            stub.DeletePoints,
            collections.DeletePointsRequest(
                collection="words", ids=collections.IdList(ids=["word1"])
            ),
        ),
        (stub.DeleteCollection, collections.DeleteCollectionRequest(collection="words")),
    ]:
        code, reason, _, _ = refused(call, request)
        assert (code, reason) == (Code.FAILED_PRECONDITION, "READ_ONLY")


def test_filters_that_do_not_fit(channel: grpc.Channel, client: Client, name: str) -> None:
    client.create_collection(name, dim=4, fields={"year": "int"}, recipe="exact")
    for bad in ({"colour": "red"}, {"year": "red"}):
        with pytest.raises(Exception, match=r"colour|year") as caught:
            client.count(name, filter=bad)
        assert caught.value.code is Code.INVALID_ARGUMENT  # type: ignore[attr-defined]


def test_named_vectors_are_not_served_yet(client: Client) -> None:
    with pytest.raises(Exception, match="only the vector named") as caught:
        client.search("words", key="king", vector_name="title")
    assert caught.value.code is Code.UNIMPLEMENTED  # type: ignore[attr-defined]
