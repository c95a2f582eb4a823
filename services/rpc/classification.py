"""ClassificationService."""

# ruff: noqa: N802 - methods have the names of the calls

import time

from google.protobuf.timestamp_pb2 import Timestamp

from latentspace.v1 import classification_service_pb2 as pb
from services.rpc.calls import Context, deadline_of
from services.rpc.embedding import write_times
from services.rpc.inputs import read_input, read_options
from services.rpc.status import item_errors
from services.rpc.vectors import packed_floats
from services.runtime.classification import Activation, Wanted, classify, used
from services.runtime.collections import Collections
from services.runtime.errors import RequestError
from services.runtime.label_sets import LabelSet, LabelSets
from services.runtime.labels import Labels, read_labels
from services.runtime.models import Model

ACTIVATIONS = {
    pb.ACTIVATION_UNSPECIFIED: None,
    pb.ACTIVATION_SOFTMAX: Activation.SOFTMAX,
    pb.ACTIVATION_SIGMOID: Activation.SIGMOID,
}


class ClassificationServicer:
    """Label sets, and which of their labels fits."""

    def __init__(self, collections: Collections, label_sets: LabelSets, max_items: int) -> None:
        self._collections, self._label_sets = collections, label_sets
        self._models, self._max_items = collections.models, max_items

    async def CreateLabelSet(
        self, request: pb.CreateLabelSetRequest, context: Context
    ) -> pb.CreateLabelSetResponse:
        """Encodes and stores a label set."""
        model = self._models.get(request.model)
        labels = read_spec(model, request.spec)
        made = await self._label_sets.create(request.name, model, labels, deadline_of(context))
        return pb.CreateLabelSetResponse(label_set=write_label_set(made))

    async def GetLabelSet(
        self, request: pb.GetLabelSetRequest, context: Context
    ) -> pb.GetLabelSetResponse:
        """One label set."""
        found = self._label_sets.get(request.name)
        return pb.GetLabelSetResponse(label_set=write_label_set(found))

    async def ListLabelSets(
        self, request: pb.ListLabelSetsRequest, context: Context
    ) -> pb.ListLabelSetsResponse:
        """All label sets."""
        return pb.ListLabelSetsResponse(label_sets=map(write_label_set, self._label_sets.all()))

    async def DeleteLabelSet(
        self, request: pb.DeleteLabelSetRequest, context: Context
    ) -> pb.DeleteLabelSetResponse:
        """Deletes a label set."""
        await self._label_sets.delete(request.name)
        return pb.DeleteLabelSetResponse()

    async def Classify(self, request: pb.ClassifyRequest, context: Context) -> pb.ClassifyResponse:
        """The labels of a batch."""
        started = time.perf_counter_ns()
        if not 1 <= len(request.inputs) <= self._max_items:
            raise RequestError(
                "inputs", f"give 1 to {self._max_items} items, not {len(request.inputs)}"
            )
        model = self._models.get(request.model)
        found = await classify(
            self._collections,
            self._label_sets,
            model,
            [read_input(value, f"inputs[{i}]") for i, value in enumerate(request.inputs)],
            self._classifier(model, request),
            read_wanted(request),
            read_options(request.options, "document"),
            deadline_of(context),
        )
        reply = used(found)
        return pb.ClassifyResponse(
            labels=reply.labels,
            label_index=reply.index.tolist(),
            probabilities=packed_floats(reply.probabilities),
            counts=reply.counts.tolist(),
            errors=item_errors(reply.errors, "inputs"),
            space_id=reply.space_id,
            timing=write_times(reply.times, started),
        )

    def _classifier(self, model: Model, request: pb.ClassifyRequest) -> LabelSet | Labels:
        kind = request.WhichOneof("classifier")
        if kind == "label_set":
            return self._label_sets.get(request.label_set)
        if kind == "spec":
            return read_spec(model, request.spec)
        raise RequestError("classifier", "set label_set, or spec with labels")


def read_spec(model: Model, message: pb.LabelSpec) -> Labels:
    """Labels and templates.

    Raises:
        RequestError, ModelNotReadyError
    """
    info = model.ready().info
    return read_labels(info, message.labels, message.templates, message.template_set, "spec")


def read_wanted(request: pb.ClassifyRequest) -> Wanted:
    """What is wanted of each item.

    Raises:
        RequestError
    """
    if request.activation not in ACTIVATIONS:
        raise RequestError("activation", f"activation {request.activation} is unknown")
    return Wanted(
        request.top_k,
        request.min_probability,
        ACTIVATIONS[request.activation],
        request.logit_scale if request.HasField("logit_scale") else None,
    )


def write_label_set(found: LabelSet) -> pb.LabelSet:
    """A label set on the wire; a named template set stands for its templates."""
    created = Timestamp()
    created.FromNanoseconds(found.created_ns)
    labels = found.labels
    return pb.LabelSet(
        name=found.name,
        model=found.model,
        space_id=found.space_id,
        spec=pb.LabelSpec(
            labels=labels.names,
            templates=() if labels.template_set else labels.templates,
            template_set=labels.template_set,
        ),
        create_time=created,
    )
