"""Queries beyond the nearest points, through the real server, against numpy."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from embedders.vectors import FloatRows
from latentspace import Client, Recommend, point, vector
from latentspace.errors import InvalidArgumentError, PartialError
from services.app.local import LocalServer

DIM, POINTS = 8, 500


@pytest.fixture(scope="module")
def rows() -> FloatRows:
    return np.random.default_rng(2).standard_normal((POINTS, DIM)).astype(np.float32)


@pytest.fixture(scope="module", params=["cosine", "dot", "l2"])
def metric(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, rows: FloatRows) -> Iterator[Client]:
    models = {"toy": {"family": "hash", "options": {"dim": DIM}}}
    folder = tmp_path_factory.mktemp("queries")
    with LocalServer(folder, {"models": models}) as running, Client(running.address) as opened:
        for name in ("cosine", "dot", "l2"):
            opened.create_collection(
                name, dim=DIM, metric=name, recipe="exact", fields={"color": "keyword"}
            )
            opened.upsert(
                name,
                ids=[f"p{i}" for i in range(POINTS)],
                vectors=rows,
                payloads=[{"color": f"c{i % 7}", "n": i} for i in range(POINTS)],
            )
        yield opened
    assert running.process.returncode == 0, "\n".join(running.log)


def scores(metric: str, query: FloatRows, rows: FloatRows) -> FloatRows:
    if metric == "l2":
        return np.asarray(-((rows - query) ** 2).sum(axis=1))
    if metric == "cosine":
        rows, query = units(rows), query / np.linalg.norm(query)
    return np.asarray(rows @ query)


def units(rows: FloatRows) -> FloatRows:
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True))


def ranked(metric: str, query: FloatRows, rows: FloatRows) -> list[str]:
    return [f"p{i}" for i in np.argsort(-scores(metric, query, rows), kind="stable")]


@pytest.mark.parametrize("negatives", [[], [9], [9, 10, 11]])
def test_recommend_by_average(
    served: Client, rows: FloatRows, metric: str, negatives: list[int]
) -> None:
    """Qdrant's average_vector: the mean of positives, moved away from that of the negatives."""
    examples = units(rows) if metric == "cosine" else rows
    query = examples[[3, 4]].mean(axis=0)
    if negatives:
        query = query + query - examples[negatives].mean(axis=0)
    own = {"p3", "p4", *(f"p{i}" for i in negatives)}
    expected = [one for one in ranked(metric, query, rows) if one not in own]
    liked = Recommend(["p3", "p4"], [f"p{i}" for i in negatives])
    found = served.search(metric, query=liked, k=12)
    assert [match.id for match in found] == expected[:12]
    page = served.search_batch(metric, queries=[liked, point("none")], k=5, on_error="return")
    assert list(page.ids[0]) == expected[:5]
    assert "'none'" in str(page.errors[1])


def test_recommend_by_best_score(served: Client, rows: FloatRows, metric: str) -> None:
    near = [scores(metric, rows[i], rows) for i in (3, 4, 5)]
    far = [scores(metric, rows[i], rows) for i in (9, 10)]
    gain = np.max(near, axis=0)
    gain[gain < np.max(far, axis=0)] = -np.inf
    gain[[3, 4, 9, 10]] = -np.inf
    order = np.argsort(-gain, kind="stable")[:20]
    liked = Recommend(["p3", "p4", vector(rows[5])], ["p9", "p10"], strategy="best_score")
    found = served.search(metric, query=liked, k=20, filter={"color": {"exists": True}})
    np.testing.assert_allclose([one.score for one in found], gain[order], rtol=1e-4, atol=1e-5)
    assert [one.id for one in found] == [f"p{i}" for i in order]
    assert found[0].payload == {"color": f"c{order[0] % 7}", "n": int(order[0])}
    paged = served.search(metric, query=liked, k=5, offset=15)
    assert [one.id for one in paged] == [f"p{i}" for i in order[15:]]


def test_groups_and_diversity_in_batches(served: Client, rows: FloatRows, metric: str) -> None:
    queries = np.random.default_rng(8).standard_normal((5, DIM)).astype(np.float32)
    found = served.search_batch(
        metric, vectors=queries, k=3, group_by="color", group_size=2, with_payload=True
    )
    for query, matches in zip(queries, found, strict=True):
        groups: dict[str, list[str]] = {}
        for one in ranked(metric, query, rows):
            groups.setdefault(f"c{int(one[1:]) % 7}", []).append(one)
        expected = [one for ids in list(groups.values())[:3] for one in ids[:2]]
        assert [match.id for match in matches] == expected
    diverse = served.search_batch(metric, vectors=queries, k=4, diversity=0.5)
    for query, ids in zip(queries, diverse.ids, strict=True):
        best = ranked(metric, query, rows)
        assert ids[0] == best[0]
        assert set(ids) <= set(best[:16])
        assert len(set(ids)) == 4
    same = served.search_batch(metric, vectors=queries, k=4, diversity=1.0)
    assert [list(ids) for ids in same.ids] == [ranked(metric, q, rows)[:4] for q in queries]


def test_pages_of_a_query(served: Client, rows: FloatRows, metric: str) -> None:
    liked = [(1.0, point("p1")), (-0.5, point("p2"))]
    query = units(rows)[1] - 0.5 * units(rows)[2]
    expected = [one for one in ranked(metric, query, rows) if one not in ("p1", "p2")]
    seen: list[str] = []
    token = ""
    while True:
        page = served.search_batch(metric, queries=[liked], k=90, page_token=token)
        seen += page.ids[0][: page.counts[0]].tolist()
        token = page.next_page_token
        if not token:
            break
    assert seen == expected
    first = served.search_batch(metric, queries=[liked], k=10)
    other = {"queries": [point("p1")], "page_token": first.next_page_token}
    with pytest.raises(InvalidArgumentError, match="another search"):
        served.search_batch(metric, k=10, **other)  # type: ignore[arg-type]
    second = served.search_batch(
        metric, queries=[liked], k=3, with_vectors=True, page_token=first.next_page_token
    )
    assert second.ids[0].tolist() == expected[10:13]


def test_the_deepest_search_leaves_its_own_point_out(served: Client, rows: FloatRows) -> None:
    found = served.search("cosine", point="p1", k=10_000)
    assert [one.id for one in found] == ranked("cosine", rows[1], rows)[1:]


@pytest.mark.parametrize(
    ("wanted", "part"),
    [
        ({"group_by": "n"}, r"group_by.field.*'n' is not declared.*color"),
        ({"group_by": "color", "diversity": 0.5}, "do not go together"),
        ({"group_by": "color", "page_token": "x"}, "do not go together"),
        ({"diversity": 1.5}, r"diversity.lambda.*0 to 1"),
        ({"page_token": "!"}, "no next_page_token"),
        ({"page_token": "x", "offset": 1}, "has no offset"),
        ({"group_by": "color", "group_size": 2000}, r"group_size must be at most 10000, not 20000"),
        ({"offset": 9_999}, r"offset.*10000"),
    ],
)
def test_choices_that_do_not_fit(served: Client, wanted: Any, part: str) -> None:
    with pytest.raises(InvalidArgumentError, match=part):
        served.search("cosine", point="p1", **wanted)


def test_examples_that_fail_name_themselves(served: Client) -> None:
    with pytest.raises(PartialError) as caught:
        served.search_batch(
            "cosine",
            queries=[
                Recommend(["none"], strategy="best_score"),
                Recommend(["p1"], [vector([1.0] * 3)]),
                Recommend(["p1"], [vector([0.0] * DIM)], strategy="best_score"),
                Recommend([point("p1", "dot")]),
            ],
        )
    assert "'none'" in str(caught.value.errors[0])
    assert "3 dimensions" in str(caught.value.errors[1])
    assert "no cosine" in str(caught.value.errors[2])
    assert sorted(caught.value.errors) == [0, 1, 2]


def test_kept_results_are_those_of_the_last_write(
    tmp_path_factory: pytest.TempPathFactory, rows: FloatRows
) -> None:
    folder = tmp_path_factory.mktemp("kept")
    settings = {"models": {}, "cache": {"searches_mib": 8}, "metrics_listen": "127.0.0.1:0"}
    with LocalServer(folder, settings) as running, Client(running.address) as ls:
        ls.create_collection("c", dim=DIM, recipe="exact", fields={"n": "int"})
        ids = [f"p{i}" for i in range(POINTS)]
        ls.upsert("c", ids=ids, vectors=rows, payloads=[{"n": i} for i in range(POINTS)])
        query = rows[0] + 0.1

        def ask(**wanted: Any) -> list[str]:
            return [one.id for one in ls.search("c", vector=query, k=3, **wanted)]

        first = ask()
        assert ask() == first == ranked("cosine", query, rows)[:3]
        timing = ls.search_batch("c", vectors=query[None], k=3, with_payload=True).timing
        assert timing.search_ns == 0
        assert ask(filter={"n": {"gte": 400}})[0] != first[0]
        ls.delete("c", ids=first[:1])
        assert ask() == ranked("cosine", query, rows)[1:4]
        ls.upsert("c", ids=["new"], vectors=query[None], payloads=[{"n": 1}])
        assert ask()[0] == "new"
        ls.update_payload("c", ids=["new"], payload={"n": 7})
        assert ls.search("c", vector=query, k=1)[0].payload == {"n": 7}
        ls.delete_collection("c")
        ls.create_collection("c", dim=DIM, recipe="exact", fields={"n": "int"})
        assert ask() == []
