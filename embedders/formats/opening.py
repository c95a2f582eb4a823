"""Opening files that may be compressed."""

import gzip
import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

from embedders.errors import ModelFormatError

GZIP_MAGIC = b"\x1f\x8b"
BUFFER_BYTES = 1 << 20


def is_gzip(path: Path) -> bool:
    """Whether the content is gzip, whatever the name says."""
    with path.open("rb") as file:
        return file.read(2) == GZIP_MAGIC


@contextmanager
def open_read(path: Path) -> Iterator[BinaryIO]:
    """The file's content as bytes, unpacked where it is gzip.

    Raises:
        ModelFormatError: it cannot be read, or the compressed stream is damaged or cut off.
    """
    try:
        if is_gzip(path):
            with gzip.open(path, "rb") as packed:
                yield cast("BinaryIO", packed)
        else:
            with path.open("rb", buffering=BUFFER_BYTES) as plain:
                yield plain
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise ModelFormatError(f"{path}: the gzip stream is damaged or cut off: {error}") from error
    except OSError as error:
        raise ModelFormatError(f"{path}: {error.strerror or error}") from error


@contextmanager
def open_write(path: Path) -> Iterator[BinaryIO]:
    """A new file, gzip where the name ends in .gz; it appears only when it is complete."""
    # in the same folder, so that the last step is a rename
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        if path.suffix == ".gz":
            with partial.open("wb") as raw, gzip.GzipFile("", "wb", 6, raw, mtime=0) as packed:
                yield cast("BinaryIO", packed)
        else:
            with partial.open("wb", buffering=BUFFER_BYTES) as plain:
                yield plain
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
