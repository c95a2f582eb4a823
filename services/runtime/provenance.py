"""Where a result comes from: the data's hash, and the versions of the code."""

import hashlib
import platform
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

BLOCK = 1 << 20
DISTRIBUTION = "latentspace-server"

Progress = Callable[[str, int, int], None]


def data_hash(path: Path, progress: Progress) -> str:
    """SHA-256 of a file; of a folder, of its files' paths and hashes in order of the paths."""
    if path.is_file():
        return _file_hash(path, path.stat().st_size, progress)
    digest = hashlib.sha256()
    files = sorted(file for file in path.rglob("*") if file.is_file())
    for done, file in enumerate(files):
        progress("hashing", done, len(files))
        found = _file_hash(file, 0, progress)
        digest.update(f"{file.relative_to(path).as_posix()}\n{found}\n".encode())
    return digest.hexdigest()


def code_versions() -> dict[str, str]:
    """Versions of the server and of Python."""
    try:
        own = version(DISTRIBUTION)
    except PackageNotFoundError:
        own = "not installed"
    return {DISTRIBUTION: own, "python": platform.python_version()}


def _file_hash(path: Path, size: int, progress: Progress) -> str:
    """SHA-256; progress is told in MiB where the size is given."""
    digest, done = hashlib.sha256(), 0
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            digest.update(block)
            done += len(block)
            if size:
                progress("hashing", done // BLOCK, size // BLOCK)
    return digest.hexdigest()
