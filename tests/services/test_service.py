"""The path through the real service: values against numpy and gensim."""

import asyncio
from collections.abc import Iterator

import grpc
import numpy as np
import pytest
from gensim.models import KeyedVectors
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from embedders.base import Item, Modality
from embedders.registry import load
from latentspace import AsyncClient, Client, key, point, text, vector
from latentspace.v1 import embedding_service_pb2 as embedding
from latentspace.v1 import types_pb2 as types
from latentspace.v1.embedding_service_pb2_grpc import EmbeddingServiceStub
from services.app.local import LocalServer

DIM = 16


@pytest.fixture
def rows() -> np.ndarray:
    return np.random.default_rng(3).standard_normal((500, 8)).astype(np.float32)


@pytest.fixture
def filled(client: Client, name: str, rows: np.ndarray) -> Iterator[str]:
    client.create_collection(name, dim=8, metric="dot", recipe="exact", fields={"even": "bool"})
    payloads = [{"even": i % 2 == 0} for i in range(len(rows))]
    client.upsert(name, ids=[f"p{i}" for i in range(500)], vectors=rows, payloads=payloads)
    yield name
    client.delete_collection(name)


def test_embedding_is_the_encoders_own(client: Client) -> None:
    texts = [f"some text number {i}" for i in range(700)]
    encoder = load("toy", "hash", options={"dim": DIM})
    prepared = encoder.prepare_batch([Item(Modality.TEXT, t) for t in texts])
    expected = encoder.encode(prepared).rows  # type: ignore[arg-type]
    np.testing.assert_allclose(client.embed("toy", texts=texts), expected, atol=1e-6)


def test_models_say_what_they_were_made_from(client: Client) -> None:
    other, words = client.model("other"), client.model("unloaded-words")
    assert (other.family, other.source, other.options) == (
        "hash",
        "",
        {"dim": DIM, "seed": "another"},
    )
    assert words.source.endswith("words.bin")
    assert words.options == {}


def test_half_precision_and_cut_dimensions(client: Client) -> None:
    full = client.embed("toy", texts=["a b c"])
    cut = client.embed("toy", texts=["a b c"], dimensions=5)
    expected = full[0, :5] / np.linalg.norm(full[0, :5])
    np.testing.assert_allclose(cut[0], expected, atol=1e-6)


def test_unknown_words_fail_alone_with_close_spellings(client: Client, keyed: KeyedVectors) -> None:
    reply = client.embed_batch("words", keys=["word1", "wrod2", "word3"], on_error="return")
    assert list(reply.errors) == [1]
    assert "word2" in str(reply.errors[1])
    np.testing.assert_allclose(reply.rows, keyed[["word1", "word3"]], rtol=1e-6)


def test_search_by_vectors_is_numpys_answer(client: Client, filled: str, rows: np.ndarray) -> None:
    queries = np.random.default_rng(4).standard_normal((40, 8)).astype(np.float32)
    found = client.search_batch(filled, vectors=queries, k=7)
    scores = queries @ rows.T
    best = np.argsort(-scores, axis=1)[:, :7]
    assert found.ids.tolist() == [[f"p{i}" for i in line] for line in best]
    np.testing.assert_allclose(found.scores, np.take_along_axis(scores, best, 1), rtol=1e-5)


def test_filters_threshold_offset_and_payloads(
    client: Client, filled: str, rows: np.ndarray
) -> None:
    query = rows[0]
    scores = rows @ query
    even = [i for i in np.argsort(-scores) if i % 2 == 0]
    found = client.search(filled, vector=query, k=5, filter={"even": True}, with_payload=True)
    assert [m.id for m in found] == [f"p{i}" for i in even[:5]]
    assert all(m.payload == {"even": True} for m in found)
    later = client.search(filled, vector=query, k=5, filter={"even": True}, offset=3)
    assert [m.id for m in later] == [f"p{i}" for i in even[3:8]]
    limit = float(scores[even[2]])
    some = client.search(
        filled, vector=query, k=50, filter={"even": True}, score_threshold=limit - 1e-4
    )
    assert [m.id for m in some] == [f"p{i}" for i in even[:3]]
    assert client.count(filled, filter={"even": True}) == 250


def test_a_stored_point_finds_others_not_itself(
    client: Client, filled: str, rows: np.ndarray
) -> None:
    order = [i for i in np.argsort(-(rows @ rows[5])) if i != 5][:4]
    found = client.search(filled, point="p5", k=4)
    assert [m.id for m in found] == [f"p{i}" for i in order]
    same = client.search(filled, vector=rows[5], k=500)
    assert "p5" in [m.id for m in same]


def test_a_weighted_sum_is_a_sum_of_unit_vectors(
    client: Client, filled: str, rows: np.ndarray
) -> None:
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    query = 2.0 * unit[1] - 0.5 * unit[2]
    order = [i for i in np.argsort(-(rows @ query)) if i not in (1, 2)][:5]
    found = client.search(filled, query=[(2.0, point("p1")), (-0.5, vector(rows[2]))], k=6)
    assert [m.id for m in found if m.id != "p2"][:5] == [f"p{i}" for i in order]
    assert found[0].score == pytest.approx(float(rows[int(found[0].id[1:])] @ query), rel=1e-5)


def test_words_answer_as_gensim_does(client: Client, keyed: KeyedVectors) -> None:
    found = client.search("words", key="word10", k=10)
    expected = keyed.most_similar("word10", topn=10)
    assert [m.id for m in found] == [k for k, _ in expected]
    np.testing.assert_allclose([m.score for m in found], [s for _, s in expected], atol=1e-5)


@pytest.mark.parametrize("method", ["3CosAdd", "3CosMul"])
def test_analogies_answer_as_gensim_does(client: Client, keyed: KeyedVectors, method: str) -> None:
    rng = np.random.default_rng(5)
    ask = keyed.most_similar if method == "3CosAdd" else keyed.most_similar_cosmul
    picked = [[f"word{i}" for i in rng.choice(600, 3, replace=False)] for _ in range(50)]
    questions = [([a, b], [c]) for a, b, c in picked]
    answers = client.analogy_batch("words", questions, k=10, method=method)
    for (positive, negative), found in zip(questions, answers, strict=True):
        expected = ask(positive=positive, negative=negative, topn=10)
        assert [m.id for m in found] == [k for k, _ in expected]
        np.testing.assert_allclose([m.score for m in found], [s for _, s in expected], atol=1e-5)


def test_weighted_analogies_answer_as_gensim_does(client: Client, keyed: KeyedVectors) -> None:
    found = client.analogy(
        "words", positive=[(0.5, key("word1")), (1.5, key("word2"))], negative=["word3"], k=5
    )
    expected = keyed.most_similar(
        positive=[("word1", 0.5), ("word2", 1.5)], negative=["word3"], topn=5
    )
    assert [m.id for m in found] == [k for k, _ in expected]


def test_an_analogy_question_that_fails_fails_alone(client: Client) -> None:
    questions = [(["word1", "word2"], ["word3"]), (["word1", "nosuch"], ["word3"])]
    with pytest.raises(Exception, match="nosuch"):
        client.analogy_batch("words", questions, k=1)
    answers = client.analogy_batch("words", questions, k=1, on_error="return")
    assert len(answers[0]) == 1
    assert len(answers[1]) == 0


def test_analogies_in_a_collection_of_ones_own(
    client: Client, filled: str, rows: np.ndarray
) -> None:
    found = client.analogy(filled, positive=[point("p1"), point("p2")], negative=[point("p3")], k=3)
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    target = unit[1] + unit[2] - unit[3]
    cosines = unit @ (target / np.linalg.norm(target))
    order = [i for i in np.argsort(-cosines) if i not in (1, 2, 3)][:3]
    assert [m.id for m in found] == [f"p{i}" for i in order]


def test_the_life_of_points(client: Client, name: str) -> None:
    client.create_collection(name, model="toy", recipe="hnsw", fields={"n": "int"})
    ids = [f"d{i}" for i in range(30)]
    client.upsert(
        name,
        ids=ids,
        texts=[f"words of {i}" for i in range(30)],
        payloads=[{"n": i} for i in range(30)],
    )
    assert client.count(name) == 30
    got = client.get(name, ids=["d3"], with_vectors=True)[0]
    assert got.vector is not None
    np.testing.assert_allclose(got.vector, client.embed("toy", texts=["words of 3"])[0], atol=1e-6)
    client.upsert(name, ids=["d3"], texts=["something else"], payloads=[{"n": 99}])
    assert client.get(name, ids=["d3"])[0].payload == {"n": 99}
    assert client.count(name) == 30
    client.update_payload(name, ids=["d4"], payload={"extra": True})
    assert client.get(name, ids=["d4"])[0].payload == {"n": 4, "extra": True}
    client.delete(name, ids=["d0", "d1", "unknown"])
    client.delete(name, filter={"n": {"gte": 25, "lt": 99}})
    assert sorted(p.id for p in client.scroll(name)) == sorted(f"d{i}" for i in range(2, 25))
    assert client.search(name, text="something else", k=1)[0].id == "d3"
    client.delete_collection(name)
    assert name not in {c.name for c in client.collections()}


def test_collections_describe_themselves(client: Client, name: str) -> None:
    client.create_collection(name, model="toy", recipe="hnsw", metric="cosine")
    found = client.collection(name)
    model = client.model("toy")
    assert (found.dim, found.space_id, found.points) == (DIM, model.space_id, 0)
    assert not found.read_only
    words = client.collection("words")
    assert (words.points, words.read_only) == (600, True)
    client.delete_collection(name)


def test_an_alias_moves_at_once(client: Client, name: str) -> None:
    for suffix in ("a", "b"):
        client.create_collection(name + suffix, dim=2, recipe="exact")
        client.upsert(name + suffix, ids=[suffix], vectors=np.ones((1, 2)))
    client.set_alias(name, name + "a")
    assert client.search(name, vector=[1, 1], k=1)[0].id == "a"
    client.set_alias(name, name + "b")
    assert client.search(name, vector=[1, 1], k=1)[0].id == "b"
    assert client.collection(name + "b").aliases == (name,)
    client.delete_alias(name)
    with pytest.raises(Exception, match=name):
        client.search(name, vector=[1, 1], k=1)


async def test_concurrent_searches_are_joined_and_right(
    server: LocalServer, client: Client, filled: str, rows: np.ndarray
) -> None:
    queries = np.random.default_rng(6).standard_normal((64, 8)).astype(np.float32)
    async with AsyncClient(server.address) as ls:
        found = await asyncio.gather(*[ls.search(filled, vector=q, k=3) for q in queries])
    best = np.argsort(-(queries @ rows.T), axis=1)[:, :3]
    assert [[m.id for m in one] for one in found] == [[f"p{i}" for i in line] for line in best]


async def test_concurrent_embeddings_are_joined_and_right(
    server: LocalServer, client: Client
) -> None:
    texts = [f"text {i} of many" for i in range(100)]
    expected = client.embed("toy", texts=texts)
    async with AsyncClient(server.address) as ls:
        found = await asyncio.gather(*[ls.embed("toy", texts=[t]) for t in texts])
    np.testing.assert_allclose(np.concatenate(found), expected, atol=1e-6)


def test_a_stream_answers_batch_by_batch(channel: grpc.Channel, client: Client) -> None:
    def requests() -> Iterator[embedding.EmbedStreamRequest]:
        for i in range(5):
            inputs = [types.Input(text=f"text {i} {j}") for j in range(i + 1)]
            yield embedding.EmbedStreamRequest(
                model="toy" if i == 0 else "", inputs=inputs, batch_id=i
            )

    replies = list(EmbeddingServiceStub(channel).EmbedStream(requests()))
    assert [r.batch_id for r in replies] == list(range(5))
    last = np.frombuffer(replies[4].embeddings.vectors.data, "<f4").reshape(5, DIM)
    expected = client.embed("toy", texts=[f"text 4 {j}" for j in range(5)])
    np.testing.assert_allclose(last, expected, atol=1e-6)


def test_models_load_and_unload(client: Client, channel: grpc.Channel) -> None:
    check = health_pb2_grpc.HealthStub(channel).Check
    question = health_pb2.HealthCheckRequest(service="latentspace.v1.EmbeddingService/later")
    assert client.model("later").state == "unloaded"
    client.load_model("later")
    assert client.embed("later", texts=["x"]).shape == (1, 64)
    assert check(question).status == health_pb2.HealthCheckResponse.SERVING
    client.unload_model("later")
    assert check(question).status == health_pb2.HealthCheckResponse.NOT_SERVING
    assert client.model("later").state == "unloaded"
    with pytest.raises(Exception, match="load"):
        client.embed("later", texts=["x"])


def test_a_vocabulary_hides_no_stored_collection(client: Client) -> None:
    client.create_collection("unloaded-words", dim=2, recipe="exact")
    with pytest.raises(Exception, match="another name, or delete the collection"):
        client.load_model("unloaded-words")
    assert client.collection("unloaded-words").points == 0
    client.delete_collection("unloaded-words")
    client.load_model("unloaded-words")
    assert client.collection("unloaded-words").points == 600
    client.unload_model("unloaded-words")


def test_health_speaks_of_services_and_models(channel: grpc.Channel) -> None:
    check = health_pb2_grpc.HealthStub(channel).Check
    for service in ["", "latentspace.v1.SearchService", "latentspace.v1.EmbeddingService/words"]:
        reply = check(health_pb2.HealthCheckRequest(service=service))
        assert reply.status == health_pb2.HealthCheckResponse.SERVING, service


def test_reflection_lists_every_service(channel: grpc.Channel) -> None:
    stub = reflection_pb2_grpc.ServerReflectionStub(channel)
    request = reflection_pb2.ServerReflectionRequest(list_services="")
    listed = next(iter(stub.ServerReflectionInfo(iter([request]))))
    names = {s.name for s in listed.list_services_response.service}
    wanted = "Classification Collection Embedding Evaluation Operation Search Training"
    assert {f"latentspace.v1.{name}Service" for name in wanted.split()} < names


def test_operations_are_watched_and_listed(client: Client, filled: str) -> None:
    operation = client.optimize(filled, wait=False)
    states = [str(seen.state) for seen in operation.watch()]
    assert states[-1] == "succeeded"
    listed = client.operations()
    assert listed[0].kind == "optimize"
    assert listed[0].target == filled


def test_a_snapshot_comes_back_under_another_name(
    client: Client, filled: str, rows: np.ndarray
) -> None:
    client.snapshot(filled, f"{filled}-snap")
    client.delete(filled, ids=["p1"])
    client.restore(f"{filled}-snap", f"{filled}-copy")
    assert client.count(f"{filled}-copy") == 500
    back = client.get(f"{filled}-copy", ids=["p1"], with_vectors=True)[0]
    np.testing.assert_array_equal(back.vector, rows[1])
    assert f"{filled}-snap" in {s.name for s in client.snapshots(filled)}
    client.delete_collection(f"{filled}-copy")


def test_recall_of_an_exact_collection_is_one(client: Client, filled: str) -> None:
    measured = client.measure_recall(filled, k=10)
    assert (measured.recall, measured.samples) == (1.0, 100)


def test_a_collection_says_what_its_default_searches_find(client: Client, name: str) -> None:
    rng = np.random.default_rng(11)
    rows = rng.standard_normal((4000, 24), dtype=np.float32)
    client.create_collection(name, dim=24, metric="l2", recipe="ivf")
    client.upsert(name, ids=[f"p{i}" for i in range(len(rows))], vectors=rows)
    assert client.collection(name).default_recall == 1
    client.optimize(name, full=True)
    shown = client.collection(name)
    (segment,) = [part for part in shown.segments if part.rows]
    assert segment.default_effort is not None
    effort = segment.default_effort
    assert (effort.ef, effort.rerank, effort.samples) == (0, 0, 256)
    assert effort.nprobe > 8
    assert 0.95 <= effort.low <= effort.recall <= effort.high <= 1
    assert shown.default_recall == pytest.approx(effort.recall)
    queries = rng.standard_normal((200, 24), dtype=np.float32)
    far = ((queries[:, None].astype(np.float64) - rows[None]) ** 2).sum(axis=2)
    near = np.argsort(far, axis=1)[:, :10]
    found = client.search_batch(name, vectors=queries, k=10).ids
    shares = [len({f"p{i}" for i in a} & set(b)) / 10 for a, b in zip(near, found, strict=True)]
    assert np.mean(shares) >= 0.95
    assert client.measure_recall(name, samples=200).recall >= 0.95
    # an effort of the collection's own was not measured
    assert client.update_collection(name, search={"nprobe": 3}).default_recall is None
    measured = client.measure_recall(name, samples=200)
    assert measured.recall < 0.9


def test_text_finds_text(client: Client, name: str) -> None:
    client.create_collection(name, model="toy", recipe="exact")
    client.upsert(name, ids=["a", "b"], texts=["red apple pie", "blue whale song"])
    assert client.search(name, query=[(1.0, text("apple pie"))], k=1)[0].id == "a"
    assert client.search(name, text="whale song", k=1)[0].id == "b"


def test_a_recipe_is_changed_in_place(client: Client, filled: str, rows: np.ndarray) -> None:
    client.optimize(filled)
    changed = client.update_collection(filled, recipe="hnsw", search={"ef": 200})
    assert changed.recipe == "hnsw"
    assert [m.id for m in client.search(filled, vector=rows[9], k=3, params={"exact": True})] == [
        f"p{i}" for i in np.argsort(-(rows @ rows[9]))[:3]
    ]
    client.update_collection(filled, add_fields={"late": "int"})
    client.update_payload(filled, ids=["p7"], payload={"late": 3})
    assert client.count(filled, filter={"late": {"gte": 3}}) == 1
