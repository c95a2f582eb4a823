"""The stubs of every service."""

import grpc
import grpc.aio

from latentspace.v1.classification_service_pb2_grpc import ClassificationServiceStub
from latentspace.v1.collection_service_pb2_grpc import CollectionServiceStub
from latentspace.v1.embedding_service_pb2_grpc import EmbeddingServiceStub
from latentspace.v1.evaluation_service_pb2_grpc import EvaluationServiceStub
from latentspace.v1.operation_service_pb2_grpc import OperationServiceStub
from latentspace.v1.search_service_pb2_grpc import SearchServiceStub
from latentspace.v1.training_service_pb2_grpc import TrainingServiceStub


class Stubs:
    """The generated stubs of every service, on one channel."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self.classification = ClassificationServiceStub(channel)
        self.collections = CollectionServiceStub(channel)
        self.embedding = EmbeddingServiceStub(channel)
        self.evaluation = EvaluationServiceStub(channel)
        self.operations = OperationServiceStub(channel)
        self.search = SearchServiceStub(channel)
        self.training = TrainingServiceStub(channel)
