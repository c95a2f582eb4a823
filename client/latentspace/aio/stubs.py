"""The stubs of every service."""

import grpc
import grpc.aio
from google.protobuf.wrappers_pb2 import Int32Value, StringValue

from latentspace.v1.classification_service_pb2_grpc import ClassificationServiceStub
from latentspace.v1.collection_service_pb2_grpc import CollectionServiceStub
from latentspace.v1.embedding_service_pb2_grpc import EmbeddingServiceStub
from latentspace.v1.evaluation_service_pb2_grpc import EvaluationServiceStub
from latentspace.v1.operation_service_pb2_grpc import OperationServiceStub
from latentspace.v1.search_service_pb2_grpc import SearchServiceStub
from latentspace.v1.training_service_pb2_grpc import TrainingServiceStub

HEALTH_CHECK = "/grpc.health.v1.Health/Check"


class Stubs:
    """The generated stubs of every service, on one channel."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self.classification = ClassificationServiceStub(channel)
        self.collections = CollectionServiceStub(channel)
        self.embedding = EmbeddingServiceStub(channel)
        self.evaluation = EvaluationServiceStub(channel)
        # on the wire the request is one string and the reply one number: no package is needed
        self.health: grpc.aio.UnaryUnaryMultiCallable[StringValue, Int32Value] = (
            channel.unary_unary(
                HEALTH_CHECK,
                request_serializer=StringValue.SerializeToString,
                response_deserializer=Int32Value.FromString,
            )
        )
        self.operations = OperationServiceStub(channel)
        self.search = SearchServiceStub(channel)
        self.training = TrainingServiceStub(channel)
