"""Runs services in a thread with its own event loop, as another process would."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import grpc.aio

from latentspace.v1 import (
    classification_service_pb2_grpc,
    collection_service_pb2_grpc,
    embedding_service_pb2_grpc,
    evaluation_service_pb2_grpc,
    operation_service_pb2_grpc,
    search_service_pb2_grpc,
    training_service_pb2_grpc,
)
from tests.client.fake.classification import FakeClassification
from tests.client.fake.collections import FakeCollections
from tests.client.fake.embedding import FakeEmbedding
from tests.client.fake.operations import FakeEvaluation, FakeOperations, FakeTraining
from tests.client.fake.search import FakeSearch
from tests.client.fake.world import World

SIZES = [("grpc.max_receive_message_length", 64 << 20), ("grpc.max_send_message_length", -1)]


@contextmanager
def serving(register: Callable[[Any], None], address: str = "127.0.0.1:0") -> Iterator[str]:
    """A server with what `register` adds to it; gives its address."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    async def start() -> tuple[grpc.aio.Server, int]:
        server = grpc.aio.server(options=SIZES)
        register(server)
        port = server.add_insecure_port(address)
        await server.start()
        return server, port

    server, port = asyncio.run_coroutine_threadsafe(start(), loop).result(10)
    try:
        yield f"127.0.0.1:{port}"
    finally:
        asyncio.run_coroutine_threadsafe(server.stop(None), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


def register_world(world: World) -> Callable[[Any], None]:
    # servicers of the fake leave out some calls: those answer UNIMPLEMENTED
    services: list[tuple[Callable[[Any, Any], None], type[Any]]] = [
        (embedding_service_pb2_grpc.add_EmbeddingServiceServicer_to_server, FakeEmbedding),
        (collection_service_pb2_grpc.add_CollectionServiceServicer_to_server, FakeCollections),
        (search_service_pb2_grpc.add_SearchServiceServicer_to_server, FakeSearch),
        (
            classification_service_pb2_grpc.add_ClassificationServiceServicer_to_server,
            FakeClassification,
        ),
        (operation_service_pb2_grpc.add_OperationServiceServicer_to_server, FakeOperations),
        (training_service_pb2_grpc.add_TrainingServiceServicer_to_server, FakeTraining),
        (evaluation_service_pb2_grpc.add_EvaluationServiceServicer_to_server, FakeEvaluation),
    ]

    def register(server: Any) -> None:
        for add, service in services:
            add(service(world), server)

    return register
