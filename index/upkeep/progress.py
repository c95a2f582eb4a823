"""How far background work is, and the wish to stop it."""

import threading
from dataclasses import dataclass


class Cancelled(Exception):  # noqa: N818 - not an error: somebody asked for it
    """Background work was asked to stop."""


@dataclass(frozen=True, slots=True)
class Step:
    """Where the work is: `done` of `total` rows of a stage."""

    stage: str = ""
    done: int = 0
    total: int = 0


class Progress:
    """Written by the thread that works, read by those who wait."""

    def __init__(self) -> None:
        self.step = Step()
        self._stop = threading.Event()

    def begin(self, stage: str) -> None:
        """A new stage.

        Raises:
            Cancelled: somebody called `stop`.
        """
        self.step = Step(stage)
        self.check(0, 0)

    def check(self, done: int, total: int) -> None:
        """Notes how far a stage is.

        Raises:
            Cancelled: somebody called `stop`.
        """
        self.step = Step(self.step.stage, done, total)
        if self._stop.is_set():
            raise Cancelled(self.step.stage)

    def stop(self) -> None:
        """Asks for the end of what runs, and of all that begins, until `resume`."""
        self._stop.set()

    def resume(self) -> None:
        """Lets work go on."""
        self._stop.clear()
