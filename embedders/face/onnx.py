"""ONNX files: opened without surprises."""

from pathlib import Path
from typing import Any

import onnxruntime

from embedders.errors import ModelFormatError


def open_onnx(path: Path, threads: int = 1) -> Any:
    """An onnxruntime session on the CPU; its `run` is safe in many threads.

    Raises:
        ModelFormatError: there is no such file, or onnxruntime cannot run it.
    """
    if not path.is_file():
        raise ModelFormatError(f"there is no file {path}")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # errors only: some exporters leave initialisers that it warns of one by one
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    # onnxruntime raises classes of its own that share no base but this one
    except Exception as error:
        raise ModelFormatError(f"{path}: onnxruntime cannot open it: {error}") from error


def output_name(session: Any, wanted: str, path: Path) -> str:
    """The name of an output; "" is the first.

    Raises:
        ModelFormatError: there is none of that name.
    """
    names = [output.name for output in session.get_outputs()]
    if not wanted:
        return str(names[0])
    if wanted not in names:
        raise ModelFormatError(f"{path} has no output {wanted!r}; it has: {', '.join(names)}")
    return wanted
