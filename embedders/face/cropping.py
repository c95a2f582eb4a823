"""From a photo to its cropped faces."""

from collections.abc import Sequence
from dataclasses import dataclass

from embedders.base import Region
from embedders.face.conventions import CropAligner, CropConvention
from embedders.face.detecting.base import Detector
from embedders.face.geometry import Eyes, Picture, align


@dataclass(frozen=True, slots=True)
class Crops:
    """Cropped faces of a photo, RGB uint8 (size, size, 3) each, and where they were."""

    pictures: Sequence[Picture]
    regions: Sequence[Region] = ()


class Cropper:
    """Cuts faces as an embedder wants them; safe in many threads.

    Args:
        eyes: where the eyes shall be, as shares of the side.
        size: pixels of a side.
        min_quality: detections below it are left out.
        max_faces: keep only so many of the largest (0: all).
        crops: how pictures that are cropped faces already were cut.
    """

    def __init__(
        self,
        detector: Detector,
        eyes: Eyes,
        size: int,
        min_quality: float = 0.0,
        max_faces: int = 0,
        crops: CropConvention = CropConvention.MODEL,
    ) -> None:
        self._detector, self._eyes, self._size = detector, eyes, size
        self._min_quality, self._max_faces = min_quality, max_faces or None
        self._aligner = CropAligner(crops, detector, eyes, size)

    def cut(self, picture: Picture) -> Crops:
        """The faces of an RGB uint8 (height, width, 3) picture, the largest first; maybe none."""
        faces = self._detector.detect(picture)
        faces = [f for f in faces if f.region.quality >= self._min_quality][: self._max_faces]
        pictures = [align(picture, face.eyes, self._eyes, self._size) for face in faces]
        return Crops(pictures, [face.region for face in faces])

    def whole(self, picture: Picture) -> Crops:
        """A picture that is a cropped face already.

        Raises:
            NoFaceError: it cannot be aligned, as `CropAligner` says.
        """
        return Crops([self._aligner(picture)])
