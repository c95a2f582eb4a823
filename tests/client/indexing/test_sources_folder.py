"""Folders of images."""

import os
from pathlib import Path

import pytest

from latentspace.indexing.options import SourceError
from latentspace.indexing.records import BadRecord, Record
from latentspace.inputs import ImageInput
from tests.client.indexing.reading import opened, records, until_error

NAMES = [
    "b.JPG",
    "a/z.png",
    "a/b/c.webp",
    "a.jpeg",
    "é ü.gif",
    "a/.hidden.jpg",
    ".d/e.jpg",
    "n.txt",
]
FOUND = ["a.jpeg", "a/b/c.webp", "a/z.png", "b.JPG", "é ü.gif"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in NAMES:
        path = tmp_path / "photos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())
    return tmp_path / "photos"


def test_images_by_name(folder: Path) -> None:
    found = records(folder)
    assert [one.id for one in found] == FOUND
    assert [one.payload for one in found] == [{"path": name} for name in FOUND]
    assert [one.place for one in found] == FOUND
    for one in found:
        assert isinstance(one.input, ImageInput)
        assert isinstance(one.input.source, Path)
        assert one.input.source.read_bytes() == one.id.encode()
    assert opened(folder).count() == len(FOUND)
    assert records(folder) == found


@pytest.mark.parametrize(
    ("glob", "recursive", "expected"),
    [
        ("*", False, ["a.jpeg", "b.JPG", "é ü.gif"]),
        ("a/*", True, ["a/b/c.webp", "a/z.png"]),
        ("*.png", True, ["a/z.png"]),
        ("*.jpg", True, []),
    ],
)
def test_glob_and_recursion(folder: Path, glob: str, recursive: bool, expected: list[str]) -> None:
    source = opened(folder, glob=glob, recursive=recursive)
    assert source.count() == len(expected)
    if expected:
        assert [one.id for one in source] == expected
    else:
        with pytest.raises(SourceError, match="no images: looked for"):
            list(source)


def test_one_image(folder: Path) -> None:
    (only,) = records(folder / "a" / "z.png")
    assert (only.id, only.payload) == ("z.png", {"path": "z.png"})
    assert only.input == ImageInput(folder / "a" / "z.png")


def test_links_are_followed_but_not_in_circles(folder: Path, tmp_path: Path) -> None:
    (folder / "a" / "up").symlink_to(folder, target_is_directory=True)
    (folder / "gone.png").symlink_to(tmp_path / "nothing")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "x.png").write_bytes(b"x")
    (folder / "c").symlink_to(tmp_path / "other", target_is_directory=True)
    # a link to nothing is a record whose image cannot be read: it is not passed over in silence
    expected = [*FOUND[:4], "c/x.png", "gone.png", FOUND[4]]
    assert [one.id for one in records(folder)] == expected


def test_what_cannot_be_an_id(folder: Path) -> None:
    long = "d" * 200 + "/" + "e" * 200 + "/" + "f" * 150 + ".png"
    (folder / long).parent.mkdir(parents=True)
    (folder / long).write_bytes(b"x")
    latin = os.fsdecode(b"f\xe4.png")
    (folder / latin).write_bytes(b"x")
    bad = [one for one in opened(folder) if isinstance(one, BadRecord)]
    assert [(one.place, one.reason) for one in bad] == [
        (long, "BAD_ID"),
        ("f\ufffd.png", "BAD_ID"),
    ]


def test_a_folder_that_cannot_be_listed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # permissions do not stop root, who may run the tests
    scandir = os.scandir

    def refuse(path: Path) -> object:
        if path.name == "b":
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    items, message = until_error(opened(folder))
    assert [one.id for one in items if isinstance(one, Record)] == [FOUND[0], *FOUND[2:]]
    assert "a/b" in message
    assert "Permission denied" in message
