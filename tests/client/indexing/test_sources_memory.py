"""Sources are streams: their memory does not grow with them, but for the ids that came."""

import csv
import io
import json
import tarfile
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from latentspace.indexing.records import Record
from latentspace.indexing.sources.choosing import open_source
from latentspace.indexing.sources.distinct import Seen
from latentspace.indexing.sources.mapping import Columns
from latentspace.indexing.sources.webdataset import WebDatasetSource

MANY, ROWS = 200_000, 50_000
# a remembered id, and what is held however long a source is; a record has some 500 bytes
ID_BYTES, SLACK_BYTES = 90, 4 << 20


def write_csv(path: Path) -> int:
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "text", "n"])
        writer.writerows((f"row-{i}", f"the text of row {i}", i) for i in range(MANY))
    return MANY


def write_jsonl(path: Path) -> int:
    with path.open("w") as file:
        rows = ({"id": f"row-{i}", "text": f"the text of row {i}", "n": i} for i in range(ROWS))
        file.writelines(json.dumps(row) + "\n" for row in rows)
    return ROWS


def write_text(path: Path) -> int:
    with path.open("w") as file:
        file.writelines(f"the text of row {i}\n" for i in range(ROWS))
    return ROWS


def write_edges(path: Path) -> int:
    with path.open("w") as file:
        file.writelines(f"node-{i}\tnode-{i + 1}\n" for i in range(ROWS - 1))
    return ROWS


def peak(items: Iterator[object]) -> tuple[int, int]:
    """Items, and the most bytes held while they came."""
    tracemalloc.start()
    try:
        number = sum(isinstance(one, Record) for one in items)
        return number, tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("name", "write", "remembers"),
    [
        ("rows.csv", write_csv, True),
        ("rows.jsonl", write_jsonl, True),
        ("rows.txt", write_text, False),
        ("rows.edges", write_edges, True),
    ],
)
def test_memory_stays_flat(
    tmp_path: Path, name: str, write: Callable[[Path], int], remembers: bool
) -> None:
    rows = write(tmp_path / name)
    number, most = peak(iter(open_source(str(tmp_path / name))))
    assert number == rows
    assert most < SLACK_BYTES + (rows * ID_BYTES if remembers else 0)


def test_parquet_stays_flat(tmp_path: Path) -> None:
    pa = pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    pq = pytest.importorskip("pyarrow.parquet", reason="pyarrow is not installed")
    texts = [f"the text of row {i}" for i in range(ROWS)]
    pq.write_table(pa.table({"text": texts}), tmp_path / "rows.parquet")
    del texts
    number, most = peak(iter(open_source(str(tmp_path / "rows.parquet"))))
    assert number == ROWS
    assert most < SLACK_BYTES + ROWS * ID_BYTES


def test_row_groups_are_read_in_pieces(tmp_path: Path) -> None:
    pa = pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    pq = pytest.importorskip("pyarrow.parquet", reason="pyarrow is not installed")
    flat = pa.array(np.random.default_rng(0).standard_normal(20_000 * 384, np.float32))
    table = pa.table({"vector": pa.FixedSizeListArray.from_arrays(flat, 384)})
    pq.write_table(table, tmp_path / "rows.parquet")  # one row group of 31 MB
    del flat, table
    before = pa.total_allocated_bytes()
    source = open_source(str(tmp_path / "rows.parquet"))
    assert max(pa.total_allocated_bytes() - before for _ in source) < 16 << 20


def test_tars_stay_flat(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "train.tar", "w") as tar:
        for i in range(5_000):
            info = tarfile.TarInfo(f"{i}.jpg")
            info.size = 600
            tar.addfile(info, io.BytesIO(bytes(600)))
        vars(tar)["members"].clear()
    number, most = peak(iter(WebDatasetSource(tmp_path / "train.tar", Columns())))
    assert number == 5_000
    assert most < 1 << 20


def test_ids_take_as_many_bytes_as_is_said() -> None:
    tracemalloc.start()
    seen = Seen()
    try:
        assert not any(seen.add(f"{'x' * 100}{i}") for i in range(ROWS))
        held = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert held < ROWS * ID_BYTES
    assert all(seen.add(f"{'x' * 100}{i}") for i in range(0, ROWS, 1000))
