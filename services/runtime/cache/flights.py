"""Single flight: what one call is making, others wait for instead of making it again."""

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from embedders.errors import ItemError
from services.runtime.encoding import Embedded, Outcome
from services.runtime.queueing import Priority

#: what a waiting call gets; None: it must do the work itself
Landed = Embedded | ItemError | None


@dataclass(slots=True, eq=False)
class Flight:
    """Keys that one call answers for, and who waits for each."""

    priority: Priority
    waiting: dict[str, list[asyncio.Future[Landed]]] = field(default_factory=dict)


class Flights:
    """What is being made now, by key."""

    def __init__(self) -> None:
        self._flights: dict[str, Flight] = {}

    def __len__(self) -> int:
        return len(self._flights)

    def claim(
        self, keys: Iterable[str], priority: Priority
    ) -> tuple[Flight, dict[str, asyncio.Future[Landed]]]:
        """A flight with the keys that nobody makes, and the wait for each of the others.

        Nobody waits for a call that is less urgent: bulk work would hold the others up.
        """
        flight, others = Flight(priority), dict[str, asyncio.Future[Landed]]()
        for key in keys:
            known = self._flights.get(key)
            if known is None or known.priority > priority:
                self._flights[key] = flight
                flight.waiting[key] = []
            else:
                others[key] = asyncio.get_running_loop().create_future()
                known.waiting[key].append(others[key])
        return flight, others

    def land(self, flight: Flight, outcomes: Mapping[str, Outcome]) -> None:
        """Gives those who wait what was made.

        An input that is bad is bad for everyone. Any other failure is the call's own, and those
        who wait do the work themselves.
        """
        for key, outcome in outcomes.items():
            self._wake(flight, key, outcome if isinstance(outcome, Embedded | ItemError) else None)

    def end(self, flight: Flight) -> None:
        """Tells those who still wait that nothing comes."""
        for key in list(flight.waiting):
            self._wake(flight, key, None)

    def _wake(self, flight: Flight, key: str, landed: Landed) -> None:
        for waiting in flight.waiting.pop(key):
            if not waiting.done():
                waiting.set_result(landed)
        # a more urgent call may have taken the key over
        if self._flights.get(key) is flight:
            del self._flights[key]
