"""ClassificationService of the fake: softmax over scaled cosines to the labels' vectors."""

from typing import Any

import grpc
import numpy as np

from latentspace.v1 import classification_service_pb2 as pb
from latentspace.v1 import classification_service_pb2_grpc, types_pb2
from tests.client.fake.calls import Fake, logged
from tests.client.fake.world import CallFailed, ItemFailed, Rows, vector_of

SCALE = 20.0


def label_rows(spec: pb.LabelSpec) -> Rows:
    templates = list(spec.templates) or ["{}"]
    sentences = [[t.replace("{}", label) for t in templates] for label in spec.labels]
    sums = [sum(vector_of(one.encode()) for one in said) for said in sentences]
    rows = np.array(sums, np.float32)
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)


class FakeClassification(Fake, classification_service_pb2_grpc.ClassificationServiceServicer):
    sets: dict[str, pb.LabelSet]

    def __init__(self, world: Any) -> None:
        super().__init__(world)
        self.sets = {}

    @logged
    def CreateLabelSet(self, request: Any) -> Any:  # noqa: N802
        made = pb.LabelSet(name=request.name, model=request.model, spec=request.spec)
        made.create_time.GetCurrentTime()
        self.sets[request.name] = made
        return pb.CreateLabelSetResponse(label_set=made)

    @logged
    def GetLabelSet(self, request: Any) -> Any:  # noqa: N802
        return pb.GetLabelSetResponse(label_set=self._set(request.name))

    @logged
    def ListLabelSets(self, request: Any) -> Any:  # noqa: N802
        return pb.ListLabelSetsResponse(label_sets=[self.sets[name] for name in sorted(self.sets)])

    @logged
    def DeleteLabelSet(self, request: Any) -> Any:  # noqa: N802
        del self.sets[self._set(request.name).name]
        return pb.DeleteLabelSetResponse()

    @logged
    def Classify(self, request: Any) -> Any:  # noqa: N802
        spec = self._set(request.label_set).spec if request.label_set else request.spec
        labels = label_rows(spec)
        scale = request.logit_scale if request.HasField("logit_scale") else SCALE
        index: list[int] = []
        probabilities: list[float] = []
        counts, errors = [], []
        for position, item in enumerate(request.inputs):
            try:
                logits = scale * labels @ self.world.rows(request.model, item)[0]
            except ItemFailed as failed:
                errors.append(types_pb2.ItemError(index=position, status=failed.status))
                counts.append(0)
                continue
            shares = np.exp(logits - logits.max())
            shares /= shares.sum()
            order = np.argsort(-shares)[: request.top_k or None]
            order = order[shares[order] >= request.min_probability]
            index += order.tolist()
            probabilities += shares[order].tolist()
            counts.append(len(order))
        return pb.ClassifyResponse(
            labels=spec.labels,
            label_index=index,
            probabilities=np.array(probabilities, "<f4").tobytes(),
            counts=counts,
            errors=errors,
        )

    def _set(self, name: str) -> pb.LabelSet:
        if name not in self.sets:
            raise CallFailed(grpc.StatusCode.NOT_FOUND, f"there is no label set {name!r}")
        return self.sets[name]
