"""Every call has an id: in its trailers, its errors, the log, and what the command line says."""

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.rpc.error_details_pb2 import RequestInfo
from google.rpc.status_pb2 import Status
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from latentspace import Client, NotFoundError
from latentspace.cli.app import app
from latentspace.status import DETAILS_KEY
from latentspace.v1 import collection_service_pb2 as pb
from latentspace.v1.collection_service_pb2_grpc import CollectionServiceStub
from services.app.local import LocalServer
from services.runtime.request_ids import KEY, request_id

MADE = re.compile(r"[0-9a-f]{16}")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalServer]:
    settings = {
        "models": {"toy": {"family": "hash"}},
        "log": {"level": "debug", "format": "json"},
    }
    with LocalServer(Path(tmp_path_factory.mktemp("ids")), settings) as running:
        yield running


def trailers(server: LocalServer, name: str, *sent: tuple[str, str]) -> tuple[str, Status]:
    """The id in the trailers of a call for a collection, and the status of its failure."""
    with grpc.insecure_channel(server.address) as channel:
        stub = CollectionServiceStub(channel)
        with pytest.raises(grpc.RpcError) as caught:
            stub.GetCollection(pb.GetCollectionRequest(collection=name), metadata=sent)
    found = metadata_of(caught.value)
    return found[KEY], Status.FromString(found[DETAILS_KEY])


def metadata_of(call: Any) -> dict[str, Any]:
    """The trailers of a call that has ended."""
    return {one.key: one.value for one in call.trailing_metadata()}


def logged(server: LocalServer, name: str) -> list[dict[str, object]]:
    """The events of a call; its lines may come a little after its reply."""
    until = time.monotonic() + 10
    while True:
        events = [json.loads(line) for line in list(server.log)]
        own = [event for event in events if event.get("request_id") == name]
        if own or time.monotonic() > until:
            return own
        time.sleep(0.02)


def test_an_id_is_made_and_stands_everywhere(server: LocalServer) -> None:
    name, status = trailers(server, "nope")
    assert MADE.fullmatch(name)
    info = RequestInfo()
    assert any(detail.Unpack(info) for detail in status.details if detail.Is(info.DESCRIPTOR))
    assert info.request_id == name
    (event,) = logged(server, name)
    assert (event["event"], event["code"]) == ("call", "NOT_FOUND")
    assert trailers(server, "nope")[0] != name


def test_the_callers_own_id_is_kept(server: LocalServer) -> None:
    assert trailers(server, "nope", (KEY, "order-17/3"))[0] == "order-17/3"
    assert len(logged(server, "order-17/3")) == 1
    assert MADE.fullmatch(trailers(server, "nope", (KEY, "no good"))[0])


def test_calls_that_succeed_have_one_too(server: LocalServer) -> None:
    with grpc.insecure_channel(server.address) as channel:
        stub = CollectionServiceStub(channel)
        request = pb.ListCollectionsRequest()
        _, call = stub.ListCollections.with_call(request, metadata=((KEY, "well-1"),))
        _, plain = stub.ListCollections.with_call(request)
    assert metadata_of(call)[KEY] == "well-1"
    assert KEY not in metadata_of(plain)
    (event,) = logged(server, "well-1")
    assert event["code"] == "OK"


def test_errors_of_the_client_know_it(server: LocalServer) -> None:
    with (
        Client(server.address, metadata=[(KEY, "job-9")]) as client,
        pytest.raises(NotFoundError) as caught,
    ):
        client.collection("nope")
    assert caught.value.request_id == "job-9"
    assert "job-9" not in str(caught.value)
    assert caught.value.__notes__ == ["request job-9"]


def test_the_command_line_shows_it(server: LocalServer) -> None:
    env = {"LATENTSPACE_SERVER": server.address}
    done = CliRunner().invoke(app, ["collections", "show", "nope"], env=env)
    assert done.exit_code == 1
    shown = re.search(r"\(request ([0-9a-f]{16})\)$", done.stderr.strip())
    assert shown is not None, done.stderr
    assert len(logged(server, shown[1])) == 1


@given(st.text(max_size=200) | st.binary(max_size=20))
def test_what_is_not_sane_is_replaced(value: str | bytes) -> None:
    name = request_id([("other", "x"), (KEY, value)])
    assert name.isprintable()
    assert len(name) <= 128
    assert name == value or MADE.fullmatch(name)
