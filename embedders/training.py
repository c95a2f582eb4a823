"""What trainers share: progress, reports, and the table of them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from embedders.errors import ModelError
from embedders.options import read_options
from embedders.registry import import_target

# stage, done, total; called now and then, may raise to cancel the training
Progress = Callable[[str, int, int], None]

#: family -> ("module:function", "module:Params", extra that brings its packages)
TRAINERS: Mapping[str, tuple[str, str, str]] = {
    "face": (
        "embedders.face.trainer:train_face",
        "embedders.face.params:FaceParams",
        "faces",
    ),
    "node2vec": (
        "embedders.node2vec.trainer:train_node2vec",
        "embedders.node2vec.params:Node2VecParams",
        "graphs",
    ),
    "word2vec": (
        "embedders.word2vec.trainer:train_word2vec",
        "embedders.word2vec.params:Word2VecParams",
        "words",
    ),
    "clip": ("embedders.clip.trainer:train_clip", "embedders.clip.params:ClipParams", "clip"),
}


@dataclass(frozen=True, slots=True)
class TrainingReport:
    """What a training made.

    Args:
        path: the model's file, ready to be loaded.
        metrics: numbers that tell of speed and quality, units in their names.
        warnings: what the user should know of the data.
    """

    family: str
    path: Path
    keys: int
    dim: int
    revision: str
    metrics: Mapping[str, float] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


@runtime_checkable
class MeteredProgress(Protocol):
    """Progress that also takes figures of the work, such as the loss."""

    def __call__(self, stage: str, done: int, total: int) -> None:
        """As `Progress`."""

    def note(self, **metrics: float) -> None:
        """Figures that go with the next report."""


def note(progress: Progress, **metrics: float) -> None:
    """Tells figures of the work to a progress that takes them."""
    if isinstance(progress, MeteredProgress):
        progress.note(**metrics)


def silent(stage: str, done: int, total: int) -> None:
    """Progress that goes nowhere."""


def train(
    family: str,
    source: Path,
    out: Path,
    params: Mapping[str, Any] | None = None,
    progress: Progress = silent,
) -> TrainingReport:
    """Trains a model of a family.

    Args:
        source: the data, as the family's trainer reads it.
        out: the file to write.
        params: the trainer's parameters; unknown names are refused.

    Raises:
        ModelError: the family has no trainer.
        MissingExtraError: a package is not installed.
        OptionError: a parameter or the data do not fit.
    """
    read = read_params(family, params or {})
    function, _, extra = TRAINERS[family]
    report: TrainingReport = import_target(function, family, extra)(source, out, read, progress)
    return report


def read_params(family: str, params: Mapping[str, Any]) -> Any:
    """Parameters as the dataclass of the family's trainer.

    Raises:
        ModelError: the family has no trainer.
        MissingExtraError: a package is not installed.
        OptionError: an unknown name, or a value that does not fit.
    """
    if family not in TRAINERS:
        raise ModelError(f"family {family!r} has no trainer; one of: {', '.join(sorted(TRAINERS))}")
    _, kind, extra = TRAINERS[family]
    return read_options(import_target(kind, family, extra), params, f"training {family}")
