"""Deadlines inside threads, where nothing can be cancelled from outside."""

import time

from services.runtime.errors import DeadlineError


def check_deadline(deadline: float | None) -> None:
    """For loops of long work: called at least every 100 ms of it.

    Args:
        deadline: `time.monotonic()` value; None is no deadline.

    Raises:
        DeadlineError: it has passed, so that nobody waits for the result.
    """
    if deadline is not None and time.monotonic() >= deadline:
        raise DeadlineError("the deadline passed while the call was at work")
