"""Exports: what is written, that it is whole or not there, and that it comes back as it was."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from latentspace import AsyncClient, Client
from latentspace.cli.app import app
from latentspace.indexing import export as exporting
from latentspace.indexing.export import open_export
from latentspace.indexing.export_format import ExportError
from latentspace.indexing.options import SourceError
from latentspace.indexing.records import BadRecord, Record
from latentspace.inputs import VectorInput
from latentspace.results.point import Point

local = pytest.importorskip("services.app.local", reason="the server is not installed")
arrow = pytest.importorskip("pyarrow", reason="pyarrow is not installed")
parquet = pytest.importorskip("pyarrow.parquet", reason="pyarrow is not installed")

DIM, COUNT = 12, 2300
FIELDS = {
    "year": "int",
    "share": "float",
    "tag": "keyword",
    "tags": "keyword_list",
    "seen": "bool",
    "day": "datetime",
}
FORMATS = ["points.parquet", "points"]


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    settings = {"models": {"toy": {"family": "hash", "options": {"dim": DIM}}}}
    with local.LocalServer(tmp_path_factory.mktemp("export") / "data", settings) as running:
        yield running.address


@pytest.fixture(scope="module")
def client(address: str) -> Iterator[Client]:
    with Client(address) as made:
        made.create_collection("texts", model="toy", fields=FIELDS)
        fill(made)
        yield made


def fill(client: Client) -> None:
    """Part by part, so that the points stand in this order."""
    for start in range(0, COUNT, 256):
        part = slice(start, start + 256)
        texts = [f"text {i}" for i in range(COUNT)[part]]
        client.upsert("texts", ids()[part], texts=texts, payloads=payloads()[part])


def ids() -> list[str]:
    return [f"ö {i}\r, \"'" for i in range(COUNT)]


def payloads() -> list[dict[str, Any]]:
    """Some without this field or that, some with a null, all with more than what is declared."""
    return [
        {
            "_digest": f"{i:032x}",
            "year": 1900 + i,
            **({"share": i / 7} if i % 3 else {}),
            "tag": None if i % 5 == 0 else "ä\n\t",
            "tags": ["a", "b"][: i % 3],
            "seen": i % 2 == 0,
            "day": "2024-05-01T12:00:00+02:00",
            "more": {"nested": [1, 2.5, None, "x\ny"], "big": 2**60 + i},
        }
        for i in range(COUNT)
    ]


def clean(payload: dict[str, Any] | None) -> dict[str, Any]:
    return {name: value for name, value in (payload or {}).items() if name != "_digest"}


def points(client: Client, name: str) -> dict[str, Point]:
    return {point.id: point for point in client.scroll(name, with_vectors=True)}


def run(address: str, *arguments: str) -> Result:
    return CliRunner().invoke(app, ["--server", address, *arguments])


def records(path: Path) -> list[Record]:
    source = open_export(path)
    assert source is not None
    found = list(source)
    assert len(found) == source.count()
    assert all(isinstance(one, Record) for one in found)
    return [one for one in found if isinstance(one, Record)]


@pytest.mark.parametrize("columns", [False, True])
def test_parquet_as_others_read_it(client: Client, tmp_path: Path, columns: bool) -> None:
    out = tmp_path / "texts.parquet"
    client.export("texts", out, columns=columns)
    table = parquet.read_table(out)
    own = list(client.collection("texts").fields) if columns else []
    assert table.column_names == ["id", "vector", "modality", *own, "payload"]
    assert table["id"].to_pylist() == ids()
    assert set(table["modality"].to_pylist()) == {"text"}
    assert str(table.schema.field("vector").type) == f"fixed_size_list<element: float>[{DIM}]"
    rows = np.array(table["vector"].to_pylist(), np.float32)
    expected = client.embed("toy", texts=[f"text {i}" for i in range(COUNT)])
    np.testing.assert_allclose(rows, expected, atol=1e-7)  # the store scales to unit length
    rest = [json.loads(text) for text in table["payload"].to_pylist()]
    cells = [{n: table[n][i].as_py() for n in own} for i in range(COUNT)]
    whole = [
        {**left, **{n: value for n, value in cell.items() if value is not None}}
        for left, cell in zip(rest, cells, strict=True)
    ]
    assert whole == [clean(one) for one in payloads()]
    if columns:
        assert str(table.schema.field("year").type) == "int64"
        assert table["share"].to_pylist()[:3] == [None, 1 / 7, 2 / 7]
        assert rest[0] == {"tag": None, "more": payloads()[0]["more"]}
    about = json.loads(table.schema.metadata[b"latentspace"])
    found = client.collection("texts")
    assert about["model"] == "toy"
    assert (about["space_id"], about["metric"], about["dim"]) == (found.space_id, "cosine", DIM)
    assert about["fields"] == FIELDS


def test_folder_as_others_read_it(client: Client, tmp_path: Path) -> None:
    client.upsert("texts", ids()[:1], texts=["text 0"], payloads=payloads()[:1])  # goes last
    order = [*ids()[1:], ids()[0]]
    folder = tmp_path / "texts"
    done = client.export("texts", folder)
    assert (done.path, done.points) == (folder, COUNT)
    rows = np.load(folder / "vectors.npy", allow_pickle=False)
    stored = {point.id: point.vector for point in client.scroll("texts", with_vectors=True)}
    np.testing.assert_array_equal(rows, np.array([stored[id] for id in order]))
    assert rows.dtype == np.float32
    assert (folder / "ids.txt").read_bytes().decode().split("\n") == [*order, ""]
    lines = (folder / "payloads.jsonl").read_text().splitlines()
    assert json.loads(lines[-1]) == clean(payloads()[0])
    assert json.loads((folder / "meta.json").read_text())["model"] == "toy"
    fill(client)


@pytest.mark.parametrize("columns", [False, True])
@pytest.mark.parametrize("name", FORMATS)
def test_what_is_read_again(client: Client, tmp_path: Path, name: str, columns: bool) -> None:
    if columns and name == "points":
        with pytest.raises(ExportError, match="parquet"):
            client.export("texts", tmp_path / name, columns=columns)
        assert list(tmp_path.iterdir()) == []
        return
    client.export("texts", tmp_path / name, columns=columns)
    space = client.collection("texts").space_id
    stored = points(client, "texts")
    found = records(tmp_path / name)
    assert [one.id for one in found] == list(stored)
    for one in found:
        assert isinstance(one.input, VectorInput)
        assert one.input.space_id == space
        np.testing.assert_array_equal(one.input.values, stored[one.id].vector)
        assert one.payload == clean(stored[one.id].payload)
    assert found[2].place == f"{tmp_path / name}:3"


@pytest.mark.parametrize("name", FORMATS)
def test_many_row_groups_and_pages(
    client: Client, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exporting, "PAGE_POINTS", 7)
    monkeypatch.setattr("latentspace.indexing.export_parquet.GROUP_ROWS", 100)
    told: list[int] = []
    client.export("texts", tmp_path / name, on_points=told.append)
    assert told == [*range(7, COUNT, 7), COUNT]
    assert [one.id for one in records(tmp_path / name)] == ids()
    if name.endswith(".parquet"):
        groups = parquet.ParquetFile(tmp_path / name).metadata
        assert groups.num_row_groups == -(-COUNT // 105)


@pytest.mark.parametrize("name", FORMATS)
def test_nothing_and_little(client: Client, tmp_path: Path, name: str) -> None:
    client.create_collection("empty", dim=3, metric="l2")
    try:
        assert client.export("empty", tmp_path / name).points == 0
        assert records(tmp_path / name) == []
        source = open_export(tmp_path / name)
        assert source is not None
        assert source.about is not None
        assert (source.dim, source.about.metric, source.about.model) == (3, "l2", "")
    finally:
        client.delete_collection("empty")
    few = tmp_path / f"few-{name}"
    done = client.export("texts", few, filter={"year": {"lt": 1903}})
    assert done.points == 3
    assert [one.id for one in records(few)] == ids()[:3]


@pytest.mark.parametrize("name", FORMATS)
def test_whole_or_not_at_all(
    client: Client, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / name
    small = {"year": {"lt": 1910}}
    client.export("texts", out, filter=small)
    monkeypatch.setattr(exporting, "PAGE_POINTS", 100)

    def stop(points: int) -> None:
        assert out.exists()
        if points >= 500:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        client.export("texts", out, on_points=stop)
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert [one.id for one in records(out)] == ids()[:10]
    client.export("texts", out)
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert [one.id for one in records(out)] == ids()


def test_what_is_in_the_way(client: Client, tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.jpg").write_bytes(b"a")
    for name, problem in (
        ("photos", "not an export"),
        ("vectors.npy", "a folder"),
        ("no/such.parquet", "not a folder"),
    ):
        with pytest.raises(ExportError, match=problem):
            client.export("texts", tmp_path / name)
    assert (tmp_path / "photos" / "a.jpg").read_bytes() == b"a"
    client.create_collection("lines", dim=1)
    try:
        client.upsert("lines", ["a\nb"], vectors=[[1.0]])
        with pytest.raises(ExportError, match="line break"):
            client.export("lines", tmp_path / "lines")
        client.export("lines", tmp_path / "lines.parquet")
        assert records(tmp_path / "lines.parquet")[0].id == "a\nb"
    finally:
        client.delete_collection("lines")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["lines.parquet", "photos"]


def test_folders_made_by_hand(tmp_path: Path) -> None:
    assert open_export(tmp_path) is None
    rows = np.arange(6, dtype=np.float64).reshape(3, 2)
    np.save(tmp_path / "vectors.npy", rows)
    (tmp_path / "ids.txt").write_text("a\nb\nc")
    found = records(tmp_path)
    assert [(one.id, one.payload) for one in found] == [("a", {}), ("b", {}), ("c", {})]
    values = [one.input.values for one in found if isinstance(one.input, VectorInput)]
    np.testing.assert_array_equal(values, rows)
    (tmp_path / "payloads.jsonl").write_text('{"a": 1}\n[]\n{"c"\n')
    source = open_export(tmp_path)
    assert source is not None
    first, second, third = source
    assert isinstance(first, Record)
    assert first.payload == {"a": 1}
    assert isinstance(second, BadRecord)
    assert (second.id, second.reason) == ("b", "UNREADABLE")
    assert isinstance(third, BadRecord)
    assert third.place == f"{tmp_path}:3"
    (tmp_path / "ids.txt").write_text("\nb\nc\n")
    assert next(one.reason for one in source if isinstance(one, BadRecord)) == "NO_ID"
    (tmp_path / "ids.txt").write_text("a\nb\n")
    with pytest.raises(SourceError, match="do not belong together"):
        list(source)
    np.save(tmp_path / "vectors.npy", np.array([{}]), allow_pickle=True)
    with pytest.raises(SourceError, match="cannot be read"):
        open_export(tmp_path)


def test_damaged_files(client: Client, tmp_path: Path) -> None:
    out = tmp_path / "texts.parquet"
    out.write_bytes(b"PAR1 and nothing more")
    with pytest.raises(SourceError, match="not a Parquet file"):
        open_export(out)
    parquet.write_table(arrow.table({"id": ["a"]}), out)
    assert open_export(out) is None
    table = arrow.table({"id": ["a"]}).replace_schema_metadata({"latentspace": '{"to": 1}'})
    parquet.write_table(table, out)
    with pytest.raises(SourceError, match="not an export"):
        open_export(out)


def test_command(client: Client, address: str, tmp_path: Path) -> None:
    out = tmp_path / "texts.parquet"
    said = run(address, "export", "texts", "--out", str(out))
    assert (said.exit_code, said.stdout) == (0, f"wrote {out}: 2,300 points of 12 numbers\n")
    year = '{"year": {"lt": 1910}}'
    told = run(address, "export", "texts", "--out", str(out), "--filter", year, "--json")
    summary = json.loads(told.stdout.splitlines()[-1])
    assert (summary["event"], summary["points"], summary["model"]) == ("summary", 10, "toy")
    assert [one.id for one in records(out)] == ids()[:10]
    wrong = run(address, "export", "texts", "--out", str(tmp_path / "a.npy"))
    assert (wrong.exit_code, "a folder" in wrong.stderr) == (2, True)
    unknown = run(address, "export", "nope", "--out", str(tmp_path / "b"))
    assert unknown.exit_code == 1
    assert [path.name for path in tmp_path.iterdir()] == ["texts.parquet"]


async def test_both_clients_write_the_same(client: Client, tmp_path: Path) -> None:
    pages: list[int] = []
    async with AsyncClient(client.target) as other:
        done = await other.export("texts", tmp_path / "a", on_points=pages.append)
    assert (done.points, pages[-1]) == (COUNT, COUNT)
    client.export("texts", str(tmp_path / "b"))
    for name in ("vectors.npy", "ids.txt", "payloads.jsonl", "meta.json"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
