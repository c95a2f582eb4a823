"""EmbeddingService of the fake."""

from typing import Any

from grpc import StatusCode

from latentspace.v1 import embedding_service_pb2, embedding_service_pb2_grpc, types_pb2
from latentspace.vectors import as_rows, pack
from tests.client.fake.calls import Fake, abort, logged
from tests.client.fake.world import CallFailed, ItemFailed


class FakeEmbedding(Fake, embedding_service_pb2_grpc.EmbeddingServiceServicer):
    @logged
    def ListModels(self, request: Any) -> Any:  # noqa: N802
        models = [self.world.model(name) for name in ("faces", "sentences", "words")]
        return embedding_service_pb2.ListModelsResponse(models=models)

    @logged
    def GetModel(self, request: Any) -> Any:  # noqa: N802
        return embedding_service_pb2.GetModelResponse(model=self.world.model(request.model))

    @logged
    def LoadModel(self, request: Any) -> Any:  # noqa: N802
        self.world.loaded.add(request.model)
        return embedding_service_pb2.LoadModelResponse(model=self.world.model(request.model))

    @logged
    def UnloadModel(self, request: Any) -> Any:  # noqa: N802
        self.world.loaded.discard(request.model)
        return embedding_service_pb2.UnloadModelResponse(model=self.world.model(request.model))

    @logged
    def AddModel(self, request: Any) -> Any:  # noqa: N802
        if request.model in self.world.loaded:
            raise CallFailed(StatusCode.ALREADY_EXISTS, f"there is a model {request.model!r}")
        added = embedding_service_pb2.Model(
            id=request.model,
            family=request.family,
            source=request.source,
            options=request.options,
            state=embedding_service_pb2.MODEL_STATE_UNLOADED
            if request.without_load
            else embedding_service_pb2.MODEL_STATE_READY,
            origin=embedding_service_pb2.MODEL_ORIGIN_ADDED,
        )
        self.world.added[request.model] = added
        return embedding_service_pb2.AddModelResponse(model=added)

    @logged
    def DeleteModel(self, request: Any) -> Any:  # noqa: N802
        if request.model not in self.world.added:
            raise CallFailed(StatusCode.FAILED_PRECONDITION, "it stands in the settings")
        del self.world.added[request.model]
        return embedding_service_pb2.DeleteModelResponse()

    async def EmbedStream(self, requests: Any, context: Any) -> Any:  # noqa: N802
        async for request in requests:
            self.world.requests.append(request)
            if self.world.dropped_streams:
                self.world.dropped_streams -= 1
                await context.abort(StatusCode.UNAVAILABLE, "the connection is gone")
            try:
                found = self._embedded(request)
            except CallFailed as failed:
                await abort(context, failed)
            yield embedding_service_pb2.EmbedStreamResponse(
                embeddings=found.embeddings, timing=found.timing, batch_id=request.batch_id
            )

    @logged
    def Embed(self, request: Any) -> Any:  # noqa: N802
        return self._embedded(request)

    def _embedded(self, request: Any) -> Any:
        model = self.world.model(request.model)
        rows, index, errors = [], [], []
        for position, item in enumerate(request.inputs):
            try:
                found = self.world.rows(request.model, item)
            except ItemFailed as failed:
                errors.append(types_pb2.ItemError(index=position, status=failed.status))
                continue
            rows += found
            index += [position] * len(found)
        words = [len(item.text.split()) for item in request.inputs]
        dims = request.options.dimensions or model.dim
        matrix = as_rows([row[:dims] for row in rows] if rows else [[0.0] * dims])[: len(rows)]
        return embedding_service_pb2.EmbedResponse(
            embeddings=embedding_service_pb2.Embeddings(
                vectors=pack(matrix, model.space_id),
                input_index=index,
                token_counts=words,
                truncated=[i for i, count in enumerate(words) if count > 5],
                errors=errors,
            ),
            timing=types_pb2.Timing(total_ns=1000),
        )
