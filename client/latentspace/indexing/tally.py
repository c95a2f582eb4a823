"""Counts of a job, told now and then."""

import time
from dataclasses import replace
from threading import Lock

from latentspace.indexing.options import OnFailed, OnProgress, Progress, TooManyErrorsError
from latentspace.indexing.records import BadRecord

# progress is told no more often
TELL_S = 0.2


class Tally:
    """Counts from several threads.

    Args:
        total: records of the source, where known.
        max_errors: more bad records end the job; None: none does.
    """

    def __init__(
        self,
        total: int | None,
        max_errors: int | None,
        on_progress: OnProgress | None,
        on_failed: OnFailed | None,
    ) -> None:
        self._lock = Lock()
        self._started = time.monotonic()
        self._told = 0.0
        self._max_errors = max_errors
        self._on_progress, self._on_failed = on_progress, on_failed
        self.progress = Progress(total=total)

    def add(self, **counts: int) -> None:
        """Counts some more, by the names of `Progress`."""
        with self._lock:
            now = self.progress
            more = {name: getattr(now, name) + count for name, count in counts.items()}
            self.progress = replace(now, seconds=time.monotonic() - self._started, **more)
            if self.progress.seconds - self._told >= TELL_S:
                self._tell()

    def fail(self, bad: BadRecord) -> None:
        """Counts and tells a bad record.

        Raises:
            TooManyErrorsError
        """
        with self._lock:
            if self._on_failed is not None:
                self._on_failed(bad)
        self.add(failed=1)
        failed = self.progress.failed
        if self._max_errors is not None and failed > self._max_errors:
            raise TooManyErrorsError(
                f"{failed} records failed, more than the {self._max_errors} allowed; the last:"
                f" {bad.place}: {bad.message}"
            )

    def end(self, *, finished: bool) -> Progress:
        """The last word."""
        with self._lock:
            seconds = time.monotonic() - self._started
            self.progress = replace(self.progress, seconds=seconds, finished=finished)
            self._tell()
        return self.progress

    def _tell(self) -> None:
        self._told = self.progress.seconds
        if self._on_progress is not None:
            self._on_progress(self.progress)
