"""Published quality protocols: a model and a test set in, figures with confidence intervals out."""

from embedders.evaluation.base import EmbeddedItems, Figure, Outcome, Subject, SubjectInfo
from embedders.evaluation.tasks import TASKS, check_source, read_params, run

__all__ = [
    "TASKS",
    "EmbeddedItems",
    "Figure",
    "Outcome",
    "Subject",
    "SubjectInfo",
    "check_source",
    "read_params",
    "run",
]
