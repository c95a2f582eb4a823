"""What the fake server holds: models that hash, and collections in dictionaries."""

import hashlib
import json
from dataclasses import dataclass, field
from typing import Any

import grpc
import numpy as np
from google.rpc import code_pb2, status_pb2
from numpy.typing import NDArray

from latentspace.v1 import (
    collection_service_pb2,
    embedding_service_pb2,
    operation_service_pb2,
    types_pb2,
)
from tests.client.fake.filters import passes

Rows = NDArray[np.float32]
WORDS_DIM, TEXT_DIM = 16, 8
PLAIN_WORDS = ["king", "queen", "man", "woman", "paris", "france", "rome", "italy"]
WORDS = [*PLAIN_WORDS, *(f"w{i}" for i in range(192))]


class ItemFailed(Exception):  # noqa: N818 it carries a status, it is not an error of the tests
    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.status = status_pb2.Status(code=code, message=message)


class CallFailed(Exception):  # noqa: N818
    def __init__(self, code: grpc.StatusCode, message: str, *details: Any) -> None:
        super().__init__(message)
        self.code, self.message, self.details = code, message, details


def vector_of(data: bytes, dim: int = TEXT_DIM) -> Rows:
    seed = int.from_bytes(hashlib.sha256(data).digest()[:8], "little")
    row = np.random.default_rng(seed).standard_normal(dim).astype(np.float32)
    return np.asarray(row / np.linalg.norm(row), np.float32)


def words_matrix() -> Rows:
    return np.array([vector_of(word.encode(), WORDS_DIM) for word in WORDS])


@dataclass
class Stored:
    vector: Rows
    payload: bytes = b"{}"
    modality: int = 0


@dataclass
class FakeCollection:
    name: str
    spec: collection_service_pb2.CollectionSpec
    read_only: bool = False
    points: dict[str, Stored] = field(default_factory=dict)
    version: int = 0

    def message(self) -> collection_service_pb2.Collection:
        return collection_service_pb2.Collection(
            name=self.name,
            spec=self.spec,
            recipe="exact" if self.spec.recipe in ("", "auto") else self.spec.recipe,
            points=len(self.points),
            read_only=self.read_only,
            state=collection_service_pb2.COLLECTION_STATE_READY,
            version=self.version,
        )

    def passing(self, request: Any) -> dict[str, Stored]:
        if not request.HasField("filter"):
            return self.points
        return {
            name: point
            for name, point in self.points.items()
            if passes(request.filter, json.loads(point.payload))
        }


@dataclass
class World:
    """Models, collections, and a log of every request."""

    collections: dict[str, FakeCollection] = field(default_factory=dict)
    aliases: dict[str, str] = field(default_factory=dict)
    requests: list[Any] = field(default_factory=list)
    operations: dict[str, operation_service_pb2.Operation] = field(default_factory=dict)
    added: dict[str, embedding_service_pb2.Model] = field(default_factory=dict)
    pause_s: float = 0.0  # before each step of an operation
    dropped_streams: int = 0  # how many more batches of streams meet a lost connection
    loaded: set[str] = field(default_factory=lambda: {"words", "sentences", "faces", "both"})

    def __post_init__(self) -> None:
        spec = collection_service_pb2.CollectionSpec(
            model="words", dim=WORDS_DIM, metric=types_pb2.METRIC_COSINE, space_id="space-words"
        )
        words = FakeCollection("words", spec, read_only=True)
        words.points = {
            word: Stored(row, modality=types_pb2.MODALITY_KEY)
            for word, row in zip(WORDS, words_matrix(), strict=True)
        }
        self.collections["words"] = words

    def collection(self, name: str) -> FakeCollection:
        name = self.aliases.get(name, name)
        if name not in self.collections:
            raise CallFailed(grpc.StatusCode.NOT_FOUND, f"there is no collection {name!r}")
        return self.collections[name]

    def model(self, name: str) -> embedding_service_pb2.Model:
        known = {
            "words": ("word2vec", [types_pb2.MODALITY_KEY], WORDS_DIM, len(WORDS)),
            "sentences": ("sentence", [types_pb2.MODALITY_TEXT], TEXT_DIM, 0),
            "faces": ("face", [types_pb2.MODALITY_IMAGE], TEXT_DIM, 0),
            # not listed, so that lists stay as they were
            "both": ("clip", [types_pb2.MODALITY_TEXT, types_pb2.MODALITY_IMAGE], TEXT_DIM, 0),
        }
        if name not in known:
            raise CallFailed(grpc.StatusCode.NOT_FOUND, f"model {name!r} is not configured")
        family, modalities, dim, keys = known[name]
        ready = name in self.loaded
        return embedding_service_pb2.Model(
            id=name,
            family=family,
            modalities=modalities,
            dim=dim,
            space_id=f"space-{name}",
            state=embedding_service_pb2.MODEL_STATE_READY
            if ready
            else embedding_service_pb2.MODEL_STATE_UNLOADED,
            vocabulary_size=keys,
            normalized=True,
        )

    def rows(self, model: str, item: types_pb2.Input) -> list[Rows]:
        """The rows of one input: none to several for an image, else one."""
        match item.WhichOneof("input"), model:
            case "text", "sentences" | "both":
                if not item.text:
                    raise ItemFailed(code_pb2.INVALID_ARGUMENT, "the text is empty")
                return [vector_of(item.text.encode())]
            case "key", "words":
                if item.key not in self.collections["words"].points:
                    raise ItemFailed(code_pb2.NOT_FOUND, f"{item.key!r} is not in the vocabulary")
                return [self.collections["words"].points[item.key].vector]
            case "image", "faces" | "both":
                count = int(item.image.removeprefix(b"faces:")) if b"faces:" in item.image else 1
                return [vector_of(item.image + bytes([i])) for i in range(count)]
            case "vector", _:
                return [np.array(item.vector.values, np.float32)]
            case "point", _:
                return [self.point(item.point, model).vector]
        raise ItemFailed(code_pb2.INVALID_ARGUMENT, f"{model} does not embed this")

    def point(self, ref: types_pb2.PointRef, collection: str) -> Stored:
        points = self.collection(ref.collection or collection).points
        if ref.id not in points:
            raise ItemFailed(code_pb2.NOT_FOUND, f"there is no point {ref.id!r}")
        return points[ref.id]
