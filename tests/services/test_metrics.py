"""What Prometheus is told, from the real endpoint, against the calls that were made."""

import json
import re
import urllib.request
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import grpc
import numpy as np
import pytest
from prometheus_client.parser import text_string_to_metric_families

from latentspace import Client
from latentspace.errors import LatentspaceError
from latentspace.v1 import embedding_service_pb2 as embedding
from latentspace.v1 import types_pb2 as types
from latentspace.v1.embedding_service_pb2_grpc import EmbeddingServiceStub
from services.app.local import LocalServer

Lines = dict[tuple[str, frozenset[tuple[str, str]]], float]
ROWS = np.eye(4, dtype=np.float32)
ROOT = Path(__file__).parents[2]
EMBED = "EmbeddingService/Embed"


class Scrape:
    """All lines at one moment; a line that is not there counts as 0."""

    def __init__(self, server: LocalServer) -> None:
        line = next(line for line in server.log if '"event": "metrics"' in line)
        with urllib.request.urlopen(json.loads(line)["address"]) as reply:
            text = reply.read().decode()
        self.lines: Lines = {
            (sample.name, frozenset(sample.labels.items())): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }

    def __call__(self, name: str, /, **labels: str) -> float:
        return self.lines.get((f"latentspace_{name}", frozenset(labels.items())), 0.0)

    def buckets(self, name: str, /, **labels: str) -> dict[float, float]:
        """Cumulative counts by bound, ascending."""
        wanted = labels.items()
        found = {
            float(dict(own)["le"]): value
            for (line, own), value in self.lines.items()
            if line == f"latentspace_{name}_bucket" and wanted <= own
        }
        return dict(sorted(found.items()))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalServer]:
    settings = {
        "metrics_listen": "127.0.0.1:0",
        "models": {"toy": {"family": "hash"}, "later": {"family": "hash", "preload": False}},
        # canaries run through the queues too: after the first they are not to come in between
        "health": {"interval_s": 3600},
        "cache": {"memory_mib": 16},
    }
    with LocalServer(tmp_path_factory.mktemp("metrics"), settings) as running:
        yield running


@pytest.fixture
def client(server: LocalServer) -> Iterator[Client]:
    with Client(server.address) as opened:
        yield opened


def test_calls_are_counted_by_method_and_code(server: LocalServer, client: Client) -> None:
    before = Scrape(server)
    for number in range(7):
        client.embed("toy", texts=[f"call {number}"])
    for _ in range(3):
        with pytest.raises(LatentspaceError):
            client.embed("nobody", texts=["x"])
    with pytest.raises(LatentspaceError):
        client.embed("toy", texts=["x"], role="poet")
    client.models()
    after = Scrape(server)

    def more(name: str, **labels: str) -> float:
        return after(name, **labels) - before(name, **labels)

    assert more("calls_total", method=EMBED, code="OK") == 7
    assert more("calls_total", method=EMBED, code="NOT_FOUND") == 3
    assert more("calls_total", method=EMBED, code="INVALID_ARGUMENT") == 1
    assert more("calls_total", method="EmbeddingService/ListModels", code="OK") == 1
    assert more("call_seconds_count", method=EMBED) == 11
    assert 0 < more("call_seconds_sum", method=EMBED) < 11 * 10
    assert after("calls_running", method=EMBED) == 0


def test_buckets_are_cumulative_and_agree_with_their_count(
    server: LocalServer, client: Client
) -> None:
    client.embed("toy", texts=["something"])
    seen = Scrape(server)
    histograms = [
        ("call_seconds", {"method": EMBED}),
        *((name, {"stage": "encode", "name": "toy"}) for name in ("batch_items", "queue_seconds")),
        ("batch_seconds", {"stage": "encode", "name": "toy"}),
    ]
    for name, labels in histograms:
        buckets = seen.buckets(name, **labels)
        counts = list(buckets.values())
        assert len(buckets) > 5
        assert all(low <= high for low, high in pairwise(counts))
        assert max(buckets) == float("inf")
        assert counts[-1] == seen(f"{name}_count", **labels) > 0
        assert seen(f"{name}_sum", **labels) <= counts[-1] * 256


def test_a_stream_is_one_call_and_a_call_given_up_is_cancelled(server: LocalServer) -> None:
    method = "EmbeddingService/EmbedStream"
    before = Scrape(server)
    with grpc.insecure_channel(server.address) as channel:
        stub = EmbeddingServiceStub(channel)
        batches = [
            embedding.EmbedStreamRequest(model="toy", inputs=[types.Input(text=f"s {i}")])
            for i in range(5)
        ]
        assert len(list(stub.EmbedStream(iter(batches)))) == 5
        held = iter(_endless(batches))
        call = stub.EmbedStream(held)
        next(call)
        during = Scrape(server)
        call.cancel()
    assert during("calls_running", method=method) == 1
    after = _until(server, "calls_total", method=method, code="CANCELLED")
    assert after("calls_total", method=method, code="OK") == 1
    assert before("calls_total", method=method, code="OK") == 0
    assert after("calls_total", method=method, code="CANCELLED") == 1
    assert after("calls_running", method=method) == 0


def _endless(
    batches: list[embedding.EmbedStreamRequest],
) -> Iterator[embedding.EmbedStreamRequest]:
    while True:
        yield from batches


def _until(server: LocalServer, name: str, /, **labels: str) -> Scrape:
    for _ in range(200):
        seen = Scrape(server)
        if seen(name, **labels):
            return seen
    raise AssertionError(f"no {name} {labels}")


def test_queues_of_models_and_collections_are_told(server: LocalServer, client: Client) -> None:
    client.create_collection("searched", dim=4, recipe="exact")
    client.upsert("searched", ids=["a", "b", "c"], vectors=ROWS[:3])
    before = Scrape(server)
    client.embed("toy", texts=[f"queue {i}" for i in range(20)])
    # one call at a time soon runs without the queue's thread hop, and counts all the same
    for _ in range(12):
        client.search("searched", vector=ROWS[0], k=1)
    after = Scrape(server)

    def more(name: str, stage: str, queue: str) -> float:
        return after(name, stage=stage, name=queue) - before(name, stage=stage, name=queue)

    assert more("queue_items_total", "encode", "toy") == 20
    assert more("batch_items_sum", "encode", "toy") == 20
    assert more("queue_items_total", "search", "searched") == 12
    assert more("queue_batches_total", "search", "searched") == 12
    assert more("batch_items_count", "search", "searched") == 12
    assert more("queue_seconds_count", "search", "searched") == 12
    assert after("queue_cost", stage="search", name="searched") == 0
    for name in ("queue_refused_total", "queue_expired_total", "queue_out_of_memory_total"):
        assert more(name, "encode", "toy") == 0


def test_collections_models_and_health_are_told(server: LocalServer, client: Client) -> None:
    client.create_collection("notes", dim=4, recipe="exact")
    client.upsert("notes", ids=["a", "b", "c"], vectors=ROWS[:3])
    client.load_model("later")
    loaded = Scrape(server)
    client.unload_model("later")
    seen = Scrape(server)
    assert seen("collection_points", collection="notes") == 3
    assert seen("collection_degraded", collection="notes") == 0
    assert seen("collection_segments", collection="notes", state="growing") == 1
    assert seen("collection_disk_bytes", collection="notes") > 1000
    assert seen("model_state", model="toy", state="ready") == 1
    assert seen("model_state", model="toy", state="failed") == 0
    assert loaded("model_state", model="later", state="ready") == 1
    assert seen("model_state", model="later", state="unloaded") == 1
    service = "latentspace.v1.EmbeddingService"
    assert loaded("serving", service=f"{service}/later") == 1
    assert seen("serving", service=f"{service}/later") == 0
    assert seen("serving", service=service) == seen("serving", service="") == 1
    assert seen("event_loop_stalls_total") == 0


def test_the_cache_is_told(server: LocalServer, client: Client) -> None:
    before = Scrape(server)
    client.embed("toy", texts=["known", "later", "known"])
    client.embed("toy", texts=["known", "new"])
    after = Scrape(server)

    def more(name: str, **labels: str) -> float:
        return after(name, **labels) - before(name, **labels)

    assert more("cache_inputs_total", result="miss") == 3
    assert more("cache_inputs_total", result="hit") == 1
    assert more("cache_operations_total", tier="memory", result="hits") == 1
    assert more("cache_operations_total", tier="memory", result="misses") == 3
    assert more("cache_operations_total", tier="memory", result="stored") == 3
    assert more("cache_entries", tier="memory") == 3
    assert more("cache_bytes", tier="memory") > 3 * 64 * 4
    assert after("cache_errors_total", tier="memory") == 0


def test_the_process_is_told(server: LocalServer) -> None:
    lines = Scrape(server).lines
    assert lines["process_resident_memory_bytes", frozenset()] > 1e7
    assert any(name == "python_info" for name, _ in lines)


def test_no_metrics_without_an_address(tmp_path: Path) -> None:
    with LocalServer(tmp_path, {"models": {}}) as server:
        assert not any('"event": "metrics"' in line for line in server.log)


def test_page_dashboard_and_alerts_name_what_there_is(server: LocalServer) -> None:
    line = next(line for line in server.log if '"event": "metrics"' in line)
    with urllib.request.urlopen(json.loads(line)["address"]) as reply:
        families = list(text_string_to_metric_families(reply.read().decode()))
    totals = {f"{f.name}_total" if f.type == "counter" else f.name for f in families}
    ours = {name for name in totals if name.startswith("latentspace_")}
    page = (ROOT / "docs" / "operations.md").read_text()
    assert set(re.findall(r"^\| `(latentspace_\w+)` \|", page, re.MULTILINE)) == ours
    for file in ("grafana-dashboard.json", "prometheus-alerts.yml"):
        named = set(re.findall(r"latentspace_\w+", (ROOT / "deploy" / file).read_text()))
        assert {re.sub("_(bucket|sum|count)$", "", name) for name in named} <= ours
