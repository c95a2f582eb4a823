"""What a face detector gives."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

from embedders.base import Region
from embedders.face.detecting.eyes import EyeFinder
from embedders.face.geometry import Face, Frame, Picture, supposed_eyes


@dataclass(frozen=True, slots=True)
class Found:
    """A detection: the detector's own box in pixels of the picture, and the frame about it."""

    region: Region
    frame: Frame


class Detector(ABC):
    """Finds faces; `detect` is safe in many threads at once.

    Args:
        min_side: frames with a shorter side, in pixels of the picture, are left out.
    """

    def __init__(self, min_side: int) -> None:
        self.min_side = min_side
        self._eyes = EyeFinder()

    def detect(self, picture: Picture) -> list[Face]:
        """Faces of an RGB uint8 (height, width, 3) picture, the largest first."""
        found = [f for f in self._find(picture) if f.frame.side >= self.min_side]
        found.sort(key=lambda f: f.frame.side, reverse=True)
        return [self._face(picture, f) for f in found]

    @abstractmethod
    def _find(self, picture: Picture) -> Sequence[Found]:
        """All detections, in any order."""

    def _face(self, picture: Picture, found: Found) -> Face:
        eyes = self._eyes.find(picture, found.frame)
        region = clipped(found.region, picture.shape[1], picture.shape[0])
        if eyes is None:
            return Face(region, supposed_eyes(found.frame))
        return Face(region, eyes, eyes_found=True)


def clipped(region: Region, width: int, height: int) -> Region:
    """The part of a region inside a picture of that size."""
    left, top = min(max(region.x, 0.0), width), min(max(region.y, 0.0), height)
    right = min(max(region.x + region.width, left), width)
    bottom = min(max(region.y + region.height, top), height)
    return Region(left, top, right - left, bottom - top, region.quality)
