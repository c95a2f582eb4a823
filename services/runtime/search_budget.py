"""What the searches of one call may cost, known before any of them begins."""

from dataclasses import dataclass

from index.base import Collection
from services.runtime.choosing.base import Choice
from services.runtime.errors import RequestError

# An id, a score and their places in arrays and messages: 130 bytes a hit were measured.
HIT_BYTES = 160
FLOAT_BYTES = 4
MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class SearchBudget:
    """Memory that the hits of one call may take, payloads apart.

    Args:
        most_bytes: for all queries of the call together.
    """

    most_bytes: int

    def check(
        self, collection: Collection, queries: int, choice: Choice, k: int, with_vectors: bool
    ) -> None:
        """Refuses a call whose hits would take more.

        Raises:
            RequestError: naming k, what it would take, and the limit.
        """
        depth = choice.depth(k)
        hit = HIT_BYTES
        if with_vectors or choice.reads_vectors:
            hit += FLOAT_BYTES * collection.spec.dim
        if queries * depth * hit <= self.most_bytes:
            return
        # there are no more hits than points; to count them is not free
        needed = queries * min(depth, collection.info.points) * hit
        if needed > self.most_bytes:
            raise RequestError(
                "k",
                f"{queries} queries of {depth} hits would take {needed // MIB} MiB; at most"
                f" {self.most_bytes // MIB} MiB for one call (limits.search_mib): send fewer"
                " queries at once, or ask for fewer hits",
            )
