"""Faces by OpenCV's bundled cascade (Viola and Jones 2001; Lienhart 2002): no download."""

from collections.abc import Sequence

import cv2

from embedders.base import Region
from embedders.face.detecting.base import Detector, Found
from embedders.face.detecting.cascades import ThreadCascade
from embedders.face.geometry import Frame, Picture

CASCADE = "haarcascade_frontalface_alt.xml"
# the longer side of what is searched: the time grows with the pixels
SIDE = 640
SCALE_STEP, NEIGHBOURS, WINDOW = 1.1, 3, 24
# overlapping hits of a face at which quality is one half
HALF_HITS = 10


class CascadeDetector(Detector):
    """Frontal upright faces of at least about 1/27 of the longer side of the picture.

    Quality grows with the overlapping hits that make up a face: 3 are needed, 10 give one half.
    """

    def __init__(self, min_side: int) -> None:
        super().__init__(min_side)
        self._cascade = ThreadCascade(CASCADE)

    def _find(self, picture: Picture) -> Sequence[Found]:
        scale = min(1.0, SIDE / max(picture.shape[:2]))
        small = picture
        if scale < 1:
            small = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        if min(small.shape[:2]) < WINDOW:
            return []
        boxes, hits = self._cascade.mine.detectMultiScale2(
            cv2.equalizeHist(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY)),
            scaleFactor=SCALE_STEP,
            minNeighbors=NEIGHBOURS,
            minSize=(WINDOW, WINDOW),
        )
        return [
            _found([float(value) / scale for value in box], int(count))
            for box, count in zip(boxes, hits, strict=True)
        ]


def _found(box: list[float], hits: int) -> Found:
    x, y, side, _ = box
    quality = hits / (hits + HALF_HITS)
    return Found(Region(x, y, side, side, quality), Frame(x, y, side))
