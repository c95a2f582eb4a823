"""What the fake's services share."""

from collections.abc import Awaitable, Callable
from functools import wraps
from typing import Any

from google.protobuf import any_pb2
from google.rpc import status_pb2

from latentspace.status import DETAILS_KEY
from tests.client.fake.world import CallFailed, World


class Fake:
    def __init__(self, world: World) -> None:
        self.world = world


Handler = Callable[[Any, Any, Any], Awaitable[Any]]


def logged(answer: Callable[[Any, Any], Any]) -> Handler:
    """A handler of a plain function: logs the request, and turns `CallFailed` into a status."""

    @wraps(answer)
    async def handler(self: Fake, request: Any, context: Any) -> Any:
        self.world.requests.append(request)
        try:
            return answer(self, request)
        except CallFailed as failed:
            await abort(context, failed)

    return handler


async def abort(context: Any, failed: CallFailed) -> None:
    packed = []
    for detail in failed.details:
        packed.append(any_pb2.Any())
        packed[-1].Pack(detail)
    status = status_pb2.Status(
        code=failed.code.value[0], message=failed.message, details=packed
    ).SerializeToString()
    await context.abort(failed.code, failed.message, ((DETAILS_KEY, status),))
