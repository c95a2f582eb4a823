"""The embedder that a source names."""

from pathlib import Path

from embedders.errors import ModelFormatError
from embedders.face.embedding.base import FaceEmbedder
from embedders.face.embedding.dlib import SOURCE as DLIB
from embedders.face.embedding.dlib import DlibEmbedder
from embedders.face.embedding.onnx import OnnxEmbedder
from embedders.face.embedding.ours import NetworkEmbedder
from embedders.sources import model_file

DEFAULT_SOURCE = "face-mini"
DESCRIPTIONS = (".yaml", ".yml")


def embedder_of(source: str) -> FaceEmbedder:
    """An embedder: "face-mini", "dlib", a safetensors file or its folder, or an ONNX file's YAML.

    Raises:
        ModelFormatError: there is none, or it is damaged.
        MissingExtraError: the package of "dlib" is not installed.
    """
    if source == DLIB:
        return DlibEmbedder()
    if source.endswith(DESCRIPTIONS):
        return OnnxEmbedder(Path(source).expanduser())
    if source.endswith(".onnx"):
        raise ModelFormatError(
            f"{source}: name a YAML that describes it (model, size, mean, scale; docs/faces.md)"
        )
    return NetworkEmbedder(model_file(source or DEFAULT_SOURCE))
