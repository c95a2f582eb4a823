"""Jobs against a real server: what is written, what is left alone, what is told."""

import io
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from latentspace import Client, ImageInput, NotFoundError, TextInput, VectorInput
from latentspace.indexing.job import run_job
from latentspace.indexing.options import (
    DIGEST_FIELD,
    JobOptions,
    Progress,
    SourceError,
    TooManyErrorsError,
)
from latentspace.indexing.records import BadRecord, Record, Source

local = pytest.importorskip("services.app.local", reason="the server is not installed")
DIM = 16


class Listed(Source):
    """Records in memory."""

    name = "a list"

    def __init__(self, items: Sequence[Record | BadRecord | Exception]) -> None:
        self._items = items

    def __iter__(self) -> Iterator[Record | BadRecord]:
        for item in self._items:
            if isinstance(item, Exception):
                raise item
            yield item

    def count(self) -> int | None:
        return len(self._items)


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    models = {
        "toy": {"family": "hash", "options": {"dim": DIM}},
    }
    folder = tmp_path_factory.mktemp("job")
    with local.LocalServer(folder, {"models": models}) as server, Client(server.address) as opened:
        yield opened


def texts(count: int, **payload: Any) -> list[Record]:
    return [
        Record(f"t{i}", TextInput(f"text number {i}"), {"n": i, **payload}, f"list:{i}")
        for i in range(count)
    ]


def stored(client: Client, name: str) -> dict[str, tuple[Any, list[float]]]:
    """Payload without digest, and vector, by id."""
    return {
        one.id: (
            {k: v for k, v in (one.payload or {}).items() if k != DIGEST_FIELD},
            [] if one.vector is None else one.vector.tolist(),
        )
        for one in client.scroll(name, with_vectors=True)
    }


def counts(progress: Progress) -> tuple[int, int, int, int, int]:
    assert progress.finished
    return (
        progress.read,
        progress.unchanged,
        progress.written,
        progress.failed,
        progress.deleted,
    )


def test_a_second_run_writes_only_what_changed(client: Client) -> None:
    client.create_collection("again", model="toy", fields={"n": "int"})
    told: list[Progress] = []
    options = JobOptions("again", batch_items=100)
    first = run_job(client, Listed(texts(1000)), options, told.append)
    assert counts(first) == (1000, 0, 1000, 0, 0)
    assert told[-1] == first
    assert first.total == 1000
    assert client.count("again", filter={"n": {"lt": 10}}) == 10
    rows = client.embed("toy", texts=[f"text number {i}" for i in range(1000)])
    before = stored(client, "again")
    assert {name: payload for name, (payload, _) in before.items()} == {
        f"t{i}": {"n": i} for i in range(1000)
    }
    np.testing.assert_allclose([before[f"t{i}"][1] for i in range(1000)], rows, atol=1e-6)
    assert counts(run_job(client, Listed(texts(1000)), options)) == (1000, 1000, 0, 0, 0)

    changed: list[Record] = texts(1000)
    changed[3] = Record("t3", TextInput("another text"), {"n": 3})
    changed[5] = Record("t5", TextInput("text number 5"), {"n": 55})
    changed.append(Record("new", TextInput("new"), {}))
    assert counts(run_job(client, Listed(changed), options)) == (1001, 998, 3, 0, 0)
    now = stored(client, "again")
    assert {name for name in now if now[name] != before.get(name)} == {"t3", "t5", "new"}
    assert now["t5"] == ({"n": 55}, before["t5"][1])


def test_missing_points_are_deleted_where_that_is_wanted(client: Client) -> None:
    client.create_collection("mirror", model="toy")
    run_job(client, Listed(texts(1500)), JobOptions("mirror"))
    client.upsert("mirror", ["other"], texts=["not from here"])
    fewer = texts(1500)[100:]
    assert counts(run_job(client, Listed(fewer), JobOptions("mirror")))[4] == 0
    mirrored = run_job(client, Listed(fewer), JobOptions("mirror", delete_missing=True))
    assert counts(mirrored) == (1400, 1400, 0, 0, 101)
    assert set(stored(client, "mirror")) == {f"t{i}" for i in range(100, 1500)}


def test_nothing_is_deleted_after_a_source_that_could_not_be_read(client: Client) -> None:
    client.create_collection("kept", model="toy")
    run_job(client, Listed(texts(20)), JobOptions("kept"))
    mirror = JobOptions("kept", delete_missing=True)
    with pytest.raises(SourceError, match="torn"):
        run_job(client, Listed([*texts(5), SourceError("torn off")]), mirror)
    with pytest.raises(SourceError, match=r"1 records of a list have no id.*nothing was deleted"):
        run_job(client, Listed([*texts(5), BadRecord("list:9", "UNREADABLE", "no id")]), mirror)
    assert len(stored(client, "kept")) == 20
    # one that cannot be read but has an id keeps what is stored
    bad = BadRecord("list:7", "UNREADABLE", "cut off", "t7")
    assert counts(run_job(client, Listed([*texts(5), bad]), mirror)) == (6, 5, 0, 1, 14)
    assert set(stored(client, "kept")) == {"t0", "t1", "t2", "t3", "t4", "t7"}


@pytest.mark.parametrize("place", [0, 2, 5])
def test_records_of_a_source_of_ones_own_fail_alone(
    client: Client, tmp_path: Path, place: int
) -> None:
    nothing: Any = None
    row = np.ones(DIM, np.float32)
    damaged = [
        (Record(nothing, TextInput("x")), "NO_ID"),
        (Record("x" * 513, TextInput("x")), "BAD_ID"),
        (Record("x", TextInput(nothing)), "NO_INPUT"),
        (Record("x", TextInput(float("nan"))), "BAD_INPUT"),  # type: ignore[arg-type]
        (Record("x", VectorInput(row[:3])), "BAD_INPUT"),
        (Record("x", VectorInput(row * np.nan)), "BAD_INPUT"),
        (Record("x", ImageInput(tmp_path / "nowhere.png")), "UNREADABLE"),
        (Record("x", ImageInput("nul\0")), "UNREADABLE"),
        (Record("x", TextInput("x"), {"n": float("nan")}), "UNREADABLE"),
        (Record("x", TextInput("x"), {"n": object()}), "UNREADABLE"),
        (Record("x", TextInput("x"), {"n": "y" * 70_000}), "BAD_PAYLOAD"),
    ]
    client.create_collection("own", model="toy", exist_ok=True)
    for record, reason in damaged:
        items: list[Record | BadRecord] = list(texts(6))
        items[place] = replace(record, place="here")
        failed: list[BadRecord] = []
        done = run_job(client, Listed(items), JobOptions("own"), on_failed=failed.append)
        assert [(bad.place, bad.reason) for bad in failed] == [("here", reason)], record
        assert done.written + done.unchanged == 5
    assert client.count("own") == 5
    number: Any = 7
    run_job(client, Listed([Record(number, TextInput("x"))]), JobOptions("own"))
    assert client.get("own", ["7"])
    client.delete_collection("own")


def test_what_comes_before_the_end_of_a_broken_source_is_written(client: Client) -> None:
    client.create_collection("broken", model="toy")
    source = Listed([*texts(10), SourceError("damaged here")])
    with pytest.raises(SourceError, match="damaged here"):
        run_job(client, source, JobOptions("broken", delete_missing=True))
    assert client.count("broken") == 10
    client.delete_collection("broken")


def test_bad_records_are_told_and_stop_nothing(client: Client, tmp_path: Path) -> None:
    client.create_collection("some", model="toy")
    items: list[Record | BadRecord] = list(texts(300))
    items[10] = Record("t10", TextInput("x"), {"big": "y" * 70_000}, "list:10")
    items[20] = BadRecord("list:20", "NO_ID", "a record without an id")
    items[30] = Record("t30", ImageInput(str(tmp_path / "gone.png")), {}, "list:30")
    failed: list[BadRecord] = []
    done = run_job(client, Listed(items), JobOptions("some"), on_failed=failed.append)
    assert counts(done) == (300, 0, 297, 3, 0)
    assert sorted((one.place, one.id) for one in failed) == [
        ("list:10", "t10"),
        ("list:20", ""),
        ("list:30", "t30"),
    ]
    reasons = {one.place: (one.reason, one.message) for one in failed}
    assert reasons["list:20"] == ("NO_ID", "a record without an id")
    assert "64 KiB" in reasons["list:10"][1] or "65536" in reasons["list:10"][1]
    assert reasons["list:30"][0] == "UNREADABLE"
    with pytest.raises(TooManyErrorsError, match="3 records failed, more than the 2 allowed"):
        run_job(client, Listed(items), JobOptions("some", max_errors=2))
    assert counts(run_job(client, Listed(items), JobOptions("some", max_errors=3)))[3] == 3


def test_vectors_and_images(client: Client, tmp_path: Path) -> None:
    rows = np.random.default_rng(0).standard_normal((700, DIM)).astype(np.float32)
    client.create_collection("rows", dim=DIM, metric="dot")
    vectors = [Record(f"v{i}", VectorInput(row), {"i": i}) for i, row in enumerate(rows)]
    assert counts(run_job(client, Listed(vectors), JobOptions("rows"))) == (700, 0, 700, 0, 0)
    assert stored(client, "rows")["v9"] == ({"i": 9}, rows[9].tolist())
    with pytest.raises(NotFoundError):
        run_job(client, Listed(vectors), JobOptions("none such"))


def test_images_are_made_smaller_where_that_is_wanted(tmp_path: Path) -> None:
    from latentspace.indexing.resizing import smaller

    pixels = np.random.default_rng(0).integers(0, 255, (30, 40, 3), dtype=np.uint8)
    large = Image.fromarray(pixels).resize((1600, 1200))
    buffer = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by a quarter
    large.save(buffer, "JPEG", exif=exif)
    data = buffer.getvalue()
    with Image.open(io.BytesIO(smaller(data, 256))) as small:
        assert small.size == (192, 256)
        assert small.format == "JPEG"
        turned = np.asarray(large.rotate(-90, expand=True).resize((192, 256)), np.float64)
        assert np.abs(np.asarray(small, np.float64) - turned).mean() < 12
    assert smaller(data, 1600) == data
    assert smaller(b"no image", 10) == b"no image"
    clear = Image.new("RGBA", (600, 300), (255, 0, 0, 0))
    buffer = io.BytesIO()
    clear.save(buffer, "PNG")
    with Image.open(io.BytesIO(smaller(buffer.getvalue(), 100))) as small:
        assert (small.format, small.size, small.mode) == ("PNG", (100, 50), "RGBA")
