"""What runs a sentence model's transformer: torch, or its ONNX export in another runtime.

The export is made in memory when the model is loaded, from the safetensors weights: nothing is
downloaded, nothing is written. Pooling and what follows stay in torch. Rows are the same (an
export whose rows differ is refused), so the space is the same too.
"""

import logging
import os
from abc import abstractmethod
from collections.abc import Mapping
from importlib import import_module
from threading import local
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sentence_transformers import SentenceTransformer

from embedders.base import ComputeDtype
from embedders.errors import MissingExtraError, ModelFormatError, OptionError
from embedders.sentence.options import Backend

INPUTS = ("input_ids", "attention_mask", "token_type_ids")
OUTPUT = "last_hidden_state"
OPSET = 18

#: packages that a backend imports, and the compute formats that it has
PACKAGES: Mapping[Backend, tuple[str, ...]] = {
    Backend.TORCH: (),
    Backend.ONNX: ("onnx", "onnxscript", "onnxruntime"),
    Backend.OPENVINO: ("onnx", "onnxscript", "openvino"),
}
FORMATS: Mapping[Backend, frozenset[ComputeDtype]] = {
    Backend.TORCH: frozenset(ComputeDtype),
    Backend.ONNX: frozenset({ComputeDtype.FLOAT32}),
    Backend.OPENVINO: frozenset({ComputeDtype.FLOAT32, ComputeDtype.BFLOAT16}),
}

Ids = NDArray[np.int64]


def check_backend(backend: Backend, device: str) -> None:
    """Refuses a backend that cannot work here.

    Raises:
        OptionError: another device than the CPU; `field` is "backend".
        MissingExtraError: a package is not installed.
    """
    if backend is Backend.TORCH:
        return
    if device != "cpu":
        raise OptionError("backend", f"backend {backend} computes on the CPU; set device: cpu")
    for package in PACKAGES[backend]:
        try:
            import_module(package)
        except ModuleNotFoundError as error:
            raise MissingExtraError(f"backend {backend!r}", package, backend.value) from error


def check_format(backend: Backend, dtype: ComputeDtype) -> None:
    """Refuses a compute format that the backend does not have.

    Raises:
        OptionError: `field` is "compute_dtype".
    """
    if dtype not in FORMATS[backend]:
        known = ", ".join(sorted(FORMATS[backend]))
        raise OptionError("compute_dtype", f"backend {backend} computes in {known}, not {dtype}")


def replace_network(model: SentenceTransformer, backend: Backend, dtype: ComputeDtype) -> None:
    """Puts the backend in the place of a float32 model's transformer.

    Raises:
        ModelFormatError: the network cannot be exported.
    """
    first: Any = model[0]
    size = sum(tensor.numel() * tensor.element_size() for tensor in first.model.parameters())
    exported = _export(first.model)
    runtime = OnnxNetwork if backend is Backend.ONNX else OpenVinoNetwork
    config = first.model.config
    first.model = runtime(exported, dtype, size)
    # sentence-transformers asks the network for it
    first.model.config = config


class Network(torch.nn.Module):
    """A transformer in another runtime; safe in many threads.

    Args:
        memory_bytes: of its weights, as float32.
    """

    def __init__(self, inputs: tuple[str, ...], memory_bytes: int) -> None:
        super().__init__()
        self.inputs, self.memory_bytes = inputs, memory_bytes

    def forward(self, **features: Any) -> dict[str, torch.Tensor]:
        """Hidden states of a batch of token ids, float32 (n, tokens, d)."""
        arrays = {name: features[name].numpy() for name in self.inputs}
        return {OUTPUT: torch.from_numpy(self.run(arrays))}

    @abstractmethod
    def run(self, arrays: Mapping[str, Ids]) -> NDArray[np.float32]:
        """The same on arrays, int64 (n, tokens) each."""


class OnnxNetwork(Network):
    """ONNX Runtime, one thread a call."""

    def __init__(self, exported: bytes, dtype: ComputeDtype, memory_bytes: int) -> None:
        onnxruntime = import_module("onnxruntime")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(
            exported, options, providers=["CPUExecutionProvider"]
        )
        super().__init__(tuple(i.name for i in self._session.get_inputs()), memory_bytes)

    def run(self, arrays: Mapping[str, Ids]) -> NDArray[np.float32]:
        """See `Network`."""
        [rows] = self._session.run([OUTPUT], dict(arrays))
        return np.asarray(rows, dtype=np.float32)


class OpenVinoNetwork(Network):
    """OpenVINO: a stream of one thread for each core."""

    def __init__(self, exported: bytes, dtype: ComputeDtype, memory_bytes: int) -> None:
        core = import_module("openvino").Core()
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1
        self._compiled = core.compile_model(
            core.read_model(exported),
            "CPU",
            {
                "INFERENCE_PRECISION_HINT": "bf16" if dtype is ComputeDtype.BFLOAT16 else "f32",
                "INFERENCE_NUM_THREADS": cores,
                "NUM_STREAMS": cores,
            },
        )
        # a request holds the tensors of one call
        self._requests = local()
        super().__init__(tuple(i.any_name for i in self._compiled.inputs), memory_bytes)

    def run(self, arrays: Mapping[str, Ids]) -> NDArray[np.float32]:
        """See `Network`."""
        request = getattr(self._requests, "own", None)
        if request is None:
            request = self._requests.own = self._compiled.create_infer_request()
        # copied: the request writes its next result into the same memory
        return np.array(request.infer(dict(arrays))[OUTPUT], dtype=np.float32)


class _Hidden(torch.nn.Module):
    """A transformer as a function of its inputs in order."""

    def __init__(self, network: torch.nn.Module, names: tuple[str, ...]) -> None:
        super().__init__()
        self.network, self.names = network, names

    def forward(self, *arrays: torch.Tensor) -> torch.Tensor:
        hidden: torch.Tensor = self.network(**dict(zip(self.names, arrays, strict=True)))[OUTPUT]
        return hidden


def _export(network: Any) -> bytes:
    """The ONNX form of a transformer, with batch and length left open."""
    types = getattr(network.config, "type_vocab_size", 0)
    names = INPUTS if types else INPUTS[:2]
    # two of each: a size of one would be taken for fixed
    example = tuple(torch.ones((2, 8), dtype=torch.int64) for _ in names)
    open_sizes = {0: torch.export.Dim.DYNAMIC, 1: torch.export.Dim.DYNAMIC}
    logging.getLogger("onnxscript").setLevel(logging.WARNING)
    try:
        with torch.inference_mode(False), torch.no_grad():
            program = torch.onnx.export(
                _Hidden(network, names).eval(), example, dynamo=True, opset_version=OPSET,
                input_names=list(names), output_names=[OUTPUT], verbose=False,
                dynamic_shapes=(tuple(open_sizes for _ in names),),
            )  # fmt: skip
        assert program is not None
        return bytes(program.model_proto.SerializeToString())
    # the exporter raises errors of many kinds, all of which mean that it cannot
    except Exception as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ModelFormatError(
            f"the transformer cannot be exported to ONNX ({reason}); use backend: torch"
        ) from error
