"""The loaded modules of a sentence model, one copy a compute format.

A format is loaded from disk when it is first asked for and stays: float32 costs 4 bytes a
parameter, the others 2. Only the first module (the transformer, nearly all of the work) computes
in the format; pooling and the heads after it compute in float32. A format other than float32 is
served only if its rows agree with float32 (cosine at least 0.999 on probe texts).
"""

import logging
from collections.abc import Mapping
from pathlib import Path
from threading import Lock
from typing import Any

import torch
from safetensors import SafetensorError
from sentence_transformers import SentenceTransformer

from embedders.base import ComputeDtype
from embedders.errors import ModelFormatError, OptionError
from embedders.quiet import quiet_loading
from embedders.sentence.backends import Network, check_backend, check_format, replace_network
from embedders.sentence.options import Backend, SentenceOptions
from embedders.sentence.scripted import script_network

TORCH_DTYPES: Mapping[ComputeDtype, torch.dtype] = {
    ComputeDtype.FLOAT32: torch.float32,
    ComputeDtype.FLOAT16: torch.float16,
    ComputeDtype.BFLOAT16: torch.bfloat16,
}
MIN_COSINE = 0.999
# of the same format in another runtime
MIN_COSINE_EXACT = 0.99999
PROBES = (
    "A man is playing a guitar.",
    "The stock market fell sharply after the announcement.",
    "How do vaccines protect against viral infections?",
    "Stars form when clouds of gas and dust collapse under their own gravity.",
    "ok",
)
log = logging.getLogger(__name__)


class ModuleSet:
    """Modules by compute format; safe in many threads."""

    def __init__(self, folder: Path, options: SentenceOptions, device: str) -> None:
        check_backend(options.backend, device)
        self._folder, self._options = folder, options
        self.device = device
        self._loaded: dict[ComputeDtype, SentenceTransformer] = {}
        self._lock = Lock()

    def get(self, dtype: ComputeDtype) -> SentenceTransformer:
        """The modules in a format, loaded now where they were not.

        Raises:
            OptionError: rows in this format differ too much from float32.
            ModelFormatError: files are damaged.
        """
        # read without the lock: it is held for a second while a format is loaded
        found = self._loaded.get(dtype)
        if found is None:
            with self._lock:
                found = self._loaded.get(dtype) or self._load_checked(dtype)
                self._loaded[dtype] = found
        return found

    @property
    def memory_bytes(self) -> int:
        """Bytes of all parameters and buffers held."""
        return sum(_size(model) for model in list(self._loaded.values()))

    def _load_checked(self, dtype: ComputeDtype) -> SentenceTransformer:
        backend = self._options.backend
        if backend is not Backend.TORCH:
            return self._load_exported(backend, dtype)
        model = self._load(dtype)
        with quiet_loading():
            script_network(model[0])
        if dtype is not ComputeDtype.FLOAT32:
            exact = self._loaded.get(ComputeDtype.FLOAT32) or self._load(ComputeDtype.FLOAT32)
            self._check_rows(_probe(exact), model, dtype)
        return model

    def _load_exported(self, backend: Backend, dtype: ComputeDtype) -> SentenceTransformer:
        check_format(backend, dtype)
        model = self._load(ComputeDtype.FLOAT32)
        exact = _probe(model)
        replace_network(model, backend, dtype)
        self._check_rows(exact, model, dtype)
        return model

    def _check_rows(
        self, exact: torch.Tensor, model: SentenceTransformer, dtype: ComputeDtype
    ) -> None:
        """Refuses rows that are too far from those of torch in float32."""
        worst = float(torch.nn.functional.cosine_similarity(exact, _probe(model)).min())
        log.info("%s: %s agrees with float32 to a cosine of %.5f", self._folder, dtype, worst)
        least = MIN_COSINE_EXACT if dtype is ComputeDtype.FLOAT32 else MIN_COSINE
        if not worst >= least:  # this way round NaN is refused too
            raise OptionError(
                "compute_dtype",
                f"{dtype} rows of this model agree with float32 only to a cosine of "
                f"{worst:.4f}, {least} is asked; use float32 and backend: torch",
            )

    def _load(self, dtype: ComputeDtype) -> SentenceTransformer:
        try:
            with quiet_loading():
                model = self._construct(dtype)
        except (OSError, ValueError, KeyError, TypeError, RuntimeError, ImportError) as error:
            raise ModelFormatError(f"{self._folder}: cannot be loaded: {error}") from error
        except SafetensorError as error:
            raise ModelFormatError(f"{self._folder}: damaged weights: {error}") from error
        for module in list(model.children())[1:]:
            module.float()
        return model.eval()

    def _construct(self, dtype: ComputeDtype) -> SentenceTransformer:
        options = self._options
        model = SentenceTransformer(
            str(self._folder),
            device=self.device,
            prompts=options.prompts or None,
            local_files_only=True,
            trust_remote_code=False,
            model_kwargs={"use_safetensors": True, "dtype": TORCH_DTYPES[dtype]},
        )
        if options.max_tokens:
            own = model.max_seq_length or options.max_tokens
            model.max_seq_length = min(options.max_tokens, own)
        return model


def forward(model: SentenceTransformer, features: dict[str, Any], role: str) -> torch.Tensor:
    """Sentence embeddings of a batch of features, float32 (n, dim), on the model's device."""
    device = model.device
    moved = {
        name: value.to(device, non_blocking=True) if isinstance(value, torch.Tensor) else value
        for name, value in features.items()
    }
    task = role if role in ("query", "document") else None
    for module in model.children():
        moved = _call(model, module, moved, task)
        for name in ("token_embeddings", "sentence_embedding"):
            if name in moved:
                moved[name] = moved[name].float()
    rows: torch.Tensor = moved["sentence_embedding"]
    return rows if model.truncate_dim is None else rows[:, : model.truncate_dim]


def _call(
    model: SentenceTransformer, module: torch.nn.Module, features: dict[str, Any], task: str | None
) -> dict[str, Any]:
    wanted = getattr(module, "forward_kwargs", ())
    if task is not None and "task" in wanted:
        return dict(module(features, task=task))
    return dict(module(features))


def _probe(model: SentenceTransformer) -> torch.Tensor:
    """Rows of the probe texts, float32 (n, dim)."""
    with torch.inference_mode():
        return forward(model, model.preprocess(list(PROBES)), "document")


def _size(model: SentenceTransformer) -> int:
    tensors = [*model.parameters(), *model.buffers()]
    exported = [module for module in model.modules() if isinstance(module, Network)]
    size: int = sum(tensor.numel() * tensor.element_size() for tensor in tensors)
    return size + sum(network.memory_bytes for network in exported)
