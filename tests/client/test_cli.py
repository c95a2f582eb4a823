"""The command line, as other processes run it."""

import json
import os
import pty
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from latentspace import Client
from latentspace.cli.app import app
from tests.client.fake.world import WORDS, World, vector_of, words_matrix

PROGRAM = str(Path(sys.executable).parent / "latentspace")


@dataclass
class Done:
    returncode: int
    stdout: str
    stderr: str


Run = Callable[..., Done]


def environment(**more: str) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith("LATENTSPACE_")}
    return {**kept, "COLUMNS": "100", **more}


@pytest.fixture
def run(address: str, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs the command line within this process, which saves starting one each time."""
    monkeypatch.setenv("COLUMNS", "100")

    def call(*arguments: str, stdin: str = "", **env: str) -> Done:
        env = {"LATENTSPACE_SERVER": address, **env}
        result = CliRunner().invoke(app, arguments, input=stdin, env=env, prog_name="latentspace")
        return Done(result.exit_code, result.stdout, result.stderr)

    return call


@pytest.fixture
def process(address: str) -> Run:
    """Runs the program."""

    def call(*arguments: str, stdin: str = "", **env: str) -> Done:
        done = subprocess.run(
            [PROGRAM, *arguments],
            input=stdin,
            capture_output=True,
            text=True,
            timeout=60,
            env=environment(**{"LATENTSPACE_SERVER": address, **env}),
        )
        return Done(done.returncode, done.stdout, done.stderr)

    return call


def lines(done: Done) -> list[Any]:
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_models(run: Run) -> None:
    piped = run("models")
    assert piped.returncode == 0
    names = [line.split("\t")[0] for line in piped.stdout.splitlines()]
    assert names == ["faces", "sentences", "words"]
    found = lines(run("models", "list", "--json"))
    assert [one["id"] for one in found] == ["faces", "sentences", "words"]
    assert found[2]["modalities"] == ["key"]
    assert lines(run("models", "unload", "words", "--json"))[0]["state"] == "unloaded"
    assert run("models", "load", "words").stdout == "words is ready\n"


def test_where_the_server_is(process: Run, address: str) -> None:
    assert process("models", "--server", address, LATENTSPACE_SERVER="127.0.0.1:1").returncode == 0
    assert process("--server", address, "models", LATENTSPACE_SERVER="127.0.0.1:1").returncode == 0
    gone = process("models", LATENTSPACE_SERVER="127.0.0.1:1")
    assert gone.returncode == 3
    assert gone.stdout == ""
    assert gone.stderr.count("\n") == 1
    assert "cannot reach 127.0.0.1:1" in gone.stderr
    assert "latentspace serve" in gone.stderr
    mistyped = process("models", "--server", "127.0.0.1:99999")
    assert mistyped.returncode == 2
    assert "a port is a number from 1 to 65535" in mistyped.stderr


def test_search(run: Run, process: Run) -> None:
    found = lines(process("search", "words", "--key", "paris", "-k", "5", "--json"))
    scores = words_matrix() @ words_matrix()[WORDS.index("paris")]
    assert [one["id"] for one in found] == [WORDS[i] for i in np.argsort(-scores)[:5]]
    assert [one["rank"] for one in found] == [1, 2, 3, 4, 5]
    assert set(found[0]) == {"query", "rank", "id", "score", "payload", "modality", "group"}
    piped = process("search", "words", "--key", "paris", "-k", "5")
    assert [line.split("\t")[0] for line in piped.stdout.splitlines()] == [o["id"] for o in found]
    many = lines(run("search", "words", "--file", "-", "-k", "1", "--json", stdin="king\n\nrome\n"))
    assert [(one["query"], one["id"]) for one in many] == [("king", "king"), ("rome", "rome")]


def test_search_by_text_vector_and_filter(run: Run, address: str, tmp_path: Path) -> None:
    with Client(address) as client:
        client.create_collection("notes", model="sentences", fields={"year": "int"})
        payloads = [{"year": 2000 + i} for i in range(20)]
        texts = [f"t{i}" for i in range(20)]
        client.upsert("notes", [f"n{i}" for i in range(20)], texts=texts, payloads=payloads)
    year = '{"year": {"gte": 2010}}'
    found = lines(run("search", "notes", "--text", "t3", "--filter", year, "--json"))
    assert len(found) == 10
    assert all(one["payload"]["year"] >= 2010 for one in found)
    np.save(tmp_path / "v.npy", vector_of(b"t3"))
    for vector in (str(tmp_path / "v.npy"), json.dumps(vector_of(b"t3").tolist())):
        found = lines(run("search", "notes", "--vector", vector, "-k", "1", "--json"))
        assert found[0]["id"] == "n3"
    found = lines(run("search", "notes", "--point", "n4", "-k", "1", "--json"))
    assert found[0]["id"] == "n4"


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["--key", "a", "--text", "b"], "one of --text"),
        (["--key", "a", "--filter", "{year"], "not JSON"),
        (["--key", "a", "--filter", "[1]"], "not a JSON object"),
        (["--key", "a", "--filter", '{"year": {"over": 3}}'], "unknown operator"),
        (["--vector", "one"], "neither a JSON list"),
        (["--file", "/no/such/file"], "No such file"),
        (["--key", "a", "-k", "0"], "Invalid value"),
        (["--colour", "red"], "No such option"),
        ([], "standard input has no lines"),
    ],
)
def test_wrong_command_lines(run: Run, world: World, arguments: list[str], problem: str) -> None:
    done = run("search", "words", *arguments)
    assert done.returncode == 2, done.stderr
    assert problem in done.stderr
    assert "Traceback" not in done.stderr


def test_what_the_server_refuses(run: Run) -> None:
    unknown = run("search", "nope", "--key", "a")
    assert (unknown.returncode, unknown.stdout) == (1, "")
    assert unknown.stderr == "latentspace: there is no collection 'nope'\n"
    word = run("search", "words", "--key", "qween")
    assert (word.returncode, word.stdout) == (1, "")
    assert "'qween' is not in the vocabulary" in word.stderr
    missing = run("collections", "get", "words", "king", "qween")
    assert missing.returncode == 4


def test_debugging_shows_the_traceback(process: Run) -> None:
    done = process("search", "nope", "--key", "a", LATENTSPACE_DEBUG="1")
    assert done.returncode == 1
    assert "Traceback" in done.stderr
    assert "NotFoundError" in done.stderr


def test_analogy(run: Run, tmp_path: Path) -> None:
    with_minus = run("analogy", "words", "king", "woman", "--minus", "man", "-k", "3", "--json")
    found = lines(with_minus)
    words = words_matrix()
    king, man, woman = (words[WORDS.index(word)] for word in ("king", "man", "woman"))
    order = [WORDS[i] for i in np.argsort(-(words @ (king - man + woman)))]
    expected = [word for word in order if word not in ("king", "man", "woman")][:3]
    assert [one["id"] for one in found] == expected
    assert found[0]["query"] == "king + woman - man"
    questions = tmp_path / "questions.txt"
    questions.write_text(": section\nman king woman queen\nrome italy paris france\n")
    many = lines(run("analogy", "words", "--file", str(questions), "-k", "1", "--json"))
    assert [one["query"] for one in many] == ["king + woman - man", "italy + paris - rome"]
    assert many[0]["id"] == expected[0]
    assert run("analogy", "words", "king", "--method", "3cosmul").returncode == 0
    bad = run("analogy", "words", "--file", "-", stdin="only two\n")
    assert (bad.returncode, "line 1: expected three words" in bad.stderr) == (2, True)


def test_embed(run: Run, tmp_path: Path) -> None:
    found = lines(run("embed", "sentences", "hello", "there", "--json"))
    assert [one["input"] for one in found] == ["hello", "there"]
    np.testing.assert_allclose(found[0]["vector"], vector_of(b"hello"), rtol=1e-6)
    assert found[0]["space_id"] == "space-sentences"
    text, out = tmp_path / "lines.txt", tmp_path / "vectors.npy"
    text.write_text("hello\nthere\n", encoding="utf-8")
    assert run("embed", "sentences", "--file", str(text), "--out", str(out)).returncode == 0
    rows = np.load(out, allow_pickle=False)
    np.testing.assert_array_equal(rows, [vector_of(b"hello"), vector_of(b"there")])
    key = lines(run("embed", "words", "--json", stdin="king\n"))
    np.testing.assert_allclose(key[0]["vector"], words_matrix()[0], rtol=1e-6)
    picture = tmp_path / "a.png"
    picture.write_bytes(b"faces:2")
    assert [one["index"] for one in lines(run("embed", "faces", str(picture), "--json"))] == [0, 0]
    wrong = run("embed", "sentences", "a", "--out", "vectors.txt")
    assert (wrong.returncode, "ends in .npy" in wrong.stderr) == (2, True)


def test_some_items_fail(process: Run) -> None:
    done = process("embed", "words", "king", "qween", "rome", "--json")
    assert done.returncode == 4
    assert [json.loads(line)["input"] for line in done.stdout.splitlines()] == ["king", "rome"]
    assert done.stderr == "latentspace: item 1 (qween): 'qween' is not in the vocabulary\n"
    assert process("embed", "words", "qween").returncode == 1


def test_collections(run: Run) -> None:
    made = run(
        "collections", "create", "raw", "--dim", "3", "--field", "year=int", "--metric", "l2"
    )
    assert made.stdout == "created raw: 3 numbers, l2, exact\n"
    shown = lines(run("collections", "show", "raw", "--json"))[0]
    assert (shown["fields"], shown["metric"], shown["points"]) == ({"year": "int"}, "l2", 0)
    assert [one["name"] for one in lines(run("collections", "--json"))] == ["raw", "words"]
    assert run("collections", "count", "words").stdout == f"{len(WORDS)}\n"
    points = lines(run("collections", "points", "words", "--limit", "3", "--json"))
    assert [one["id"] for one in points] == WORDS[:3]
    got = lines(run("collections", "get", "words", "rome", "--with-vectors", "--json"))[0]
    np.testing.assert_allclose(got["vector"], words_matrix()[WORDS.index("rome")], rtol=1e-6)
    asked = run("collections", "delete", "raw")
    assert (asked.returncode, "--yes" in asked.stderr) == (2, True)
    assert run("collections", "delete", "raw", "--yes").stdout == "deleted raw\n"
    for arguments in (["--dim", "3", "--field", "year=string"], ["--dim", "3", "--model", "m"], []):
        assert run("collections", "create", "x", *arguments).returncode == 2


def test_classify_and_compare(run: Run) -> None:
    labels = ("--label", "cat", "--label", "dog")
    found = lines(run("classify", "sentences", "a", "b", *labels, "--top", "1", "--json"))
    assert [one["input"] for one in found] == ["a", "b"]
    assert all(one["label"] in ("cat", "dog") for one in found)
    failed = run("classify", "sentences", "--file", "-", *labels, "--as", "key", stdin="a\nb\n")
    assert failed.returncode == 1
    assert run("classify", "sentences", "a").returncode == 2
    same = lines(run("compare", "sentences", "a", "a", "--json"))[0]
    assert (same["score"], same["same"]) == (pytest.approx(1.0), True)


def test_operations(run: Run, address: str) -> None:
    with Client(address) as client:
        first = client.optimize("words", wait=False).id
        second = client.train("word2vec", source="x", model="broken").id
    assert [one["id"] for one in lines(run("operations", "--json"))] == [second, first]
    seen = lines(run("operations", "watch", first, "--json"))
    assert [one["state"] for one in seen] == ["pending", *["running"] * 3, "succeeded"]
    failed = run("operations", "watch", second)
    assert (failed.returncode, "no such file" in failed.stderr) == (1, True)
    typo = run("operations", "list", "--kind", "trian")
    assert (typo.returncode, "one of change_recipe" in typo.stderr) == (2, True)
    assert run("operations", "cancel", second).stdout == f"{second} is cancelled\n"
    assert lines(run("operations", "list", "--kind", "train", "--json"))[0]["id"] == second


def test_evaluate(run: Run, address: str) -> None:
    shown = run("evaluate", "words", "analogies", "--param", "limit=100", "--param", "name=text")
    assert shown.returncode == 0
    assert shown.stdout == "accuracy\t0.5\t0.4\t0.6\t10\n"
    assert "words could answer 90.0% of the items" in shown.stderr
    report = lines(run("evaluate", "words", "sts", "--source", "x.csv", "--json"))[0]
    assert (report["task"], report["figures"][0]["high"]) == ("sts", 0.6)
    started = lines(run("evaluate", "words", "sts", "--no-wait", "--json"))[0]
    assert (started["kind"], started["state"]) == ("evaluate", "pending")
    assert run("evaluate", "words", "magic").returncode == 2
    wrong = run("evaluate", "words", "sts", "--param", "nothing")
    assert (wrong.returncode, "NAME=VALUE" in wrong.stderr) == (2, True)


def test_interrupting_is_quiet(world: World, address: str) -> None:
    world.pause_s = 60.0
    with Client(address) as client:
        started = client.optimize("words", wait=False)
    process = subprocess.Popen(
        [PROGRAM, "--server", address, "operations", "watch", started.id, "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(PYTHONUNBUFFERED="1"),
    )
    assert process.stdout is not None
    assert json.loads(process.stdout.readline())["state"] == "pending"
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    assert (process.returncode, errors) == (130, "")


def test_a_reader_that_leaves(run: Run, address: str) -> None:
    shell = f"{PROGRAM} collections points words --limit 200 --json | head -n 1"
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", shell],
        capture_output=True,
        text=True,
        env=environment(LATENTSPACE_SERVER=address),
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["id"] == WORDS[0]


def test_tables_on_a_terminal(address: str) -> None:
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [PROGRAM, "--server", address, "collections"],
        stdout=theirs,
        stderr=theirs,
        stdin=subprocess.DEVNULL,
        env=environment(TERM="xterm"),
    )
    process.wait(30)
    shown, end = b"", time.monotonic() + 10
    while select.select([ours], [], [], 0.1)[0] and time.monotonic() < end:
        shown += os.read(ours, 65536)
    os.close(ours)
    os.close(theirs)
    assert b"read only" in shown
    assert b"\t" not in shown
    assert b"words" in shown


def test_help_documents_exit_codes_and_lists_all_commands(process: Run) -> None:
    help_text = process("--help").stdout
    assert "3 the server cannot be reached" in " ".join(help_text.split())
    listed = (
        "config models collections embed search analogy classify compare operations serve train"
    )
    for name in [*listed.split(), "evaluate"]:
        assert f" {name} " in help_text
    assert "3 the server cannot be reached" in " ".join(process("search", "--help").stdout.split())
    assert process("--version").stdout.strip() == "0.1.0"


PLUGIN = '''
import sys, typer
print("imported", file=sys.stderr)

def hello(name: str, loud: bool = False) -> None:
    """Greet."""
    print(name.upper() if loud else name)

many = typer.Typer(no_args_is_help=True)

@many.command()
def one(number: int = 3) -> None:
    """The first."""
    print(number * 2)

@many.command()
def two() -> None:
    """The second."""
    raise SystemExit(7)
'''


@pytest.fixture
def plugged(tmp_path: Path, process: Run) -> Run:
    (tmp_path / "greeter.py").write_text(PLUGIN)
    info = tmp_path / "greeter-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: greeter\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[latentspace.cli]\nhello = greeter:hello\nmany = greeter:many\n"
    )

    def call(*arguments: str) -> Done:
        return process(*arguments, PYTHONPATH=str(tmp_path))

    return call


def test_commands_of_other_distributions(plugged: Run) -> None:
    listed = plugged("--help")
    assert "From greeter." in listed.stdout
    assert "imported" not in listed.stderr
    assert "imported" not in plugged("models").stderr
    assert plugged("hello", "bob", "--loud").stdout == "BOB\n"
    assert "Greet." in plugged("hello", "--help").stdout
    assert "Usage: latentspace hello" in plugged("hello", "--help").stdout
    assert plugged("hello").returncode == 2
    assert plugged("many", "one", "--number", "4").stdout == "8\n"
    assert plugged("many", "two").returncode == 7
    assert "The second." in plugged("many", "--help").stdout
