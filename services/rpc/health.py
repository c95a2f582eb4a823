"""grpc.health.v1: overall, per service, and per `Service/model`."""

import asyncio
from collections.abc import Iterable

from grpc_health.v1 import health_pb2
from grpc_health.v1.health import aio as health

from services.runtime.watch import Verdict

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
EMBEDDING = "latentspace.v1.EmbeddingService"
SEARCHING = "latentspace.v1.SearchService"
KEEPING = "latentspace.v1.CollectionService"


class Health:
    """What load balancers and people are told.

    Args:
        services: full names of the services that are served.
    """

    def __init__(self, services: Iterable[str]) -> None:
        self.servicer = health.HealthServicer()
        self._services = list(services)
        self._order = asyncio.Lock()
        #: whether each name serves, as it was last told
        self.serving: dict[str, bool] = {}

    async def report(self, verdict: Verdict) -> None:
        """Sets every status that changed; services without a canary of their own are well."""
        now = {"": verdict.embedding and verdict.search}
        now |= dict.fromkeys(self._services, True)
        now |= {EMBEDDING: verdict.embedding, SEARCHING: verdict.search}
        # "" stays well: where nothing can be written, everything can still be read
        now[KEEPING] = verdict.search and verdict.writing
        now |= {f"{EMBEDDING}/{model}": well for model, well in verdict.models.items()}
        async with self._order:  # an older verdict must not overtake a newer one
            for name, serving in now.items():
                if self.serving.get(name) != serving:
                    await self.servicer.set(name, SERVING if serving else NOT_SERVING)
                    self.serving[name] = serving

    async def drain(self) -> None:
        """NOT_SERVING for good: the process is about to end."""
        self.serving = dict.fromkeys(self.serving, False)
        await self.servicer.enter_graceful_shutdown()
