"""Everything that the index raises.

VectorIndexError
├── CollectionError              a collection as a whole
│   ├── CollectionNotFoundError
│   ├── CollectionExistsError
│   └── ReadOnlyError            a vocabulary, or a data folder that cannot be written
├── SpecError                    a declaration does not fit; `field` names the part
├── FilterError                  a filter names an undeclared field or a value of another type
├── QueryError                   a query or its options do not fit; `field` names the part
│   └── PayloadsTooLargeError
├── PointError                   one point of a batch; the others go on
│   ├── InvalidPointError        id, vector or payload; `field` names the part
│   └── PointNotFoundError
├── StorageError                 disk full, permission, damage that cannot be mended from the store
│   ├── LockedError              another process serves this data folder; names its pid
│   └── SnapshotError            damaged, or of another format version
└── RecipeError                  an index cannot be built or read
"""

import sqlite3
from collections.abc import Iterable

from index.spelling import near_names


class VectorIndexError(Exception):
    """Base of all errors of this package."""


class CollectionError(VectorIndexError):
    """A collection as a whole."""

    def __init__(self, name: str, message: str) -> None:
        super().__init__(message)
        self.name = name


class CollectionNotFoundError(CollectionError):
    """No collection or alias has this name."""

    def __init__(self, name: str, known: Iterable[str] | None = None) -> None:
        near = "" if known is None else near_names(name, known)
        super().__init__(name, f"there is no collection {name[:128]!r}{near}")


class CollectionExistsError(CollectionError):
    """The name is taken."""

    def __init__(self, name: str) -> None:
        super().__init__(name, f"there is a collection {name!r} already")


class ReadOnlyError(CollectionError):
    """The collection cannot be written."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(name, f"collection {name!r} is read-only: {reason}")


class FieldError(VectorIndexError):
    """Part of a request does not fit; `field` is its name as a caller knows it."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


class SpecError(FieldError):
    """A declaration does not fit."""


class FilterError(FieldError):
    """A filter names an undeclared field or a value of another type."""


class QueryError(FieldError):
    """A query or its options do not fit."""


class PayloadsTooLargeError(QueryError):
    """The payloads of the hits of one search take too much."""

    def __init__(self, most_bytes: int) -> None:
        super().__init__(
            "with_payload",
            f"the payloads of the hits take more than {most_bytes >> 20} MiB, the most for one"
            " search: ask for fewer hits at once, or for none of their payloads",
        )


class PointError(FieldError):
    """One point of a batch failed; the others go on."""


class InvalidPointError(PointError):
    """Id, vector or payload is not acceptable."""


class PointNotFoundError(PointError):
    """No point has this id."""

    def __init__(self, point_id: str) -> None:
        super().__init__("ids", f"there is no point {point_id!r}")
        self.point_id = point_id


class StorageError(VectorIndexError):
    """Disk full, no permission, or damage that cannot be mended from the store."""


def is_disk_fault(error: BaseException) -> bool:
    """Whether a disk refused something: no room, no permission, a fault of the device."""
    return isinstance(error, OSError) or (
        isinstance(error, StorageError) and isinstance(error.__cause__, (OSError, sqlite3.Error))
    )


class LockedError(StorageError):
    """Another process serves this data folder."""

    def __init__(self, path: str, pid: int) -> None:
        super().__init__(f"data folder {path} is in use by process {pid}; stop it first")
        self.pid = pid


class SnapshotError(StorageError):
    """A snapshot is damaged, or of another format version."""


class RecipeError(VectorIndexError):
    """An index cannot be built or read."""
