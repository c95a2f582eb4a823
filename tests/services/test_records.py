"""Records of other versions and damaged ones cost themselves alone, through real restarts."""

import json
import random
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import grpc
import pytest

from latentspace import Client, InvalidArgumentError, OperationState
from latentspace.v1.training_service_pb2 import TrainModelRequest
from latentspace.v1.training_service_pb2_grpc import TrainingServiceStub
from services.app.local import LocalServer
from services.runtime.operations import Operation
from services.runtime.records import RecordReader

SETTINGS: dict[str, Any] = {"models": {"toy": {"family": "hash", "options": {"dim": 8}}}}


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with a record of each kind."""
    folder = tmp_path_factory.mktemp("filled")
    with LocalServer(folder, SETTINGS) as server, Client(server.address) as client:
        client.create_collection("c", model="toy")
        client.upsert("c", ["a"], texts=["a"])
        client.set_alias("other", "c")
        client.create_label_set("pets", model="toy", labels=["cat", "dog"])
        client.create_label_set("cars", model="toy", labels=["van", "bus"])
        client.snapshot("c", "first")
        client.snapshot("c", "second")
        client.optimize("c")
    with closing(sqlite3.connect(folder / "catalog.db")) as catalog, catalog:
        record = {"family": "word2vec", "file": "gone/model.safetensors", "load": False}
        catalog.execute("insert into trained_model values ('trained', ?)", (json.dumps(record),))
    return folder


NEWER: dict[str, Any] = {"invented_later": {"x": [1]}}
DAMAGE: dict[str, Any] = {
    "torn": lambda text: text[: len(text) // 2],
    "empty": lambda text: "",
    "a list": lambda text: "[1, 2]",
    "null": lambda text: "null",
    "another type": lambda text: json.dumps({key: {"x": 1} for key in json.loads(text)}),
    "no fields": lambda text: "{}",
    "nested": lambda text: "[" * 100_000,
    "not UTF-8": lambda text: text.replace('"', '"\udcff', 1),
}


def changed(folder: Path, change: Any) -> None:
    """Changes one record of each kind: the last operation, a label set, a model, a card."""
    with closing(sqlite3.connect(folder / "catalog.db")) as catalog, catalog:
        for table, where in (
            ("operation", "serial = (select max(serial) from operation)"),
            ("label_set", "name = 'pets'"),
            ("trained_model", "id = 'trained'"),
        ):
            ((text,),) = catalog.execute(f"select record from {table} where {where}").fetchall()
            fresh = change(text).encode(errors="surrogateescape")
            statement = f"update {table} set record = cast(? as text) where {where}"
            catalog.execute(statement, (fresh,))
        catalog.execute("insert into alias values (cast(? as text), 'c')", (b"al\xffias",))
    card = next((folder / "snapshots").glob("first*.json"))
    card.write_bytes(change(card.read_text()).encode(errors="surrogateescape"))


@pytest.mark.parametrize("kind", DAMAGE)
def test_a_damaged_record_costs_itself_alone(filled: Path, tmp_path: Path, kind: str) -> None:
    folder = tmp_path / "data"
    shutil.copytree(filled, folder)
    changed(folder, DAMAGE[kind])
    with LocalServer(folder, SETTINGS) as server, Client(server.address) as client:
        assert client.get("other", ["a"])[0].id == "a"
        assert [label_set.name for label_set in client.label_sets()] == ["cars"]
        assert len(client.operations()) == 2
        # its archive is whole, so it can still be restored
        assert {snapshot.name for snapshot in client.snapshots()} == {"first", "second"}
        client.restore("first", "again")
        assert client.count("again") == 1
        log = "\n".join(server.log)
    # a torn model record may also say only that its file is gone
    assert log.count("record unusable") >= 3


def test_fields_of_a_newer_version_are_passed_over(filled: Path, tmp_path: Path) -> None:
    folder = tmp_path / "data"
    shutil.copytree(filled, folder)
    changed(folder, lambda text: json.dumps({**json.loads(text), **NEWER}))
    with LocalServer(folder, SETTINGS) as server, Client(server.address) as client:
        assert [label_set.name for label_set in client.label_sets()] == ["cars", "pets"]
        states = [operation.state for operation in client.operations()]
        assert states == [OperationState.SUCCEEDED] * 3
        assert {snapshot.collection for snapshot in client.snapshots()} == {"c"}
        label = client.classify("toy", texts=["cat"], label_set="pets")[0][0]
        assert label.label == "cat"


def test_flipped_bits_give_a_record_or_none() -> None:
    record = json.dumps(
        {"id": "o", "kind": "train", "target": "m", "unit": "rows", "state": "failed", "done": 7}
    ).encode()
    reader, random_bits = RecordReader(Operation), random.Random(0)
    outcomes = set()
    for _ in range(2000):
        damaged = bytearray(record)
        damaged[random_bits.randrange(len(record))] ^= 1 << random_bits.randrange(8)
        operation = reader.read(bytes(damaged), "test")
        outcomes.add(type(operation))
        if operation is not None:
            assert isinstance(operation.id, str)
            assert isinstance(operation.done, int)
    assert outcomes == {Operation, type(None)}


@pytest.fixture
def shelf(client: Client, name: str) -> Iterator[str]:
    client.create_collection(name, dim=2)
    yield name
    client.delete_collection(name)


@pytest.mark.parametrize(
    "token",
    ["s8000000000000000", "s" + "f" * 16, "s" + "f" * 40, "s-1", "s_1", "s 1", "s0x1", "s٣"],
)
def test_forged_cursors(shelf: str, client: Client, token: str) -> None:
    with pytest.raises(InvalidArgumentError, match="not a cursor of this collection"):
        client.list_points(shelf, page_token=token)


@pytest.mark.parametrize("params", [b"[" * 200_000, b'{"a":' * 100_000, b"\xff", b'{"dim": NaN}'])
def test_parameters_nested_too_deep_or_damaged(channel: grpc.Channel, params: bytes) -> None:
    stub = TrainingServiceStub(channel)
    request = TrainModelRequest(family="word2vec", model="m", source="x", params=params)
    with pytest.raises(grpc.RpcError) as refused:
        stub.TrainModel(request)
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
