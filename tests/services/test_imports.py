"""ImportSource through a real server: what it writes, and what happens when it is stopped."""

import json
from collections.abc import Iterator
from dataclasses import fields
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from latentspace import (
    CallCancelledError,
    Client,
    InvalidArgumentError,
    LatentspaceError,
    NotFoundError,
    PermissionDeniedError,
)
from latentspace.cli.app import app
from latentspace.indexing.job import run_job
from latentspace.indexing.options import JobOptions
from latentspace.indexing.sources.choosing import open_source
from latentspace.indexing.sources.options import SourceOptions
from latentspace.requests.options import EmbedOptions
from latentspace.results.operation import Progress
from services.app.local import LocalServer
from services.rpc.import_params import ImportParams
from tests.services.training_world import children, serving, until

# Seconds of work: it is stopped before its end.
MANY = 200_000

World = tuple[LocalServer, Client, Path]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("imports")
    with serving(folder) as (server, client):
        lines(folder / "shared/many.txt", MANY)
        yield server, client, folder


@pytest.fixture
def name(request: pytest.FixtureRequest, world: World) -> str:
    made = "c" + format(abs(hash(request.node.nodeid)), "x")[:12]
    world[1].create_collection(made, model="toy")
    return made


def lines(path: Path, count: int) -> Path:
    path.write_text("\n".join(f"line {i}" for i in range(count)))
    return path


def contents(client: Client, name: str) -> dict[str, Any]:
    found = client.scroll(name, with_vectors=True)
    return {one.id: (one.payload, one.modality, one.vector.tolist()) for one in found}  # type: ignore[union-attr]


def test_an_import_writes_what_a_job_writes(world: World, name: str) -> None:
    server, client, folder = world
    rows = [{"id": f"r{i}", "text": f"text {i}", "year": 1900 + i} for i in range(3000)]
    rows.insert(7, {"id": "bad", "text": ""})
    source = folder / "shared/rows.jsonl"
    source.write_text("\n".join(map(json.dumps, rows)))
    params = {"payload_columns": ["year"], "batch_items": 100}
    started = client.import_source(name, "rows.jsonl", params=params)
    seen = list(started.watch())
    ended = seen[-1]
    assert (ended.kind, ended.target, ended.state) == ("import", name, "succeeded")
    assert {"importing"} <= {one.progress.stage for one in seen}
    assert ended.progress.done == 3001
    assert ended.progress.unit == "records"
    counts = {"written": 3000, "unchanged": 0, "failed": 1, "deleted": 0}
    assert {key: ended.result[key] for key in counts} == counts
    assert ended.progress.metrics.items() >= counts.items()
    assert ended.progress.metrics["rate"] > 0
    (failure,) = ended.result["failures"]
    assert (failure["id"], failure["place"], failure["reason"]) == (
        "bad",
        "rows.jsonl:8",
        "NO_INPUT",
    )
    letters = Path(ended.result["dead_letters"])
    assert letters.parent == folder / "data/imports"
    assert json.loads(letters.read_text()) == failure
    provenance = ended.result["provenance"]
    assert provenance["source_sha256"] == sha256(source.read_bytes()).hexdigest()
    assert provenance["params"]["payload_columns"] == ["year"]
    assert (provenance["model"], provenance["space_id"]) == ("toy", client.model("toy").space_id)
    assert provenance["versions"]["latentspace-server"]
    assert not children(server)
    # the same source by a job of this process, point for point
    client.create_collection(f"{name}-here", model="toy")
    said = SourceOptions(payload_columns=("year",))
    run_job(client, open_source(str(source), said), JobOptions(f"{name}-here"))
    assert contents(client, name) == contents(client, f"{name}-here")
    again = client.import_source(name, source, params=params, wait=True)
    assert again.result["unchanged"] == 3000
    assert again.result["written"] == 0


def test_an_import_knows_every_option_of_a_job() -> None:
    """By the same names and defaults, so that none is forgotten when one is added."""
    known = {one.name: getattr(ImportParams(), one.name) for one in fields(ImportParams)}
    job = {one.name: getattr(JobOptions(""), one.name) for one in fields(JobOptions)}
    wanted = {one.name: getattr(SourceOptions(), one.name) for one in fields(SourceOptions)}
    wanted |= {name: value for name, value in job.items() if name not in ("collection", "embed")}
    assert {name: known.get(name, "none") for name in wanted} == wanted
    assert known.keys() - wanted.keys() == EmbedOptions.__annotations__.keys()
    assert ImportParams().source == SourceOptions()
    assert ImportParams().job("c") == JobOptions("c")
    said = ImportParams(id_column="i", glob="*.png", resize=9, role="query", dimensions=4)
    assert said.source == SourceOptions(id_column="i", glob="*.png")
    assert said.job("c") == JobOptions("c", resize=9, embed={"role": "query", "dimensions": 4})


def test_a_source_is_mirrored(world: World, name: str) -> None:
    _, client, folder = world
    source = lines(folder / "shared/shrinking.txt", 50)
    client.import_source(name, source, wait=True)
    lines(source, 20)
    ended = client.import_source(name, source, params={"delete_missing": True}, wait=True)
    assert (ended.result["unchanged"], ended.result["deleted"]) == (20, 30)
    assert client.count(name) == 20


def test_an_export_comes_back_as_it_was(world: World, name: str) -> None:
    _, client, folder = world
    client.import_source(name, lines(folder / "shared/few.txt", 40), wait=True)
    for out in ("exported", "exported.parquet"):
        if out.endswith("parquet"):
            pytest.importorskip("pyarrow", reason="pyarrow is not installed")
        client.export(name, folder / "shared" / out)
        back = f"{name}-{out.partition('.')[2] or 'folder'}"
        client.create_collection(back, model="toy")
        ended = client.import_source(back, out, wait=True)
        assert ended.result["written"] == 40
        found, wanted = contents(client, back), contents(client, name)
        assert {id: one[1:] for id, one in found.items()} == {
            id: one[1:] for id, one in wanted.items()
        }
        assert found["1"][1] == "text"


def test_files_that_a_source_names_lie_below_the_roots_too(world: World, name: str) -> None:
    _, client, folder = world
    shared = folder / "shared"
    (folder / "secret.png").write_bytes(b"not for you")
    (shared / "link.png").symlink_to(folder / "secret.png")
    named = [str(folder / "secret.png"), "../secret.png", "link.png", "none.png"]
    rows = "\n".join(json.dumps({"id": str(i), "image": path}) for i, path in enumerate(named))
    (shared / "images.jsonl").write_text(rows)
    with pytest.raises(LatentspaceError, match=r"all 4 records failed.* reads files only of"):
        client.import_source(name, "images.jsonl", wait=True)
    (letters,) = (folder / "data/imports").glob(f"{name}-*.jsonl")
    reasons = [json.loads(line)["reason"] for line in letters.read_text().splitlines()]
    assert reasons == ["SOURCE_DENIED"] * 3 + ["UNREADABLE"]
    # nor do the files of an export lead out of them
    (shared / "linked").mkdir()
    (shared / "linked/ids.txt").symlink_to(folder / "secret.png")
    (shared / "linked/vectors.npy").symlink_to(folder / "secret.png")
    with pytest.raises(PermissionDeniedError):
        client.import_source(name, "linked")


@pytest.mark.parametrize("source", ["{}/secret.txt", "../secret.txt", "/etc/passwd", "-"])
def test_sources_outside_the_roots_are_refused(world: World, name: str, source: str) -> None:
    _, client, folder = world
    (folder / "secret.txt").write_text("a\nb")
    with pytest.raises((PermissionDeniedError, InvalidArgumentError)) as caught:
        client.import_source(name, source.format(folder))
    assert source == "-" or isinstance(caught.value, PermissionDeniedError)


@pytest.mark.parametrize(
    ("params", "field", "said"),
    [
        ({"columns": 1}, "params.columns", "options: .*batch_items"),
        ({"batch_items": 0}, "params.batch_items", "greater than or equal to 1"),
        ({"kind": "novel"}, "params.kind", "images"),
        ({"types": {"a": "colour"}}, "params.types.a", "keyword"),
        ({"glob": "*.png"}, "source", "glob does not go with a source of the kind text"),
        ({"kind": "edges", "quotes": False}, "source", "quotes does not go with"),
    ],
)
def test_what_does_not_fit_is_told(
    world: World, name: str, params: dict[str, Any], field: str, said: str
) -> None:
    _, client, folder = world
    lines(folder / "shared/fit.txt", 3)
    with pytest.raises(InvalidArgumentError, match=said) as caught:
        client.import_source(name, "fit.txt", params=params)
    assert [one.field for one in caught.value.field_violations] == [field]
    assert name not in {one.target for one in client.operations(kind="import")}


def test_collections_that_cannot_be_written(world: World) -> None:
    _, client, folder = world
    lines(folder / "shared/some.txt", 3)
    with pytest.raises(NotFoundError, match="nowhere"):
        client.import_source("nowhere", "some.txt")


def test_vocabularies_cannot_be_written(client: Client) -> None:
    with pytest.raises(InvalidArgumentError, match="is a vocabulary"):
        client.import_source("words", "some.txt")


def test_too_many_errors_end_it_with_what_was_done(world: World, name: str) -> None:
    _, client, folder = world
    rows = [{"text": f"t {i}"} if i < 500 else {"text": ""} for i in range(600)]
    (folder / "shared/worse.jsonl").write_text("\n".join(map(json.dumps, rows)))
    params = {"max_errors": 10, "batch_items": 100}
    started = client.import_source(name, "worse.jsonl", params=params)
    with pytest.raises(LatentspaceError, match=r"11 records failed.*start it again to go on"):
        started.wait()
    ended = started.refresh()
    assert ended.state == "failed"
    assert ended.progress.metrics["failed"] == 11
    assert client.count(name) <= 500


def test_cancelling_ends_the_process_and_what_is_written_stays(world: World, name: str) -> None:
    server, client, folder = world
    started = client.import_source(name, "many.txt")
    until(lambda: client.count(name) > 2000)
    with pytest.raises(InvalidArgumentError, match="under way"):
        client.import_source(name, "many.txt")
    (child,) = children(server)
    started.cancel()
    with pytest.raises(CallCancelledError):
        started.wait()
    assert started.refresh().state == "cancelled"
    assert not child.is_running()
    assert not list((folder / "data/jobs").glob("*"))
    written = client.count(name)
    assert 2000 < written < MANY
    # started again, it goes on
    lines(folder / "shared/begun.txt", 3000)
    ended = client.import_source(name, "begun.txt", wait=True)
    assert ended.result["unchanged"] == min(written, 3000)


def test_progress_tells_the_time_left(world: World, name: str) -> None:
    arrow = pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    parquet = pytest.importorskip("pyarrow.parquet", reason="pyarrow is not installed")
    _, client, folder = world
    table = arrow.table({"id": [str(i) for i in range(20_000)], "text": ["word"] * 20_000})
    parquet.write_table(table, folder / "shared/table.parquet")
    seen: list[Progress] = [
        one.progress for one in client.import_source(name, "table.parquet").watch()
    ]
    known = [one for one in seen if one.stage == "importing" and one.eta_ms is not None]
    assert known
    assert all(one.total == 20_000 for one in known)
    assert [one.done for one in known] == sorted(one.done for one in known)


def test_it_goes_on_without_its_caller_and_is_told_of_after_a_crash(tmp_path: Path) -> None:
    with serving(tmp_path) as (server, client):
        lines(tmp_path / "shared/many.txt", 60_000)
        client.create_collection("kept", model="toy")
        client.create_collection("cut", model="toy")
        with Client(server.address) as leaving:
            id = leaving.import_source("kept", "many.txt").id
        assert client.operation(id).wait().result["written"] == 60_000
        cut = client.import_source("cut", "many.txt")
        until(lambda: client.count("cut") > 1000)
        server.kill()
    with serving(tmp_path) as (_, client):
        assert [one.id for one in client.operations(kind="import")] == [cut.id, id]
        failed = client.operation(cut.id)
        assert failed.state == "failed"
        assert "server stopped" in str(failed.error)
        assert client.operation(id).result["written"] == 60_000
        ended = client.import_source("cut", "many.txt", wait=True)
        assert ended.result["unchanged"] > 1000
        assert ended.result["unchanged"] + ended.result["written"] == 60_000
        assert contents(client, "cut") == contents(client, "kept")


def test_a_server_that_goes_down_does_not_wait_for_its_imports(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are callers of its own, whose stream would keep it open for all of its grace."""
    monkeypatch.setenv("LATENTSPACE_DRAIN_S", "100000")
    with serving(tmp_path) as (server, client):
        lines(tmp_path / "shared/many.txt", MANY)
        client.create_collection("cut", model="toy")
        cut = client.import_source("cut", "many.txt")
        until(lambda: client.count("cut") > 1000)
        assert server.stop() == 0
    with serving(tmp_path) as (_, client):
        failed = client.operation(cut.id)
        assert (failed.state, "server stopped" in str(failed.error)) == ("failed", True)
        assert client.count("cut") > 1000


def test_from_the_command_line(world: World, tmp_path: Path) -> None:
    server, client, folder = world
    rows = [{"id": f"r{i}", "text": f"text {i}", "year": i} for i in range(30)]
    rows.append({"id": "bad", "text": ""})
    (folder / "shared/said.jsonl").write_text("\n".join(map(json.dumps, rows)))
    runner = CliRunner()
    command = ["index", "said.jsonl", "-c", "said", "--server", server.address, "--on-server"]
    asked = [*command, "--model", "toy", "--field", "year=int", "--payload-column", "year"]
    found = runner.invoke(app, asked)
    assert found.exit_code == 4
    assert "30 written, 0 unchanged, 1 failed" in found.output
    assert "said.jsonl:31: NO_INPUT" in found.output
    assert client.get("said", "r3")[0].payload is not None
    assert client.count("said", filter={"year": 3}) == 1
    events = runner.invoke(app, [*command, "--payload-column", "year", "--json"])
    told = [json.loads(line) for line in events.stdout.splitlines()]
    assert {one["event"] for one in told} == {"progress", "failed", "summary"}
    assert (told[-1]["unchanged"], told[-1]["failed"], told[-2]["id"]) == (30, 1, "bad")
    assert told[-1]["provenance"]["source_sha256"]
    letters = tmp_path / "letters.jsonl"
    for wrong, said in (
        (["--dead-letters", str(letters)], "the server writes the dead letters itself"),
        (["--ray", "local"], "not both"),
    ):
        refused = runner.invoke(app, [*command, *wrong])
        assert refused.exit_code == 2
        assert said in refused.output
    refused = runner.invoke(app, ["index", "-", *command[2:]])
    assert refused.exit_code == 2
