"""State that is neither vectors nor cache, in one SQLite file: aliases, operations,
models, label sets."""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from index.errors import StorageError
from index.store.schema import storage_errors

SCHEMA_VERSION = 1
SCHEMA = """
create table if not exists alias (
    name text primary key,
    collection text not null
) strict;
create table if not exists operation (
    serial integer primary key autoincrement,
    id text not null unique,
    record text not null
) strict;
create table if not exists trained_model (
    id text primary key,
    record text not null
) strict;
create table if not exists added_model (
    id text primary key,
    record text not null
) strict;
create table if not exists label_set (
    name text primary key,
    record text not null,
    data blob not null
) strict;
"""
KEPT_OPERATIONS = 10_000


class Catalog:
    """catalog.db of a data folder; safe in many threads.

    Every call raises StorageError where the file cannot be read or written.

    Raises:
        StorageError: the same, or the file was written by a newer version.
    """

    def __init__(self, path: Path) -> None:
        self._mutex, self._path = threading.Lock(), path
        with storage_errors(f"opening {path}"):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
            # a damaged text costs its own record alone: readers find that it is not Unicode
            self._db.text_factory = lambda data: data.decode(errors="surrogateescape")
            version = int(self._db.execute("pragma user_version").fetchone()[0])
            if version > SCHEMA_VERSION:
                raise StorageError(
                    f"{path} has format {version}; this version reads {SCHEMA_VERSION}"
                )
            self._db.execute("pragma journal_mode = wal")
            self._db.execute("pragma synchronous = full")
            self._db.executescript(SCHEMA)
            # written once: a full disk must not keep a server from starting
            if version < SCHEMA_VERSION:
                self._db.execute(f"pragma user_version = {SCHEMA_VERSION}")

    def aliases(self) -> dict[str, str]:
        """Alias to collection; damaged ones are left out."""
        with self._alone():
            rows = self._db.execute("select name, collection from alias order by name").fetchall()
        return {alias: name for alias, name in rows if alias.isascii() and name.isascii()}

    def set_alias(self, name: str, collection: str) -> str:
        """Points an alias at a collection; returns the collection before, or ""."""
        find = "select collection from alias where name = ?"
        with self._alone():
            row = self._db.execute(find, (name,)).fetchone()
            self._db.execute("replace into alias values (?, ?)", (name, collection))
        return str(row[0]) if row else ""

    def delete_alias(self, name: str) -> bool:
        """Whether there was such an alias."""
        with self._alone():
            return self._db.execute("delete from alias where name = ?", (name,)).rowcount > 0

    def delete_aliases_of(self, collection: str) -> None:
        """Forgets the aliases of a deleted collection."""
        with self._alone():
            self._db.execute("delete from alias where collection = ?", (collection,))

    def save_operation(self, operation_id: str, record: str) -> None:
        """Writes an operation's record; the oldest beyond ten thousand are forgotten."""
        upsert = (
            "insert into operation (id, record) values (?, ?)"
            " on conflict (id) do update set record = excluded.record"
        )
        forget = "delete from operation where serial <= (select max(serial) from operation) - ?"
        with self._alone():
            self._db.execute(upsert, (operation_id, record))
            self._db.execute(forget, (KEPT_OPERATIONS,))

    def operations(self) -> list[str]:
        """Records of all operations, oldest first."""
        with self._alone():
            rows = self._db.execute("select record from operation order by serial").fetchall()
        return [str(row[0]) for row in rows]

    def save_trained_model(self, model_id: str, record: str) -> None:
        """Remembers a model that was trained here."""
        with self._alone():
            self._db.execute("replace into trained_model values (?, ?)", (model_id, record))

    def delete_trained_model(self, model_id: str) -> None:
        """Forgets a model that was trained here."""
        with self._alone():
            self._db.execute("delete from trained_model where id = ?", (model_id,))

    def trained_models(self) -> dict[str, str]:
        """Id to record of all models that were trained here."""
        with self._alone():
            return dict(self._db.execute("select id, record from trained_model order by id"))

    def save_added_model(self, model_id: str, record: str) -> None:
        """Remembers a model that a caller added."""
        with self._alone():
            self._db.execute("replace into added_model values (?, ?)", (model_id, record))

    def delete_added_model(self, model_id: str) -> None:
        """Forgets a model that a caller added."""
        with self._alone():
            self._db.execute("delete from added_model where id = ?", (model_id,))

    def added_models(self) -> dict[str, str]:
        """Id to record of all models that callers added."""
        with self._alone():
            return dict(self._db.execute("select id, record from added_model order by id"))

    def save_label_set(self, name: str, record: str, data: bytes) -> None:
        """Writes a label set and its vectors."""
        with self._alone():
            self._db.execute("insert into label_set values (?, ?, ?)", (name, record, data))

    def delete_label_set(self, name: str) -> None:
        """Forgets a label set."""
        with self._alone():
            self._db.execute("delete from label_set where name = ?", (name,))

    def label_sets(self) -> dict[str, str]:
        """Name to record of all label sets."""
        with self._alone():
            return dict(self._db.execute("select name, record from label_set order by name"))

    def label_set_rows(self, name: str) -> bytes | None:
        """Vectors of a label set; None where there is none."""
        with self._alone():
            row = self._db.execute("select data from label_set where name = ?", (name,)).fetchone()
        return bytes(row[0]) if row else None

    def close(self) -> None:
        """Closes the file."""
        with self._alone():
            self._db.close()

    @contextmanager
    def _alone(self) -> Iterator[None]:
        with self._mutex, storage_errors(f"catalogue {self._path}"):
            yield
