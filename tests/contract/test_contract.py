"""The wire contract: complete, and served under its names."""

import inspect
import subprocess
import sys
from pathlib import Path

import pytest

from latentspace.v1 import (
    classification_service_pb2,
    collection_service_pb2,
    embedding_service_pb2,
    evaluation_service_pb2,
    operation_service_pb2,
    search_service_pb2,
    training_service_pb2,
)
from services.rpc.collection import CollectionServicer
from services.rpc.embedding import EmbeddingServicer
from services.rpc.operation import OperationServicer
from services.rpc.search import SearchServicer

ROOT = Path(__file__).parents[2]
CALLS = {
    "EmbeddingService": "ListModels GetModel LoadModel UnloadModel AddModel DeleteModel Embed"
    " EmbedStream",
    "CollectionService": "CreateCollection GetCollection ListCollections DeleteCollection"
    " UpsertPoints ImportPoints ImportSource GetPoints ListPoints UpdatePayload DeletePoints"
    " CountPoints"
    " UpdateCollection SetAlias DeleteAlias OptimizeCollection MeasureRecall CreateSnapshot"
    " ListSnapshots DeleteSnapshot RestoreSnapshot",
    "SearchService": "Search Analogy Compare",
    "ClassificationService": "CreateLabelSet GetLabelSet ListLabelSets DeleteLabelSet Classify",
    "TrainingService": "TrainModel",
    "OperationService": "GetOperation ListOperations CancelOperation WatchOperation",
    "EvaluationService": "Evaluate",
}
MODULES = [
    classification_service_pb2,
    collection_service_pb2,
    embedding_service_pb2,
    evaluation_service_pb2,
    operation_service_pb2,
    search_service_pb2,
    training_service_pb2,
]
SERVICES = {
    name: service
    for module in MODULES
    for name, service in module.DESCRIPTOR.services_by_name.items()
}


def test_every_call_of_the_design_is_in_the_contract_and_no_other() -> None:
    found = {name: {m.name for m in service.methods} for name, service in SERVICES.items()}
    assert found == {name: set(calls.split()) for name, calls in CALLS.items()}


@pytest.mark.parametrize(
    ("service", "servicer"),
    [
        ("EmbeddingService", EmbeddingServicer),
        ("CollectionService", CollectionServicer),
        ("SearchService", SearchServicer),
        ("OperationService", OperationServicer),
    ],
)
def test_public_methods_of_servicers_are_calls(service: str, servicer: type) -> None:
    methods = {n for n, _ in inspect.getmembers(servicer, inspect.isfunction) if n[0] != "_"}
    assert methods <= set(CALLS[service].split())


def test_streams_are_streams_and_the_rest_is_not() -> None:
    streams = {
        method.name: (method.client_streaming, method.server_streaming)
        for service in SERVICES.values()
        for method in service.methods
        if method.client_streaming or method.server_streaming
    }
    assert streams == {
        "EmbedStream": (True, True),
        "ImportPoints": (True, True),
        "WatchOperation": (False, True),
    }


def test_no_proto_package_is_importable() -> None:
    assert not list((ROOT / "proto").rglob("*.py"))


def test_importing_the_client_is_light() -> None:
    code = "import sys, latentspace; print(*sorted({m.partition('.')[0] for m in sys.modules}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    heavy = {"torch", "faiss", "gensim", "services", "index", "embedders", "typer", "pandas", "PIL"}
    assert not heavy & set(done.stdout.split())
