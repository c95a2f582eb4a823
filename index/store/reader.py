"""Reading the store: a pool of connections, and the queries."""

import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from embedders.vectors import FloatRows
from index.errors import PayloadsTooLargeError, StorageError
from index.store.schema import check_format, connect, storage_errors
from index.store.spec_json import load_spec

_CHUNK = 500
_BLOCK_ROWS = 4096


@dataclass(frozen=True, slots=True)
class Records:
    """Points as stored, in columns. `rows` float32 (n, dim), None where not asked for."""

    slots: NDArray[np.int64]
    ids: list[str]
    codes: NDArray[np.uint8]
    payloads: list[bytes]
    rows: FloatRows | None = None

    def __len__(self) -> int:
        return len(self.ids)


class StoreReader:
    """Reads in many threads at once, each call on a connection of its own.

    Args:
        spec: the collection's, as it was when this was opened.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._idle: list[sqlite3.Connection] = []
        self._lock = threading.Lock()
        self._returned = threading.Condition(self._lock)
        self._busy = 0
        self._closed = False
        with self._connection() as connection:
            check_format(connection)
            self.spec = load_spec(read_meta(connection, "spec"))
        self._dim = self.spec.dim

    def close(self, wait_seconds: float = 0.0) -> None:
        """Closes idle connections; busy ones close when they are given back, no more are opened.

        Args:
            wait_seconds: so long at most it waits for the busy ones. A connection opens files by
                their paths until it is closed, so until then no other store may stand there.
        """
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()
        with self._lock:
            self._returned.wait_for(lambda: not self._busy, wait_seconds)

    def check_open(self) -> None:
        """For long reads, which a store that is being closed need not wait for.

        Raises:
            StorageError: it is closed.
        """
        if self._closed:
            raise StorageError("the collection is closed")

    @contextmanager
    def snapshot(self) -> Iterator[sqlite3.Connection]:
        """A connection inside a read transaction: all is of the moment of its first read."""
        with self._connection() as connection:
            connection.execute("BEGIN")
            try:
                yield connection
            finally:
                connection.execute("ROLLBACK")

    def meta(self, key: str) -> Any:
        """One value of the meta table."""
        with self._connection() as connection:
            return read_meta(connection, key)

    def version(self) -> int:
        """Version of the last committed write."""
        return int(self.meta("version"))

    def count(self) -> int:
        """Stored points."""
        with self._connection() as connection:
            found: tuple[int] = connection.execute("SELECT count(*) FROM points").fetchone()
        return found[0]

    def by_ids(self, ids: Sequence[str], with_vectors: bool) -> Records:
        """Points with these ids, in no order; unknown ids are passed over."""
        return self._chosen("id", [point_id for point_id in ids if is_text(point_id)], with_vectors)

    def by_slots(
        self,
        slots: Sequence[int],
        with_vectors: bool = False,
        connection: sqlite3.Connection | None = None,
    ) -> Records:
        """Points with these slots, in no order; slots that have gone are passed over.

        Args:
            connection: from `snapshot`, to read of its moment.
        """
        return self._chosen("slot", slots, with_vectors, connection)

    def payloads(
        self, slots: Sequence[int], connection: sqlite3.Connection, most_bytes: int
    ) -> dict[int, bytes]:
        """Payload by slot, of the moment of a `snapshot`; slots that have gone are left out.

        Raises:
            PayloadsTooLargeError: together they take more than `most_bytes`; reading ends there.
        """
        payloads: dict[int, bytes] = {}
        left = most_bytes
        for part in _chunks(slots):
            sql = f"SELECT slot, payload FROM points WHERE slot IN ({_marks(part)})"  # noqa: S608
            rows = connection.execute(sql, part).fetchall()
            left -= sum(len(payload) for _, payload in rows)
            if left < 0:
                raise PayloadsTooLargeError(most_bytes)
            payloads.update(rows)
        return payloads

    def page(self, after: int, limit: int, with_vectors: bool) -> Records:
        """The first `limit` points with greater slots, ascending."""
        with self._connection() as connection:
            return read_range(connection, self._dim, after, limit=limit, with_vectors=with_vectors)

    def blocks(
        self, after: int, until: int | None = None, with_vectors: bool = True
    ) -> Iterator[Records]:
        """All points with slots in (after, until], ascending, of one moment, in blocks."""
        with self.snapshot() as connection:
            while True:
                block = read_range(
                    connection, self._dim, after, until, _BLOCK_ROWS, with_vectors=with_vectors
                )
                if not len(block):
                    return
                yield block
                after = int(block.slots[-1])

    def marks(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Slots that died, and slots whose payload changed, since segments were written."""
        with self._connection() as connection:
            dead = connection.execute("SELECT slot FROM dead ORDER BY slot").fetchall()
            touched = connection.execute("SELECT slot FROM touched ORDER BY slot").fetchall()
        return _first_column(dead), _first_column(touched)

    def dead(self, first: int, last: int) -> NDArray[np.int64]:
        """Slots from first to last that died since segments were written, ascending."""
        sql = "SELECT slot FROM dead WHERE slot BETWEEN ? AND ? ORDER BY slot"
        with self._connection() as connection:
            return _first_column(connection.execute(sql, (first, last)).fetchall())

    def pages(self) -> tuple[int, int]:
        """Pages of the file that are free, and all."""
        with self._connection() as connection:
            (free,) = connection.execute("PRAGMA freelist_count").fetchone()
            (total,) = connection.execute("PRAGMA page_count").fetchone()
        return free, total

    def fold_log(self) -> None:
        """Folds the log into the file as far as nobody waits for it."""
        with self._connection() as connection:
            connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()

    def _chosen(
        self,
        column: str,
        values: Sequence[str] | Sequence[int],
        with_vectors: bool,
        connection: sqlite3.Connection | None = None,
    ) -> Records:
        found: list[tuple[int, str, int, bytes, bytes]] = []
        with nullcontext(connection) if connection else self.snapshot() as opened:
            for part in _chunks(values):
                sql = f"{_select(with_vectors)} WHERE p.{column} IN ({_marks(part)})"
                found += opened.execute(sql, part).fetchall()
        return _records(found, self._dim, with_vectors)

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            self.check_open()
            self._busy += 1
            idle = self._idle.pop() if self._idle else None
        connection: sqlite3.Connection | None = idle
        try:
            with storage_errors("reading the store"):
                connection = connection or connect(self._path)
                yield connection
        finally:
            with self._lock:
                if connection is not None and self._closed:
                    connection.close()
                elif connection is not None:
                    self._idle.append(connection)
                self._busy -= 1
                self._returned.notify_all()


def read_meta(connection: sqlite3.Connection, key: str) -> Any:
    """One value of the meta table: str, int or bytes.

    Raises:
        StorageError: there is none; every store has all of them.
    """
    row = connection.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
    if row is None:
        raise StorageError(f"the store is damaged: its {key} is missing")
    return row[0]


def read_range(
    connection: sqlite3.Connection,
    dim: int,
    after: int,
    until: int | None = None,
    limit: int = -1,
    *,
    with_vectors: bool,
) -> Records:
    """Points with slots in (after, until], ascending, at most `limit`."""
    sql = f"{_select(with_vectors)} WHERE p.slot > ? AND p.slot <= ? ORDER BY p.slot LIMIT ?"
    last = (1 << 63) - 1 if until is None else until
    return _records(connection.execute(sql, (after, last, limit)).fetchall(), dim, with_vectors)


def is_text(point_id: str) -> bool:
    """Whether an id can be UTF-8 (a lone surrogate cannot)."""
    try:
        point_id.encode()
    except UnicodeEncodeError:
        return False
    return True


def _select(with_vectors: bool) -> str:
    if with_vectors:
        return (
            "SELECT p.slot, p.id, p.modality, p.payload, v.vector"
            " FROM points p JOIN vectors v ON v.slot = p.slot"
        )
    return "SELECT p.slot, p.id, p.modality, p.payload, NULL FROM points p"


def _records(
    found: list[tuple[int, str, int, bytes, bytes]], dim: int, with_vectors: bool
) -> Records:
    slots, ids, codes, payloads, vectors = zip(*found, strict=True) if found else ((),) * 5
    rows = None
    if with_vectors:
        rows = np.frombuffer(b"".join(vectors), dtype="<f4").reshape(len(ids), dim)
    return Records(
        np.array(slots, dtype=np.int64),
        list(ids),
        np.array(codes, dtype=np.uint8),
        list(payloads),
        rows,
    )


def _first_column(found: list[tuple[int]]) -> NDArray[np.int64]:
    return np.fromiter((row[0] for row in found), dtype=np.int64, count=len(found))


def _chunks(values: Sequence[str] | Sequence[int]) -> Iterator[Sequence[str] | Sequence[int]]:
    return (values[start : start + _CHUNK] for start in range(0, len(values), _CHUNK))


def _marks(part: Sequence[str] | Sequence[int]) -> str:
    return ",".join("?" * len(part))
