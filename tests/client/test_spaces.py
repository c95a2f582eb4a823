"""Vectors that know their space: through numpy, through other libraries, and to the server."""

import copy
import io
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from latentspace import Client, Embeddings, FailedPreconditionError, NewPoint, vector
from latentspace import text as text_input

RNG = np.random.default_rng(5)
NUMBERS = RNG.standard_normal((5, 8)).astype(np.float32)
A, B = Embeddings(NUMBERS, "a"), Embeddings(NUMBERS[::-1], "b")
PLAIN = np.ones((5, 8), np.float32)

KEPT: dict[str, Callable[[Any], Any]] = {
    "slice": lambda x: x[1:3],
    "row": lambda x: x[0],
    "list": lambda x: x[[0, 2]],
    "mask": lambda x: x[x[:, 0] > 0],
    "columns": lambda x: x[:, :4],
    "transposed": lambda x: x.T,
    "iterated": lambda x: next(iter(x)),
    "reshaped": lambda x: x.reshape(-1, 4),
    "new axis": lambda x: x[None],
    "astype": lambda x: x.astype(np.float16),
    "copy": lambda x: x.copy(),
    "np.copy": lambda x: np.copy(x, subok=True),
    "copy.copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "in the order of columns": lambda x: x.copy(order="F"),
    "concatenate": lambda x: np.concatenate([x, x]),
    "vstack": lambda x: np.vstack([x, x[0]]),
    "stack": lambda x: np.stack([x[0], x[1]]),
    "append": lambda x: np.append(x, x, axis=0),
    "insert": lambda x: np.insert(x, 0, x[1], axis=0),
    "with a bare one": lambda x: np.vstack([PLAIN, x]),
    "r_": lambda x: np.r_[x, x],
    "where": lambda x: np.where(np.arange(5)[:, None] > 2, x, x * 2),
    "take": lambda x: np.take(x, [1, 2], axis=0),
    "split": lambda x: np.split(x, 5)[1],
    "repeat": lambda x: np.repeat(x, 2, axis=0),
    "normalised": lambda x: x / np.linalg.norm(x, axis=1, keepdims=True),
    "scaled": lambda x: -2.5 * x,
    "rounded": lambda x: np.round(x, 3),
    "clipped": lambda x: np.clip(x, -1, 1),
    "broadcast": lambda x: np.broadcast_to(x[0], (2, 8)),
    "without repetitions": lambda x: np.unique(np.vstack([x, x]), axis=0),
    "sum of two": lambda x: x[0] + x[1] - x[2],
    "moved": lambda x: x - PLAIN[0],
    "mean": lambda x: x.mean(axis=0),
    "np.mean": lambda x: np.mean(x, axis=0),
    "weighted mean": lambda x: np.average(x, axis=0, weights=[1, 2, 3, 4, 5]),
}
IN_PLACE: dict[str, str] = {"scaled": "x *= 2", "divided": "x /= 2", "added": "x += x[0]"}
DROPPED: dict[str, Callable[[Any], Any]] = {
    "asarray": np.asarray,
    "scores": lambda x: x @ x.T,
    "rotated": lambda x: x @ np.eye(8),
    "dot": lambda x: x.dot(x.T),
    "einsum": lambda x: np.einsum("ij,kj->ik", x, x),
    "norms": lambda x: np.linalg.norm(x, axis=1),
    "compared": lambda x: x > 0,
    "exp": np.exp,
    "sums of rows": lambda x: x.sum(axis=1),
}
MIXED: dict[str, Callable[[Any, Any], Any]] = {
    "concatenate": lambda x, y: np.concatenate([x, y]),
    "vstack": lambda x, y: np.vstack([x, y]),
    "stack of rows": lambda x, y: np.stack([x[0], y[0]]),
    "append": lambda x, y: np.append(x, y, axis=0),
    "where": lambda x, y: np.where(x > 0, x, y),
    "copyto": lambda x, y: np.copyto(x.copy(), y),
    "sum": lambda x, y: x + y,
    "difference": lambda x, y: x[0] - y,
    "scores": lambda x, y: x @ y.T,
    "dot": lambda x, y: x.dot(y.T),
    "inner": np.inner,
    "einsum": lambda x, y: np.einsum("ij,kj->ik", x, y),
    "assigned": lambda x, y: x.copy().__setitem__(0, y[0]),
    "in place": lambda x, y: np.add(x, PLAIN, out=y.copy()),
    "maximum": np.maximum,
}


@pytest.mark.parametrize("name", KEPT)
def test_kept(name: str) -> None:
    made = KEPT[name](A)
    assert isinstance(made, Embeddings)
    assert made.space_id == "a"
    np.testing.assert_array_equal(np.asarray(made), KEPT[name](NUMBERS.copy()))


@pytest.mark.parametrize("name", IN_PLACE)
def test_kept_in_place(name: str) -> None:
    ours, theirs = A.copy(), NUMBERS.copy()
    for x in (ours, theirs):
        exec(IN_PLACE[name], {"x": x})
    assert isinstance(ours, Embeddings)
    assert ours.space_id == "a"
    np.testing.assert_array_equal(np.asarray(ours), theirs)


@pytest.mark.parametrize("name", DROPPED)
def test_dropped(name: str) -> None:
    made = DROPPED[name](A)
    assert type(made) is np.ndarray
    np.testing.assert_array_equal(made, DROPPED[name](NUMBERS))


@pytest.mark.parametrize("name", MIXED)
def test_two_spaces_are_refused(name: str) -> None:
    with pytest.raises(FailedPreconditionError, match="two spaces") as caught:
        MIXED[name](A, B)
    assert caught.value.reason == "SPACE_MISMATCH"
    MIXED[name](np.asarray(A), np.asarray(B))


def test_equality_of_two_spaces_may_be_tested() -> None:
    assert np.array_equal(A, B[::-1])
    assert np.allclose(A, B[::-1])
    assert (B[::-1] == A).all()


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_pickled(protocol: int) -> None:
    again = pickle.loads(pickle.dumps(A[1:4], protocol))
    assert again.space_id == "a"
    np.testing.assert_array_equal(np.asarray(again), NUMBERS[1:4])
    again += 1  # writable


def test_saved_as_an_array() -> None:
    file = io.BytesIO()
    np.save(file, A)
    file.seek(0)
    np.testing.assert_array_equal(np.load(file), NUMBERS)


def test_faiss() -> None:
    faiss = pytest.importorskip("faiss", reason="faiss is not installed")
    index = faiss.IndexFlatIP(8)
    index.add(A)
    scores, nearest = index.search(A[:2], 5)
    expected = np.argsort(-(NUMBERS[:2] @ NUMBERS.T), axis=1)
    np.testing.assert_array_equal(nearest, expected)
    np.testing.assert_allclose(scores[0], (NUMBERS @ NUMBERS[0])[expected[0]], rtol=1e-5)


def test_torch() -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed")
    np.testing.assert_array_equal(torch.from_numpy(A).numpy(), NUMBERS)
    np.testing.assert_array_equal(torch.as_tensor(A[0]).numpy(), NUMBERS[0])


def test_pandas_and_arrow() -> None:
    pd = pytest.importorskip("pandas", reason="pandas is not installed")
    pa = pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    np.testing.assert_array_equal(pd.DataFrame(A).to_numpy(), NUMBERS)
    column = pd.Series(list(A))
    np.testing.assert_array_equal(np.stack(column.tolist()), NUMBERS)
    assert pa.array(A[0]).to_pylist() == NUMBERS[0].tolist()


def test_scikit_learn() -> None:
    neighbors = pytest.importorskip("sklearn.neighbors", reason="scikit-learn is not installed")
    found = neighbors.NearestNeighbors(n_neighbors=1).fit(A).kneighbors(A, return_distance=False)
    assert found[:, 0].tolist() == list(range(5))


@pytest.fixture(scope="module")
def address(shipped: str) -> str:
    return shipped


@pytest.fixture
def notes(client: Client) -> Any:
    client.create_collection("notes", model="sentences")
    client.upsert("notes", ["n"], texts=["a dog on a beach"])
    yield "notes"
    client.delete_collection("notes")


def test_rows_of_another_model_of_the_same_dimension(client: Client, notes: str) -> None:
    ours = client.embed("sentences", texts=["a cat", "a dog"])
    theirs = client.embed("clip", texts=["a cat", "a dog"])
    assert ours.shape == theirs.shape
    assert ours.space_id != theirs.space_id
    batch = client.embed_batch("clip", texts=["a cat", "a dog"])
    uses: list[Callable[[Any], Any]] = [
        lambda rows: client.upsert(notes, ["x", "y"], vectors=rows),
        lambda rows: client.upsert(notes, ["x", "y"], vectors=list(rows)),
        lambda rows: client.upsert(notes, ["y", "x"], vectors=rows[::-1].astype(np.float16)),
        lambda rows: client.search(notes, vector=rows[0]),
        lambda rows: client.search(notes, vector=rows.mean(axis=0)),
        lambda rows: client.search(notes, vector=rows[0] / np.linalg.norm(rows[0])),
        lambda rows: client.search_batch(notes, vectors=rows),
        lambda rows: client.search(notes, query=[(1.0, vector(rows[0])), (1.0, text_input("a"))]),
        lambda rows: client.compare("sentences", pairs=[(vector(rows[0]), text_input("a cat"))]),
        lambda rows: client.classify("sentences", vectors=rows, labels=["cat", "dog"]),
        lambda rows: client.most_similar(notes, rows[0]),
        lambda rows: list(client.upsert_stream(notes, [NewPoint("x", vector(rows[0]))])),
    ]
    for i, use in enumerate(uses):
        use(ours)
        with pytest.raises(Exception, match="space") as caught:
            use(theirs)
        assert theirs.space_id in str(caught.value), i
        use(np.asarray(theirs))  # an array that knows no space: the dimension alone is checked
    for use in uses[:1] + uses[6:7]:
        use(client.embed_batch("sentences", texts=["a cat", "a dog"]))
        with pytest.raises(FailedPreconditionError, match=batch.space_id):
            use(batch)
    with pytest.raises(FailedPreconditionError, match="two spaces"):
        client.search_batch(notes, vectors=[ours[0], theirs[0]])
    with pytest.raises(FailedPreconditionError, match="two spaces"):
        client.search(notes, vector=ours[0], space_id=theirs.space_id)


def test_what_is_read_back_knows_its_space(client: Client, notes: str) -> None:
    space = client.collection(notes).space_id
    first = client.get(notes, "n", with_vectors=True)[0].vector
    listed = next(iter(client.scroll(notes, with_vectors=True))).vector
    match = client.search(notes, text="dog", with_vectors=True)[0].vector
    many = client.search_batch(notes, texts=["dog"], with_vectors=True).vectors
    for rows in (first, listed, match, many):
        assert rows is not None
        assert rows.space_id == space
    with pytest.raises(Exception, match="space"):
        client.search(notes, vector=client.embed("clip", text="a dog"))


def test_a_collection_of_no_space_is_checked_by_its_dimension(client: Client) -> None:
    rows = client.embed("sentences", texts=["a", "b"])
    client.create_collection("own", dim=384)
    assert client.upsert("own", ["a", "b"], vectors=rows).written == 2
    assert client.search("own", vector=rows[1], k=1)[0].id == "b"
    client.delete_collection("own")
    client.create_collection("own", dim=384, space_id=rows.space_id)
    with pytest.raises(FailedPreconditionError, match="space"):
        client.upsert("own", ["a"], vectors=client.embed("clip", texts=["a"]))
    client.delete_collection("own")
