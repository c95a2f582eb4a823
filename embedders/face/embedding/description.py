"""The YAML that describes an ONNX embedder of faces."""

from dataclasses import dataclass, fields
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, ClassVar

import yaml
from pydantic import Field

from embedders.errors import ModelFormatError, OptionError
from embedders.face.geometry import ARCFACE_EYES, Eyes
from embedders.options import STRICT, read_options

Share = Annotated[float, Field(ge=0, le=1)]


class Layout(StrEnum):
    """Order of the input's axes."""

    NCHW = "nchw"
    NHWC = "nhwc"


class Channels(StrEnum):
    """Order of the colours."""

    RGB = "rgb"
    BGR = "bgr"


@dataclass(frozen=True, slots=True)
class OnnxDescription:
    """How to feed an ONNX embedder of faces: (value - mean) / scale, then the named output.

    Args:
        model: the .onnx file, beside the description or below it.
        size: pixels of a side of the square input.
        mean: taken off each value 0 to 255; one number, or one for each channel in `channels`.
        scale: then divides it; likewise.
        output: name of the output; "" is the first.
        dim: numbers of an embedding; 0 takes what the model says.
        normalize: scale rows to unit length.
        left_eye: where the crops have it, x and y as shares of the side; the default of both
            eyes is the template of ArcFace.
        same_threshold: cosine from which two faces are the same person, if known.
    """

    __pydantic_config__: ClassVar = STRICT

    model: Annotated[str, Field(min_length=1)]
    size: Annotated[int, Field(ge=16, le=1024)] = 112
    layout: Layout = Layout.NCHW
    channels: Channels = Channels.RGB
    mean: float | tuple[float, float, float] = 127.5
    scale: float | tuple[float, float, float] = 128.0
    output: str = ""
    dim: Annotated[int, Field(ge=0, le=65_536)] = 0
    normalize: bool = True
    left_eye: tuple[Share, Share] = ARCFACE_EYES.left
    right_eye: tuple[Share, Share] = ARCFACE_EYES.right
    same_threshold: Annotated[float | None, Field(ge=-1, le=1)] = None

    @property
    def eyes(self) -> Eyes:
        """Where the crops have the eyes."""
        return Eyes(self.left_eye, self.right_eye)

    def parts(self) -> dict[str, str]:
        """All that changes vectors, but for the file's name and the threshold."""
        skipped = ("model", "same_threshold")
        names = [item.name for item in fields(self) if item.name not in skipped]
        return {name: str(getattr(self, name)) for name in names}


def read_description(path: Path) -> tuple[OnnxDescription, Path]:
    """The description and the path of its model.

    Raises:
        ModelFormatError: not such a file; names the field and what fits.
    """
    try:
        content: Any = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ModelFormatError(f"cannot read {path}: {error}") from error
    if not isinstance(content, dict) or not all(isinstance(name, str) for name in content):
        raise ModelFormatError(f"{path}: a mapping is wanted, such as `model: face.onnx`")
    try:
        described = read_options(OnnxDescription, content, str(path))
    except OptionError as error:
        raise ModelFormatError(str(error)) from error
    _check(path, described)
    return described, _beside(path, described.model)


def _check(path: Path, described: OnnxDescription) -> None:
    scales = described.scale if isinstance(described.scale, tuple) else (described.scale,)
    if not all(scales):
        raise ModelFormatError(f"{path}: scale: it divides, and so cannot be 0")
    if described.left_eye[0] >= described.right_eye[0]:
        raise ModelFormatError(f"{path}: left_eye: it must be left of right_eye in the picture")


def _beside(path: Path, name: str) -> Path:
    """The model's path: a description must not lead a server to files elsewhere."""
    folder = path.resolve().parent
    model = (folder / name).resolve()
    if not model.is_relative_to(folder):
        raise ModelFormatError(f"{path}: model: {name!r} is not in the folder of this file")
    return model
