"""The gRPC server: all services of the contract, health, reflection."""

from collections.abc import Mapping
from dataclasses import dataclass

import grpc
from google.protobuf.descriptor import ServiceDescriptor
from grpc_health.v1 import health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from latentspace.v1 import (
    classification_service_pb2,
    collection_service_pb2,
    embedding_service_pb2,
    evaluation_service_pb2,
    operation_service_pb2,
    search_service_pb2,
    training_service_pb2,
)
from services.rpc.calls import service_handler
from services.rpc.classification import ClassificationServicer
from services.rpc.collection import CollectionServicer
from services.rpc.embedding import EmbeddingServicer
from services.rpc.evaluation import EvaluationServicer
from services.rpc.health import Health
from services.rpc.imports import Imports
from services.rpc.listening import ListenError, check_free
from services.rpc.observing import CallTracer, Observer
from services.rpc.operation import OperationServicer
from services.rpc.search import SearchServicer
from services.rpc.training import TrainingServicer
from services.runtime.collections import Collections
from services.runtime.evaluation import Evaluation
from services.runtime.label_sets import LabelSets
from services.runtime.model_shelf import ModelShelf
from services.runtime.operations import Operations
from services.runtime.search_budget import SearchBudget
from services.runtime.snapshots import Snapshots
from services.runtime.training import Training

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class ServerOptions:
    """What the server needs beside its services; see docs/settings.md for meanings."""

    listen: str
    max_message_mib: int
    max_items: int
    max_queries: int
    search_mib: int
    reflection: bool


@dataclass(frozen=True, slots=True)
class Parts:
    """What the services stand on."""

    shelf: ModelShelf
    collections: Collections
    operations: Operations
    snapshots: Snapshots
    imports: Imports
    training: Training
    evaluation: Evaluation
    label_sets: LabelSets


class RpcServer:
    """The contract, served; a tracer hears of every call."""

    def __init__(
        self, parts: Parts, options: ServerOptions, tracer: CallTracer | None = None
    ) -> None:
        self._options, self._imports = options, parts.imports
        built = servicers(parts, options)
        self.observer = Observer(tracer)
        self.health = Health(service.full_name for service in built)
        self._server = grpc.aio.server(options=channel_options(options.max_message_mib))
        for service, servicer in built.items():
            self._server.add_generic_rpc_handlers(
                (service_handler(service, servicer, self.observer),)
            )
        health_pb2_grpc.add_HealthServicer_to_server(self.health.servicer, self._server)
        if options.reflection:
            names = [service.full_name for service in built]
            reflection.enable_server_reflection(
                [*names, "grpc.health.v1.Health", reflection.SERVICE_NAME], self._server
            )

    def bind(self) -> int:
        """Takes the port and returns its number; callers may connect, and wait for `start`.

        Raises:
            ListenError
        """
        listen = self._options.listen
        cure = "stop what listens there, or choose another address with --listen HOST:PORT"
        check_free(listen, "listen", cure)
        try:
            port = self._server.add_insecure_port(listen)
        except RuntimeError as error:
            raise ListenError(f"cannot listen on {listen} (setting listen): {cure}") from error
        self._imports.address = f"{listen.rpartition(':')[0]}:{port}"
        return port

    async def start(self) -> None:
        """Answers the calls that wait at the port, and all that come."""
        await self._server.start()

    async def stop(self, grace_s: float) -> None:
        """Takes no new calls, and lets running ones end within the grace."""
        await self.health.drain()
        await self._server.stop(grace_s)


def servicers(parts: Parts, options: ServerOptions) -> Mapping[ServiceDescriptor, object]:
    """Every service of the contract."""

    def service(module: object, name: str) -> ServiceDescriptor:
        found: ServiceDescriptor = module.DESCRIPTOR.services_by_name[name]  # type: ignore[attr-defined]
        return found

    return {
        service(embedding_service_pb2, "EmbeddingService"): EmbeddingServicer(
            parts.shelf, parts.collections.embedder, options.max_items
        ),
        service(collection_service_pb2, "CollectionService"): CollectionServicer(
            parts.collections,
            parts.operations,
            parts.snapshots,
            parts.imports,
            options.max_items,
        ),
        service(search_service_pb2, "SearchService"): SearchServicer(
            parts.collections,
            SearchBudget(options.search_mib * MIB),
            options.max_items,
            options.max_queries,
        ),
        service(classification_service_pb2, "ClassificationService"): ClassificationServicer(
            parts.collections, parts.label_sets, options.max_items
        ),
        service(training_service_pb2, "TrainingService"): TrainingServicer(parts.training),
        service(operation_service_pb2, "OperationService"): OperationServicer(parts.operations),
        service(evaluation_service_pb2, "EvaluationService"): EvaluationServicer(parts.evaluation),
    }


def channel_options(max_message_mib: int) -> list[tuple[str, int]]:
    """Message sizes, and one owner a port."""
    size = max_message_mib * MIB
    return [
        ("grpc.max_send_message_length", size),
        ("grpc.max_receive_message_length", size),
        ("grpc.so_reuseport", 0),
        # Clients may ping idle connections every 20 s.
        ("grpc.http2.min_ping_interval_without_data_ms", 15_000),
        ("grpc.keepalive_permit_without_calls", 1),
    ]
