"""`latentspace index` against the server itself."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from latentspace import Client
from latentspace.cli.app import app
from latentspace.cli.progress import Pace, duration
from latentspace.results.point import Point

local = pytest.importorskip("services.app.local", reason="the server is not installed")

DIM = 12
PROGRAM = str(Path(sys.executable).parent / "latentspace")
Run = Callable[..., Result]


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    settings = {
        "models": {
            "toy": {"family": "hash", "options": {"dim": DIM}},
            "other": {"family": "hash", "options": {"dim": 8}},
        }
    }
    with local.LocalServer(tmp_path_factory.mktemp("index") / "data", settings) as running:
        yield running.address


@pytest.fixture
def client(address: str) -> Iterator[Client]:
    """A client; collections are gone at the end."""
    with Client(address) as made:
        yield made
        for one in made.collections():
            made.delete_collection(one.name)


@pytest.fixture
def run(client: Client) -> Run:
    def call(*arguments: object, **options: Any) -> Result:
        command = ["--server", client.target, "index", *map(str, arguments)]
        return CliRunner().invoke(app, command, **options)

    return call


def events(result: Result, kind: str) -> list[dict[str, Any]]:
    assert isinstance(result.stdout, str)
    found = [json.loads(line) for line in result.stdout.splitlines()]
    return [one for one in found if one["event"] == kind]


def counts(result: Result) -> tuple[int, ...]:
    """Read, written, unchanged, failed, deleted."""
    summary = events(result, "summary")[-1]
    return tuple(summary[n] for n in ("read", "written", "unchanged", "failed", "deleted"))


def write_lines(path: Path, rows: dict[str, dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps({"id": id, **row}) + "\n" for id, row in rows.items()))
    return path


def rows_of(count: int) -> dict[str, dict[str, Any]]:
    return {f"r{i}": {"text": f"text {i}", "year": 1990 + i} for i in range(count)}


def payload(point: Point) -> dict[str, Any]:
    return {name: value for name, value in (point.payload or {}).items() if name != "_digest"}


def same_points(client: Client, name: str, rows: dict[str, dict[str, Any]]) -> None:
    """A collection holds just what the rows say."""
    points = {point.id: point for point in client.scroll(name, with_vectors=True)}
    assert points.keys() == rows.keys()
    vectors = client.embed("toy", texts=[row["text"] for row in rows.values()])
    for (id, row), vector in zip(rows.items(), vectors, strict=True):
        assert payload(points[id]) == {n: value for n, value in row.items() if n != "text"}
        stored = points[id].vector
        assert stored is not None
        np.testing.assert_allclose(stored, vector, atol=1e-7)


def test_made_updated_and_mirrored(client: Client, run: Run, tmp_path: Path) -> None:
    rows = rows_of(700)
    source = write_lines(tmp_path / "rows.jsonl", rows)
    call = (source, "-c", "notes", "--model", "toy", "--recipe", "hnsw", "--field", "year=int")
    first = run(*call, "--json", "--batch", 100)
    assert first.exit_code == 0, first.stderr
    assert counts(first) == (700, 700, 0, 0, 0)
    assert events(first, "summary")[0]["finished"]
    made = client.collection("notes")
    assert (made.model, made.asked_recipe, made.fields) == ("toy", "hnsw", {"year": "int"})
    same_points(client, "notes", rows)
    version = client.collection("notes").version
    assert counts(run(*call, "--json")) == (700, 0, 700, 0, 0)
    assert client.collection("notes").version == version
    rows["r7"]["text"], rows["r8"]["year"] = "another", 3
    del rows["r9"]
    rows["new"] = {"text": "new", "year": 4}
    write_lines(source, rows)
    assert counts(run(*call, "--json")) == (700, 3, 697, 0, 0)
    assert client.count("notes") == 701
    mirrored = run(*call, "--delete-missing")
    assert mirrored.exit_code == 0
    assert mirrored.stdout.startswith(
        f"indexed {source} into notes: 0 written, 700 unchanged, 0 failed, 1 deleted in "
    )
    same_points(client, "notes", rows)


def test_bad_records(client: Client, run: Run, tmp_path: Path) -> None:
    source, letters = tmp_path / "rows.jsonl", tmp_path / "letters.jsonl"
    bad = [{"id": f"b{i}"} for i in range(6)]
    good = {"id": "good", "text": "a"}
    source.write_text("".join(json.dumps(one) + "\n" for one in [*bad, good]) + "{broken\n")
    letters.write_text("of an earlier run\n")
    call = (source, "-c", "notes", "--model", "toy")
    done = run(*call, "--dead-letters", letters)
    assert done.exit_code == 4
    assert f"7 records failed: {letters}" in done.stderr
    written = [json.loads(line) for line in letters.read_text().splitlines()]
    assert [one["id"] for one in written] == [*(f"b{i}" for i in range(6)), ""]
    assert [list(one) for one in written] == [["place", "id", "reason", "message"]] * 7
    assert written[6]["place"] == "rows.jsonl:8"
    assert written[6]["reason"] == "UNREADABLE"
    shown = run(*call)
    assert shown.exit_code == 4
    assert shown.stderr.count("rows.jsonl:") == 5
    assert "and 2 records more: --dead-letters FILE" in shown.stderr
    told = run(*call, "--json")
    assert (told.exit_code, told.stderr) == (4, "")
    assert [one["id"] for one in events(told, "failed")] == [one["id"] for one in written]
    assert counts(told) == (8, 0, 1, 7, 0)
    source.write_text(json.dumps(good))
    clean = run(*call, "--dead-letters", letters)
    assert (clean.exit_code, clean.stderr, letters.exists()) == (0, "", False)
    letters.write_text("of an earlier run\n")
    piped = run("-", "-c", "notes", "--dead-letters", letters, input=json.dumps(good))
    assert (piped.exit_code, letters.exists()) == (0, False), piped.stderr
    source.write_text("{broken\n")
    assert run(*call).exit_code == 1
    assert client.count("notes") == 1


def test_refused_by_the_server(client: Client, run: Run, tmp_path: Path) -> None:
    rows: dict[str, dict[str, Any]] = {
        "a": {"text": "a", "year": 1},
        "b": {"text": "b", "year": "not a number"},
    }
    source = write_lines(tmp_path / "rows.jsonl", rows)
    done = run(source, "-c", "notes", "--model", "toy", "--field", "year=int", "--json")
    assert done.exit_code == 4
    failed = events(done, "failed")
    assert [(one["id"], one["place"]) for one in failed] == [("b", "rows.jsonl:2")]
    assert "year" in failed[0]["message"]
    assert [point.id for point in client.scroll("notes")] == ["a"]


def test_too_many_errors(client: Client, run: Run, tmp_path: Path) -> None:
    source = tmp_path / "rows.jsonl"
    source.write_text("{broken\n" * 3 + json.dumps({"id": "a", "text": "a"}))
    call = (source, "-c", "notes", "--model", "toy", "--max-errors")
    stopped = run(*call, 2)
    assert stopped.exit_code == 1
    assert "more than the 2 allowed" in stopped.stderr
    assert "run it again" in stopped.stderr
    assert stopped.stdout.startswith("stopped ")
    assert run(*call, 3).exit_code == 4
    assert client.count("notes") == 1


def test_wrong_command_lines(client: Client, run: Run, tmp_path: Path) -> None:
    source = write_lines(tmp_path / "rows.jsonl", rows_of(2))
    fitting = ("--model", "toy", "--field", "year=int")
    assert run(source, "-c", "notes", *fitting).exit_code == 0
    again = run(source, "-c", "notes", *fitting, "--metric", "cosine", "--recipe", "auto")
    assert again.exit_code == 0, again.stderr
    text = source.read_text()
    for arguments, problem in (
        ((source, "-c", "other"), "--model"),
        ((source, "-c", "notes", "--model", "other"), "is of the model toy"),
        ((source, "-c", "notes", "--dim", 3), "notes is there and has"),
        ((source, "-c", "notes", "--metric", "l2"), "the metric cosine"),
        ((source, "-c", "notes", "--recipe", "hnsw"), "collections update notes --recipe hnsw"),
        ((source, "-c", "notes", "--field", "year=float"), "year as int"),
        ((tmp_path / "no.jsonl", "-c", "notes"), "no such file"),
        ((source, "-c", "notes", "--field", "year=string"), "NAME=TYPE"),
        ((source, "-c", "notes", "--glob", "*.png"), "glob"),
        ((source, "-c", "notes", "--dead-letters", source), "is the source"),
        ((source,), "--collection"),
    ):
        done = run(*arguments)
        assert done.exit_code == 2, done.stderr
        assert problem in done.stderr
    assert source.read_text() == text
    assert run(source, "-c", "more", "--model", "nope").exit_code == 1
    done = CliRunner().invoke(app, ["--server", "127.0.0.1:1", "index", str(source), "-c", "a"])
    assert done.exit_code == 3
    assert [one.name for one in client.collections()] == ["notes"]


def test_columns(client: Client, run: Run, tmp_path: Path) -> None:
    source = tmp_path / "rows.csv"
    source.write_text("name,words,year,left\na,text a,1990,x\nb,text b,1991,y\n")
    call = (source, "-c", "notes", "--model", "toy", "--field", "year=int")
    chosen = ("--id-column", "name", "--input-column", "words", "--payload-column", "year")
    done = run(*call, *chosen, "--json")
    assert counts(done) == (2, 2, 0, 0, 0), done.stderr
    rows = {"a": {"text": "text a", "year": 1990}, "b": {"text": "text b", "year": 1991}}
    same_points(client, "notes", rows)
    assert client.count("notes", filter={"year": {"gt": 1990}}) == 1


def test_fields_join_a_collection_that_is_there(client: Client, run: Run, tmp_path: Path) -> None:
    source = write_lines(tmp_path / "rows.jsonl", rows_of(3))
    assert run(source, "-c", "notes", "--model", "toy").exit_code == 0
    assert run(source, "-c", "notes", "--field", "year=int").exit_code == 0
    assert client.count("notes", filter={"year": {"gte": 1991}}) == 2


@pytest.mark.parametrize("name", ["points.parquet", "points"])
@pytest.mark.parametrize("metric", ["cosine", "l2"])
def test_exports_come_back(
    client: Client, run: Run, tmp_path: Path, name: str, metric: str
) -> None:
    if name.endswith(".parquet"):
        pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    source = write_lines(tmp_path / "rows.jsonl", rows_of(600))
    call = ("--model", "toy", "--metric", metric, "--field", "year=int")
    assert run(source, "-c", "notes", *call).exit_code == 0
    out = str(tmp_path / name)
    command = ["--server", client.target, "export", "notes", "--out", out]
    assert CliRunner().invoke(app, command).exit_code == 0
    done = run(out, "-c", "copy", "--json")
    assert done.exit_code == 0, done.stderr
    assert counts(done) == (600, 600, 0, 0, 0)
    first, second = client.collection("notes"), client.collection("copy")
    for what in ("model", "space_id", "metric", "dim", "fields", "asked_recipe"):
        assert getattr(first, what) == getattr(second, what)
    mine = {point.id: point for point in client.scroll("notes", with_vectors=True)}
    theirs = {point.id: point for point in client.scroll("copy", with_vectors=True)}
    assert mine.keys() == theirs.keys()
    for id, point in mine.items():
        assert payload(point) == payload(theirs[id])
        before, after = point.vector, theirs[id].vector
        assert before is not None
        assert after is not None
        np.testing.assert_allclose(after, before, atol=1e-7)
    assert counts(run(out, "-c", "copy", "--json")) == (600, 0, 600, 0, 0)
    assert [m.id for m in client.search("copy", text="text 3", k=1)] == ["r3"]
    refused = run(out, "-c", "elsewhere", "--model", "other")
    assert refused.exit_code == 1
    assert "space" in refused.stderr


def test_exports_without_their_model(client: Client, run: Run, tmp_path: Path) -> None:
    np.save(tmp_path / "vectors.npy", np.eye(3, dtype=np.float32))
    (tmp_path / "ids.txt").write_text("a\nb\nc\n")
    assert run(tmp_path, "-c", "mine", "--metric", "dot", "--json").exit_code == 0
    assert (client.collection("mine").dim, str(client.collection("mine").metric)) == (3, "dot")
    assert [match.id for match in client.search("mine", vector=[0, 1, 0], k=1)] == ["b"]
    (tmp_path / "ids.txt").write_text("a\nb\na\n")
    twice = events(run(tmp_path, "-c", "mine", "--json"), "failed")
    assert [(one["id"], one["reason"]) for one in twice] == [("a", "REPEATED_ID")]
    (tmp_path / "ids.txt").write_text("a\nb\nc\n")
    about = {"collection": "x", "model": "gone", "space_id": "a space", "metric": "l2", "dim": 3}
    (tmp_path / "meta.json").write_text(json.dumps(about))
    assert run(tmp_path, "-c", "theirs").exit_code == 0
    found = client.collection("theirs")
    assert (found.model, found.space_id, str(found.metric)) == ("", "a space", "l2")


def test_progress(
    client: Client, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("latentspace.cli.progress.LINE_PAUSE_S", 0.0)
    monkeypatch.setattr("latentspace.cli.progress.EVENT_PAUSE_S", 0.0)
    source = write_lines(tmp_path / "rows.jsonl", rows_of(500))
    piped = run(source, "-c", "notes", "--model", "toy")
    assert piped.stderr.startswith("index notes: ")
    assert "500, " in piped.stderr.splitlines()[-1]
    assert ", written 500, unchanged 0, failed 0" in piped.stderr.splitlines()[-1]
    told = events(run(source, "-c", "notes", "--json"), "progress")
    assert set(told[-1]) >= {"done", "total", "rate", "eta_s", "written", "unchanged", "failed"}
    assert told[-1]["unchanged"] == told[-1]["done"] == 500
    shown = run(source, "-c", "notes", env={"FORCE_COLOR": "1"})
    assert "\x1b[" in shown.stderr
    assert "unchanged 500" in shown.stderr


def test_interrupted(client: Client, tmp_path: Path) -> None:
    rows = rows_of(1200)
    lines = [json.dumps({"id": id, **row}) + "\n" for id, row in rows.items()]
    command = [PROGRAM, "index", "-", "-c", "notes", "--model", "toy", "--batch", "64"]
    env = {**os.environ, "LATENTSPACE_SERVER": client.target}
    process = subprocess.Popen(
        command, stdin=-1, stdout=-1, stderr=-1, text=True, env=env, start_new_session=True
    )
    assert process.stdin is not None
    process.stdin.writelines(lines[:900])
    process.stdin.flush()
    while not any(one.points for one in client.collections() if one.name == "notes"):
        assert process.poll() is None
    process.send_signal(signal.SIGINT)  # it waits for more lines
    out, told = process.communicate(timeout=60)
    assert process.returncode == 130, told
    assert "run it again to go on" in told
    assert "Traceback" not in told
    assert out.startswith("stopped standard input into notes: ")
    stored = client.count("notes")
    again = subprocess.run(
        [*command, "--json"],
        input="".join(lines),
        capture_output=True,
        text=True,
        env=env,
        timeout=60,
    )
    assert again.returncode == 0, again.stderr
    summary = json.loads(again.stdout.splitlines()[-1])
    # batches that were under way may have come to disk after the count
    assert summary["unchanged"] >= stored > 0
    assert summary["unchanged"] + summary["written"] == 1200
    same_points(client, "notes", rows)


def test_pace() -> None:
    now = 0.0
    pace = Pace(lambda: now)
    assert (pace.rate, pace.eta_s(10)) == (0.0, None)
    for second in range(1, 101):
        now = float(second)
        pace.update(second if second <= 50 else 50 + 3 * (second - 50))
    assert pace.rate == pytest.approx(3.0)
    assert pace.eta_s(230) == pytest.approx(10.0)
    assert pace.eta_s(None) is None
    assert pace.eta_s(0) == 0.0
    assert [duration(s) for s in (7.6, 125, 11400)] == ["8 s", "2:05", "3:10:00"]
