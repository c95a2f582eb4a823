"""Where the time of a call went."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

from latentspace.v1 import types_pb2


@dataclass(frozen=True, slots=True)
class Timing:
    """Nanoseconds on the server; summed over the parts of a call that was split."""

    total_ns: int = 0
    queue_ns: int = 0
    prepare_ns: int = 0
    encode_ns: int = 0
    search_ns: int = 0

    @classmethod
    def from_messages(cls, messages: Iterable[types_pb2.Timing]) -> Self:
        """The sum of the parts."""
        parts = list(messages)
        return cls(
            total_ns=sum(part.total_ns for part in parts),
            queue_ns=sum(part.queue_ns for part in parts),
            prepare_ns=sum(part.prepare_ns for part in parts),
            encode_ns=sum(part.encode_ns for part in parts),
            search_ns=sum(part.search_ns for part in parts),
        )


NO_TIMING = Timing()
