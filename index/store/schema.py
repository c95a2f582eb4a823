"""The store's file: its tables, how it is opened, and its errors made ours."""

import sqlite3
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from index.errors import StorageError
from index.store.spec_json import dump_spec
from index.types import CollectionSpec

STORE_FORMAT = 1
STORE_FILE = "store.db"

# payloads and vectors are apart, so that reading ids and payloads passes over no vectors;
# `dead` and `touched` tell an opened collection what its segment files do not know
_TABLES = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value) WITHOUT ROWID;
CREATE TABLE points (
    slot INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, modality INTEGER NOT NULL, payload BLOB
);
CREATE TABLE vectors (slot INTEGER PRIMARY KEY, vector BLOB NOT NULL);
CREATE TABLE dead (slot INTEGER PRIMARY KEY);
CREATE TABLE touched (slot INTEGER PRIMARY KEY, version INTEGER NOT NULL);
"""
_PAGE_BYTES = 8192
# the background folds the log much earlier; this is for when it cannot
_CHECKPOINT_PAGES = 16_384
_LOG_BYTES = 32 << 20


@contextmanager
def storage_errors(action: str) -> Iterator[None]:
    """Turns errors of SQLite and of the file system into StorageError."""
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        raise StorageError(f"{action}: {error}") from error


def create_store(path: Path, spec: CollectionSpec, created_ns: int) -> None:
    """Writes an empty store.

    Raises:
        StorageError
    """
    with storage_errors("creating the store"):
        connection = sqlite3.connect(path, isolation_level=None)
        try:
            connection.execute(f"PRAGMA page_size = {_PAGE_BYTES}")
            connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            connection.executescript(f"BEGIN; {_TABLES}")
            connection.executemany(
                "INSERT INTO meta VALUES (?, ?)",
                {
                    "format": STORE_FORMAT,
                    "uuid": uuid.uuid4().hex,
                    "spec": dump_spec(spec),
                    "created_ns": created_ns,
                    "next_slot": 1,
                    "version": 0,
                    "pending_recipe": "",
                }.items(),
            )
            connection.execute("COMMIT")
        finally:
            connection.close()


def connect(path: Path) -> sqlite3.Connection:
    """A connection that any one thread at a time may use; it takes no lock by itself."""
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode=rw",
        uri=True,
        isolation_level=None,
        check_same_thread=False,
        cached_statements=64,
        timeout=30.0,
    )
    # a restored file may be of anybody's making: its schema runs no functions
    connection.execute("PRAGMA trusted_schema = OFF")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute(f"PRAGMA journal_size_limit = {_LOG_BYTES}")
    connection.execute(f"PRAGMA wal_autocheckpoint = {_CHECKPOINT_PAGES}")
    return connection


def schema_of(connection: sqlite3.Connection | None) -> list[tuple[str, str, str | None]]:
    """Type, name and SQL of all that a file declares, sorted; None: what this format declares."""
    sql = "SELECT type, name, sql FROM sqlite_master ORDER BY type, name"
    if connection is not None:
        return connection.execute(sql).fetchall()
    with closing(sqlite3.connect(":memory:")) as fresh:
        fresh.executescript(_TABLES)
        return fresh.execute(sql).fetchall()


def check_format(connection: sqlite3.Connection) -> None:
    """Refuses a store of another format version.

    Raises:
        StorageError
    """
    (found,) = connection.execute("SELECT value FROM meta WHERE key = 'format'").fetchone()
    if found != STORE_FORMAT:
        raise StorageError(
            f"the store has format version {found}; this version reads {STORE_FORMAT}"
        )
