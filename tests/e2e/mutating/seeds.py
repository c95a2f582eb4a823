"""Valid requests of every call, to be spoiled."""

# ruff: noqa: N802 - methods have the names of the calls

import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message

from latentspace.v1 import classification_service_pb2 as classification
from latentspace.v1 import collection_service_pb2 as collections
from latentspace.v1 import embedding_service_pb2 as embedding
from latentspace.v1 import evaluation_service_pb2 as evaluation
from latentspace.v1 import operation_service_pb2 as operations
from latentspace.v1 import search_service_pb2 as search
from latentspace.v1 import training_service_pb2 as training
from tests.e2e.mutating.parts import DIM, Parts

MODULES = (classification, collections, embedding, evaluation, operations, search, training)
METHODS: Mapping[str, MethodDescriptor] = {
    method.name: method
    for module in MODULES
    for service in module.DESCRIPTOR.services_by_name.values()
    for method in service.methods
}
# they start child processes or reload models: a few go a long way
RARE = frozenset(
    (
        *("TrainModel", "Evaluate", "ImportSource", "RestoreSnapshot", "CreateSnapshot"),
        *("DeleteSnapshot", "LoadModel", "AddModel", "DeleteModel"),
    )
)
RARITY = 0.1
# what is embedded, stored, filtered and searched has most to spoil
BUSY = (
    *("Embed", "EmbedStream", "UpsertPoints", "ImportPoints", "Search", "Search", "ListPoints"),
    *("Analogy", "Classify", "Compare"),
)


@dataclass(frozen=True, slots=True)
class Seed:
    """A valid call: one message, or the messages of a stream."""

    method: MethodDescriptor
    messages: Sequence[Message]


class Seeds(Parts):
    """Draws valid calls on the collections and models of the scene.

    Args:
        pictures: image files, sound and broken.
    """

    def __init__(self, chance: random.Random, pictures: Sequence[bytes]) -> None:
        super().__init__(chance, pictures)
        missing = [name for name in METHODS if not hasattr(self, f"_{name}")]
        assert not missing, f"no valid request of {missing}"
        self._names = [*METHODS, *BUSY * 5]

    def draw(self) -> Seed:
        """A call, each kind about as often as the others, dear ones seldom."""
        name = self._chance.choice(self._names)
        while name in RARE and self._chance.random() > RARITY:
            name = self._chance.choice(self._names)
        method = METHODS[name]
        count = self._chance.randrange(5) if method.client_streaming else 1
        return Seed(method, [getattr(self, f"_{name}")() for _ in range(count)])

    # one maker for each call, of the call's name

    def _ListModels(self) -> Message:
        return embedding.ListModelsRequest()

    def _GetModel(self) -> Message:
        return embedding.GetModelRequest(model=self._one_of("toy", "words", "clip", "nope"))

    def _LoadModel(self) -> Message:
        return embedding.LoadModelRequest(model=self._one_of("later", "toy", "words"))

    def _AddModel(self) -> Message:
        options = {"dim": DIM} if self._chance.random() < 0.5 else {}
        return embedding.AddModelRequest(
            model=f"made-{self._chance.randrange(20)}",
            family=self._one_of("hash", "hash", "word2vec", "averaged"),
            source=self._one_of("", "", "corpus.txt", "missing.txt", "../words.txt"),
            options=json.dumps(options).encode(),
            without_load=self._chance.random() < 0.3,
        )

    def _DeleteModel(self) -> Message:
        model = f"made-{self._chance.randrange(20)}"
        return embedding.DeleteModelRequest(model=model, force=self._chance.random() < 0.5)

    def _UnloadModel(self) -> Message:
        return embedding.UnloadModelRequest(model="later")

    def _Embed(self) -> Message:
        model = self._one_of("toy", "words", "clip", "clip", "faces", "faces")
        return embedding.EmbedRequest(
            model=model, inputs=self._inputs(model), options=self._options()
        )

    def _EmbedStream(self) -> Message:
        model = self._one_of("toy", "words", "clip")
        return embedding.EmbedStreamRequest(
            model=model,
            inputs=self._inputs(model),
            options=self._options(),
            batch_id=self._chance.randrange(1 << 40),
        )

    def _CreateCollection(self) -> Message:
        bare = self._chance.random() < 0.5
        return collections.CreateCollectionRequest(
            collection=f"made-{self._chance.randrange(20)}",
            spec=collections.CollectionSpec(
                model="" if bare else self._one_of("toy", "clip", "later"),
                dim=DIM if bare else 0,
                metric=self._number(4),
                recipe=self._recipe(),
                fields=self._fields(),
                index=self._index(),
                search=self._params(),
            ),
        )

    def _GetCollection(self) -> Message:
        return collections.GetCollectionRequest(collection=self._name())

    def _ListCollections(self) -> Message:
        return collections.ListCollectionsRequest()

    def _DeleteCollection(self) -> Message:
        return collections.DeleteCollectionRequest(collection=f"made-{self._chance.randrange(20)}")

    def _UpdateCollection(self) -> Message:
        return collections.UpdateCollectionRequest(
            collection=self._name(),
            add_fields=self._fields(),
            recipe=self._recipe() if self._chance.random() < 0.3 else None,
            index=self._index() if self._chance.random() < 0.2 else None,
            search=self._params(),
        )

    def _UpsertPoints(self) -> Message:
        name = self._name()
        return collections.UpsertPointsRequest(collection=name, points=self._writes(name))

    def _ImportPoints(self) -> Message:
        name = self._name()
        return collections.ImportPointsRequest(
            collection=name, points=self._writes(name), batch_id=self._chance.randrange(100)
        )

    def _GetPoints(self) -> Message:
        return collections.GetPointsRequest(
            collection=self._name(), ids=[self._id(), self._id(), "w3"], with_vectors=True
        )

    def _ListPoints(self) -> Message:
        return collections.ListPointsRequest(
            collection=self._name(),
            filter=self._filter() if self._chance.random() < 0.5 else None,
            page_size=self._chance.choice([0, 3, 50]),
            with_vectors=self._chance.random() < 0.5,
        )

    def _ids_or_filter(self) -> dict[str, Message]:
        if self._chance.random() < 0.5:
            return {"ids": collections.IdList(ids=[self._id(), self._id()])}
        return {"filter": self._filter()}

    def _UpdatePayload(self) -> Message:
        return collections.UpdatePayloadRequest(
            collection=self._name(),
            payload=self._payload(),
            replace=self._chance.random() < 0.5,
            remove_keys=["tag"] if self._chance.random() < 0.5 else [],
            **self._ids_or_filter(),  # type: ignore[arg-type]
        )

    def _DeletePoints(self) -> Message:
        return collections.DeletePointsRequest(
            collection=self._name(),
            **self._ids_or_filter(),  # type: ignore[arg-type]
        )

    def _CountPoints(self) -> Message:
        return collections.CountPointsRequest(collection=self._name(), filter=self._filter())

    def _SetAlias(self) -> Message:
        return collections.SetAliasRequest(
            alias=self._one_of("alias", "other", "made-3"), collection=self._name()
        )

    def _DeleteAlias(self) -> Message:
        return collections.DeleteAliasRequest(alias=self._one_of("alias", "other"))

    def _ImportSource(self) -> Message:
        params = {"kind": "text", "batch_items": self._number(100, 1), "paragraphs": False}
        return collections.ImportSourceRequest(
            collection=self._name(),
            source=self._one_of("corpus.txt", "analogies.txt", "missing.txt", ".", "../x"),
            params=json.dumps(params).encode(),
        )

    def _OptimizeCollection(self) -> Message:
        return collections.OptimizeCollectionRequest(
            collection=self._name(), full=self._chance.random() < 0.5
        )

    def _MeasureRecall(self) -> Message:
        return collections.MeasureRecallRequest(
            collection=self._name(), k=3, samples=8, params=self._params(), seed=1
        )

    def _CreateSnapshot(self) -> Message:
        return collections.CreateSnapshotRequest(
            collection=self._name(), snapshot=self._one_of("", "kept")
        )

    def _ListSnapshots(self) -> Message:
        return collections.ListSnapshotsRequest(collection=self._one_of("", "fuzz"))

    def _DeleteSnapshot(self) -> Message:
        return collections.DeleteSnapshotRequest(snapshot=f"made-{self._chance.randrange(20)}")

    def _RestoreSnapshot(self) -> Message:
        return collections.RestoreSnapshotRequest(
            snapshot="kept", collection=f"made-{self._chance.randrange(20)}"
        )

    def _Search(self) -> Message:
        found = search.SearchRequest(
            collection=self._name(),
            k=self._chance.choice([0, 1, 5, 100]),
            filter=self._filter() if self._chance.random() < 0.4 else None,
            score_threshold=0.1 if self._chance.random() < 0.2 else None,
            offset=self._chance.choice([0, 0, 2]),
            params=self._params(),
            with_payload=self._chance.random() < 0.5,
            with_vectors=self._chance.random() < 0.5,
            explain=self._chance.random() < 0.3,
            options=self._options(),
        )
        self._choose(found)
        if self._chance.random() < 0.4:
            found.vectors.CopyFrom(self._vectors(2))
            return found
        for _ in range(self._chance.randrange(1, 4)):
            found.queries.append(self._query())
        return found

    def _choose(self, found: search.SearchRequest) -> None:
        """Now and then groups, diverse points or a page are wanted."""
        kind = self._chance.randrange(8)
        if kind == 0:
            found.group_by.field = self._one_of("tag", "n", "ok", "x")
            found.group_by.group_size = self._chance.choice([0, 1, 3])
        elif kind == 1:
            found.diversity.candidates = self._chance.choice([0, 20])
            setattr(found.diversity, "lambda", self._chance.random())
        elif kind == 2:
            found.page_token = self._one_of("abc", "AAAAAAAAAAAAAAAAAAAAAA", "?")
            found.offset = 0

    def _query(self) -> search.Query:
        inputs = [self._input(self._one_of("toy", "raw")) for _ in range(4)]
        if self._chance.random() < 0.3:
            wish = search.Recommend(
                positives=inputs[: self._chance.randrange(1, 3)],
                negatives=inputs[2 : self._chance.randrange(2, 5)],
                strategy=self._number(3),
            )
            return search.Query(recommend=wish)
        parts = [self._weighted() for _ in range(self._chance.randrange(1, 3))]
        return search.Query(weighted=search.WeightedInputs(inputs=parts))

    def _Analogy(self) -> Message:
        question = search.AnalogyQuestion(
            positives=[self._weighted("words") for _ in range(2)],
            negatives=[self._weighted("words")],
        )
        return search.AnalogyRequest(
            collection=self._one_of("words", "words", "fuzz", "raw"),
            questions=[question] * self._chance.randrange(1, 3),
            method=self._number(4),
            k=self._chance.choice([0, 3]),
            vocabulary_limit=self._chance.choice([0, 20]),
            include_inputs=self._chance.random() < 0.3,
            with_payload=self._chance.random() < 0.3,
        )

    def _Compare(self) -> Message:
        model = self._one_of("faces", "toy", "clip")
        pairs = [
            search.InputPair(first=self._input(model), second=self._input(model))
            for _ in range(self._chance.randrange(1, 3))
        ]
        threshold = self._chance.choice([None, 0.5])
        return search.CompareRequest(model=model, pairs=pairs, threshold=threshold)

    def _labels(self) -> classification.LabelSpec:
        named = self._chance.random() < 0.3
        return classification.LabelSpec(
            labels=["cat", "dog", "w1"],
            templates=[] if named else ["{}", "a photo of a {}"],
            template_set=self._one_of("plain", "imagenet") if named else "",
        )

    def _label_set(self) -> str:
        return self._one_of("pets", "cars")

    def _CreateLabelSet(self) -> Message:
        return classification.CreateLabelSetRequest(
            name=self._label_set(), model=self._one_of("clip", "toy"), spec=self._labels()
        )

    def _GetLabelSet(self) -> Message:
        return classification.GetLabelSetRequest(name=self._label_set())

    def _ListLabelSets(self) -> Message:
        return classification.ListLabelSetsRequest()

    def _DeleteLabelSet(self) -> Message:
        return classification.DeleteLabelSetRequest(name=self._label_set())

    def _Classify(self) -> Message:
        model = self._one_of("clip", "toy", "words")
        found = classification.ClassifyRequest(
            model=model,
            inputs=self._inputs(model),
            top_k=self._chance.choice([0, 2]),
            min_probability=self._chance.choice([0.0, 0.3]),
            activation=self._number(3),
            logit_scale=self._chance.choice([None, 5.0]),
        )
        if self._chance.random() < 0.5:
            found.label_set = self._label_set()
        else:
            found.spec.CopyFrom(self._labels())
        return found

    def _GetOperation(self) -> Message:
        return operations.GetOperationRequest(id="optimize-0")

    def _ListOperations(self) -> Message:
        return operations.ListOperationsRequest(kind="", state=self._number(6))

    def _CancelOperation(self) -> Message:
        return operations.CancelOperationRequest(id="optimize-0")

    def _WatchOperation(self) -> Message:
        return operations.WatchOperationRequest(id="optimize-0")

    def _TrainModel(self) -> Message:
        params = {"dim": 8, "epochs": 1, "min_count": 1}
        return training.TrainModelRequest(
            family=self._one_of("word2vec", "node2vec", "face", "clip"),
            model=f"made-{self._chance.randrange(20)}",
            source=self._one_of("corpus.txt", "missing.txt", ".", "../x"),
            params=json.dumps(params).encode(),
            load=True,
        )

    def _Evaluate(self) -> Message:
        return evaluation.EvaluateRequest(
            model=self._one_of("words", "toy"),
            task=self._number(9, 1),
            source=self._one_of("analogies.txt", "corpus.txt", "missing"),
            params=b"{}",
        )
