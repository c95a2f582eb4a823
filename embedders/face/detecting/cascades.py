"""OpenCV's bundled cascades, one object a thread: they are not safe to share."""

import threading
from pathlib import Path

import cv2
import cv2.data

from embedders.errors import ModelFormatError


class ThreadCascade:
    """A cascade by its file name in `cv2.data.haarcascades`.

    Raises:
        ModelFormatError: this build of OpenCV does not carry the file.
    """

    def __init__(self, name: str) -> None:
        self._path = Path(cv2.data.haarcascades) / name
        self._local = threading.local()
        if not self._path.is_file():
            raise ModelFormatError(
                f"OpenCV {cv2.__version__} does not carry {name}; install "
                "'opencv-python-headless<5', or set the option detector to an ONNX file"
            )

    @property
    def mine(self) -> cv2.CascadeClassifier:
        """This thread's own object."""
        cascade = getattr(self._local, "cascade", None)
        if cascade is None:
            cascade = self._local.cascade = cv2.CascadeClassifier(str(self._path))
        return cascade
