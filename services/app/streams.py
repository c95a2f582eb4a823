"""Standard output and error as sources of events, where the log must be nothing but JSON."""

import fcntl
import logging
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TextIO

logger = logging.getLogger(__name__)

STDOUT, STDERR = 1, 2
# a library that prints while it holds the interpreter must find room, or nobody could read
PIPE_BYTES = 1 << 20
LAST_LINES_S = 1.0


@contextmanager
def lines_logged(capture: bool) -> Iterator[TextIO]:
    """The stream for log lines: standard error itself.

    Args:
        capture: what else is written to standard output and error, by C libraries and child
            processes too, is logged line by line as warnings meanwhile.
    """
    if not capture:
        yield sys.stderr
        return
    kept = {number: os.dup(number) for number in (STDOUT, STDERR)}
    out, into = os.pipe()
    with suppress(OSError, AttributeError):  # not Linux, or not allowed: the size stays
        fcntl.fcntl(into, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
    for number in kept:
        os.dup2(into, number)
    os.close(into)
    reader = threading.Thread(target=log_lines, args=(out,), name="stray lines", daemon=True)
    reader.start()
    try:
        # never closed: threads may log until the process has ended
        yield open(os.dup(kept[STDERR]), "w", buffering=1, encoding="utf-8")  # noqa: SIM115
    finally:
        restore(kept)
        # a child process may hold the pipe open for longer
        reader.join(LAST_LINES_S)


def restore(kept: dict[int, int]) -> None:
    """Gives both streams back."""
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    for number, before in kept.items():
        os.dup2(before, number)
        os.close(before)


def log_lines(descriptor: int) -> None:
    """Logs what comes, until all writers have closed; of a line drawn again and again, its end."""
    with open(descriptor, encoding="utf-8", errors="backslashreplace", newline="\n") as lines:
        for line in lines:
            if text := line.rstrip().rpartition("\r")[2].strip():
                logger.warning(text)
