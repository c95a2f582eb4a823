"""`latentspace config`: what a server would take, and where each value comes from."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from services.app.config import app

GOOD = """
listen: 127.0.0.1:50099
models:
  toy: {family: hash, options: {dim: 12}}
cache: {redis_url: "redis://user:secret@localhost:6379/0"}
"""


def run(*arguments: str, **env: str) -> Any:
    return CliRunner().invoke(app, arguments, env=env)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "server.yaml"
    path.write_text(GOOD)
    return path


def test_every_value_with_its_origin(file: Path) -> None:
    done = run(
        *("show", "--config", str(file), "--data-dir", "/tmp/here", "--json"),
        LATENTSPACE_LIMITS__MAX_ITEMS="99",
    )
    assert done.exit_code == 0, done.stderr
    rows = {row["name"]: row for row in map(json.loads, done.stdout.splitlines())}
    expected = {
        "listen": ("127.0.0.1:50099", "file", str(file)),
        "models.toy.options.dim": (12, "file", str(file)),
        "limits.max_items": (99, "environment", "LATENTSPACE_LIMITS__MAX_ITEMS"),
        "data_dir": ("/tmp/here", "command line", "--data-dir"),
        "limits.max_queries": (32768, "default", ""),
        "cache.redis_url": ("**********", "file", str(file)),
    }
    shown = {name: (row["value"], row["origin"], row["source"]) for name, row in rows.items()}
    assert shown.items() >= expected.items()
    assert "secret" not in done.stdout
    assert "models.words.family" not in rows


def test_changed_alone(file: Path) -> None:
    done = run("show", "--config", str(file), "--changed")
    assert done.stdout.splitlines()[0] == f"listen\t127.0.0.1:50099\t{file}"
    assert "default" not in done.stdout
    assert run("show", "--changed").stdout == ""


def test_a_good_file(file: Path) -> None:
    done = run("check", str(file))
    assert (done.exit_code, done.stderr) == (0, "")
    assert done.stdout == f"{file} fits: it listens on 127.0.0.1:50099, models: toy\n"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("model: {}", "did you mean models?"),
        ("limits: {max_item: 3}", "did you mean limits.max_items?"),
        ("models: {a: {family: hsh}}", "models.a: family 'hsh' is unknown"),
        ("models: {a: {family: hash, options: {dims: 3}}}", "models.a: options: dims"),
        ("models: {a: {family: word2vec, source: /no/such}}", "no file or folder /no/such"),
        ("listen: nowhere", "HOST:PORT"),
        ("{", "cannot read"),
    ],
)
def test_what_does_not_fit(tmp_path: Path, text: str, problem: str) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(text)
    done = run("check", str(path))
    assert done.exit_code == 2
    assert problem in done.stderr
    assert done.stdout == ""


def test_variables_count_too(file: Path) -> None:
    done = run("check", str(file), LATENTSPACE_LIMIT__MAX_ITEMS="3")
    assert (done.exit_code, "LATENTSPACE_LIMIT__MAX_ITEMS" in done.stderr) == (2, True)
    assert run("check", "/no/such.yaml").exit_code == 2
