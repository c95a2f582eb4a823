"""Unknown names are answered with what was probably meant, through the real service."""

from collections.abc import Iterator
from typing import Any

import pytest

from index.spelling import near_names
from latentspace import AlreadyExistsError, Client, InvalidArgumentError, NotFoundError
from services.app.local import LocalServer


@pytest.fixture(scope="module")
def shelves(server: LocalServer) -> Iterator[Client]:
    with Client(server.address) as client:
        client.create_collection("holiday-photos", dim=2)
        client.set_alias("photos-of-now", "holiday-photos")
        client.create_label_set("pet-kinds", model="toy", labels=["cat", "dog"])
        client.snapshot("holiday-photos", "before-summer")
        yield client
        client.delete_label_set("pet-kinds")
        client.delete_collection("holiday-photos")


@pytest.mark.parametrize(
    ("call", "arguments", "meant"),
    [
        ("collection", ("holiday-photo",), "holiday-photos"),
        ("count", ("holidayphotos",), "holiday-photos"),
        ("count", ("photos-of-then",), "photos-of-now"),
        ("count", ("word",), "words"),
        ("delete_collection", ("holliday-photos",), "holiday-photos"),
        ("delete_alias", ("photo-of-now",), "photos-of-now"),
        ("set_alias", ("a", "holiday-fotos"), "holiday-photos"),
        ("label_set", ("pets-kind",), "pet-kinds"),
        ("delete_label_set", ("pet-kind",), "pet-kinds"),
        ("restore", ("before-sumer", "x"), "before-summer"),
        ("model", ("othr",), "other"),
    ],
)
def test_the_name_that_was_meant(
    shelves: Client, call: str, arguments: tuple[str, ...], meant: str
) -> None:
    with pytest.raises(NotFoundError, match=f"did you mean .*'{meant}'"):
        getattr(shelves, call)(*arguments)


def test_a_name_like_no_other_lists_what_there_is(shelves: Client) -> None:
    with pytest.raises(NotFoundError, match=r"no label set 'xyz'; there are: .*pet-kinds"):
        shelves.label_set("xyz")


def test_endings() -> None:
    assert near_names("a", []) == "; there is none yet"
    assert near_names("zz", ["b", "a"]) == "; there are: a, b"
    assert near_names("zz", map(str, range(13))).endswith("5, 6 and 3 more")
    assert near_names("colection", ["collection"]) == "; did you mean 'collection'?"


def test_create_again_returns_what_is_declared_alike(shelves: Client, name: str) -> None:
    made = shelves.create_collection(
        name, model="toy", fields={"year": "int", "tag": "keyword"}, recipe="hnsw", index={"m": 16}
    )
    try:
        shelves.upsert(name, ["a"], texts=["a"])
        alike: list[dict[str, Any]] = [{"model": "toy"}, {"dim": 16, "recipe": "hnsw"}]
        for arguments in alike:
            again = shelves.create_collection(name, **arguments, exist_ok=True)
            assert (again.name, again.points) == (made.name, 1)
        with pytest.raises(AlreadyExistsError):
            shelves.create_collection(name, model="toy")
        otherwise: list[tuple[dict[str, Any], str]] = [
            ({"model": "other"}, "its model is toy, not other"),
            ({"dim": 4}, "its dim is 16, not 4"),
            ({"model": "toy", "metric": "l2"}, "its metric is cosine, not l2"),
            ({"model": "toy", "recipe": "exact"}, "its recipe is hnsw, not exact"),
            ({"model": "toy", "fields": {"year": "float"}}, "fields['year'] is int, not float"),
            ({"model": "toy", "fields": {"x": "int"}}, "fields['x'] is not declared, not int"),
            ({"model": "toy", "index": {"m": 8}}, "index['m'] is 16, not 8"),
        ]
        for arguments, difference in otherwise:
            with pytest.raises(AlreadyExistsError) as error:
                shelves.create_collection(name, **arguments, exist_ok=True)
            assert difference in str(error.value)
    finally:
        shelves.delete_collection(name)


def test_create_a_label_set_again(shelves: Client) -> None:
    first = shelves.label_set("pet-kinds")
    same: dict[str, Any] = {"model": "toy", "labels": ["cat", "dog"], "exist_ok": True}
    assert shelves.create_label_set("pet-kinds", **same) == first
    others: list[dict[str, Any]]
    others = [{"model": "other"}, {"labels": ["cat"]}, {"templates": ["a {}"]}]
    for other in others:
        with pytest.raises(AlreadyExistsError, match=f"with other .*{next(iter(other))}"):
            shelves.create_label_set("pet-kinds", **{**same, **other})


def test_a_label_that_no_point_has(shelves: Client, name: str) -> None:
    shelves.create_collection(name, model="toy")
    try:
        shelves.upsert(
            name, ["1", "2"], texts=["ann", "bob"], payloads=[{"person": "Ann"}, {"year": 1}]
        )
        who: dict[str, Any] = {"texts": ["ann", "bob"], "threshold": 0.99}
        answers = shelves.identify(name, **who, label="person", k=2)
        assert [[face.name for face in faces] for faces in answers] == [["Ann"], [None]]
        with pytest.raises(InvalidArgumentError, match="field 'persn'; did you mean 'person'"):
            shelves.identify(name, **who, label="persn", k=2)
    finally:
        shelves.delete_collection(name)
