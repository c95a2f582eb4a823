"""What an embedder of cropped faces gives."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from embedders.face.geometry import Eyes, Picture
from embedders.vectors import FloatRows


@dataclass(frozen=True, slots=True)
class Threshold:
    """A cosine from which two faces count as one person's.

    Args:
        false_accept_rate: share of pairs of two people that reach it, as calibrated; None where
            nobody measured it.
    """

    score: float
    false_accept_rate: float | None = None


@dataclass(frozen=True, slots=True)
class EmbedderInfo:
    """What is known of an embedder.

    Args:
        size: pixels of a side of the square crops it takes.
        eyes: where the eyes are in them, as shares of the side.
        parts: what else changes its vectors.
        thresholds: of "same person" by name ("best", "far_1e-2", ...); {} where there are none.
        trained_here: whether it learnt from crops as callers have them, without alignment.
    """

    dim: int
    size: int
    eyes: Eyes
    revision: str
    normalized: bool
    memory_bytes: int
    parts: Mapping[str, str] = field(default_factory=dict)
    thresholds: Mapping[str, Threshold] = field(default_factory=dict)
    trained_here: bool = False


class FaceEmbedder(ABC):
    """Embeds cropped faces; `embed` is safe in many threads at once."""

    info: EmbedderInfo

    @abstractmethod
    def embed(self, crops: Sequence[Picture]) -> FloatRows:
        """Float32 (n, dim) of RGB uint8 (size, size, 3) crops, at least one."""
