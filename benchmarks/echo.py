"""A bare grpc.aio server that answers every call with the same bytes: the floor of any service.

python -m benchmarks.echo REPLY_FILE     prints its port
"""

import asyncio
import sys
from pathlib import Path
from typing import Any

import grpc

METHOD = "/echo.Echo/Call"


async def serve(reply: bytes) -> None:
    """Serves on a free port of the loopback until it is killed."""

    async def call(request: bytes, context: grpc.aio.ServicerContext[Any, Any]) -> bytes:
        return reply

    server = grpc.aio.server(options=[("grpc.max_receive_message_length", -1)])
    handler: grpc.RpcMethodHandler[bytes, bytes] = grpc.unary_unary_rpc_method_handler(call)
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler("echo.Echo", {"Call": handler}),)
    )
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    print(port, flush=True)
    await server.wait_for_termination()


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1]).read_bytes()))
