"""Small disks of their own, filled and emptied at will; and folders that cannot be written."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


class SmallDisk:
    """A mounted tmpfs; `fill` leaves so many bytes free until `free` takes the ballast away."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._ballast = folder / "ballast"

    def fill(self, left_bytes: int) -> None:
        """Writes a file of zeros; where others write meanwhile, as much as there is room for."""
        page = os.statvfs(self.folder).f_frsize
        pages = os.statvfs(self.folder).f_bavail - left_bytes // page
        with self._ballast.open("ab", buffering=0) as file, suppress(OSError):
            for _ in range(pages):
                file.write(bytes(page))

    def free(self) -> None:
        """The room is there again."""
        self._ballast.unlink(missing_ok=True)


@contextmanager
def small_disk(folder: Path, mib: int) -> Iterator[SmallDisk]:
    """Mounts one at a new folder.

    Raises:
        PermissionError: only root may mount; with what `mount` said.
    """
    folder.mkdir()
    mounted("-t", "tmpfs", "-o", f"size={mib}m", "tmpfs", str(folder))
    try:
        yield SmallDisk(folder)
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """The folder cannot be written, by root neither where root may mount."""
    if os.geteuid() != 0:
        folder.chmod(0o555)
        yield
        folder.chmod(0o755)
        return
    mounted("--bind", str(folder), str(folder))
    try:
        mounted("-o", "remount,bind,ro", str(folder))
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def mounted(*options: str) -> None:
    """`mount` with these options.

    Raises:
        PermissionError
    """
    try:
        done = subprocess.run(["mount", *options], capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        raise PermissionError("there is no `mount`") from error
    if done.returncode:
        raise PermissionError(done.stderr.strip())
