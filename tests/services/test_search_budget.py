"""Small requests that ask for much are refused before the work, and others do not notice."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import grpc
import numpy as np
import psutil
import pytest

from latentspace import Client
from latentspace.v1 import collection_service_pb2 as pb_collections
from latentspace.v1 import filter_pb2
from latentspace.v1 import search_service_pb2 as pb
from latentspace.v1 import types_pb2 as types
from latentspace.v1.collection_service_pb2_grpc import CollectionServiceStub
from latentspace.v1.search_service_pb2_grpc import SearchServiceStub
from latentspace.vectors import as_rows, pack
from services.app.local import LocalServer

POINTS = 10_000
GIB = 1 << 30


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalServer]:
    settings = {"models": {"toy": {"family": "hash", "options": {"dim": 2}}}}
    folder = tmp_path_factory.mktemp("budget")
    with LocalServer(Path(folder), settings) as running, Client(running.address) as client:
        random = np.random.default_rng(0)
        client.create_collection("many", dim=2, metric="l2", fields={"n": "int"})
        ids = [f"p{i}" for i in range(POINTS)]
        rows = random.standard_normal((POINTS, 2), dtype=np.float32)
        client.upsert("many", ids, vectors=rows, payloads=[{"n": i} for i in range(POINTS)])
        client.create_collection("heavy", dim=2, metric="l2")
        large = [{"text": "x" * 60_000}] * 1000
        client.upsert("heavy", ids[:1000], vectors=rows[:1000], payloads=large)
        yield running


@pytest.fixture
def stub(server: LocalServer) -> Iterator[SearchServiceStub]:
    options = [("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1)]
    with grpc.insecure_channel(server.address, options=options) as channel:
        yield SearchServiceStub(channel)


class Watch:
    """What a server takes while something is asked of it, and a bystander's longest wait."""

    def __init__(self, server: LocalServer) -> None:
        self._process = psutil.Process(server.process.pid)
        self._client, self._stop = Client(server.address), threading.Event()
        self._threads = [threading.Thread(target=self._look), threading.Thread(target=self._call)]
        self.grown, self.longest_s = 0, 0.0

    def __enter__(self) -> "Watch":
        self._before = self._process.memory_info().rss
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()
        self._client.close()

    def _look(self) -> None:
        while not self._stop.wait(0.02):
            self.grown = max(self.grown, self._process.memory_info().rss - self._before)

    def _call(self) -> None:
        while not self._stop.wait(0.02):
            started = time.monotonic()
            self._client.count("many")
            self.longest_s = max(self.longest_s, time.monotonic() - started)


def refusal(stub: SearchServiceStub, request: pb.SearchRequest) -> str:
    with pytest.raises(grpc.RpcError) as refused:
        stub.Search(request, timeout=30)
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT, refused.value
    return str(refused.value.details())


def vectors(count: int) -> types.VectorBatch:
    return pack(as_rows(np.zeros((count, 2), np.float32)))


def one_of(count: int) -> filter_pb2.Filter:
    condition = filter_pb2.Condition(field="n")
    values = getattr(condition, "in").values
    values.extend(filter_pb2.Value(int_value=i) for i in range(count))
    return filter_pb2.Filter(condition=condition)


POINT = types.WeightedInput(input=types.Input(point=types.PointRef(id="p1")))


@pytest.mark.parametrize(
    ("request_", "problem"),
    [
        (pb.SearchRequest(collection="many", vectors=vectors(32_768), k=10_000), "at most 256 MiB"),
        (pb.SearchRequest(collection="many", vectors=vectors(2_000), k=10_000), "at most 256 MiB"),
        (
            pb.SearchRequest(
                collection="many",
                vectors=vectors(1_000),
                k=10,
                diversity=pb.Diversity(candidates=10_000),
            ),
            "at most 256 MiB",
        ),
        (
            pb.SearchRequest(collection="heavy", vectors=vectors(64), k=1_000, with_payload=True),
            "payloads of the hits take more than 256 MiB",
        ),
        (
            pb.SearchRequest(
                collection="many",
                queries=[pb.Query(weighted=pb.WeightedInputs(inputs=[POINT] * 100_000))],
            ),
            "100000 inputs of all queries in one call; at most 32768",
        ),
        (
            pb.SearchRequest(collection="many", vectors=vectors(1), filter=one_of(500_000)),
            "at most 65,536 values",
        ),
    ],
    ids=["queries", "fewer queries", "diversity", "payloads", "inputs", "values"],
)
def test_a_call_over_its_budget(
    server: LocalServer, stub: SearchServiceStub, request_: pb.SearchRequest, problem: str
) -> None:
    with Watch(server) as watch:
        assert problem in refusal(stub, request_)
    assert watch.grown < GIB
    # a coarse bound: before, others waited for seconds to minutes
    assert watch.longest_s < 1


def test_large_calls_within_the_budget_are_answered(stub: SearchServiceStub) -> None:
    reply = stub.Search(pb.SearchRequest(collection="many", vectors=vectors(160), k=10_000))
    assert sum(reply.results.counts) == 160 * POINTS
    wide = pb.SearchRequest(collection="many", vectors=vectors(32_768), k=1)
    assert list(stub.Search(wide).results.counts) == [1] * 32_768


def test_diversity_of_ten_thousand_candidates(server: LocalServer) -> None:
    with Client(server.address) as client, Watch(server) as watch:
        hits = client.search(
            "many", vector=[0.0, 0.0], k=1000, diversity=0.5, diversity_candidates=10_000
        )
    assert len(hits) == 1000
    assert watch.longest_s < 1


def test_measuring_recall_ends_at_its_deadline(server: LocalServer) -> None:
    options = pb_collections.MeasureRecallRequest(collection="many", k=400, samples=10_000)
    with grpc.insecure_channel(server.address) as channel, Watch(server) as watch:
        stub = CollectionServiceStub(channel)
        beyond = pb_collections.MeasureRecallRequest(collection="many", k=9_999, samples=10_000)
        with pytest.raises(grpc.RpcError, match="at most 4,000,000 neighbours"):
            stub.MeasureRecall(beyond, timeout=10)
        calls = [stub.MeasureRecall.future(options, timeout=1) for _ in range(4)]
        codes = [call.code() for call in calls]
        # the threads of searches are free again soon after
        with Client(server.address) as client:
            started = time.monotonic()
            assert len(client.search("many", vector=[0.0, 0.0], k=1)) == 1
            waited_s = time.monotonic() - started
    assert codes == [grpc.StatusCode.DEADLINE_EXCEEDED] * 4
    # coarse bounds: before, searches waited for over 30 s
    assert waited_s < 3
    assert watch.longest_s < 3
    assert watch.grown < GIB
