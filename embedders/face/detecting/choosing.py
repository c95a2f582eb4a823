"""The detector that an option names."""

from pathlib import Path

from embedders.errors import OptionError
from embedders.face.detecting.base import Detector
from embedders.face.detecting.cascade import CascadeDetector
from embedders.face.detecting.ultralight import UltraLightDetector

BUNDLED = "opencv"


def detector_of(name: str, min_side: int) -> Detector:
    """A detector: "opencv", or the path of an ONNX file.

    Raises:
        OptionError: neither of them.
        ModelFormatError: the file is not of a known kind.
    """
    if name == BUNDLED:
        return CascadeDetector(min_side)
    if not name.endswith(".onnx"):
        raise OptionError("detector", f"{name!r} is neither {BUNDLED!r} nor a path of a .onnx file")
    return UltraLightDetector(Path(name).expanduser(), min_side)
