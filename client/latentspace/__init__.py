"""Client of the latentspace embedding service: numpy in, numpy out.

    from latentspace import Client
    with Client("localhost:50051") as ls:
        ls.analogy("words", ["king", "woman"], ["man"])

`AsyncClient` has the same calls, awaited.
"""

from latentspace.aio.client import AsyncClient
from latentspace.aio.operations import AsyncOperation
from latentspace.calls import RetryPolicy
from latentspace.enums import (
    Activation,
    AnalogyMethod,
    CollectionState,
    Dtype,
    FieldType,
    Metric,
    Modality,
    ModelOrigin,
    ModelState,
    OperationState,
    RecommendStrategy,
    SegmentState,
    ServingStatus,
    Task,
)
from latentspace.errors import (
    AbortedError,
    AlreadyExistsError,
    CallCancelledError,
    DataLossError,
    DeadlineError,
    FailedPreconditionError,
    FieldViolation,
    FilterSyntaxError,
    InternalError,
    InvalidArgumentError,
    LatentspaceError,
    MessageTooLargeError,
    NotFoundError,
    OutOfRangeError,
    OverloadedError,
    PartialError,
    PermissionDeniedError,
    RequestError,
    RowCountError,
    ServerError,
    TransientError,
    UnauthenticatedError,
    UnavailableError,
    UnimplementedByServerError,
)
from latentspace.inputs import (
    ImageInput,
    Input,
    KeyInput,
    PointInput,
    TextInput,
    VectorInput,
    image,
    key,
    point,
    text,
    vector,
)
from latentspace.requests.importing import NewPoint
from latentspace.requests.options import EmbedOptions, IndexParams, SearchParams
from latentspace.requests.queries import Recommend
from latentspace.requests.search import SearchOptions
from latentspace.results.classification import Label, LabelSet
from latentspace.results.collection import (
    Collection,
    DefaultEffort,
    Recall,
    Segment,
    Snapshot,
)
from latentspace.results.comparison import Comparison
from latentspace.results.embedding import EmbeddingBatch, Region
from latentspace.results.evaluation import EvaluationReport, Figure
from latentspace.results.identification import Identified
from latentspace.results.model import Model, ModelLimits
from latentspace.results.operation import Progress
from latentspace.results.plan import SearchPlan, SegmentPlan
from latentspace.results.point import Page, Point, UpsertResult
from latentspace.results.search import Match, SearchResult
from latentspace.results.timing import Timing
from latentspace.spaces import Embeddings
from latentspace.sync.client import Client
from latentspace.sync.operations import Operation

__all__ = [
    "AbortedError",
    "Activation",
    "AlreadyExistsError",
    "AnalogyMethod",
    "AsyncClient",
    "AsyncOperation",
    "CallCancelledError",
    "Client",
    "Collection",
    "CollectionState",
    "Comparison",
    "DataLossError",
    "DeadlineError",
    "DefaultEffort",
    "Dtype",
    "EmbedOptions",
    "EmbeddingBatch",
    "Embeddings",
    "EvaluationReport",
    "FailedPreconditionError",
    "FieldType",
    "FieldViolation",
    "Figure",
    "FilterSyntaxError",
    "Identified",
    "ImageInput",
    "IndexParams",
    "Input",
    "InternalError",
    "InvalidArgumentError",
    "KeyInput",
    "Label",
    "LabelSet",
    "LatentspaceError",
    "Match",
    "MessageTooLargeError",
    "Metric",
    "Modality",
    "Model",
    "ModelLimits",
    "ModelOrigin",
    "ModelState",
    "NewPoint",
    "NotFoundError",
    "Operation",
    "OperationState",
    "OutOfRangeError",
    "OverloadedError",
    "Page",
    "PartialError",
    "PermissionDeniedError",
    "Point",
    "PointInput",
    "Progress",
    "Recall",
    "Recommend",
    "RecommendStrategy",
    "Region",
    "RequestError",
    "RetryPolicy",
    "RowCountError",
    "SearchOptions",
    "SearchParams",
    "SearchPlan",
    "SearchResult",
    "Segment",
    "SegmentPlan",
    "SegmentState",
    "ServerError",
    "ServingStatus",
    "Snapshot",
    "Task",
    "TextInput",
    "Timing",
    "TransientError",
    "UnauthenticatedError",
    "UnavailableError",
    "UnimplementedByServerError",
    "UpsertResult",
    "VectorInput",
    "image",
    "key",
    "point",
    "text",
    "vector",
]
