"""EvaluationService."""

from collections.abc import Mapping
from typing import Any

from latentspace.v1 import evaluation_service_pb2 as pb
from services.rpc.calls import Context
from services.rpc.operation import write_operation
from services.rpc.training import read_params
from services.runtime.errors import RequestError
from services.runtime.evaluation import EvaluateRequest, Evaluation

PREFIX = "EVALUATION_TASK_"
TASKS = {
    number: name.removeprefix(PREFIX).lower()
    for name, number in pb.EvaluationTask.items()
    if number
}


class EvaluationServicer:
    """Published quality protocols."""

    def __init__(self, evaluation: Evaluation) -> None:
        self._evaluation = evaluation

    async def Evaluate(  # noqa: N802 - the name of the call
        self, request: pb.EvaluateRequest, context: Context
    ) -> pb.EvaluateResponse:
        """Starts an evaluation."""
        if request.task not in TASKS:
            known = ", ".join(TASKS.values())
            raise RequestError(
                "task", f"evaluation task {request.task} is unknown; one of: {known}"
            )
        asked = EvaluateRequest(
            request.model, TASKS[request.task], request.source, read_params(request.params)
        )
        operation = await self._evaluation.start(asked, write_report)
        return pb.EvaluateResponse(operation=write_operation(operation))


def write_report(found: Mapping[str, Any]) -> Mapping[str, Any]:
    """What was found as a JSON EvaluationReport, with its provenance beside."""
    return {**found, "task": f"{PREFIX}{found['task'].upper()}"}
