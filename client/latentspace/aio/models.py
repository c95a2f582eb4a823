"""Calls about models."""

from latentspace.aio.base import AsyncCalls
from latentspace.calls import CallKind
from latentspace.results.listing import Listing
from latentspace.results.model import Model
from latentspace.v1 import embedding_service_pb2


class AsyncModelCalls(AsyncCalls):
    """Models: list, look up, load, unload."""

    async def models(self, *, timeout_s: float | None = None) -> Listing[Model]:
        """All configured models, loaded or not, by id."""
        request = embedding_service_pb2.ListModelsRequest()
        reply = await self._rpc.unary(
            self._stubs.embedding.ListModels, request, CallKind.READ, timeout_s
        )
        return Listing(map(Model.from_message, reply.models))

    async def model(self, model: str, *, timeout_s: float | None = None) -> Model:
        """One model.

        Raises:
            NotFoundError: it is not configured.
        """
        request = embedding_service_pb2.GetModelRequest(model=model)
        reply = await self._rpc.unary(
            self._stubs.embedding.GetModel, request, CallKind.READ, timeout_s
        )
        return Model.from_message(reply.model)

    async def load_model(self, model: str, *, timeout_s: float | None = None) -> Model:
        """Loads a configured model and waits until it answers."""
        request = embedding_service_pb2.LoadModelRequest(model=model)
        reply = await self._rpc.unary(
            self._stubs.embedding.LoadModel, request, CallKind.LOAD, timeout_s
        )
        return Model.from_message(reply.model)

    async def unload_model(self, model: str, *, timeout_s: float | None = None) -> Model:
        """Unloads a model and gives its memory back."""
        request = embedding_service_pb2.UnloadModelRequest(model=model)
        reply = await self._rpc.unary(
            self._stubs.embedding.UnloadModel, request, CallKind.LOAD, timeout_s
        )
        return Model.from_message(reply.model)
