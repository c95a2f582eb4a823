"""Operations of the fake: three steps, then an end; nothing is done in them."""

import asyncio
import json
from typing import Any

import grpc
from google.rpc import code_pb2

from latentspace.v1 import (
    evaluation_service_pb2,
    evaluation_service_pb2_grpc,
    operation_service_pb2_grpc,
    training_service_pb2,
    training_service_pb2_grpc,
)
from latentspace.v1 import operation_service_pb2 as pb
from tests.client.fake.calls import Fake, abort, logged
from tests.client.fake.world import CallFailed, World

STEPS = 3


def start(world: World, kind: str, target: str, result: dict[str, Any]) -> pb.Operation:
    made = pb.Operation(
        id=f"op-{len(world.operations)}",
        kind=kind,
        target=target,
        state=pb.OPERATION_STATE_PENDING,
        result=json.dumps(result).encode(),
    )
    made.create_time.GetCurrentTime()
    world.operations[made.id] = made
    return made


class FakeOperations(Fake, operation_service_pb2_grpc.OperationServiceServicer):
    @logged
    def GetOperation(self, request: Any) -> Any:  # noqa: N802
        return pb.GetOperationResponse(operation=self._operation(request.id))

    @logged
    def ListOperations(self, request: Any) -> Any:  # noqa: N802
        known = [
            one
            for one in reversed(self.world.operations.values())
            if request.kind in ("", one.kind) and request.state in (0, one.state)
        ]
        begin = int(request.page_token or 0)
        end = begin + min(2, request.page_size or 100)
        more = str(end) if end < len(known) else ""
        return pb.ListOperationsResponse(operations=known[begin:end], next_page_token=more)

    @logged
    def CancelOperation(self, request: Any) -> Any:  # noqa: N802
        found = self._operation(request.id)
        found.state = pb.OPERATION_STATE_CANCELLED
        return pb.CancelOperationResponse(operation=found)

    async def WatchOperation(self, request: Any, context: Any) -> Any:  # noqa: N802
        try:
            found = self._operation(request.id)
        except CallFailed as failed:
            await abort(context, failed)
        yield pb.WatchOperationResponse(operation=found)
        if found.state >= pb.OPERATION_STATE_SUCCEEDED:
            return
        for step in range(1, STEPS + 1):
            await asyncio.sleep(self.world.pause_s)
            found.state = pb.OPERATION_STATE_RUNNING
            found.progress.stage, found.progress.unit = "working", "steps"
            found.progress.done, found.progress.total = step, STEPS
            yield pb.WatchOperationResponse(operation=found)
        found.state = pb.OPERATION_STATE_SUCCEEDED
        if found.target == "broken":
            found.state = pb.OPERATION_STATE_FAILED
            found.error.code, found.error.message = code_pb2.NOT_FOUND, "no such file"
        yield pb.WatchOperationResponse(operation=found)

    def _operation(self, id: str) -> pb.Operation:
        if id not in self.world.operations:
            raise CallFailed(grpc.StatusCode.NOT_FOUND, f"there is no operation {id!r}")
        return self.world.operations[id]


class FakeTraining(Fake, training_service_pb2_grpc.TrainingServiceServicer):
    @logged
    def TrainModel(self, request: Any) -> Any:  # noqa: N802
        made = start(self.world, "train", request.model, {"model": request.model})
        return training_service_pb2.TrainModelResponse(operation=made)


class FakeEvaluation(Fake, evaluation_service_pb2_grpc.EvaluationServiceServicer):
    @logged
    def Evaluate(self, request: Any) -> Any:  # noqa: N802
        figure = {"name": "accuracy", "value": 0.5, "low": 0.4, "high": 0.6, "items": 10}
        task = evaluation_service_pb2.EvaluationTask.Name(request.task)
        report = {
            "model": request.model,
            "spaceId": "space-words",
            "task": task,
            "figures": [figure],
            "coverage": 0.9,
        }
        made = start(self.world, "evaluate", request.model, report)
        return evaluation_service_pb2.EvaluateResponse(operation=made)
