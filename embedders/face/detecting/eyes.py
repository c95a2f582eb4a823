"""The eyes of a face, by OpenCV's eye cascade."""

import cv2
import numpy as np

from embedders.face.detecting.cascades import ThreadCascade
from embedders.face.geometry import Eyes, Frame, Picture

CASCADE = "haarcascade_eye.xml"
# pixels that a frame is scaled to: the cascade's window of 20 pixels then fits an eye
SIDE = 128
SMALLEST, LARGEST = 20, 52
NEIGHBOURS = 4
# the band of a frame in which eyes are, as shares of its side
TOP, BOTTOM = 0.18, 0.58
# plausible pairs: distance as a share of the side, steepness, distance of their middle from x 1/2
NEAREST, FARTHEST, STEEPEST, ASKEW = 0.26, 0.48, 0.36, 0.1


class EyeFinder:
    """Finds both eyes in a frame, or nothing; safe in many threads."""

    def __init__(self) -> None:
        self._cascade = ThreadCascade(CASCADE)

    def find(self, picture: Picture, frame: Frame) -> Eyes | None:
        """Eyes in pixels of the picture; None where no plausible pair is seen."""
        grey = _cut(picture, frame)
        if grey is None:
            return None
        boxes = self._cascade.mine.detectMultiScale(
            grey,
            scaleFactor=1.1,
            minNeighbors=NEIGHBOURS,
            minSize=(SMALLEST, SMALLEST),
            maxSize=(LARGEST, LARGEST),
        )
        numbers = [[float(value) for value in box] for box in boxes]
        centres = [((x + w / 2) / SIDE, TOP + (y + h / 2) / SIDE) for x, y, w, h in numbers]
        pair = _best_pair(centres)
        return None if pair is None else pair.placed(frame.x, frame.y, frame.side)


def _cut(picture: Picture, frame: Frame) -> Picture | None:
    """The band of the eyes, grey and scaled; None where the picture does not hold it all."""
    top, bottom = (round(frame.y + share * frame.side) for share in (TOP, BOTTOM))
    left, right = round(frame.x), round(frame.x + frame.side)
    if left < 0 or top < 0 or right > picture.shape[1] or bottom > picture.shape[0]:
        return None
    band = picture[top:bottom, left:right]
    size = (SIDE, round((BOTTOM - TOP) * SIDE))
    how = cv2.INTER_AREA if frame.side > SIDE else cv2.INTER_LINEAR
    scaled = cv2.resize(band, size, interpolation=how)
    grey = cv2.equalizeHist(cv2.cvtColor(scaled, cv2.COLOR_RGB2GRAY))
    return np.asarray(grey, dtype=np.uint8)


def _best_pair(centres: list[tuple[float, float]]) -> Eyes | None:
    """Of the plausible pairs the one most evenly about the middle."""
    pairs = [Eyes(a, b) for a in centres for b in centres if a[0] < b[0] and _plausible(a, b)]
    return min(pairs, key=lambda p: abs(p.left[0] + p.right[0] - 1), default=None)


def _plausible(a: tuple[float, float], b: tuple[float, float]) -> bool:
    across, down = b[0] - a[0], abs(b[1] - a[1])
    middle = abs((a[0] + b[0]) / 2 - 0.5)
    return NEAREST <= across <= FARTHEST and down <= STEEPEST * across and middle <= ASKEW
