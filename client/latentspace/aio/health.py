"""Whether the server is well, by the standard protocol grpc.health.v1."""

from google.protobuf.wrappers_pb2 import StringValue

from latentspace.aio.base import AsyncCalls
from latentspace.calls import CallKind
from latentspace.enums import ServingStatus

# of grpc.health.v1.HealthCheckResponse.ServingStatus
SERVING = 1


class AsyncHealthCalls(AsyncCalls):
    """Health of the server, of a service, of a model."""

    async def health(self, service: str = "", *, timeout_s: float | None = None) -> ServingStatus:
        """Whether the server would answer now; models and searches are tried by it all the time.

        Args:
            service: "" is the server as a whole; else a service, such as
                "latentspace.v1.SearchService", or a model,
                "latentspace.v1.EmbeddingService/MODEL".

        Raises:
            NotFoundError: the server knows no such service or model.
        """
        request = StringValue(value=service)
        reply = await self._rpc.unary(self._stubs.health, request, CallKind.READ, timeout_s)
        return ServingStatus.SERVING if reply.value == SERVING else ServingStatus.NOT_SERVING
