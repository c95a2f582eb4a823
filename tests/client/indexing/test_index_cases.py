"""`latentspace index` on files that people really have."""

import json
from pathlib import Path
from typing import Any

import networkx
import numpy as np
import pytest

from latentspace import Client
from latentspace.errors import NotFoundError
from tests.client.indexing.index_world import (  # noqa: F401 fixtures
    address,
    client,
    events,
    index,
    payloads,
)

pandas = pytest.importorskip("pandas", reason="pandas is not installed")


def test_a_cell_of_180_kb(client: Client, tmp_path: Path) -> None:  # noqa: F811
    long = "Lorem ipsum harbour lights. " * 6430
    frame = pandas.DataFrame({"id": list("abc"), "text": ["short text", long, "another"]})
    frame["year"] = [2020, 2021, 2022]
    frame.to_csv(tmp_path / "rows.csv", index=False)
    result = index(client, tmp_path / "rows.csv", "--model", "toy", "--field", "year=int")
    assert result.exit_code == 0, result.stderr
    assert payloads(client) == {"a": {"year": 2020}, "b": {"year": 2021}, "c": {"year": 2022}}
    (stored,) = client.get("c", ["b"], with_vectors=True)
    assert stored.vector is not None
    np.testing.assert_allclose(stored.vector, client.embed("toy", texts=[long])[0], atol=1e-6)


def test_lists_in_cells(client: Client, tmp_path: Path) -> None:  # noqa: F811
    rows = ['1,harbour,"a,b"', "2,ferry,", "3,gull,a", '4,sea,"[""a"",""b""]"', "5,fog,\"['c']\""]
    (tmp_path / "rows.csv").write_text("\n".join(["id,text,tags", *rows]))
    call = ("--model", "toy", "--field", "tags=keyword_list")
    assert index(client, tmp_path / "rows.csv", *call).exit_code == 0
    assert payloads(client) == {
        "1": {"tags": ["a", "b"]},
        "2": {},
        "3": {"tags": ["a"]},
        "4": {"tags": ["a", "b"]},
        "5": {"tags": ["c"]},
    }
    assert client.count("c", filter={"tags": "b"}) == 2
    # another time the collection says what its fields are
    (tmp_path / "more.csv").write_text("id,text,tags\n6,x,b; c ;\n")
    assert index(client, tmp_path / "more.csv", "--list-delimiter", ";").exit_code == 0
    assert payloads(client)["6"] == {"tags": ["b", "c"]}


def test_whole_numbers_as_pandas_writes_them(client: Client, tmp_path: Path) -> None:  # noqa: F811
    frame = pandas.DataFrame({"id": ["1", "2"], "text": ["harbour", "ferry"], "year": [2020, None]})
    frame.to_csv(tmp_path / "rows.csv", index=False)
    assert "2020.0" in (tmp_path / "rows.csv").read_text()
    call = ("--model", "toy", "--field", "year=int")
    assert index(client, tmp_path / "rows.csv", *call).exit_code == 0
    assert payloads(client) == {"1": {"year": 2020}, "2": {}}
    frame.to_json(tmp_path / "rows.jsonl", orient="records", lines=True)
    assert index(client, tmp_path / "rows.jsonl").exit_code == 0
    assert payloads(client) == {"1": {"year": 2020}, "2": {"year": None}}
    frame.to_parquet(tmp_path / "rows.parquet")
    assert index(client, tmp_path / "rows.parquet").exit_code == 0
    assert payloads(client) == {"1": {"year": 2020}, "2": {"year": None}}


@pytest.mark.parametrize("sign", ["#tag", "%E4"])
def test_names_of_nodes_with_signs(client: Client, tmp_path: Path, sign: str) -> None:  # noqa: F811
    names = [f"{sign}{i}" if i % 2 else f"tag{i}" for i in range(30)]
    lines = [f"{names[i]}\t{names[(i + step) % 30]}" for step in (1, 7) for i in range(30)]
    (tmp_path / "graph.edges").write_text("\n".join(["# from\tto", *lines, ""]))
    result = index(client, tmp_path / "graph.edges", "--model", "toy", "--json")
    assert result.exit_code == 0, result.stderr
    assert set(payloads(client)) == set(names)
    assert events(result, "summary")[0]["left_out"] == {"comments": 1}


@pytest.mark.parametrize("weight", [{}, {"weight": 2.0}])
def test_edges_of_networkx(client: Client, tmp_path: Path, weight: dict[str, float]) -> None:  # noqa: F811
    graph = networkx.Graph()
    graph.add_edges_from((i, (i + step) % 30, weight) for step in (1, 7) for i in range(30))
    networkx.write_edgelist(graph, tmp_path / "graph.edgelist")
    assert index(client, tmp_path / "graph.edgelist", "--model", "toy").exit_code == 0
    assert set(payloads(client)) == {str(node) for node in graph}


@pytest.mark.parametrize("ids", ["\ufeffa\nb\nc\n", "a\r\nb\r\nc\r\n", "\ufeffa\nb\nc\n\n\n"])
def test_folders_made_by_hand(client: Client, tmp_path: Path, ids: str) -> None:  # noqa: F811
    rows = np.eye(3, 4, dtype=np.float32)
    np.save(tmp_path / "vectors.npy", rows)
    (tmp_path / "ids.txt").write_text(ids, encoding="utf-8", newline="")
    result = index(client, tmp_path)
    assert result.exit_code == 0, result.stderr
    stored = client.get("c", ["a", "b", "c"], with_vectors=True)
    np.testing.assert_array_equal([one.vector for one in stored], rows)


@pytest.mark.parametrize("ids", ["a\nb\n", "a\nb\nc\nd\n", "a\n\nb\nc\n"])
def test_ids_that_do_not_fit_their_vectors(client: Client, tmp_path: Path, ids: str) -> None:  # noqa: F811
    np.save(tmp_path / "vectors.npy", np.eye(3, 4, dtype=np.float32))
    (tmp_path / "ids.txt").write_text(ids)
    result = index(client, tmp_path)
    assert result.exit_code == 1
    assert "lines for the 3 vectors" in " ".join(result.stderr.split())
    with pytest.raises(NotFoundError):
        client.collection("c")


def test_a_blank_id_shifts_nothing(client: Client, tmp_path: Path) -> None:  # noqa: F811
    rows = np.eye(3, 4, dtype=np.float32)
    np.save(tmp_path / "vectors.npy", rows)
    (tmp_path / "ids.txt").write_text("a\n\nc\n")
    result = index(client, tmp_path, "--json")
    assert result.exit_code == 4
    assert [bad["place"] for bad in events(result, "failed")] == [f"{tmp_path}:2"]
    stored = client.get("c", ["a", "c"], with_vectors=True)
    np.testing.assert_array_equal([one.vector for one in stored], rows[[0, 2]])


def test_a_failed_first_try_leaves_no_collection(client: Client, tmp_path: Path) -> None:  # noqa: F811
    (tmp_path / "rows.csv").write_text("id,title,year\n1,harbour,soon\n2,ferry,later\n")
    nothing_to_embed = index(client, tmp_path / "rows.csv", "--model", "toy")
    assert nothing_to_embed.exit_code == 1
    assert "say which column to embed" in nothing_to_embed.stderr
    options = ("--input-column", "title", "--field", "year=int")
    all_bad = index(client, tmp_path / "rows.csv", "--model", "toy", *options)
    assert all_bad.exit_code == 1
    assert not client.collections()
    good = index(client, tmp_path / "rows.csv", "--model", "other", "--input-column", "title")
    assert good.exit_code == 0, good.stderr
    assert client.collection("c").model == "other"
    # what holds points, or was there before, stays
    assert index(client, tmp_path / "rows.csv").exit_code == 1
    assert client.count("c") == 2
    client.create_collection("empty", model="toy")
    index(client, tmp_path / "rows.csv", "--collection", "empty")
    assert client.count("empty") == 0


def test_payloads_are_checked_before_anything_is_encoded(client: Client) -> None:  # noqa: F811
    client.create_collection("c", model="toy", fields={"tags": "keyword_list"})
    # the model would refuse these texts, if it came to see them
    texts = ["good one", *[""] * 50]
    ids = [str(i) for i in range(51)]
    tags: list[dict[str, Any]] = [{"tags": ["a"]}, *({"tags": "a,b"} for _ in range(50))]
    written = client.upsert("c", ids, texts=texts, payloads=tags, on_error="return")
    assert sorted(written.errors) == list(range(1, 51))
    assert all("list of strings" in error.message for error in written.errors.values())
    assert payloads(client) == {"0": {"tags": ["a"]}}
    again = client.upsert("c", ids[1:], texts=texts[1:], payloads=tags[1:], on_error="return")
    assert len(again.errors) == 50
    assert client.count("c") == 1


def test_kept_texts_and_hidden_digests(client: Client, tmp_path: Path) -> None:  # noqa: F811
    rows = [{"id": "1", "body": "harbour lights", "n": 1}, {"id": "2", "body": "x" * 16_001}]
    (tmp_path / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)))
    call = ("--input-column", "body", "--keep-text", "--model", "toy")
    assert index(client, tmp_path / "rows.jsonl", *call).exit_code == 0
    assert payloads(client) == {"1": {"n": 1, "body": "harbour lights"}, "2": {}}
    (hit,) = client.search("c", text="harbour lights", k=1)
    assert hit.payload == {"n": 1, "body": "harbour lights"}
    found = client.search_batch("c", texts=["harbour lights"], k=1, with_payload=True)
    assert found.payload(0, 0) == hit.payload
    # a second run still knows what it wrote
    again = index(client, tmp_path / "rows.jsonl", *call, "--json")
    assert events(again, "summary")[0]["unchanged"] == 2


def test_upserts_that_keep_their_texts(client: Client) -> None:  # noqa: F811
    client.create_collection("c", model="toy")
    texts = ["harbour lights", "x" * 16_001, "ferry"]
    own: list[dict[str, Any] | None] = [{"n": 1}, None, {"body": "own"}]
    client.upsert("c", ["a", "b", "c"], texts=texts, payloads=own, keep_text="body")
    assert payloads(client) == {
        "a": {"n": 1, "body": "harbour lights"},
        "b": {},
        "c": {"body": "own"},
    }
    client.upsert("c", ["d"], texts=["gull"], keep_text="text")
    assert payloads(client)["d"] == {"text": "gull"}


@pytest.mark.parametrize("place", [0, 2, 4])
@pytest.mark.parametrize("as_json", [False, True])
def test_standard_input_with_a_bad_line(client: Client, place: int, as_json: bool) -> None:  # noqa: F811
    lines = [(f'{{"text": "t{i}"}}' if as_json else f"t{i}").encode() for i in range(5)]
    lines[place] = b"{caf\xe9" if as_json else b"caf\xe9"
    result = index(client, Path("-"), "--model", "toy", "--json", input=b"\n".join(lines))
    assert result.exit_code == 4, result.stderr
    assert [bad["place"] for bad in events(result, "failed")] == [f"standard input:{place + 1}"]
    assert set(payloads(client)) == {str(i + 1) for i in range(5) if i != place}
