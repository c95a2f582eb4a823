"""The protocols: one table, imported lazily."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from embedders.errors import OptionError
from embedders.evaluation.base import Outcome, Subject
from embedders.options import read_options
from embedders.registry import import_target
from embedders.training import Progress, silent

EXTRA = "evaluation"


@dataclass(frozen=True, slots=True)
class TaskSpec:
    """A protocol.

    Args:
        module: has `evaluate(model, source, params, progress) -> Outcome`.
        params: name of the dataclass of its parameters in that module.
        builtin: names of test sets that need no file; source "" is all of them.
    """

    module: str
    params: str
    builtin: tuple[str, ...] = ()


#: task -> protocol
TASKS: Mapping[str, TaskSpec] = {
    "analogies": TaskSpec("embedders.evaluation.analogies", "AnalogyParams", ("google",)),
    "word_similarity": TaskSpec(
        "embedders.evaluation.word_similarity",
        "WordSimilarityParams",
        ("wordsim353", "simlex999"),
    ),
    "sts": TaskSpec("embedders.evaluation.sts", "StsParams"),
    "retrieval": TaskSpec("embedders.evaluation.retrieval", "RetrievalParams"),
    "cross_modal_retrieval": TaskSpec("embedders.evaluation.cross_modal", "CrossModalParams"),
    "verification": TaskSpec("embedders.evaluation.verification", "VerificationParams"),
    "zero_shot": TaskSpec("embedders.evaluation.zero_shot", "ZeroShotParams"),
    "node_classification": TaskSpec("embedders.evaluation.nodes", "NodeParams"),
}


def find_task(task: str) -> TaskSpec:
    """The protocol of this name.

    Raises:
        OptionError: there is none; names those that there are.
    """
    if task not in TASKS:
        raise OptionError("task", f"task {task!r} is unknown; one of: {', '.join(sorted(TASKS))}")
    return TASKS[task]


def check_source(task: str, source: str) -> bool:
    """Whether `source` stands for built-in sets, rather than for a file or folder.

    Raises:
        OptionError: an unknown task, or no source where the task has no built-in set.
    """
    spec = find_task(task)
    if not source and not spec.builtin:
        raise OptionError("source", f"{task} has no built-in test set: name a file or folder")
    return not source or source in spec.builtin


def read_params(task: str, params: Mapping[str, Any]) -> Any:
    """Parameters as the protocol's dataclass.

    Raises:
        OptionError: an unknown task or name, or a value that does not fit.
        MissingExtraError: a package is not installed.
    """
    spec = find_task(task)
    kind = import_target(f"{spec.module}:{spec.params}", f"evaluation of {task}", EXTRA)
    return read_options(kind, params, f"evaluating {task}")


def run(
    model: Subject,
    task: str,
    source: str = "",
    params: Mapping[str, Any] | None = None,
    progress: Progress = silent,
) -> Outcome:
    """Runs a protocol.

    Args:
        source: file, folder or the name of a built-in set; "" is the task's built-in ones.

    Raises:
        OptionError: something of the call or of the test set does not fit.
        MissingExtraError: a package is not installed.
    """
    check_source(task, source)
    read = read_params(task, params or {})
    function = import_target(f"{TASKS[task].module}:evaluate", f"evaluation of {task}", EXTRA)
    found: Outcome = function(model, source, read, progress)
    return found
