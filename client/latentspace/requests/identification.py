"""What identification needs to know before it begins."""

from latentspace.enums import Metric
from latentspace.errors import FailedPreconditionError, InvalidArgumentError
from latentspace.results.collection import Collection
from latentspace.results.model import Model

# an image without a face is an answer here, not a failure
NOTHING_FOUND = "NO_FACE"


def gallery_model(gallery: Collection) -> str:
    """The model whose space a gallery holds.

    Raises:
        FailedPreconditionError: it has none.
    """
    if not gallery.model:
        raise FailedPreconditionError(
            f"{gallery.name!r} has no model that could embed the inputs: create the collection "
            "with model=, or embed them yourself and use search_batch"
        )
    return gallery.model


def same_threshold(gallery: Collection, model: Model) -> float:
    """The model's calibrated threshold, as a score of the gallery.

    Raises:
        InvalidArgumentError: there is none, or the gallery's scores are not cosines.
    """
    if model.same_threshold is None:
        raise InvalidArgumentError(
            f"threshold: model {model.id!r} has no calibrated threshold; pass threshold=, the "
            "score from which two items count as the same"
        )
    if gallery.metric is not Metric.COSINE:
        raise InvalidArgumentError(
            f"threshold: that of model {model.id!r} is a cosine, and {gallery.name!r} compares by "
            f"{gallery.metric}; pass threshold="
        )
    return model.same_threshold
