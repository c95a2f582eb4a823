"""grpc.health.v1: overall, per service, and per `Service/model`."""

from collections.abc import Iterable

from grpc_health.v1 import health_pb2
from grpc_health.v1.health import aio as health

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


class Health:
    """What load balancers and people are told.

    Args:
        services: full names of the services that are served.
    """

    def __init__(self, services: Iterable[str]) -> None:
        self.servicer = health.HealthServicer()
        self._services = list(services)

    async def report(self, serving: bool) -> None:
        """Sets the status of the server and of every service."""
        for name in ["", *self._services]:
            await self._set(name, serving)

    async def report_model(self, model: str, serving: bool) -> None:
        """Sets the status of one model."""
        await self._set(f"latentspace.v1.EmbeddingService/{model}", serving)

    async def drain(self) -> None:
        """NOT_SERVING for good: the process is about to end."""
        await self.servicer.enter_graceful_shutdown()

    async def _set(self, name: str, serving: bool) -> None:
        await self.servicer.set(name, SERVING if serving else NOT_SERVING)
