"""Store and segments of the same moment."""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager

from index.segments.live import LiveSegments
from index.segments.part import View
from index.store.reader import StoreReader, read_meta

_ATTEMPTS = 50
_POLL_SECONDS = 0.0001
_POLLS = 100


@contextmanager
def moment(live: LiveSegments, reader: StoreReader) -> Iterator[tuple[View, sqlite3.Connection]]:
    """A view, and a connection that reads the store as it was at the view's version.

    A write is committed a little before the view shows it. Should the two not meet in many
    attempts, the store is ahead: rows of the view may have gone from it.
    """
    for _ in range(_ATTEMPTS - 1):
        with reader.snapshot() as connection:
            version = int(read_meta(connection, "version"))
            view = _view_of(live, version)
            if view is not None:
                yield view, connection
                return
    view = live.view
    with reader.snapshot() as connection:
        yield view, connection


def _view_of(live: LiveSegments, version: int) -> View | None:
    for _ in range(_POLLS):
        view = live.view
        if view.version >= version:
            return view if view.version == version else None
        time.sleep(_POLL_SECONDS)
    return None
