"""EmbeddingService."""

import contextlib
import time
from collections.abc import AsyncIterator

import orjson

from embedders.base import EncodeOptions, Item, Region
from latentspace.v1 import embedding_service_pb2 as pb
from latentspace.v1 import types_pb2 as types
from services.rpc.calls import Context, deadline_of
from services.rpc.inputs import COMPUTE_DTYPES, MODALITIES, read_items, read_options
from services.rpc.pipelining import BATCHES_AT_WORK, pipelined
from services.rpc.status import item_errors
from services.rpc.training import read_object
from services.rpc.vectors import pack
from services.runtime.embedder import Embedder
from services.runtime.encoding import NO_TIMES, EmbedResult, Times
from services.runtime.errors import RequestError
from services.runtime.model_shelf import ModelShelf, NewModel
from services.runtime.models import Model, ModelOrigin, ModelState

STATES = {
    ModelState.LOADING: pb.MODEL_STATE_LOADING,
    ModelState.READY: pb.MODEL_STATE_READY,
    ModelState.FAILED: pb.MODEL_STATE_FAILED,
    ModelState.UNLOADED: pb.MODEL_STATE_UNLOADED,
}
DTYPE_NUMBERS = {dtype: number for number, dtype in COMPUTE_DTYPES.items() if dtype}


ORIGINS = {
    ModelOrigin.CONFIGURED: pb.MODEL_ORIGIN_CONFIGURED,
    ModelOrigin.ADDED: pb.MODEL_ORIGIN_ADDED,
    ModelOrigin.TRAINED: pb.MODEL_ORIGIN_TRAINED,
}


class EmbeddingServicer:
    """Models, and raw items to vectors."""

    def __init__(self, shelf: ModelShelf, embedder: Embedder, max_items: int) -> None:
        self._models, self._shelf = shelf.models, shelf
        self._embedder, self._max_items = embedder, max_items

    async def ListModels(  # noqa: N802 - the name of the call
        self, request: pb.ListModelsRequest, context: Context
    ) -> pb.ListModelsResponse:
        """All configured models."""
        return pb.ListModelsResponse(models=[self._describe(m) for m in self._models.all()])

    async def GetModel(  # noqa: N802
        self, request: pb.GetModelRequest, context: Context
    ) -> pb.GetModelResponse:
        """One model."""
        return pb.GetModelResponse(model=self._describe(self._models.get(request.model)))

    async def LoadModel(  # noqa: N802
        self, request: pb.LoadModelRequest, context: Context
    ) -> pb.LoadModelResponse:
        """Loads a model and waits until it answers."""
        return pb.LoadModelResponse(model=self._describe(await self._models.load(request.model)))

    async def UnloadModel(  # noqa: N802
        self, request: pb.UnloadModelRequest, context: Context
    ) -> pb.UnloadModelResponse:
        """Unloads a model."""
        model = await self._models.unload(request.model)
        return pb.UnloadModelResponse(model=self._describe(model))

    async def AddModel(  # noqa: N802
        self, request: pb.AddModelRequest, context: Context
    ) -> pb.AddModelResponse:
        """Adds a model from a file or folder of the server."""
        options = read_object(request.options, "options")
        new = NewModel(
            request.model, request.family, request.source, options, not request.without_load
        )
        return pb.AddModelResponse(model=self._describe(await self._shelf.add(new)))

    async def DeleteModel(  # noqa: N802
        self, request: pb.DeleteModelRequest, context: Context
    ) -> pb.DeleteModelResponse:
        """Deletes a model that was added or trained."""
        await self._shelf.delete(request.model, request.force)
        return pb.DeleteModelResponse()

    async def Embed(  # noqa: N802
        self, request: pb.EmbedRequest, context: Context
    ) -> pb.EmbedResponse:
        """Embeds a batch."""
        started = time.perf_counter_ns()
        result = await self._embedder.embed(*self._read(request), deadline_of(context))
        return pb.EmbedResponse(
            embeddings=write_embeddings(result), timing=write_timing(result, started)
        )

    async def EmbedStream(  # noqa: N802
        self, requests: AsyncIterator[pb.EmbedStreamRequest], context: Context
    ) -> AsyncIterator[pb.EmbedStreamResponse]:
        """Embeds batch after batch as bulk work; a few are at work at once, answered in order."""
        deadline = deadline_of(context)
        latest = pb.EmbedRequest()

        async def answer(request: pb.EmbedStreamRequest) -> pb.EmbedStreamResponse:
            started = time.perf_counter_ns()
            call = continued(request, latest)
            # a stream holds its sender back, it does not fail
            result = await self._embedder.embed_patiently(*self._read(call), deadline)
            return pb.EmbedStreamResponse(
                embeddings=write_embeddings(result),
                timing=write_timing(result, started),
                batch_id=request.batch_id,
            )

        replies = pipelined(requests, answer, BATCHES_AT_WORK)
        async with contextlib.aclosing(replies):
            async for reply in replies:
                yield reply

    def _read(self, request: pb.EmbedRequest) -> tuple[Model, list[Item], EncodeOptions]:
        model = self._models.get(request.model)
        model.ready()
        if not request.inputs:
            raise RequestError("inputs", "give at least one input")
        if len(request.inputs) > self._max_items:
            raise RequestError(
                "inputs",
                f"{len(request.inputs)} inputs in one call; at most {self._max_items},"
                " send the rest in further calls",
            )
        items = read_items(request.inputs, "inputs")
        return model, items, read_options(request.options, "document")

    def _describe(self, model: Model) -> pb.Model:
        config, encoder = model.config, model.encoder
        message = pb.Model(
            id=config.id,
            family=config.family,
            state=STATES[model.state],
            state_reason=model.reason,
            source=config.source,
            options=orjson.dumps(dict(config.options)) if config.options else b"",
            origin=ORIGINS[config.origin],
        )
        if encoder is None:
            return message
        info, limits = encoder.info, encoder.info.limits
        message.MergeFrom(
            pb.Model(
                modalities=sorted(MODALITIES[m] for m in info.modalities),
                dim=info.dim,
                revision=info.revision,
                space_id=info.space_id,
                limits=pb.ModelLimits(
                    max_tokens=limits.max_tokens,
                    max_image_bytes=limits.max_image_bytes,
                    max_image_pixels=limits.max_image_pixels,
                    max_batch_items=limits.max_batch_items or self._max_items,
                ),
                roles=sorted({"query", "document", *info.prompts}),
                compute_dtype=DTYPE_NUMBERS[info.compute_dtype],
                device=info.device,
                normalized=info.normalized,
                vocabulary_size=0 if model.vocabulary is None else model.vocabulary.info.points,
                logit_scale=info.logit_scale,
                logit_bias=info.logit_bias,
                same_threshold=info.same_threshold,
                memory_bytes=info.memory_bytes,
            )
        )
        return message


def continued(request: pb.EmbedStreamRequest, latest: pb.EmbedRequest) -> pb.EmbedRequest:
    """A batch of a stream as a call; model and options stay those of `latest` until changed."""
    latest.model = request.model or latest.model
    if request.HasField("options"):
        latest.options.CopyFrom(request.options)
    return pb.EmbedRequest(model=latest.model, inputs=request.inputs, options=latest.options)


def write_embeddings(result: EmbedResult) -> pb.Embeddings:
    """Rows and per-item errors on the wire."""
    return pb.Embeddings(
        vectors=pack(result.rows, result.space_id),
        input_index=result.index.tolist(),
        regions=[write_region(region) for region in result.regions],
        token_counts=result.tokens,
        truncated=result.truncated,
        composed=result.composed,
        errors=item_errors(result.errors, "inputs"),
    )


def write_region(region: Region) -> pb.Region:
    """A box on the wire."""
    return pb.Region(
        x=region.x, y=region.y, width=region.width, height=region.height, quality=region.quality
    )


def write_timing(result: EmbedResult | None, started: int, search_ns: int = 0) -> types.Timing:
    """Where the time of a call went; `started` is its `perf_counter_ns`."""
    return write_times(result.times if result else NO_TIMES, started, search_ns)


def write_times(times: Times, started: int, search_ns: int = 0) -> types.Timing:
    """The same, from the times of an encoder."""
    return types.Timing(
        total_ns=time.perf_counter_ns() - started,
        queue_ns=times.queue_ns,
        prepare_ns=times.prepare_ns,
        encode_ns=times.encode_ns,
        search_ns=search_ns,
    )
