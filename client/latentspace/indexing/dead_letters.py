"""Bad records in a file, one JSON object a line."""

import json
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Self, TextIO

from latentspace.indexing.records import BadRecord


class DeadLetters:
    """Writes bad records as they come: {"place", "id", "reason", "message"}.

    The file is begun anew: one of an earlier run is removed at once, and the first bad record
    creates it, so that a file is there only where something is in it.

    Raises:
        OSError: the file cannot be removed or written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: TextIO | None = None
        path.unlink(missing_ok=True)

    def write(self, bad: BadRecord) -> None:
        """Adds one; it is in the file when this returns."""
        if self._file is None:
            self._file = self.path.open("w", encoding="utf-8")
        # names of files may hold bytes that are not UTF-8; they are escaped
        record = {name: asdict(bad)[name] for name in ("place", "id", "reason", "message")}
        print(json.dumps(record), file=self._file, flush=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._file is not None:
            self._file.close()
