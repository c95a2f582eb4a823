"""Calls that start training and evaluation."""

from collections.abc import Mapping
from os import PathLike, fspath
from typing import Any

from latentspace.aio.operations import AsyncOperation, AsyncOperationCalls
from latentspace.calls import CallKind
from latentspace.enums import Task, to_wire
from latentspace.payloads import dump_payload
from latentspace.results.evaluation import EvaluationReport
from latentspace.v1 import evaluation_service_pb2, training_service_pb2


class AsyncTrainingCalls(AsyncOperationCalls):
    """Training and evaluation on the server."""

    async def train(
        self,
        family: str,
        *,
        source: str | PathLike[str],
        model: str = "",
        params: Mapping[str, Any] | None = None,
        load: bool = False,
        wait: bool = False,
        timeout_s: float | None = None,
    ) -> AsyncOperation:
        """Starts training; `result` has "model", "path" and "metrics".

        Args:
            family: "word2vec", "node2vec", "face" or "clip".
            source: file or folder that the server can see.
            model: id of the new model; "" leaves it to the server.
            params: of the trainer; unknown names are refused.
            load: load the model when it is trained.
            wait: for the end; else the operation is returned as it starts.
            timeout_s: limits the waiting.
        """
        request = training_service_pb2.TrainModelRequest(
            family=family,
            model=model,
            source=fspath(source),
            params=dump_payload(params, "params"),
            load=load,
        )
        reply = await self._rpc.unary(self._stubs.training.TrainModel, request, CallKind.CREATE)
        return await self._started(reply.operation, wait, timeout_s)

    async def start_evaluation(
        self,
        model: str,
        task: Task | str,
        *,
        source: str | PathLike[str] = "",
        params: Mapping[str, Any] | None = None,
        timeout_s: float | None = None,
    ) -> AsyncOperation:
        """Starts an evaluation; `EvaluationReport.from_result` reads its `result`."""
        request = evaluation_service_pb2.EvaluateRequest(
            model=model,
            task=to_wire(Task, task, "task"),
            source=fspath(source),
            params=dump_payload(params, "params"),
        )
        reply = await self._rpc.unary(
            self._stubs.evaluation.Evaluate, request, CallKind.CREATE, timeout_s
        )
        return self._operation(reply.operation)

    async def evaluate(
        self,
        model: str,
        task: Task | str,
        *,
        source: str | PathLike[str] = "",
        params: Mapping[str, Any] | None = None,
        timeout_s: float | None = None,
    ) -> EvaluationReport:
        """Runs a published quality protocol and waits for its figures.

        Args:
            task: "analogies", "word_similarity", "sts", "retrieval", "verification", ...
            source: file or folder that the server can see; "" is the task's built-in set.
            params: of the protocol; unknown names are refused.
            timeout_s: limits the waiting.
        """
        operation = await self.start_evaluation(model, task, source=source, params=params)
        ended = await operation.wait(timeout_s=timeout_s)
        return EvaluationReport.from_result(ended.result)
