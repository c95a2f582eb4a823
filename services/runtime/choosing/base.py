"""What a choice is."""

from abc import ABC, abstractmethod
from typing import ClassVar

from index.types import CollectionSpec, Hits
from services.runtime.ranking import Ranking, check_k


class Choice(ABC):
    """A way to choose from ranked points."""

    #: whether it compares the vectors of the points that it chooses from
    reads_vectors: ClassVar[bool] = False

    def depth(self, k: int) -> int:
        """Ranked points of each query that it looks at, at most."""
        return k

    def check(self, spec: CollectionSpec, k: int) -> None:
        """Refuses what does not fit a collection, before any work.

        Raises:
            RequestError
        """
        check_k(k)

    @abstractmethod
    async def choose(self, ranking: Ranking, k: int) -> Hits:
        """What is returned for one query."""
