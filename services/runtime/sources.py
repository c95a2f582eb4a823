"""Files that callers name and the server reads: only below the folders that its owner allows."""

import os
from collections.abc import Iterable
from pathlib import Path

from services.runtime.errors import RequestError, SourceDeniedError


class Sources:
    """The allow-listed folders.

    Args:
        roots: absolute paths; none means that no file is read.
    """

    def __init__(self, roots: Iterable[Path]) -> None:
        self.roots = [str(root) for root in roots]

    def find(self, source: str, field: str = "source") -> Path:
        """The file or folder of a name, links followed.

        Args:
            source: absolute, or relative to a root.

        Raises:
            SourceDeniedError: it is not below a root, whether it exists or not.
            RequestError: there is nothing of this name.
        """
        if not source or "\0" in source:
            raise RequestError(field, f"{field}: name a file or folder below the server's roots")
        denied = SourceDeniedError(source, self.roots, field)
        # the roots anew each time: a folder may be mounted while the server runs
        roots = [Path(root).resolve() for root in self.roots]
        # joined to an absolute path, a root has no say
        found = [path for path in (_resolved(root / source) for root in roots) if path]
        allowed = [path for path in found if any(path.is_relative_to(root) for root in roots)]
        if not allowed:
            raise denied
        # unlike Path.exists it answers for names of any length
        existing = [path for path in allowed if os.path.exists(path)]
        if not existing:
            raise RequestError(field, f"{field}: there is no file or folder {source[:200]!r}")
        return existing[0]


def _resolved(path: Path) -> Path | None:
    try:
        return path.resolve()
    except (OSError, RuntimeError):  # a loop of links, or a name that is too long
        return None
