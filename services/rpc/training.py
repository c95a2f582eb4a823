"""TrainingService."""

from typing import Any

import orjson

from latentspace.v1 import training_service_pb2 as pb
from services.rpc.calls import Context
from services.rpc.operation import write_operation
from services.runtime.errors import RequestError
from services.runtime.training import Training, TrainRequest


class TrainingServicer:
    """Training of models on the server."""

    def __init__(self, training: Training) -> None:
        self._training = training

    async def TrainModel(  # noqa: N802 - the name of the call
        self, request: pb.TrainModelRequest, context: Context
    ) -> pb.TrainModelResponse:
        """Starts training."""
        params = read_params(request.params)
        asked = TrainRequest(request.family, request.model, request.source, params, request.load)
        operation = await self._training.start(asked)
        return pb.TrainModelResponse(operation=write_operation(operation))


def read_params(data: bytes) -> dict[str, Any]:
    """Parameters from their JSON object; nothing is none.

    Raises:
        RequestError
    """
    return read_object(data, "params")


def read_object(data: bytes, field: str) -> dict[str, Any]:
    """A JSON object of a request; nothing is an empty one.

    Raises:
        RequestError
    """
    if not data:
        return {}
    try:
        content = orjson.loads(data)  # refuses what is nested too deep
    except orjson.JSONDecodeError as error:
        raise RequestError(field, f"{field} is not JSON: {error}") from error
    if not isinstance(content, dict):
        raise RequestError(field, f'{field} is not a JSON object, such as {{"dim": 100}}')
    return content
