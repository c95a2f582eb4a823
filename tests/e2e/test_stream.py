"""EmbedStream on a real server: flat memory, flow control, order, patience, clean ends."""

import json
import os
import threading
import time
import urllib.request
from collections.abc import Iterator

import grpc
import numpy as np
import psutil
import pytest

from latentspace import Client, InvalidArgumentError, NotFoundError
from latentspace.v1 import embedding_service_pb2 as pb
from latentspace.v1.embedding_service_pb2_grpc import EmbeddingServiceStub
from latentspace.v1.types_pb2 import EmbedOptions, Input
from services.app.local import LocalServer

LONG = bool(os.environ.get("LATENTSPACE_LONG"))
TEXTS = 1_000_000 if LONG else 200_000
WARM_TEXTS = 40_000
BATCH = 1000
GROWTH_MIB = 96
DIM, WIDE = 16, 1024
MIB = 1 << 20
SIZES = [("grpc.max_receive_message_length", 64 * MIB)]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalServer]:
    models = {
        "toy": {"family": "hash", "options": {"dim": DIM}},
        "wide": {"family": "hash", "options": {"dim": WIDE}},
    }
    settings = {
        "models": models,
        "limits": {"queue_cost": 40_000},
        "metrics_listen": "127.0.0.1:0",
    }
    with LocalServer(tmp_path_factory.mktemp("stream"), settings) as running:
        yield running


@pytest.fixture
def client(server: LocalServer) -> Iterator[Client]:
    with Client(server.address) as opened:
        yield opened


@pytest.fixture
def stub(server: LocalServer) -> Iterator[EmbeddingServiceStub]:
    with grpc.insecure_channel(server.address, options=SIZES) as channel:
        yield EmbeddingServiceStub(channel)


def text(number: int) -> str:
    return f"item {number % 5000} of shelf {number % 97}"


def batch(model: str, number: int, items: int, words: int = 3) -> pb.EmbedStreamRequest:
    texts = (" ".join(f"w{number}x{i}x{j}" for j in range(words)) for i in range(items))
    inputs = [Input(text=one) for one in texts]
    return pb.EmbedStreamRequest(model=model, inputs=inputs, batch_id=number)


def resident_mib(server: LocalServer) -> float:
    return float(psutil.Process(server.process.pid).memory_info().rss / MIB)


def metric(server: LocalServer, name: str) -> float:
    """Sum over all models."""
    (line,) = [line for line in server.log if '"event": "metrics"' in line]
    with urllib.request.urlopen(json.loads(line)["address"]) as reply:
        lines = reply.read().decode().splitlines()
    found = [float(line.rpartition(" ")[2]) for line in lines if line.startswith(f"{name}{{")]
    assert found, name
    return sum(found)


def until_idle(server: LocalServer) -> None:
    end = time.monotonic() + 60
    while metric(server, "latentspace_queue_cost"):
        assert time.monotonic() < end, "work still counts as waiting"
        time.sleep(0.05)


@pytest.mark.long
def test_memory_stays_flat_however_long_the_stream(
    server: LocalServer, client: Client, capsys: pytest.CaptureFixture[str]
) -> None:
    def stream(count: int) -> Iterator[np.ndarray]:
        texts = map(text, range(count))
        for found in client.embed_stream("toy", texts=texts, batch_items=BATCH):
            yield found.rows

    warm = sum(len(rows) for rows in stream(WARM_TEXTS))
    before, most, began, done = resident_mib(server), 0.0, time.monotonic(), 0
    for number, rows in enumerate(stream(TEXTS)):
        if number % 20 == 0:
            most = max(most, resident_mib(server))
            chosen = range(done, done + len(rows), 333)
            alone = client.embed("toy", texts=[text(i) for i in chosen])
            np.testing.assert_array_equal(rows[::333], alone)
        done += len(rows)
    seconds = time.monotonic() - began
    with capsys.disabled():
        print(f"\n{done} texts, {done / seconds:.0f}/s, {before:.0f} MiB, most {most:.0f} MiB")
    assert (warm, done) == (WARM_TEXTS, TEXTS)
    assert most < before + GROWTH_MIB


def test_who_does_not_read_is_held_back(server: LocalServer, stub: EmbeddingServiceStub) -> None:
    batches, sent = 3000, 0
    # 256 rows of 1024 numbers are a MiB of reply, some 35 kB of request
    one = batch("wide", 0, 256, words=20)

    def requests() -> Iterator[pb.EmbedStreamRequest]:
        nonlocal sent
        for sent in range(1, batches + 1):
            one.batch_id = sent
            yield one

    before = resident_mib(server)
    call = stub.EmbedStream(requests())
    ids, settled = [next(call).batch_id], -1
    while settled != sent:
        settled = sent
        time.sleep(1.5)
    # what is under way fills the windows of the connection, and no memory of the server
    assert settled * one.ByteSize() < 32 * MIB
    assert resident_mib(server) < before + 200
    while sent == settled and len(ids) < settled + 100:
        ids.append(next(call).batch_id)
    assert sent > settled
    assert ids == list(range(1, len(ids) + 1))
    call.cancel()
    until_idle(server)


def test_replies_keep_the_order_of_batches_of_any_size(
    client: Client, stub: EmbeddingServiceStub
) -> None:
    sizes = np.random.default_rng(1).integers(1, 300, 60).tolist()
    requests = [batch("toy", i, size, words=1 + 50 * (i % 3 == 0)) for i, size in enumerate(sizes)]
    replies = list(stub.EmbedStream(iter(requests)))
    assert [reply.batch_id for reply in replies] == list(range(60))
    for request, reply in zip(requests, replies, strict=True):
        alone = client.embed("toy", texts=[one.text for one in request.inputs])
        assert reply.embeddings.vectors.data == alone.tobytes()


def test_model_and_options_stay_until_changed(stub: EmbeddingServiceStub) -> None:
    one = [Input(text="one")]
    requests = [
        pb.EmbedStreamRequest(model="toy", inputs=one, options=EmbedOptions(dimensions=4)),
        pb.EmbedStreamRequest(inputs=[*one, Input(text=""), *one]),
        pb.EmbedStreamRequest(inputs=one, options=EmbedOptions()),
        pb.EmbedStreamRequest(model="wide", inputs=one),
    ]
    replies = [reply.embeddings for reply in stub.EmbedStream(iter(requests))]
    assert [reply.vectors.dim for reply in replies] == [4, 4, DIM, WIDE]
    assert [error.index for error in replies[1].errors] == [1]
    assert list(replies[1].input_index) == [0, 2]


def test_a_bad_batch_ends_the_stream_after_the_replies_before_it(
    client: Client, stub: EmbeddingServiceStub
) -> None:
    requests = [batch("toy", 1, 50, words=200), batch("toy", 2, 5), batch("nope", 3, 1)]
    call = stub.EmbedStream(iter(requests))
    assert [next(call).batch_id, next(call).batch_id] == [1, 2]
    with pytest.raises(grpc.RpcError) as caught:
        next(call)
    failure = caught.value
    assert isinstance(failure, grpc.Call)
    assert failure.code() is grpc.StatusCode.NOT_FOUND
    with pytest.raises(InvalidArgumentError, match="role"):
        list(client.embed_stream("toy", texts=["a"], role="nobody"))
    with pytest.raises(NotFoundError, match="'nope'"):
        list(client.embed_stream("nope", texts=["a"] * 5000))


def test_a_stream_waits_where_a_call_is_refused(server: LocalServer, client: Client) -> None:
    refused = metric(server, "latentspace_queue_refused_total")
    texts = [" ".join(f"v{i}x{j}" for j in range(120)) for i in range(256)]
    found: list[int] = []

    def stream(number: int) -> None:
        # its own texts: what is cached needs no model
        own_texts = [f"stream{number}y{i} {one}" for i, one in enumerate(texts * 3)]
        with Client(server.address) as own:
            many = own.embed_stream("toy", texts=own_texts, batch_items=256)
            found.append(sum(len(part.rows) for part in many))

    threads = [threading.Thread(target=stream, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [len(texts) * 3] * 4
    assert metric(server, "latentspace_queue_refused_total") > refused
    until_idle(server)


def test_single_calls_go_before_a_stream(server: LocalServer, client: Client) -> None:
    stop = threading.Event()
    batches: list[int] = []

    def endless() -> Iterator[str]:
        while not stop.is_set():
            yield " ".join(f"e{len(batches)}x{j}" for j in range(60))

    def stream() -> None:
        with Client(server.address) as own:
            batches.extend(len(part) for part in own.embed_stream("toy", texts=endless()))

    thread = threading.Thread(target=stream)
    thread.start()
    try:
        rows = [client.embed("toy", text=f"single {i}") for i in range(100)]
        there = len(batches)
        while len(batches) < there + 3:
            time.sleep(0.01)
    finally:
        stop.set()
        thread.join()
    assert len(rows) == 100
    assert sum(batches) > 0


def test_a_cancelled_stream_leaves_nothing_behind(
    server: LocalServer, client: Client, stub: EmbeddingServiceStub
) -> None:
    for reads in (0, 1, 2):
        call = stub.EmbedStream(batch("toy", i, 256, words=100) for i in range(1000))
        for _ in range(reads):
            next(call)
        call.cancel()
    until_idle(server)
    assert client.embed("toy", text="after").shape == (DIM,)
    assert not [line for line in server.log if "internal error" in line]
