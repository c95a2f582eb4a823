"""How much may wait, and what the rest is told."""

import time
from types import TracebackType

from services.runtime.errors import OverloadedError
from services.runtime.queueing import Claim, Priority

MIN_RETRY_S = 0.05
# Weight of the newest batch in what is measured: about the last ten batches count.
SMOOTHING = 0.2


class Load:
    """Work that was let in and is not done, and how fast it goes.

    Args:
        max_cost: cost that may wait or run, of each priority apart.
        max_wait_s: nor more than is done in so long.
    """

    def __init__(self, name: str, max_cost: int, max_wait_s: float) -> None:
        self._name, self._max_cost, self._max_wait_s = name, max_cost, max_wait_s
        self._pending = dict.fromkeys(Priority, 0)
        #: cost a second of all lanes together, and cost of an item; 0 until something has run
        self.rate = self.item_cost = 0.0
        self.refused = 0

    @property
    def pending(self) -> int:
        """Cost of all work that was let in and is not done."""
        return sum(self._pending.values())

    def measure(self, items: int, cost: int, seconds: float, lanes: int) -> None:
        """Learns from a batch."""
        rate, each = cost / max(seconds, 1e-9) * lanes, cost / items
        self.rate += SMOOTHING * (rate - self.rate) if self.rate else rate
        self.item_cost += SMOOTHING * (each - self.item_cost) if self.item_cost else each

    def estimate(self, items: int) -> int:
        """Cost of items that were not looked at yet."""
        return max(items, round(items * self.item_cost))

    def admit(self, cost: int, claim: Claim) -> "Admission":
        """Lets work in; to be used with `with`, whose end takes it off again.

        Canaries are always let in, and so is what comes to an empty queue: a single large call
        must not starve for ever. Bulk work does not count for those that go before it.

        Raises:
            OverloadedError: too much waits, or the deadline cannot be met.
        """
        ahead = sum(cost for priority, cost in self._pending.items() if priority <= claim.priority)
        if ahead and claim.priority is not Priority.CANARY:
            self._check(ahead, cost, claim)
        self._pending[claim.priority] += cost
        return Admission(self._pending, claim.priority, cost)

    def _check(self, ahead: int, cost: int, claim: Claim) -> None:
        fits: float = self._max_cost
        if self.rate:
            fits = min(fits, self.rate * self._max_wait_s)
        if (excess := ahead + cost - fits) > 0:
            self._refuse("is overloaded", excess)
        if claim.deadline is None or not self.rate:
            return
        left, needed = claim.deadline - time.monotonic(), (ahead + cost) / self.rate
        if needed > left:
            message = f"needs about {needed:.2f} s for this call, which gives it {left:.2f} s"
            self._refuse(message, ahead + cost - max(0.0, left) * self.rate)

    def _refuse(self, message: str, excess: float) -> None:
        self.refused += 1
        retry_s = max(MIN_RETRY_S, excess / self.rate) if self.rate else 1.0
        raise OverloadedError(f"{self._name} {message}", retry_s)


class Admission:
    """Work that counts as pending until the `with` block ends."""

    __slots__ = ("_cost", "_pending", "_priority")

    def __init__(self, pending: dict[Priority, int], priority: Priority, cost: int) -> None:
        self._pending, self._priority, self._cost = pending, priority, cost

    def __enter__(self) -> None:
        pass

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._pending[self._priority] -= self._cost
