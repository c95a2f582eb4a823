"""What a kill or a full disk may leave in the folder of snapshots."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from index.engine import FaissEngine
from index.errors import StorageError
from index.types import CollectionSpec, Points
from services.runtime.snapshots import Snapshots


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[FaissEngine]:
    made = FaissEngine(tmp_path / "data", threads=1)
    made.create("c", CollectionSpec(2)).upsert(Points(["a"], np.ones((1, 2), np.float32)))
    yield made
    made.close()


def quiet(stage: str, done: int, total: int) -> None:
    return


def test_unfinished_archives_are_removed_at_the_start(engine: FaissEngine, tmp_path: Path) -> None:
    Snapshots(engine, tmp_path).create("c", "whole", quiet)
    (tmp_path / "torn.tar.new").write_bytes(b"torn")
    (tmp_path / "torn.json.new").write_bytes(b'{"name"')
    again = Snapshots(engine, tmp_path)
    assert [snapshot.name for snapshot in again.all()] == ["whole"]
    assert {path.name for path in tmp_path.glob("*.*")} == {"whole.tar", "whole.json"}


def test_an_archive_whose_card_was_not_written_is_listed(
    engine: FaissEngine, tmp_path: Path
) -> None:
    Snapshots(engine, tmp_path).create("c", "one", quiet)
    (tmp_path / "one.json").unlink()
    again = Snapshots(engine, tmp_path)
    assert [(s.name, s.collection) for s in again.all()] == [("one", "")]
    assert again.restore("one", "restored", quiet)["points"] == 1


def test_a_card_that_cannot_be_written_takes_its_archive_along(
    engine: FaissEngine, tmp_path: Path
) -> None:
    snapshots = Snapshots(engine, tmp_path)
    # a folder of this name stands in the way as a full disk would
    (tmp_path / "one.json" / "x").mkdir(parents=True)
    with pytest.raises(StorageError, match="one"):
        snapshots.create("c", "one", quiet)
    assert not (tmp_path / "one.tar").exists()
