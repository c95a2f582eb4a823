"""Parquet, against files that pyarrow and pandas write."""

import sys
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from latentspace.enums import Modality
from latentspace.indexing.options import SourceError
from latentspace.indexing.records import BadRecord, Record
from latentspace.indexing.sources import parquet
from latentspace.inputs import ImageInput, VectorInput
from tests.client.indexing.reading import fault, opened, read, records, row, until_error

pa = pytest.importorskip("pyarrow", reason="pyarrow is not installed")
pq = pytest.importorskip("pyarrow.parquet", reason="pyarrow is not installed")

ROWS = np.random.default_rng(1).standard_normal((2500, 8), np.float32)


def write(path: Path, columns: dict[str, Any], **options: Any) -> Path:
    pq.write_table(pa.table(columns), path, **options)
    return path


@pytest.mark.parametrize(
    "kind",
    [
        pa.list_(pa.float32()),
        pa.list_(pa.float64()),
        pa.large_list(pa.float32()),
        pa.list_(pa.float32(), 8),
        pa.list_(pa.float16()),
    ],
    ids=str,
)
def test_lists_are_vectors(tmp_path: Path, kind: Any) -> None:
    half = kind.value_type == pa.float16()
    rows = ROWS.astype(np.float16) if half else ROWS
    values: list[Any] = list(rows)
    values[3] = values[1700] = None
    column = pa.array(values, kind)
    path = write(
        tmp_path / "rows.parquet", {"vector": column, "n": range(2500)}, row_group_size=999
    )
    items = read(path)
    assert opened(path).count() == len(items) == 2500
    for number, item in enumerate(items, 1):
        if values[number - 1] is None:
            assert fault(item) == (f"rows.parquet:{number}", "NO_INPUT", str(number))
            continue
        assert isinstance(item, Record)
        assert isinstance(item.input, VectorInput)
        assert item.input.values.dtype == np.float32
        np.testing.assert_array_equal(item.input.values, rows[number - 1].astype(np.float32))
        assert (item.id, item.payload) == (str(number), {"n": number - 1})


def test_ragged_lists_and_holes(tmp_path: Path) -> None:
    rows = [[1.0, 2.0], [], [3.0], None, [4.0, None], [5.0, 6.0, 7.0]]
    path = write(tmp_path / "rows.pq", {"id": list("abcdef"), "vector": rows})
    items = read(path)
    found = {
        one.id: one.input.values.tolist()
        for one in items
        if isinstance(one, Record) and isinstance(one.input, VectorInput)
    }
    assert found == {"a": [1, 2], "c": [3], "f": [5, 6, 7]}
    bad = [fault(one) for one in items if not isinstance(one, Record)]
    assert bad == [
        ("rows.pq:2", "BAD_INPUT", "b"),
        ("rows.pq:4", "NO_INPUT", "d"),
        ("rows.pq:5", "BAD_INPUT", "e"),
    ]


def test_values_of_all_kinds(tmp_path: Path) -> None:
    at = datetime(2024, 2, 3, 4, 5, 6, 7, UTC)
    columns = {
        "id": pa.array([10, 11], pa.int64()),
        "text": ["a", "b"],
        "plain": pa.array([at.replace(tzinfo=None)] * 2, pa.timestamp("us")),
        "fine": pa.array([at.replace(tzinfo=None)] * 2, pa.timestamp("ns")),
        "zone": pa.array([at] * 2, pa.timestamp("ms", "UTC")).cast(pa.timestamp("s", "UTC"), False),
        "price": pa.array([Decimal("1.25"), None]),
        "score": [float("nan"), 0.5],
        "tags": [["x"], None],
        "more": [{"a": 1, "b": "x"}, {"a": None, "b": "y"}],
        "class": pa.array(["u", "v"]).dictionary_encode(),
    }
    first, second = records(write(tmp_path / "rows.parquet", columns))
    time = "2024-02-03T04:05:06.000007+00:00"
    assert row(first) == (
        "10",
        "a",
        {
            "plain": time,
            "fine": time,
            "zone": "2024-02-03T04:05:06+00:00",
            "price": 1.25,
            "score": None,
            "tags": ["x"],
            "more": {"a": 1, "b": "x"},
            "class": "u",
        },
    )
    assert second.payload["tags"] is None
    assert second.payload["more"] == {"a": None, "b": "y"}


def test_bytes_are_images_and_no_payload(tmp_path: Path) -> None:
    columns = {
        "image": [{"bytes": b"one", "path": "a.jpg"}, {"bytes": None, "path": "b.jpg"}],
        "raw": [b"two", b"three"],
    }
    path = write(tmp_path / "rows.parquet", columns)
    found = records(path, payload_columns=())
    assert [one.input for one in found] == [ImageInput(b"one"), ImageInput(tmp_path / "b.jpg")]
    found = records(path, input_column="raw", payload_columns=())
    assert [one.input for one in found] == [ImageInput(b"two"), ImageInput(b"three")]
    assert {fault(one)[1] for one in read(path)} == {"BAD_PAYLOAD"}


def test_a_frame_with_an_index(tmp_path: Path) -> None:
    pd = pytest.importorskip("pandas", reason="pandas is not installed")
    frame = pd.DataFrame({"text": ["a", "b"], "n": [1, 2]}, index=["x", "y"])
    frame.to_parquet(tmp_path / "rows.parquet")
    assert [row(one) for one in records(tmp_path / "rows.parquet")] == [
        ("1", "a", {"n": 1}),
        ("2", "b", {"n": 2}),
    ]


def test_only_what_is_needed_is_read(tmp_path: Path) -> None:
    columns = {"id": ["a"], "text": ["b"], "kept": [1], "left": [2]}
    path = write(tmp_path / "rows.parquet", columns)
    (only,) = records(path, payload_columns=("kept", "text"), input_kind=Modality.KEY)
    assert row(only) == ("a", "b", {"kept": 1, "text": "b"})
    with pytest.raises(SourceError, match="there are 'id', 'kept', 'left', 'text'"):
        read(path, id_column="name")


def test_damaged_files(tmp_path: Path) -> None:
    texts = [np.random.default_rng(i).bytes(50).hex() for i in range(3000)]
    path = tmp_path / "rows.parquet"
    write(path, {"text": texts}, row_group_size=1000, compression="zstd", use_dictionary=False)
    footer = pq.read_metadata(path)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    items, message = until_error(opened(path))
    assert items == []
    assert "damaged or cut off" in message
    assert opened(path).count() is None
    # pages of the second row group overwritten: the third is read
    offset = footer.row_group(1).column(0).data_page_offset
    path.write_bytes(data[:offset] + b"\xff" * 5000 + data[offset + 5000 :])
    items, message = until_error(opened(path))
    good = [row(one)[:2] for one in items if isinstance(one, Record)]
    assert good[:1000] == [(str(i), texts[i - 1]) for i in range(1, 1001)]
    assert good[-1000:] == [(str(i), texts[i - 1]) for i in range(2001, 3001)]
    (bad,) = [one for one in items if isinstance(one, BadRecord)]
    first = len(good) - 999
    assert fault(bad) == (f"rows.parquet:{first}-2000", "UNREADABLE", "")
    assert f"row {first}: damaged" in message


def test_a_value_that_cannot_be_read_fails_alone(tmp_path: Path) -> None:
    times = pa.array([0, 2**62, 10**15, -(2**62)], pa.timestamp("us"))
    dates = pa.array([0, 1, 2**30, 3], pa.date32())
    path = tmp_path / "rows.parquet"
    write(path, {"text": ["a", "b", "c", "d"], "at": times, "day": dates})
    first, *bad = read(path)
    assert row(first) == ("1", "a", {"at": "1970-01-01T00:00:00+00:00", "day": "1970-01-01"})
    assert [fault(one) for one in bad] == [
        (f"rows.parquet:{i}", "BAD_PAYLOAD", str(i)) for i in (2, 3, 4)
    ]


def test_without_pyarrow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(SourceError, match=r"latentspace\[arrow\]"):
        parquet.ParquetSource(tmp_path / "rows.parquet", None)  # type: ignore[arg-type]
