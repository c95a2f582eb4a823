"""Collections elsewhere: Qdrant's REST, quotas and versions of Chroma, parts of a URL."""

import json
import pickle
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np
import pytest
from typer.testing import CliRunner

from latentspace import Client
from latentspace.cli.app import app
from latentspace.indexing.foreign import chroma, qdrant
from latentspace.indexing.foreign.opening import open_foreign, parsed
from latentspace.indexing.options import SourceError
from tests.client.indexing.foreign_world import (
    CHROMA_IDS,
    COUNT,
    QDRANT_IDS,
    ROWS,
    chroma_folder,
    chromadb,
    payloads,
    put_chroma,
    put_qdrant,
    qdrant_client,
    records,
    refused,
    values,
)


@contextmanager
def answering(client: Any, schema: dict[str, Any], key: str = "") -> Iterator[ThreadingHTTPServer]:
    """Qdrant's REST calls over a client in memory: no server of it can be installed by pip."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            _, _, *name = unquote(self.path).split("/")
            if self.path == "/":
                self.reply({})
            elif not name:
                self.reply(client.get_collections().model_dump(mode="json"))
            elif not client.collection_exists(name[0]):
                self.reply({}, 404)
            else:
                info = client.get_collection(name[0]).model_dump(mode="json")
                self.reply(info | {"payload_schema": schema})

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            _, _, name, _, call = unquote(self.path.partition("?")[0]).split("/")
            if call == "count":
                return self.reply({"count": client.count(name).count})
            points, offset = client.scroll(
                name,
                limit=body["limit"],
                offset=body.get("offset"),
                with_payload=body.get("with_payload", True),
                with_vectors=body.get("with_vector", False),
            )
            found = [point.model_dump(mode="json") for point in points]
            return self.reply({"points": found, "next_page_offset": offset})

        def reply(self, result: Any, status: int = 200) -> None:
            if self.path != "/" and self.headers.get("api-key", "") != key:
                status = 401
            data = json.dumps({"result": result, "status": "ok", "time": 0.0}).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.filterwarnings("ignore:Api key is used with an insecure connection")
def test_qdrant_over_http(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(qdrant, "PAGE_POINTS", 100)
    monkeypatch.setenv("QDRANT_API_KEY", "secret")
    kinds = {"i": "integer", "tags": "keyword", "tag": "keyword", "more.deep": "float"}
    # indexes do not say of what type all values are: these would be refused one by one
    kinds |= {"more": "keyword", "modality": "keyword", "place": "geo", "later": "datetime"}
    schema = {name: {"data_type": kind, "points": COUNT} for name, kind in kinds.items()}
    memory = qdrant_client().QdrantClient(":memory:")
    put_qdrant(memory, "my photos", "Euclid")
    with answering(memory, schema, "secret") as server:
        address = f"qdrant+http://127.0.0.1:{server.server_port}"
        source = open_foreign(f"{address}/my%20photos")
        assert source.about is not None
        fields = {"i": "int", "tags": "keyword_list", "tag": "keyword", "later": "datetime"}
        assert source.about.fields == fields
        found = {one.id: one for one in records(source)}
        ordered = [found[str(id)] for id in QDRANT_IDS]
        np.testing.assert_array_equal(values(ordered), ROWS)
        assert [one.payload for one in ordered] == payloads()
        assert "there are: my photos" in refused(f"{address}/photos")
        monkeypatch.delenv("QDRANT_API_KEY")
        assert "set QDRANT_API_KEY" in refused(f"{address}/my%20photos")
        monkeypatch.setenv("QDRANT_API_KEY", "secret")
        points = iter(open_foreign(f"{address}/my%20photos"))
        for _ in range(100):
            next(points)
    with pytest.raises(SourceError, match="broke off after 100 points"):
        list(points)


def test_chroma_pages_and_quotas(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with chroma_folder(tmp_path) as client:
        put_chroma(client, "photos")
    source = open_foreign(f"chroma+file:{tmp_path}/photos")
    get: Callable[..., Any] = chromadb().Collection.get
    asked: list[int] = []

    def limited(self: Any, **how: Any) -> Any:
        """As Chroma Cloud answers."""
        most = how["limit"] if "limit" in how else len(how["ids"])
        if most > chroma.QUOTA_IDS:
            raise chromadb().errors.QuotaError("too many")
        asked.append(most)
        return get(self, **how)

    monkeypatch.setattr(chromadb().Collection, "get", limited)
    assert [one.id for one in records(source)] == CHROMA_IDS
    assert asked == [300, 256, 44, 300, 256, 44, 300, 100, 300]


def test_chroma_folders_of_another_version(tmp_path: Path) -> None:
    with chroma_folder(tmp_path) as client:
        put_chroma(client, "photos")
    with closing(sqlite3.connect(tmp_path / "chroma.sqlite3")) as storage:
        storage.execute("DELETE FROM migrations WHERE rowid = (SELECT max(rowid) FROM migrations)")
        storage.commit()
        applied = storage.execute("SELECT * FROM migrations").fetchall()
        assert "another version of Chroma" in refused(f"chroma+file:{tmp_path}/photos")
        assert storage.execute("SELECT * FROM migrations").fetchall() == applied


def test_parts_of_a_url(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    for source, expected in {
        "qdrant+http://Host/a%2Fb": ("http://host:6333", None, "a/b"),
        "QDRANT+HTTPS://[::1]:443/a": ("https://[::1]:443", None, "a"),
        "chroma+http://host/a": ("http://host:8000", None, "a"),
        "chroma+https://host/a/": ("https://host:443", None, "a"),
        "qdrant+file:/d a/b%20c/d@e": ("", Path("/d a/b c"), "d@e"),
        "qdrant+file:///d/e": ("", Path("/d"), "e"),
        "chroma+file:./e": ("", Path(), "e"),
        "chroma+file:~/d/e": ("", Path("/home/me/d"), "e"),
    }.items():
        found = parsed(source)
        url = "" if found.folder else found.url
        assert (url, found.folder, found.collection, found.source) == (*expected, source)


def test_other_processes_open_a_collection_anew(tmp_path: Path) -> None:
    with chroma_folder(tmp_path) as client:
        put_chroma(client, "photos")
    source = open_foreign(f"chroma+file:{tmp_path}/photos")
    again = pickle.loads(pickle.dumps(source))
    assert again is not source
    assert [one.id for one in records(again)] == [one.id for one in records(source)]


def test_from_the_command_line(tmp_path: Path) -> None:
    local = pytest.importorskip("services.app.local", reason="the server is not installed")
    with chroma_folder(tmp_path / "chroma") as made:
        put_chroma(made, "photos")
    url = f"chroma+file:{tmp_path}/chroma/photos"
    settings = {"models": {"toy": {"family": "hash"}}}
    with local.LocalServer(tmp_path / "data", settings) as server, Client(server.address) as client:
        command = ["index", url, "-c", "photos", "--server", server.address]
        found = CliRunner().invoke(app, command)
        assert found.exit_code == 0, found.output
        assert f"{COUNT} written, 0 unchanged, 0 failed" in found.output
        assert client.collection("photos").metric == "cosine"
        stored = client.get("photos", CHROMA_IDS[:3], with_vectors=True)
        for one, row in zip(stored, ROWS, strict=False):
            assert one.vector is not None
            np.testing.assert_allclose(one.vector, row / np.linalg.norm(row), atol=1e-6)
        again = CliRunner().invoke(app, command)
        assert f"0 written, {COUNT} unchanged" in again.output
        refused = CliRunner().invoke(app, [*command, "--id-column", "i"])
        assert refused.exit_code == 2
        assert "options of files" in refused.output
