"""One process a data folder."""

import fcntl
import os
from pathlib import Path

from index.errors import LockedError, StorageError

LOCK_FILE = "lock"


class FolderLock:
    """Held by an open file; the system lets go of it when the process ends, however it ends."""

    def __init__(self, folder: Path) -> None:
        """Takes the lock and notes this process in the file.

        Raises:
            LockedError: another process has it.
            StorageError: the folder cannot be written.
        """
        path = folder / LOCK_FILE
        try:
            self._handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise StorageError(f"data folder {folder} cannot be written: {error}") from error
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            # only its holder writes the file, so what it says is the holder's pid
            holder = os.pread(self._handle, 32, 0)
            os.close(self._handle)
            raise LockedError(str(folder), int(holder or b"0")) from error
        # the pid of a process that died may be there still
        os.ftruncate(self._handle, 0)
        os.pwrite(self._handle, str(os.getpid()).encode(), 0)

    def release(self) -> None:
        """Lets go."""
        os.close(self._handle)
