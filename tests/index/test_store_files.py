"""The small parts under a collection: packed ids, row and key files, manifests."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from index.errors import StorageError
from index.segments.durable import FileEntry, checksum, is_intact, replace_file, write_file
from index.segments.ids import IdList, PackedIds
from index.segments.manifest import Manifest, SegmentEntry, load_manifest, save_manifest
from index.segments.rowfile import Keys, map_rows, read_keys, write_keys, write_rows
from index.types import IndexParameters, MeasuredEffort, SearchParameters

IDS = st.lists(st.text(max_size=20).filter(lambda text: text.isprintable()), max_size=30)


@given(ids=IDS, data=st.data())
def test_packed_ids_are_the_ids(ids: list[str], data: st.DataObject) -> None:
    packed = PackedIds.pack(ids)
    every = np.arange(len(ids))
    assert packed.at(every) == ids
    chosen = np.array(data.draw(st.lists(st.sampled_from(range(len(ids))))) if ids else [], int)
    expected = [ids[place] for place in chosen]
    assert packed.at(chosen) == expected
    assert packed.take(chosen).at(np.arange(len(chosen))) == expected
    joined = PackedIds.join([packed, packed.take(chosen)])
    assert joined.at(np.arange(len(joined))) == ids + expected
    growing = IdList()
    growing.extend(ids)
    assert growing.take(chosen).at(np.arange(len(chosen))) == expected


def test_packed_ids_take_little_memory() -> None:
    packed = PackedIds.pack(f"point-{i}" for i in range(10_000))
    assert packed.nbytes < 17 * 10_000


def test_row_files(tmp_path: Path) -> None:
    rows = np.random.default_rng(0).standard_normal((10, 3), dtype=np.float32)
    path = tmp_path / "a.rows"
    assert write_rows(path, iter([rows[:4], rows[4:4], rows[4:]]), 3) == 10
    mapped = map_rows(path)
    np.testing.assert_array_equal(mapped, rows)
    assert not mapped.flags.writeable
    assert mapped.ctypes.data % 64 == 0
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(StorageError):
        map_rows(path)
    path.write_bytes(b"something else" * 10)
    with pytest.raises(StorageError):
        map_rows(path)


def test_key_files(tmp_path: Path) -> None:
    path = tmp_path / "a.keys"
    slots = np.array([3, 7, 1 << 40], dtype=np.int64)
    ids = PackedIds.pack(["a", "", "ä" * 200])
    write_keys(path, Keys(slots, ids, np.array([0, 4, 2], dtype=np.uint8)))
    keys = read_keys(path)
    np.testing.assert_array_equal(keys.slots, slots)
    assert keys.ids.at(np.arange(3)) == ["a", "", "ä" * 200]
    assert keys.codes.tolist() == [0, 4, 2]
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(StorageError):
        read_keys(path)


def test_a_file_is_whole_or_absent(tmp_path: Path) -> None:
    path = tmp_path / "a"
    entry = write_file(path, lambda target: target.write_bytes(b"123456789"))
    # the check value of CRC-32
    assert entry == FileEntry("a", 9, 0xCBF43926)
    assert is_intact(tmp_path, entry)

    def torn(target: Path) -> None:
        target.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        write_file(tmp_path / "b", torn)
    with pytest.raises(OSError, match="No space"):
        write_file(tmp_path / "c", torn)
    assert sorted(other.name for other in tmp_path.iterdir()) == ["a"]
    replace_file(path, b"new")
    assert path.read_bytes() == b"new"
    assert not is_intact(tmp_path, entry)
    assert checksum(path) != entry.crc


def test_manifests(tmp_path: Path) -> None:
    files = {"rows": FileEntry("1.rows", 5, 6)}
    entry = SegmentEntry(1, 2, 30, 20, files, "hnsw", IndexParameters(m=16))
    effort = MeasuredEffort(SearchParameters(ef=150, rerank=40), 0.97, 0.96, 0.98, 256)
    manifest = Manifest("store", 7, 30, 9, (entry, replace(entry, effort=effort)))
    assert load_manifest(tmp_path, "store") is None
    save_manifest(tmp_path, manifest)
    assert load_manifest(tmp_path, "store") == manifest
    assert load_manifest(tmp_path, "another") is None
    data = (tmp_path / "manifest.json").read_bytes()
    for position in range(0, len(data), 7):
        damaged = bytearray(data)
        damaged[position] ^= 1
        (tmp_path / "manifest.json").write_bytes(damaged)
        assert load_manifest(tmp_path, "store") in (None, manifest)
    for length in range(0, len(data), 11):
        (tmp_path / "manifest.json").write_bytes(data[:length])
        assert load_manifest(tmp_path, "store") is None
