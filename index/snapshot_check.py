"""What a restored collection must be before it takes its name: snapshots come from anywhere."""

import sqlite3
from contextlib import closing
from pathlib import Path

from index.errors import SnapshotError, SpecError
from index.loading import open_core
from index.names import MODALITIES
from index.options import EngineOptions
from index.recipes import recipe
from index.store.reader import read_meta
from index.store.schema import STORE_FILE, connect, schema_of, storage_errors
from index.store.spec_json import check_spec, load_spec


def check_restored(name: str, folder: Path, options: EngineOptions) -> None:
    """Opens and closes an unpacked collection.

    Raises:
        SnapshotError: its tables are not those of a store, its spec is one that would be refused,
            a value cannot be, or it cannot be opened.
    """
    with storage_errors("checking the snapshot"), closing(connect(folder / STORE_FILE)) as store:
        _check_tables(store)
        _check_declaration(store)
        _check_values(store)
    core = open_core(name, folder, options)
    core.reader.close()
    core.writer.close()


def _check_tables(store: sqlite3.Connection) -> None:
    # before anything is read of them: a view may never end, a trigger may do anything
    if schema_of(store) != schema_of(None):
        raise SnapshotError("the snapshot's store has other tables than those of a collection")


def _check_declaration(store: sqlite3.Connection) -> None:
    spec = load_spec(read_meta(store, "spec"))
    try:
        check_spec(spec)
        recipe(spec.recipe)
    except SpecError as error:
        raise SnapshotError(f"the snapshot's declaration is refused: {error}") from error


def _check_values(store: sqlite3.Connection) -> None:
    (odd,) = store.execute(
        "SELECT count(*) FROM points WHERE modality NOT BETWEEN 0 AND ?", (len(MODALITIES) - 1,)
    ).fetchone()
    if odd:
        raise SnapshotError(f"{odd} points of the snapshot are of an unknown modality")
