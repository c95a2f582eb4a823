"""WebDataset tars, against files that tarfile writes."""

import gzip
import io
import json
import tarfile
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import numpy as np
import pytest

from latentspace.enums import Modality
from latentspace.images import image_bytes
from latentspace.indexing.records import BadRecord, Record
from latentspace.indexing.sources import webdataset
from latentspace.inputs import ImageInput, TextInput
from tests.client.indexing.reading import fault, opened, read, records, until_error
from tests.datasets import ROOT, needs

MEMBERS = [
    ("a.jpg", b"one"),
    ("a.json", b'{"year": 2010, "__key__": "no"}'),
    ("./b/c.x.txt", b"not a suffix of ours"),
    ("b/c.PNG", b"two"),
    ("b/c.txt", "a café".encode()),
    ("b/c.cls", b"5"),
    ("b/._c.jpg", b"hidden"),
    ("README.md", b"passed over"),
    ("d.txt", b"only text"),
]
T = TypeVar("T", Record, BadRecord, Record | BadRecord)


def write(path: Path, members: list[tuple[str, bytes]], mode: str = "w") -> Path:
    with tarfile.open(path, mode) as tar:  # type: ignore[call-overload]
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return path


def whole(item: T) -> T:
    """With its image read, wherever that lies."""
    if isinstance(item, Record) and isinstance(item.input, ImageInput):
        return replace(item, input=ImageInput(image_bytes(item.input.source)))
    return item


@pytest.mark.parametrize(("suffix", "mode"), [("tar", "w"), ("tar.gz", "w:gz"), ("tar.xz", "w:xz")])
def test_samples(tmp_path: Path, suffix: str, mode: str) -> None:
    path = write(tmp_path / f"train.{suffix}", MEMBERS, mode)
    assert [whole(one) for one in records(path)] == [
        Record("a", ImageInput(b"one"), {"year": 2010}, f"train.{suffix}/a"),
        Record("b/c", ImageInput(b"two"), {"text": "a café"}, f"train.{suffix}/b/c"),
        Record("d", TextInput("only text"), {}, f"train.{suffix}/d"),
    ]


def test_columns_of_samples(tmp_path: Path) -> None:
    members = [
        ("a.jpg", b"1"),
        ("a.json", b'{"name": "x", "caption": "hello"}'),
        ("a.txt", b"words"),
        ("b.jpg", b"2"),
        ("b.json", b'{"name": "y"}'),
    ]
    path = write(tmp_path / "train.tar", members)
    texts = read(path, input_kind=Modality.TEXT)
    assert texts[0] == Record(
        "a", TextInput("words"), {"name": "x", "caption": "hello"}, "train.tar/a"
    )
    assert fault(texts[1]) == ("train.tar/b", "NO_INPUT", "b")
    said = read(path, id_column="name", input_column="caption", payload_columns=("__key__",))
    assert said[0] == Record("x", TextInput("hello"), {"__key__": "a"}, "train.tar/a")
    assert fault(said[1]) == ("train.tar/b", "NO_INPUT", "y")


def test_bad_samples_stop_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webdataset, "MAX_FILE_BYTES", 100)
    members = [
        ("a.jpg", b"1"),
        ("a.json", b"{"),
        ("b.jpg", b"2"),
        ("b.json", b"[1]"),
        ("c.txt", b"\xff"),
        ("d.json", b"{}"),
        ("e.jpg", b"x" * 101),
        ("f.jpg", b""),
        ("g.jpg", b"3"),
        ("h.jpg", b"4"),
        ("g.txt", b"comes too late"),
    ]
    items = [whole(one) for one in read(write(tmp_path / "train.tar", members))]
    assert [(one.id, one.input) for one in items if isinstance(one, Record)] == [
        ("g", ImageInput(b"3")),
        ("h", ImageInput(b"4")),
    ]
    assert [fault(one)[1:] for one in items if isinstance(one, BadRecord)] == [
        ("BAD_PAYLOAD", "a"),
        ("BAD_PAYLOAD", "b"),
        ("BAD_INPUT", "c"),
        ("NO_INPUT", "d"),
        ("BAD_INPUT", "e"),
        ("NO_INPUT", "f"),
        ("REPEATED_ID", "g"),
    ]


def test_a_tar_that_changes_before_its_images_are_read(tmp_path: Path) -> None:
    path = write(tmp_path / "train.tar", [("a.jpg", b"x" * 5000)])
    (record,) = records(path)
    assert isinstance(record.input, ImageInput)
    path.write_bytes(path.read_bytes()[:3000])
    with pytest.raises(OSError, match=r"train\.tar is cut off at byte 3000"):
        image_bytes(record.input.source)


@pytest.mark.parametrize("packed", [False, True])
def test_cut_off(tmp_path: Path, packed: bool) -> None:
    rng = np.random.default_rng(0)
    members = [(f"{i:03}.jpg", rng.bytes(2000)) for i in range(100)]
    path = write(tmp_path / "train.tar", members)
    data = gzip.compress(path.read_bytes()) if packed else path.read_bytes()
    path.write_bytes(data[: len(data) // 2 + 700])
    items, message = until_error(opened(path))
    assert 45 <= len(items) <= 55
    *whole_items, cut = items
    assert isinstance(cut, BadRecord)
    for item, (name, image) in zip(whole_items, members, strict=False):
        assert whole(item) == Record(name[:3], ImageInput(image), {}, f"train.tar/{name[:3]}")
    assert f"damaged or cut off after {len(whole_items) - 1:03}" in message
    path.write_bytes(b"no tar at all")
    items, message = until_error(opened(path))
    assert items == []
    assert "damaged or cut off (" in message


@needs("flickr8k/dev.tar")
def test_photos_with_captions() -> None:
    path = ROOT / "flickr8k" / "dev.tar"
    found = records(path)
    with tarfile.open(path) as tar:
        for record, member in zip(found[::100], tar.getmembers()[::200], strict=True):
            image, text = (tar.extractfile(f"{record.id}.{end}") for end in ("jpg", "json"))
            assert image is not None
            assert text is not None
            assert whole(record).input == ImageInput(image.read())
            assert record.payload == json.loads(text.read())
            assert member.name.startswith(record.id)
    assert len(found) == 1000
