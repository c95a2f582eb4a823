"""What tests of `latentspace index` against a real server share."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from latentspace import Client
from latentspace.cli.app import app

local = pytest.importorskip("services.app.local", reason="the server is not installed")

DIM = 12
SETTINGS = {
    "models": {
        "toy": {"family": "hash", "options": {"dim": DIM}},
        "other": {"family": "hash", "options": {"dim": 8}},
    }
}


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with local.LocalServer(tmp_path_factory.mktemp("index") / "data", SETTINGS) as running:
        yield running.address


@pytest.fixture
def client(address: str) -> Iterator[Client]:
    """A client; collections are gone at the end."""
    with Client(address) as made:
        yield made
        for one in made.collections():
            made.delete_collection(one.name)


def index(client: Client, source: Path, *options: str, **more: Any) -> Result:
    """Runs the command into the collection `c`."""
    command = ["--server", client.target, "index", str(source), "-c", "c", *options]
    return CliRunner().invoke(app, command, **more)


def events(result: Result, kind: str) -> list[dict[str, Any]]:
    found = [json.loads(line) for line in result.stdout.splitlines()]
    return [one for one in found if one["event"] == kind]


def payloads(client: Client, name: str = "c") -> dict[str, dict[str, Any]]:
    """Payloads by id, without the digests of jobs."""
    return {
        point.id: {n: value for n, value in (point.payload or {}).items() if n != "_digest"}
        for point in client.scroll(name)
    }
