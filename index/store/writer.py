"""Writing the store: transactions, each with exactly one fsync."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from embedders.vectors import FloatRows
from index.store.reader import is_text, read_meta
from index.store.schema import connect, storage_errors

_CHUNK = 500


class StoreWriter:
    """The one writing connection of a collection; one thread uses it."""

    def __init__(self, path: Path) -> None:
        with storage_errors("opening the store"):
            self._connection = connect(path)
            self.next_slot = self._counter("next_slot")
            self.version = self._counter("version")

    def close(self) -> None:
        """Closes the file; the last connection to close folds the log into it."""
        with storage_errors("closing the store"):
            self._connection.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing: on disk when it ends, or undone if it raises.

        Raises:
            StorageError
        """
        slot, version = self.next_slot, self.version
        try:
            with storage_errors("writing the store"):
                self._connection.execute("BEGIN IMMEDIATE")
                yield
                self.put_meta("next_slot", self.next_slot)
                self.put_meta("version", self.version)
                self._commit()
        except BaseException:  # undone whatever it was, then raised on
            self.next_slot, self.version = slot, version
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise

    def slots_of(self, ids: Sequence[str]) -> dict[str, int]:
        """Slot by id, of those that are stored."""
        found: dict[str, int] = {}
        ids = ids if is_text("".join(ids)) else [one for one in ids if is_text(one)]
        for start in range(0, len(ids), _CHUNK):
            part = ids[start : start + _CHUNK]
            sql = f"SELECT id, slot FROM points WHERE id IN ({','.join('?' * len(part))})"  # noqa: S608
            found.update(self._connection.execute(sql, part))
        return found

    def payloads(self, slots: Sequence[int]) -> Iterator[tuple[int, bytes, int]]:
        """(slot, payload, modality code) of those slots that are stored."""
        sql = "SELECT slot, payload, modality FROM points WHERE slot = ?"
        for slot in slots:
            yield from self._connection.execute(sql, (slot,))

    def insert(
        self, ids: Sequence[str], codes: Sequence[int], payloads: Sequence[bytes], rows: FloatRows
    ) -> NDArray[np.int64]:
        """Adds points with new ids; their slots, int64 (n,), ascending."""
        # counted on, never reused: a slot names one written row for good
        slots = range(self.next_slot, self.next_slot + len(ids))
        self.next_slot += len(ids)
        self._connection.executemany(
            "INSERT INTO points VALUES (?, ?, ?, ?)", zip(slots, ids, codes, payloads, strict=True)
        )
        # slices of one buffer, so that no row is copied before SQLite copies it
        view = np.ascontiguousarray(rows, dtype="<f4").data.cast("B")
        size = rows.shape[1] * 4
        vectors = (view[start : start + size] for start in range(0, len(view), size))
        self._connection.executemany(
            "INSERT INTO vectors VALUES (?, ?)", zip(slots, vectors, strict=True)
        )
        return np.arange(slots.start, slots.stop, dtype=np.int64)

    def remove(self, slots: Iterable[int]) -> None:
        """Deletes points and remembers that their slots are dead."""
        keys = [(slot,) for slot in slots]
        self._connection.executemany("DELETE FROM points WHERE slot = ?", keys)
        self._connection.executemany("DELETE FROM vectors WHERE slot = ?", keys)
        self._connection.executemany("DELETE FROM touched WHERE slot = ?", keys)
        self._connection.executemany("INSERT OR IGNORE INTO dead VALUES (?)", keys)

    def set_payloads(self, slots: Sequence[int], payloads: Sequence[bytes]) -> None:
        """Replaces payloads and remembers that they changed."""
        self._connection.executemany(
            "UPDATE points SET payload = ? WHERE slot = ?", zip(payloads, slots, strict=True)
        )
        self._connection.executemany(
            "INSERT OR REPLACE INTO touched VALUES (?, ?)", ((slot, self.version) for slot in slots)
        )

    def forget(self, dead: Iterable[int], first: int, last: int, version: int) -> None:
        """Drops marks that segment files of slots first..last, read at `version`, include now."""
        self._connection.executemany("DELETE FROM dead WHERE slot = ?", ((slot,) for slot in dead))
        self._connection.execute(
            "DELETE FROM touched WHERE slot BETWEEN ? AND ? AND version <= ?",
            (first, last, version),
        )

    def settle(self, spec: bytes) -> None:
        """Sets the spec; no change of recipe waits any more."""
        self.put_meta("spec", spec)
        self.put_meta("pending_recipe", "")

    def put_meta(self, key: str, value: str | int | bytes) -> None:
        """Sets one value of the meta table."""
        self._connection.execute("UPDATE meta SET value = ? WHERE key = ?", (value, key))

    def give_back(self, pages: int) -> None:
        """Returns up to so many free pages to the file system."""
        for _ in range(pages):
            # the pragma frees a page a step, and Python takes one step of it
            self._connection.execute("PRAGMA incremental_vacuum(1)")

    def _counter(self, key: str) -> int:
        return int(read_meta(self._connection, key))

    def _commit(self) -> None:
        self._connection.execute("COMMIT")
