"""Writing files so that they are whole or absent after a crash, and knowing them again."""

import os
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

_BLOCK = 8 << 20


@dataclass(frozen=True, slots=True)
class FileEntry:
    """A file as it was written: its name in the folder, bytes, and CRC-32."""

    name: str
    size: int
    crc: int


def write_file(path: Path, write: Callable[[Path], object]) -> FileEntry:
    """Lets `write` make the file, brings it to disk, and describes it; a torn one is removed.

    Raises:
        OSError
    """
    try:
        write(path)
        sync(path)
        return FileEntry(path.name, path.stat().st_size, checksum(path))
    except BaseException:  # whatever it was, no half file stays behind
        path.unlink(missing_ok=True)
        raise


def replace_file(path: Path, data: bytes) -> None:
    """Puts new contents in the place of a file, at once and for good."""
    fresh = path.with_name(f"{path.name}.new")
    write_file(fresh, lambda target: target.write_bytes(data))
    # the rename is atomic; only the folder's sync makes it last
    fresh.rename(path)
    sync(path.parent)


def sync(path: Path) -> None:
    """Brings a file, or the names in a folder, to disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def checksum(path: Path) -> int:
    """CRC-32 of a whole file; some 4 GB/s where it is in memory."""
    crc = 0
    buffer = memoryview(bytearray(_BLOCK))
    with path.open("rb", buffering=0) as file:
        while count := file.readinto(buffer):
            crc = zlib.crc32(buffer[:count], crc)
    return crc


def is_intact(folder: Path, entry: FileEntry) -> bool:
    """Whether a file is still what was written."""
    path = folder / entry.name
    try:
        return path.stat().st_size == entry.size and checksum(path) == entry.crc
    except OSError:
        return False
