"""Names on the client's side for the numbers of the wire's enums."""

from enum import StrEnum
from typing import Any, TypeVar

from latentspace.errors import InvalidArgumentError
from latentspace.v1 import (
    classification_service_pb2,
    collection_service_pb2,
    embedding_service_pb2,
    evaluation_service_pb2,
    filter_pb2,
    operation_service_pb2,
    search_service_pb2,
    types_pb2,
)


class Dtype(StrEnum):
    """Number format of a forward pass."""

    FLOAT32 = "float32"
    FLOAT16 = "float16"
    BFLOAT16 = "bfloat16"


class Modality(StrEnum):
    """What a vector was made from."""

    TEXT = "text"
    IMAGE = "image"
    KEY = "key"
    VECTOR = "vector"


class Metric(StrEnum):
    """How vectors are compared; scores are higher-is-better, for l2 minus the squared distance."""

    COSINE = "cosine"
    DOT = "dot"
    L2 = "l2"


class FieldType(StrEnum):
    """Type of a declared payload field."""

    KEYWORD = "keyword"
    KEYWORD_LIST = "keyword_list"
    INT = "int"
    FLOAT = "float"
    BOOL = "bool"
    DATETIME = "datetime"


class ModelState(StrEnum):
    """Where a model stands; READY answers."""

    LOADING = "loading"
    READY = "ready"
    FAILED = "failed"
    UNLOADED = "unloaded"


class ServingStatus(StrEnum):
    """Whether a server, a service or a model answers."""

    SERVING = "serving"
    NOT_SERVING = "not serving"


class ModelOrigin(StrEnum):
    """How a model came to the server: by its settings, by `add_model`, by `train`."""

    CONFIGURED = "configured"
    ADDED = "added"
    TRAINED = "trained"


class CollectionState(StrEnum):
    """READY answers from its indexes; DEGRADED exactly and slower, or it cannot be written."""

    READY = "ready"
    DEGRADED = "degraded"


class SegmentState(StrEnum):
    """GROWING takes writes, BUILDING waits for its index, SEALED has it."""

    GROWING = "growing"
    BUILDING = "building"
    SEALED = "sealed"


class OperationState(StrEnum):
    """Where long work stands; the last three are ends."""

    PENDING = "pending"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


class AnalogyMethod(StrEnum):
    """How an analogy is scored."""

    COS_ADD = "3CosAdd"
    COS_MUL = "3CosMul"
    PAIR_DIRECTION = "PairDirection"


class RecommendStrategy(StrEnum):
    """How examples become scores."""

    AVERAGE = "average"
    BEST_SCORE = "best_score"


class Activation(StrEnum):
    """How scores become probabilities."""

    SOFTMAX = "softmax"
    SIGMOID = "sigmoid"


class Verdict(StrEnum):
    """What a calibrated model says of a pair."""

    SAME = "same"
    DIFFERENT = "different"


class Task(StrEnum):
    """An evaluation protocol."""

    ANALOGIES = "analogies"
    WORD_SIMILARITY = "word_similarity"
    STS = "sts"
    RETRIEVAL = "retrieval"
    CROSS_MODAL_RETRIEVAL = "cross_modal_retrieval"
    VERIFICATION = "verification"
    ZERO_SHOT = "zero_shot"
    NODE_CLASSIFICATION = "node_classification"


E = TypeVar("E", bound=StrEnum)

WIRE_ENUMS: dict[type[StrEnum], Any] = {
    Dtype: types_pb2.Dtype,
    Modality: types_pb2.Modality,
    Metric: types_pb2.Metric,
    FieldType: filter_pb2.FieldType,
    ModelState: embedding_service_pb2.ModelState,
    ModelOrigin: embedding_service_pb2.ModelOrigin,
    CollectionState: collection_service_pb2.CollectionState,
    SegmentState: collection_service_pb2.SegmentState,
    OperationState: operation_service_pb2.OperationState,
    AnalogyMethod: search_service_pb2.AnalogyMethod,
    RecommendStrategy: search_service_pb2.RecommendStrategy,
    Activation: classification_service_pb2.Activation,
    Verdict: search_service_pb2.Verdict,
    Task: evaluation_service_pb2.EvaluationTask,
}


def _tables(kind: type[StrEnum]) -> tuple[dict[str, int], dict[int, Any]]:
    """Lower-case value to number, and number to member; spellings differ in "_" and case only."""
    wire = WIRE_ENUMS[kind]
    prefix = wire.Name(0).removesuffix("UNSPECIFIED")
    numbers = {_letters(name.removeprefix(prefix)): number for name, number in wire.items()}
    by_value = {member.value.lower(): numbers[_letters(member.value)] for member in kind}
    by_number = {numbers[_letters(member.value)]: member for member in kind}
    return by_value, by_number


def _letters(name: str) -> str:
    return name.replace("_", "").lower()


_TABLES = {kind: _tables(kind) for kind in WIRE_ENUMS}


def to_wire(kind: type[E], value: str | None, name: str) -> Any:
    """The wire's number of a member, given as such or by its value; None is "not said", 0.

    Raises:
        InvalidArgumentError: no such member; names those that there are.
    """
    if value is None:
        return 0
    number = _TABLES[kind][0].get(value.lower()) if isinstance(value, str) else None
    if number is None:
        known = ", ".join(kind)
        raise InvalidArgumentError(f"{name}: unknown value {value!r}; one of {known}")
    return number


def from_wire(kind: type[E], number: int) -> E | None:
    """The member of a number; None for "not said", and for what a newer server may say."""
    member: E | None = _TABLES[kind][1].get(number)
    return member
