"""Stages of the running call, for whoever wants to draw them.

`record` costs next to nothing where nobody collects. Times are `time.perf_counter_ns()`.
"""

from contextvars import ContextVar
from dataclasses import dataclass
from enum import StrEnum

# a stream may have any number of batches, a trace has room for the first
MAX_STAGES = 256


class StageName(StrEnum):
    """What a call is busy with."""

    CACHE = "cache"
    PREPARE = "prepare"
    QUEUE = "queue"
    ENCODE = "encode"
    SEARCH = "search"


@dataclass(frozen=True, slots=True)
class Stage:
    """A part of a call."""

    name: StageName
    started_ns: int
    ended_ns: int


_stages: ContextVar[list[Stage] | None] = ContextVar("stages", default=None)


def collect() -> list[Stage]:
    """A list that gets the stages of this task and of those it starts."""
    found: list[Stage] = []
    _stages.set(found)
    return found


def record(name: StageName, started_ns: int, ended_ns: int) -> None:
    """Adds a stage to the call, where it is collected and not empty."""
    stages = _stages.get()
    if stages is not None and ended_ns > started_ns and len(stages) < MAX_STAGES:
        stages.append(Stage(name, started_ns, ended_ns))
