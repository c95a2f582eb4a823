"""Traces of a real server, as a real OTLP collector receives them."""

import subprocess
import sys
import time
from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import pytest

pytest.importorskip("opentelemetry.exporter.otlp.proto.grpc", reason="the extra tracing")

from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from embedders.errors import MissingExtraError
from latentspace import Client, key
from latentspace.errors import LatentspaceError
from services.app.local import LocalServer
from services.app.settings import TracingSettings
from services.app.tracers import open_tracer
from services.runtime.tracing import MAX_STAGES, Stage, StageName, collect, record
from tests.services.trace_collector import TraceCollector

TRACE_ID = "0af7651916cd43dd8448eb211c80319c"
CALLER_ID = "b7ad6b7169203331"
SAMPLED = f"00-{TRACE_ID}-{CALLER_ID}-01"
NOT_SAMPLED = f"00-{TRACE_ID}-{CALLER_ID}-00"


@pytest.fixture(scope="module")
def collector() -> Iterator[TraceCollector]:
    with TraceCollector() as running:
        yield running


@pytest.fixture(scope="module")
def server(
    tmp_path_factory: pytest.TempPathFactory, collector: TraceCollector
) -> Iterator[LocalServer]:
    settings = {
        "models": {"toy": {"family": "hash"}, "nodes": {"family": "node2vec"}},
        "tracing": {"endpoint": collector.endpoint},
        "cache": {"memory_mib": 16},
    }
    with pytest.MonkeyPatch.context() as patch:
        # spans leave in batches; the delay is in milliseconds
        patch.setenv("OTEL_BSP_SCHEDULE_DELAY", "50")
        running = LocalServer(tmp_path_factory.mktemp("traced"), settings)
    with running:
        yield running


@pytest.fixture(autouse=True)
def _forgotten(collector: TraceCollector) -> None:
    time.sleep(0.2)
    collector.received.clear()


@pytest.fixture
def client(server: LocalServer) -> Iterator[Client]:
    with Client(server.address) as opened:
        yield opened


def names(spans: list[Span]) -> list[str]:
    return [span.name for span in spans]


def attributes(span: Span) -> dict[str, object]:
    return {pair.key: pair.value.string_value or pair.value.int_value for pair in span.attributes}


def check_inside(call: Span, parts: list[Span]) -> None:
    """Parts lie within their call, one after the other, and in its trace."""
    assert {part.trace_id for part in parts} == {call.trace_id}
    assert parts[0].start_time_unix_nano >= call.start_time_unix_nano
    assert parts[-1].end_time_unix_nano <= call.end_time_unix_nano
    for one, other in pairwise(parts):
        assert one.end_time_unix_nano <= other.start_time_unix_nano


def test_an_embedding_is_a_span_with_its_stages_in_order(
    client: Client, collector: TraceCollector
) -> None:
    before = time.time_ns()
    client.embed("toy", texts=["a text to trace"])
    after = time.time_ns()
    [call] = collector.calls("/Embed")
    assert call.name == "latentspace.v1.EmbeddingService/Embed"
    assert call.kind == Span.SPAN_KIND_SERVER
    assert call.parent_span_id == b""
    assert before <= call.start_time_unix_nano < call.end_time_unix_nano <= after
    found = attributes(call)
    assert found["rpc.system"] == "grpc"
    assert found["rpc.service"] == "latentspace.v1.EmbeddingService"
    assert found["rpc.method"] == "Embed"
    assert call.status.code == Status.STATUS_CODE_UNSET
    parts = collector.parts(call)
    assert names(parts) == ["cache", "prepare", "queue", "encode"]
    check_inside(call, parts)


def test_what_the_cache_knows_is_not_encoded(client: Client, collector: TraceCollector) -> None:
    client.embed("toy", texts=["a text that is known then"])
    client.embed("toy", texts=["a text that is known then"])
    first, second = collector.calls("/Embed", 2)
    assert "encode" in names(collector.parts(first))
    assert names(collector.parts(second)) == ["cache"]


def test_a_search_by_text_embeds_then_searches(client: Client, collector: TraceCollector) -> None:
    client.create_collection("traced", model="toy", recipe="exact")
    client.upsert("traced", ids=["a"], texts=["some words"])
    client.search("traced", text="other words", k=1)
    client.search("traced", vector=np.ones(64, np.float32), k=1)
    by_text, by_vector = collector.calls("/Search", 2)
    parts = collector.parts(by_text)
    wanted = ["cache", "prepare", "queue", "encode", "queue", "search"]
    assert names(parts) == wanted
    check_inside(by_text, parts)
    assert names(collector.parts(by_vector)) == ["queue", "search"]
    [upsert] = collector.calls("/UpsertPoints")
    assert names(collector.parts(upsert)) == ["cache", "prepare", "queue", "encode"]


def test_lookups_and_analogies(client: Client, collector: TraceCollector) -> None:
    client.embed("nodes", keys=["Valjean"])
    client.analogy("nodes", positive=[key("Valjean"), key("Cosette")], negative=["Javert"], k=1)
    [embed] = collector.calls("/Embed")
    assert names(collector.parts(embed)) == ["prepare", "encode"]
    [analogy] = collector.calls("/Analogy")
    parts = collector.parts(analogy)
    assert names(parts) == ["prepare", "encode", "search"]
    check_inside(analogy, parts)


def test_a_callers_trace_goes_on(server: LocalServer, collector: TraceCollector) -> None:
    with Client(server.address, metadata=[("traceparent", SAMPLED)]) as client:
        client.models()
    [call] = collector.calls("/ListModels")
    assert call.trace_id.hex() == TRACE_ID
    assert call.parent_span_id.hex() == CALLER_ID
    resource = collector.received[-1].resource
    known = {pair.key: pair.value.string_value for pair in resource.attributes}
    assert known["service.name"] == "latentspace"


def test_what_the_caller_does_not_sample_is_not_sent(
    server: LocalServer, collector: TraceCollector
) -> None:
    with Client(server.address, metadata=[("traceparent", NOT_SAMPLED)]) as client:
        client.models()
        client.models()
    with Client(server.address) as client:
        client.collections()
    collector.calls("/ListCollections")
    assert not any(span.name.endswith("/ListModels") for span in collector.spans)


def test_refusals_are_spans_and_no_faults(client: Client, collector: TraceCollector) -> None:
    with pytest.raises(LatentspaceError):
        client.embed("nobody", texts=["x"])
    [call] = collector.calls("/Embed")
    assert attributes(call)["rpc.grpc.status_code"] == 5
    assert call.status.code == Status.STATUS_CODE_UNSET


def test_stages_are_kept_only_while_somebody_collects() -> None:
    record(StageName.CACHE, 1, 2)
    found = collect()
    record(StageName.CACHE, 1, 1)
    record(StageName.SEARCH, 3, 5)
    assert found == [Stage(StageName.SEARCH, 3, 5)]
    for number in range(2 * MAX_STAGES):
        record(StageName.QUEUE, number, number + 1)
    assert len(found) == MAX_STAGES


def test_nothing_is_imported_where_tracing_is_off() -> None:
    code = (
        "import sys, services.app.life; from services.app.settings import TracingSettings;"
        "from services.app.tracers import open_tracer;"
        "assert open_tracer(TracingSettings()) is None;"
        "print([name for name in sys.modules if name.startswith('opentelemetry')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    monkeypatch.delitem(sys.modules, "services.app.tracing", raising=False)
    with pytest.raises(MissingExtraError, match=r"latentspace-server\[tracing\]"):
        open_tracer(TracingSettings(endpoint="http://localhost:4317"))


def test_a_collector_that_is_away_fails_no_call(tmp_path_factory: pytest.TempPathFactory) -> None:
    settings = {
        "models": {"toy": {"family": "hash"}},
        "tracing": {"endpoint": "http://127.0.0.1:1"},
    }
    with LocalServer(tmp_path_factory.mktemp("away"), settings) as server:
        with Client(server.address) as client:
            for number in range(50):
                assert client.embed("toy", texts=[f"text {number}"]).shape == (1, 64)
        assert server.stop() == 0
