"""Datetimes in filters of every form, through both clients, the command line and the wire."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from latentspace import Client, InvalidArgumentError
from latentspace.cli.app import app
from latentspace.v1 import collection_service_pb2, collection_service_pb2_grpc, filter_pb2
from tests.long import examples

local = pytest.importorskip("services.app.local", reason="the server is not installed")

FIRST = datetime(2023, 12, 30, 22, 30, tzinfo=UTC)
HOURS = [FIRST + timedelta(hours=7 * i) for i in range(12)]
IDS = [f"h{i}" for i in range(len(HOURS))]
EAST = timezone(timedelta(hours=5, minutes=30))


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    models = {"toy": {"family": "hash", "options": {"dim": 8}}}
    with local.LocalServer(tmp_path_factory.mktemp("moments"), {"models": models}) as server:
        with Client(server.address) as client:
            client.create_collection("events", dim=2, fields={"when": "datetime", "n": "int"})
            payloads = [
                {"when": moment.astimezone(EAST if i % 2 else UTC).isoformat(), "n": i}
                for i, moment in enumerate(HOURS)
            ]
            rows = np.random.default_rng(0).standard_normal((len(IDS), 2))
            client.upsert("events", IDS, vectors=rows, payloads=payloads)
        yield server.address


def ids(client: Client, filter: dict[str, Any]) -> list[str]:
    points = list(client.scroll("events", filter=filter))
    assert client.count("events", filter=filter) == len(points)
    return [point.id for point in points]


def forms(moment: datetime) -> list[Any]:
    """One moment in all the forms that are taken."""
    naive = moment.astimezone(UTC).replace(tzinfo=None)
    return [
        moment,
        moment.astimezone(EAST).isoformat(),
        f"{naive.isoformat()}z",
        int(moment.timestamp()),
        moment.timestamp(),
        np.datetime64(naive, "ns"),
        np.datetime64(naive, "s"),
    ]


@pytest.mark.parametrize("operator", ["gt", "gte", "lt", "lte"])
@pytest.mark.parametrize("form", range(7))
def test_bounds(client: Client, operator: str, form: int) -> None:
    bound = HOURS[5]
    passes: Callable[[datetime], bool] = {
        "gt": lambda m: m > bound,
        "gte": lambda m: m >= bound,
        "lt": lambda m: m < bound,
        "lte": lambda m: m <= bound,
    }[operator]
    expected = [name for name, moment in zip(IDS, HOURS, strict=True) if passes(moment)]
    assert ids(client, {"when": {operator: forms(bound)[form]}}) == expected


def test_equality(client: Client) -> None:
    for form in forms(HOURS[3]):
        assert ids(client, {"when": form}) == ["h3"]
        assert ids(client, {"when": {"ne": form}}) == [name for name in IDS if name != "h3"]
        assert ids(client, {"when": {"in": [form, HOURS[7].isoformat()]}}) == ["h3", "h7"]
        assert "h3" not in ids(client, {"not": {"when": form}})


def test_a_date_is_its_midnight_in_utc(client: Client) -> None:
    start = datetime(2023, 12, 31, tzinfo=UTC)
    day = [name for name, m in zip(IDS, HOURS, strict=True) if start <= m < start + timedelta(1)]
    assert day
    assert ids(client, {"when": {"gte": "2023-12-31", "lt": "2024-01-01"}}) == day
    assert ids(client, {"when": {"gte": date(2023, 12, 31), "lt": date(2024, 1, 1)}}) == day
    assert ids(client, {"when": {"lt": "2023-12-31T23:59:60Z", "gte": "2023-12-31"}}) == day


@pytest.mark.parametrize(
    "wrong", ["soon", "2024-01-01T00:00:00", "2024-13-01", 1_704_067_200_000, "1704067200"]
)
def test_what_is_no_moment_is_named(client: Client, wrong: Any) -> None:
    for test in (wrong, {"gte": wrong}, {"in": [wrong]}, {"ne": wrong}):
        with pytest.raises(InvalidArgumentError, match=r"'when' is datetime.*seconds since 1970"):
            client.count("events", filter={"when": test})
    with pytest.raises(InvalidArgumentError, match=r"payload\.when|'when' is datetime"):
        client.upsert("events", ["bad"], vectors=[[1, 2]], payloads=[{"when": wrong}])


def test_a_boolean_is_no_moment(client: Client) -> None:
    with pytest.raises(InvalidArgumentError, match="when"):
        client.count("events", filter={"when": True})
    with pytest.raises(InvalidArgumentError, match="when"):
        client.count("events", filter={"when": {"gte": False}})


def test_strings_are_no_bounds_of_other_fields(client: Client) -> None:
    with pytest.raises(InvalidArgumentError, match="'n' is int"):
        client.count("events", filter={"n": {"gte": "2024-01-01"}})


def test_payloads_take_the_same_forms(client: Client) -> None:
    client.create_collection("forms", dim=2, fields={"when": "datetime"})
    made = forms(HOURS[0])
    names = [f"f{i}" for i in range(len(made))]
    rows = np.ones((len(made), 2))
    client.upsert("forms", names, vectors=rows, payloads=[{"when": form} for form in made])
    assert client.count("forms", filter={"when": HOURS[0]}) == len(made)
    assert client.delete("forms", filter={"when": HOURS[0].isoformat()}) == len(made)
    client.delete_collection("forms")


def test_groups_and_searches(client: Client) -> None:
    late = {"when": {"gte": HOURS[6].isoformat()}}
    found = client.search("events", vector=[1, 0], k=20, filter=late)
    assert {match.id for match in found} == set(IDS[6:])


def test_events_at_the_prompt(address: str, tmp_path: Path) -> None:
    run = CliRunner(env={"LATENTSPACE_SERVER": address})
    source = tmp_path / "events.jsonl"
    records = [
        {"id": "old", "text": "harbour", "when": "2023-01-05T10:00:00Z"},
        {"id": "new", "text": "ferry", "when": "2024-06-05T10:00:00+02:00"},
    ]
    source.write_text("".join(json.dumps(record) + "\n" for record in records))
    options = ["-c", "news", "--model", "toy", "--field", "when=datetime"]
    assert run.invoke(app, ["index", str(source), *options]).exit_code == 0
    for bound in ('"2024-01-01T00:00:00Z"', '"2024-01-01"', "1704067200", "1704067200.0"):
        arguments = ["search", "news", "--text", "x", "--json"]
        done = run.invoke(app, [*arguments, "--filter", f'{{"when": {{"gte": {bound}}}}}'])
        assert done.exit_code == 0, done.output
        assert '"new"' in done.output
        assert '"old"' not in done.output
    chosen = ["--filter", '{"when": {"lt": "2024-01-01"}}', "--out", str(tmp_path / "old.parquet")]
    done = run.invoke(app, ["export", "news", *chosen])
    assert done.exit_code == 0, done.output
    table = pytest.importorskip("pyarrow.parquet").read_table(tmp_path / "old.parquet")
    assert table["id"].to_pylist() == ["old"]


def test_the_wire(address: str) -> None:
    value = filter_pb2.Value(string_value=HOURS[4].isoformat())
    condition = filter_pb2.Condition(field="when", equal=value)
    with grpc.insecure_channel(address) as channel:
        stub = collection_service_pb2_grpc.CollectionServiceStub(channel)
        request = collection_service_pb2.CountPointsRequest(
            collection="events", filter=filter_pb2.Filter(condition=condition)
        )
        assert stub.CountPoints(request).count == 1


@pytest.fixture
def plain(address: str) -> Iterator[Client]:
    with Client(address) as client:
        yield client


@settings(
    max_examples=examples(30),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    st.datetimes(datetime(2023, 12, 30), datetime(2024, 1, 3)),
    st.sampled_from(["gt", "gte", "lt", "lte", "ne"]),
    st.integers(0, 6),
)
def test_any_moment(plain: Client, naive: datetime, operator: str, form: int) -> None:
    bound = naive.replace(microsecond=0, tzinfo=UTC)
    ours = plain.count("events", filter={"when": {operator: forms(bound)[form]}})
    compare = {
        "gt": datetime.__gt__,
        "gte": datetime.__ge__,
        "lt": datetime.__lt__,
        "lte": datetime.__le__,
        "ne": datetime.__ne__,
    }[operator]
    assert ours == sum(compare(moment, bound) for moment in HOURS)
