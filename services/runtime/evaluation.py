"""Evaluation on the server: a protocol in a child process asks the loaded model."""

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from concurrent.futures import wait
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any, TypeVar

import numpy as np

from embedders.base import EncodeOptions, Item
from embedders.errors import OptionError
from embedders.evaluation import SubjectInfo, check_source, read_params
from embedders.evaluation.local import one_row_each
from embedders.lookup import LookupEncoder
from services.runtime.collections import Collections
from services.runtime.encoding import EmbedResult
from services.runtime.errors import OverloadedError, RequestError
from services.runtime.evaluation_job import items_of
from services.runtime.jobs import POLL_S, Jobs, Reply
from services.runtime.operations import Operation, Operations, Reporter
from services.runtime.pipes import Message
from services.runtime.pools import run_in
from services.runtime.queueing import Priority
from services.runtime.sources import Sources

FUNCTION = "services.runtime.evaluation_job:execute"
# its matrices are small: threads of BLAS would wait for each other ten times as long as they work
THREADS = 1

R = TypeVar("R")
Shape = Callable[[Mapping[str, Any]], Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class EvaluateRequest:
    """What is asked for; `source` is a file or folder below an allowed root, or a built-in set."""

    model: str
    task: str
    source: str
    params: Mapping[str, Any]


class Evaluation:
    """Evaluations of a server's models."""

    def __init__(
        self, collections: Collections, operations: Operations, jobs: Jobs, sources: Sources
    ) -> None:
        self._collections, self._operations = collections, operations
        self._jobs, self._sources = jobs, sources

    async def start(self, request: EvaluateRequest, shape: Shape) -> Operation:
        """Checks all that can be checked now, and starts the operation.

        Args:
            shape: makes the operation's result of what was found.

        Raises:
            RequestError, OptionError, SourceDeniedError, ModelNotFoundError, ModelNotReadyError
            MissingExtraError: a package is not installed.
        """
        encoder = self._collections.models.get(request.model).ready()
        task, source = request.task, request.source
        pool = self._collections.pools.prepare
        if not check_source(task, source):
            source = str(await run_in(pool, self._sources.find, source))
        try:
            await run_in(pool, read_params, task, request.params)
        except OptionError as error:
            raise RequestError(f"params.{error.field}", str(error)) from error
        info = SubjectInfo.of(encoder.info, isinstance(encoder, LookupEncoder))
        argument = {
            "task": task,
            "source": source,
            "params": request.params,
            "info": {**asdict(info), "modalities": sorted(info.modalities)},
        }
        work = partial(self._work, asyncio.get_running_loop(), argument, shape)
        return self._operations.start("evaluate", request.model, "items", work, job=True)

    def _work(
        self,
        loop: asyncio.AbstractEventLoop,
        argument: Mapping[str, Any],
        shape: Shape,
        report: Reporter,
    ) -> Mapping[str, Any]:
        model, space = argument["info"]["id"], argument["info"]["space_id"]

        def answer(message: Message, report: Reporter) -> Reply:
            if message.kind == "vocabulary":
                return self._vocabulary(model, message.fields["limit"])
            fields = message.fields
            items = items_of(message.blocks[0], fields["modalities"], fields["sizes"])
            options = EncodeOptions(**fields["options"])
            found = on_loop(loop, self._embed(model, items, options), report)
            reasons = {place: str(error) for place, error in found.errors.items()}
            one = one_row_each(found.rows, found.index, found.regions, len(items), reasons)
            return Reply({"errors": dict(one.errors)}, [one.rows.data.cast("B")])

        with self._jobs.scratch() as scratch:
            found = self._jobs.run(FUNCTION, argument, scratch, report, answer, THREADS)
        return shape({"model": model, "space_id": space, "task": argument["task"], **found})

    async def _embed(
        self, model_id: str, items: Sequence[Item], options: EncodeOptions
    ) -> EmbedResult:
        """Through the model's queue; where that is full, callers go first."""
        model = self._collections.models.get(model_id)
        while True:
            try:
                return await self._collections.embedder.embed(
                    model, items, options, priority=Priority.BULK
                )
            except OverloadedError as error:
                await asyncio.sleep(error.retry_after_s)

    def _vocabulary(self, model_id: str, limit: int) -> Reply:
        encoder = self._collections.models.get(model_id).ready()
        assert isinstance(encoder, LookupEncoder)
        keys = encoder.vocabulary.keys[: limit or None]
        rows = np.ascontiguousarray(encoder.vocabulary.vectors[: limit or None], "<f4")
        return Reply({}, ["\n".join(keys).encode(), rows.data.cast("B")])


def on_loop(loop: asyncio.AbstractEventLoop, work: Coroutine[Any, Any, R], report: Reporter) -> R:
    """Waits in a thread for work on the loop; a cancelled operation cancels it.

    Raises:
        WorkCancelledError
    """
    future = asyncio.run_coroutine_threadsafe(work, loop)
    try:
        while not wait([future], POLL_S).done:
            report.check()
    finally:
        future.cancel()
    return future.result()
