"""How far a training is, by steps or by the clock, and what follows from it."""

import math
import time
from collections.abc import Sequence

# the learning rate rises over this share of the training
RISE = 0.03


class Schedule:
    """Counts steps; gives the learning rate and the picture size of the next one.

    Args:
        steps: of the whole training.
        minutes: end by then, if the steps have not (0: no such end).
    """

    def __init__(self, steps: int, minutes: float, rate: float, sizes: Sequence[int]) -> None:
        self.step, self.steps = 0, steps
        self._minutes, self._rate, self._sizes = minutes, rate, tuple(sizes)
        self._before, self._start = 0.0, time.perf_counter()

    def resume(self, step: int, seconds: float) -> None:
        """Goes on from a training that was cut off."""
        self.step, self._before, self._start = step, seconds, time.perf_counter()

    def advance(self) -> None:
        """One step is done."""
        self.step += 1

    @property
    def seconds(self) -> float:
        """Spent on training, earlier calls included."""
        return self._before + time.perf_counter() - self._start

    @property
    def share(self) -> float:
        """How much of the training is done, 0 to 1."""
        clock = self.seconds / 60 / self._minutes if self._minutes else 0.0
        return min(1.0, max(self.step / self.steps, clock))

    @property
    def ended(self) -> bool:
        """Whether nothing is left to do."""
        return self.share >= 1 and self.step > 0

    @property
    def rate(self) -> float:
        """Learning rate: a short straight rise, then half a cosine down to nothing."""
        share = self.share
        if share < RISE:
            return self._rate * (share / RISE + 1e-2)
        return self._rate * (1 + math.cos(math.pi * (share - RISE) / (1 - RISE))) / 2

    @property
    def size(self) -> int:
        """Pixels of a side of the training's pictures."""
        place = int(self.share * len(self._sizes))
        return self._sizes[min(place, len(self._sizes) - 1)]
