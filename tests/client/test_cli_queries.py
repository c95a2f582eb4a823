"""Queries at the prompt, against the server itself: what is printed is what numpy finds."""

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from latentspace import Client
from latentspace.cli.app import app

local = pytest.importorskip("services.app.local", reason="the server is not installed")

DIM, COUNT = 64, 60
WORDS = [f"w{i}" for i in range(COUNT)]
COLOURS = {"red": (200, 30, 30), "green": (30, 160, 60), "blue": (40, 60, 200)}
Run = Callable[..., Any]


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """RED/0.png and so on: each of one colour."""
    folder = tmp_path_factory.mktemp("photos")
    for name, colour in COLOURS.items():
        (folder / name).mkdir()
        for i in range(2):
            Image.new("RGB", (64, 48 + i), colour).save(folder / name / f"{i}.png")
    (folder / "notes.txt").write_text("no image\n")
    return folder


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory, photos: Path) -> Iterator[str]:
    folder: Path = tmp_path_factory.mktemp("real")
    models = {"toy": {"family": "hash", "options": {"dim": DIM}}}
    with local.LocalServer(folder / "data", {"models": models}) as running:
        with Client(running.address) as client:
            client.create_collection("words", model="toy", fields={"tag": "keyword"})
            payloads = [{"tag": f"t{i % 3}"} for i in range(COUNT)]
            client.upsert("words", WORDS, keys=WORDS, payloads=payloads)
            client.create_collection("photos", model="toy", fields={"colour": "keyword"})
            paths = [f"{name}/{i}.png" for name in COLOURS for i in range(2)]
            client.upsert(
                "photos",
                paths,
                images=[photos / path for path in paths],
                payloads=[{"colour": path.split("/")[0]} for path in paths],
            )
        yield running.address


@pytest.fixture
def run(address: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    monkeypatch.chdir(tmp_path)

    def call(*arguments: str, stdin: str = "") -> Any:
        env = {"LATENTSPACE_SERVER": address, "COLUMNS": "100"}
        return CliRunner().invoke(app, arguments, input=stdin, env=env, prog_name="latentspace")

    return call


def lines(done: Any) -> list[Any]:
    assert done.exit_code == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.fixture(scope="module")
def rows(address: str) -> dict[str, Any]:
    with Client(address) as client:
        return dict(zip(WORDS, client.embed("toy", keys=WORDS), strict=True))


def order(rows: dict[str, Any], query: Any, without: tuple[str, ...] = ()) -> list[str]:
    return sorted(
        (w for w in WORDS if w not in without), key=lambda word: -float(rows[word] @ query)
    )


def ids(done: Any) -> list[str]:
    return [one["id"] for one in lines(done)]


def test_sums(run: Run, rows: dict[str, Any]) -> None:
    call = ("search", "words", "--key", "w1", "--plus", "w2", "--plus", "w3", "--minus", "w4")
    found = lines(run(*call, "-k", "5", "--json"))
    query = rows["w1"] + rows["w2"] + rows["w3"] - rows["w4"]
    assert [one["id"] for one in found] == order(rows, query)[:5]
    assert found[0]["query"] == "w1 + w2 + w3 - w4"
    unit = query / np.linalg.norm(query)
    assert found[0]["score"] == pytest.approx(float(rows[found[0]["id"]] @ unit), abs=1e-5)
    many = lines(
        run(
            "search", "words", "--file", "-", "--minus", "w4", "-k", "1", "--json", stdin="w5\nw6\n"
        )
    )
    expected = [order(rows, rows[w] - rows["w4"])[0] for w in ("w5", "w6")]
    assert [(one["query"], one["id"]) for one in many] == list(
        zip(("w5 - w4", "w6 - w4"), expected, strict=True)
    )


def test_recommendations(run: Run, rows: dict[str, Any]) -> None:
    call = (
        "search",
        "words",
        "--like",
        "w1",
        "--like",
        "w2",
        "--unlike",
        "w3",
        "-k",
        "60",
        "--json",
    )
    mean = (rows["w1"] + rows["w2"]) / 2
    own = ("w1", "w2", "w3")
    assert ids(run(*call)) == order(rows, 2 * mean - rows["w3"], own)
    best = {w: max(float(rows[w] @ rows["w1"]), float(rows[w] @ rows["w2"])) for w in WORDS}
    kept = [w for w in WORDS if w not in own and best[w] >= float(rows[w] @ rows["w3"])]
    found = ids(run(*call, "--strategy", "best_score"))
    assert found == sorted(kept, key=lambda word: -best[word])
    assert lines(run(*call))[0]["query"] == "like w1 w2 unlike w3"


def test_windows_groups_and_diversity(run: Run, rows: dict[str, Any]) -> None:
    near = order(rows, rows["w1"])
    assert (
        ids(run("search", "words", "--key", "w1", "--offset", "7", "-k", "4", "--json"))
        == near[7:11]
    )
    call = ("search", "words", "--key", "w1", "-k", "2", "--group-by", "tag", "--group-size", "2")
    groups: dict[str, list[str]] = {}
    for word in near:
        groups.setdefault(f"t{int(word[1:]) % 3}", []).append(word)
    best = list(groups.items())[:2]
    expected = [(word, tag) for tag, members in best for word in members[:2]]
    assert [(one["id"], one["group"]) for one in lines(run(*call, "--json"))] == expected
    piped = [tuple(line.split("\t")) for line in run(*call).stdout.splitlines()]
    assert [(row[0], row[2]) for row in piped] == expected
    alone = ids(run("search", "words", "--key", "w1", "-k", "5", "--diversity", "1", "--json"))
    assert alone == near[:5]
    diverse = ids(run("search", "words", "--key", "w1", "-k", "5", "--diversity", "0.1", "--json"))
    assert diverse[0] == near[0]
    assert diverse != near[:5]
    assert set(diverse) <= set(near[:20])


def test_explaining(run: Run) -> None:
    call = ("search", "words", "--key", "w1", "--filter", '{"tag": "t1"}', "--explain")
    piped = run(*call, "-k", "3")
    assert len(piped.stdout.splitlines()) == 3
    told = dict(line.split("\t")[:2] for line in piped.stderr.splitlines())
    assert told["passed the filter"] == f"{20 / COUNT:.1%}"
    assert float(told["total ms"]) >= float(told["search ms"]) > 0
    as_json = json.loads(run(*call, "--json").stderr)
    assert as_json["plans"][0]["selectivity"] == pytest.approx(20 / COUNT)
    assert as_json["plans"][0]["segments"][0]["method"] == "exact"
    assert as_json["timing"]["total_ns"] > 0
    assert run("search", "words", "--key", "w1").stderr == ""


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["--unlike", "w1"], "go with --like"),
        (["--strategy", "average", "--key", "w1"], "go with --like"),
        (["--like", "w1", "--key", "w2"], "pass one of"),
        (["--like", "w1", "--plus", "w2"], "do not go with --like"),
        (["--key", "w1", "--group-size", "2"], "goes with --group-by"),
        (["--key", "w1", "--diversity", "2"], "Invalid value"),
        (["--key", "w1", "--sheet", "out.jpg"], "ends in .png"),
    ],
)
def test_wrong_command_lines(run: Run, arguments: list[str], problem: str) -> None:
    done = run("search", "words", *arguments)
    assert (done.exit_code, problem in done.stderr) == (2, True), done.stderr


def test_folders_of_images(run: Run, photos: Path, address: str) -> None:
    names = [str(photos / name / f"{i}.png") for name in sorted(COLOURS) for i in range(2)]
    labels = ("--label", "red", "--label", "green")
    found = lines(run("classify", "toy", str(photos), *labels, "--json"))
    assert [one["input"] for one in found[::2]] == names
    with Client(address) as client:
        expected = client.classify("toy", images=names, labels=["red", "green"])
    printed = [(one["label"], one["probability"]) for one in found]
    assert printed == [(one.label, one.probability) for row in expected for one in row]
    least = sorted(probability for _, probability in printed)[-3]
    few = lines(
        run(
            "classify",
            "toy",
            str(photos),
            *labels,
            "--min-probability",
            f"{least - 1e-6}",
            "--json",
        )
    )
    assert [one["probability"] for one in few] == [p for _, p in printed if p >= least]
    # a word is a word, and a folder may be named to be one
    assert lines(run("classify", "toy", "red", *labels, "--json"))[0]["input"] == "red"
    assert run("classify", "toy", str(photos), *labels, "--as", "text").exit_code == 0
    os.mkdir("bare")
    empty = run("classify", "toy", "bare", *labels)
    assert (empty.exit_code, "has no images" in empty.stderr) == (1, True)
    vectors = lines(run("embed", "toy", str(photos / "red"), "--json"))
    assert [one["input"] for one in vectors] == names[4:]
    same = lines(run("compare", "toy", names[0], names[0], "--json"))[0]
    assert same["score"] == pytest.approx(1.0)


def test_label_sets(run: Run) -> None:
    Path("labels.txt").write_text("cat\ndog\n\nhorse\n")
    made = run(
        "labels",
        "create",
        "animals",
        "--model",
        "toy",
        "--file",
        "labels.txt",
        "--template",
        "imagenet",
    )
    assert made.stdout == "created animals: 3 labels of toy\n"
    two = ("--label", "cat", "--label", "dog", "--template", "a {}", "--template", "the {}")
    shown = lines(run("labels", "create", "pets", "--model", "toy", *two, "--json"))[0]
    assert (shown["labels"], shown["templates"]) == (["cat", "dog"], ["a {}", "the {}"])
    assert [one["name"] for one in lines(run("labels", "--json"))] == ["animals", "pets"]
    piped = [line.split("\t") for line in run("labels", "list").stdout.splitlines()]
    assert [row[:5] for row in piped] == [
        ["animals", "toy", "3", "0", "imagenet"],
        ["pets", "toy", "2", "2", ""],
    ]
    assert lines(run("labels", "show", "animals", "--json"))[0]["labels"] == ["cat", "dog", "horse"]
    found = lines(run("classify", "toy", "the dog", "--label-set", "pets", "--top", "1", "--json"))
    assert found[0]["label"] == "dog"
    taken = run("labels", "create", "pets", "--model", "toy", "--label", "x")
    assert (taken.exit_code, "pets" in taken.stderr) == (1, True)
    for name in ("animals", "pets"):
        assert run("labels", "delete", name).stdout == f"deleted {name}\n"
    assert run("labels", "delete", "pets").exit_code == 1


def test_contact_sheets(run: Run, photos: Path) -> None:
    root = ("--root", str(photos))
    red = str(photos / "red" / "0.png")
    done = run("search", "photos", "--image", red, "-k", "6", "--sheet", "one.png", *root)
    assert len(done.stdout.splitlines()) == 6
    many = "\n".join([red, str(photos / "blue" / "0.png")])
    run("search", "photos", "--file", "-", "-k", "2", "--sheet", "many.png", *root, stdin=many)
    with Image.open("one.png") as one, Image.open("many.png") as rows:
        for picture, names in ((one, COLOURS), (rows, ("red", "blue"))):
            seen = {colour for _, colour in picture.convert("RGB").getcolors(1 << 24) or ()}
            assert {COLOURS[name] for name in names} <= seen
    run("search", "photos", "--image", red, "--sheet", "none.png")
    with Image.open("none.png") as nothing:
        seen = {colour for _, colour in nothing.convert("RGB").getcolors(1 << 24) or ()}
    # the query is there, and no hit lies below this folder
    assert COLOURS["red"] in seen
    assert COLOURS["blue"] not in seen
