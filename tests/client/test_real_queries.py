"""Groups, pages, labels and tables: both clients against the server itself, values by numpy."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from latentspace import Client, InvalidArgumentError, Match, Modality, NotFoundError, Recommend
from latentspace.tables import to_arrow, to_pandas

local = pytest.importorskip("services.app.local", reason="the server is not installed")

DIM, COUNT = 12, 250
ROWS = np.random.default_rng(3).standard_normal((COUNT, DIM)).astype(np.float32)
UNIT = ROWS / np.linalg.norm(ROWS, axis=1, keepdims=True)
IDS = [f"p{i}" for i in range(COUNT)]
QUERIES = np.random.default_rng(4).standard_normal((3, DIM)).astype(np.float32)
TAGS = [f"t{i % 7}" for i in range(COUNT)]


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder: Path = tmp_path_factory.mktemp("real")
    models = {"toy": {"family": "hash", "options": {"dim": 64}}}
    with local.LocalServer(folder / "data", {"models": models}) as running:
        with Client(running.address) as client:
            fields = {"tag": "keyword", "year": "int", "on": "bool"}
            client.create_collection("raw", dim=DIM, fields=fields)
            payloads = [{"tag": t, "year": i % 5, "on": i % 2 == 0} for i, t in enumerate(TAGS)]
            client.upsert("raw", IDS, vectors=ROWS, payloads=payloads)
        yield running.address


def ranked(query: Any) -> list[int]:
    """All points, best first."""
    order: list[int] = np.argsort(-(UNIT @ query), kind="stable").tolist()
    return order


def scores(query: Any, places: list[int]) -> Any:
    return UNIT[places] @ (query / np.linalg.norm(query))


def grouped(query: Any, values: list[Any], k: int, size: int) -> list[tuple[str, Any]]:
    """Ids and groups by plain loops."""
    groups: dict[Any, list[int]] = {}
    for place in ranked(query):
        groups.setdefault(values[place], []).append(place)
    best = list(groups.items())[:k]
    return [(IDS[place], value) for value, members in best for place in members[:size]]


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("tag", TAGS),
        ("year", [i % 5 for i in range(COUNT)]),
        ("on", [i % 2 == 0 for i in range(COUNT)]),
    ],
)
def test_groups(client: Client, field: str, values: list[Any]) -> None:
    k, size = 4, 3
    groups = min(k, len(set(values)))
    found = client.search("raw", vector=QUERIES[0], k=k, group_by=field, group_size=size)
    assert [(one.id, one.group) for one in found] == grouped(QUERIES[0], values, k, size)
    assert [type(one.group) for one in found] == [type(values[0])] * (groups * size)
    result = client.search_batch("raw", vectors=QUERIES, k=k, group_by=field, group_size=size)
    # room for all that was asked for, whatever is found
    assert result.ids.shape == result.scores.shape == (3, k * size)
    assert result.counts.tolist() == [groups * size] * 3
    for i, query in enumerate(QUERIES):
        expected = grouped(query, values, k, size)
        assert [(one.id, one.group) for one in result[i]] == expected
        assert [result.group(i, rank) for rank in range(len(expected))] == [g for _, g in expected]
        places = [IDS.index(one) for one, _ in expected]
        shown = result.scores[i, : len(places)]
        np.testing.assert_allclose(shown, scores(query, places), atol=1e-5)
    assert result.ids[:, groups * size :].tolist() == [[""] * (k - groups) * size] * 3


def test_no_groups(client: Client) -> None:
    result = client.search_batch("raw", vectors=QUERIES, k=2)
    assert result.ids.shape == (3, 2)
    assert (result.group(0, 0), result[0][0].group) == (None, None)
    none = client.search_batch("raw", vectors=QUERIES, group_by="tag", filter={"year": 99})
    assert list(none) == [[], [], []]


@pytest.mark.parametrize(("k", "offset"), [(40, 0), (50, 0), (250, 0), (1000, 0), (70, 33)])
def test_pages(client: Client, k: int, offset: int) -> None:
    pages = list(client.search_pages("raw", vector=QUERIES[1], k=k, offset=offset))
    order = ranked(QUERIES[1])[offset:]
    assert [len(page) for page in pages] == [len(order[i : i + k]) for i in range(0, len(order), k)]
    found = [match for page in pages for match in page]
    assert [match.id for match in found] == [IDS[place] for place in order]
    np.testing.assert_allclose(
        [match.score for match in found], scores(QUERIES[1], order), atol=1e-5
    )
    assert found[0].payload == {"tag": TAGS[order[0]], "year": order[0] % 5, "on": not order[0] % 2}


def test_pages_of_other_queries(client: Client) -> None:
    places = [place for place in ranked(ROWS[7]) if place % 5 == 3 and place != 7]
    pages = client.search_pages("raw", point="p7", k=20, filter={"year": 3}, with_payload=False)
    found = [match for page in pages for match in page]
    assert [match.id for match in found] == [IDS[place] for place in places]
    assert {match.payload for match in found} == {None}
    alike = client.search_pages("raw", query=Recommend(["p7"], ["p8"]), k=100)
    assert [len(page) for page in alike] == [100, 100, 48]
    assert list(client.search_pages("raw", vector=QUERIES[0], filter={"year": 99})) == []


def test_pages_stay_right_while_writes_go_on(address: str) -> None:
    with Client(address) as client:
        client.create_collection("moving", dim=DIM)
        client.upsert("moving", IDS, vectors=ROWS)
        order = [IDS[place] for place in ranked(QUERIES[2])]
        seen: list[str] = []
        for page in client.search_pages("moving", vector=QUERIES[2], k=30):
            seen += [match.id for match in page]
            # the best of all is new, and one that was seen goes: neither moves the next page
            client.upsert("moving", [f"new{len(seen)}"], vectors=QUERIES[2:])
            client.delete("moving", seen[:1])
        assert seen == order
        client.delete_collection("moving")


def test_what_has_no_pages(client: Client) -> None:
    options: list[Any] = [{"group_by": "tag"}, {"diversity": 0.5}]
    for option in options:
        with pytest.raises(InvalidArgumentError, match="no pages"):
            list(client.search_pages("raw", vector=QUERIES[0], **option))
    with pytest.raises(NotFoundError):
        list(client.search_pages("nope", vector=QUERIES[0]))


def test_modalities(client: Client) -> None:
    client.create_collection("mixed", model="toy")
    client.upsert("mixed", ["t"], texts=["a dog"])
    client.upsert("mixed", ["i"], images=[b"any bytes"])
    client.upsert("mixed", ["k"], keys=["cat"])
    kinds = {match.id: match.modality for match in client.search("mixed", text="dog")}
    assert kinds == {"t": Modality.TEXT, "i": Modality.IMAGE, "k": Modality.KEY}
    client.delete_collection("mixed")


LABELS = ["cat", "dog", "a horse"]


def shares(client: Client, texts: list[str], templates: list[str], scale: float = 20.0) -> Any:
    """Probabilities (texts, labels) by hand from the model's own vectors."""
    rows = client.embed("toy", texts=texts)
    spoken = [[t.format(label) for t in templates] for label in LABELS]
    labels = np.array([client.embed("toy", texts=said).mean(axis=0) for said in spoken])
    labels /= np.linalg.norm(labels, axis=1, keepdims=True)
    logits = scale * rows @ labels.T
    odds = np.exp(logits - logits.max(axis=1, keepdims=True))
    return odds / odds.sum(axis=1, keepdims=True)


def test_classification(client: Client) -> None:
    texts = ["a cat", "the dog runs", "horse and dog", "nothing at all"]
    templates = ["a photo of a {}", "the {} in the wild"]
    expected = shares(client, texts, templates)
    found = client.classify("toy", texts=texts, labels=LABELS, templates=templates)
    made = client.create_label_set("animals", model="toy", labels=LABELS, templates=templates)
    assert (made.labels, made.templates) == (tuple(LABELS), tuple(templates))
    assert client.classify("toy", texts=texts, label_set="animals") == found
    for row, labels in zip(expected, found, strict=True):
        assert [one.label for one in labels] == [LABELS[i] for i in np.argsort(-row)]
        ours = [one.probability for one in labels]
        np.testing.assert_allclose(ours, np.sort(row)[::-1], rtol=1e-4)
    least = float(expected[0].max()) - 1e-4
    few = client.classify("toy", texts=texts, label_set="animals", min_probability=least)
    assert [len(labels) for labels in few] == (expected >= least).sum(axis=1).tolist()
    client.delete_label_set("animals")
    assert client.label_sets() == []


def test_tables(client: Client) -> None:
    pytest.importorskip("pandas", reason="pandas is not installed")
    pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    result = client.search_batch(
        "raw", vectors=QUERIES, k=2, group_by="tag", group_size=2, with_payload=True
    )
    frame, table = result.to_pandas(), result.to_arrow()
    assert list(frame) == table.column_names
    assert frame["query"].tolist() == table["query"].to_pylist() == [0] * 4 + [1] * 4 + [2] * 4
    assert frame["rank"].tolist() == [1, 2, 3, 4] * 3
    expected = [pair for query in QUERIES for pair in grouped(query, TAGS, 2, 2)]
    assert list(zip(frame["id"], frame["group"], strict=True)) == expected
    assert list(zip(*(table[n].to_pylist() for n in ("id", "group")), strict=True)) == expected
    places = [IDS.index(one) for one, _ in expected]
    np.testing.assert_array_equal(frame["score"], result.scores.ravel())
    assert [one["year"] for one in frame["payload"]] == [place % 5 for place in places]
    assert frame["modality"].tolist() == ["vector"] * 12
    pages: list[list[Match]] = list(client.search_pages("raw", vector=QUERIES[0], k=200))
    assert to_arrow(pages[1])["id"].to_pylist() == [IDS[p] for p in ranked(QUERIES[0])[200:]]
    labels = client.classify("toy", texts=["a cat", "a dog"], labels=LABELS, top_k=1)
    assert to_pandas(labels)["label"].tolist() == ["cat", "dog"]
    pairs = client.compare("toy", texts=[("a cat", "a cat"), ("a cat", "one dog")], threshold=0.9)
    assert to_arrow(pairs)["same"].to_pylist() == [True, False]
