"""Progress of long commands: a bar on a terminal, lines now and then in a pipe, or JSON events."""

import sys
import time
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from latentspace.cli.output import Output

LINE_PAUSE_S = 10.0
EVENT_PAUSE_S = 1.0
# rates are of the last half minute: what a cache answers is soon over
WINDOW_S = 30.0


class Pace:
    """How fast something goes, and how long it will go on.

    Args:
        clock: seconds, monotonic.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._seen: deque[tuple[float, int]] = deque([(clock(), 0)])

    def update(self, done: int) -> None:
        """Takes note of how many are done."""
        now = self._clock()
        self._seen.append((now, done))
        while now - self._seen[1][0] > WINDOW_S:
            self._seen.popleft()

    @property
    def rate(self) -> float:
        """Items a second; 0 at the beginning."""
        (start, first), (end, last) = self._seen[0], self._seen[-1]
        return (last - first) / (end - start) if end > start else 0.0

    def eta_s(self, total: int | None) -> float | None:
        """Seconds left; None where nothing can be said."""
        left = None if total is None else max(0, total - self._seen[-1][1])
        return left / self.rate if left is not None and self.rate > 0 else None


class Reporter:
    """Shows how far a command is, on standard error, or as events {"event": "progress"} in JSON.

    Args:
        title: what is done, as "index photos".
    """

    def __init__(self, out: Output, title: str) -> None:
        self._out = out
        self._title = title
        self._pace = Pace()
        self._told = time.monotonic()
        console = Console(stderr=True)
        shown = console.is_terminal and not out.as_json
        self._bars = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.fields[told]}"),
            console=console,
            disable=not shown,
            transient=True,
        )
        self._bar = self._bars.add_task(title, total=None, told="") if shown else None

    def update(self, done: int, total: int | None = None, **counts: int) -> None:
        """Tells the newest numbers, if enough time has passed.

        Args:
            total: None where it is not known.
            counts: what `done` is made of, by name.
        """
        self._pace.update(done)
        if self._bar is not None:
            self._bars.update(
                self._bar, completed=done, total=total, told=self._text(done, total, counts)
            )
        elif self._out.as_json:
            if self._is_time(EVENT_PAUSE_S):
                rate, eta_s = round(self._pace.rate, 1), self._pace.eta_s(total)
                numbers = {"done": done, "total": total, "rate": rate, "eta_s": eta_s}
                event(self._out, "progress", **numbers, **counts)
        elif self._is_time(LINE_PAUSE_S):
            print(f"{self._title}: {self._text(done, total, counts)}", file=sys.stderr, flush=True)

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bars.stop()

    def _is_time(self, pause_s: float) -> bool:
        now = time.monotonic()
        if now - self._told < pause_s:
            return False
        self._told = now
        return True

    def _text(self, done: int, total: int | None, counts: dict[str, int]) -> str:
        eta_s = self._pace.eta_s(total)
        parts = [
            f"{done:,} of {total:,}" if total is not None else f"{done:,}",
            f"{self._pace.rate:,.0f}/s",
            *([] if eta_s is None else [f"{duration(eta_s)} left"]),
            *(f"{name} {count:,}" for name, count in counts.items()),
        ]
        return ", ".join(parts)


def event(out: Output, kind: str, **record: object) -> None:
    """A JSON line that a waiting reader gets at once."""
    out.record({"event": kind, **record})
    sys.stdout.flush()


def duration(seconds: float) -> str:
    """Seconds as people say them: "8 s", "2:05", "3:10:00"."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    return (
        f"{minutes}:{rest:02}" if minutes < 60 else f"{minutes // 60}:{minutes % 60:02}:{rest:02}"
    )


def age_text(seconds: float) -> str:
    """How long ago in the largest unit, as "45s", "12m", "5h", "3d"."""
    left = max(0, int(seconds))
    for unit, size in (("s", 60), ("m", 60), ("h", 48)):
        if left < size:
            return f"{left}{unit}"
        left //= 24 if unit == "h" else 60
    return f"{left}d"
