"""Texts to vectors, exactly as `SentenceTransformer.encode` gives them (Reimers, Gurevych 2019)."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules import Normalize

from embedders.base import (
    DEFAULT_OPTIONS,
    ComputeDtype,
    Encoded,
    EncodeOptions,
    Encoder,
    Item,
    Limits,
    Modality,
    ModelInfo,
    Prepared,
)
from embedders.devices import has_bfloat16, pick_device
from embedders.errors import InvalidItemError, ItemError, ItemTooLargeError, OptionError
from embedders.options import read_options
from embedders.sentence.features import TextTokens, features_of
from embedders.sentence.grouping import length_groups
from embedders.sentence.identity import revision_of, space_parts_of
from embedders.sentence.modules import ModuleSet, forward
from embedders.sentence.options import DtypeChoice, SentenceOptions
from embedders.sentence.source import model_folder
from embedders.sentence.wrapping import identity_folder
from embedders.vectors import FloatRows

# in tokens: padding worth one more forward pass (measured with MiniLM); the largest padded batch
CPU_WASTE, CPU_BUDGET = 48, 8_192
GPU_WASTE, GPU_BUDGET = 16_384, 131_072


class SentenceEncoder(Encoder):
    """A sentence-transformers model behind the encoder contract.

    A text without a visible character means nothing and is refused. Rows are as the
    model's own modules make them: of unit length only where the model normalises.
    """

    options_type: ClassVar[type[Any]] = SentenceOptions

    def __init__(self, model_id: str, folder: Path, options: SentenceOptions) -> None:
        device = pick_device(options.device)
        self._options = options
        self._modules = ModuleSet(folder, options, device)
        dtype = self._choose_dtype(options.dtype, device)
        model = self._modules.get(dtype)
        self._features = features_of(model)
        cuda = device.startswith("cuda")
        self._waste, self._budget = (GPU_WASTE, GPU_BUDGET) if cuda else (CPU_WASTE, CPU_BUDGET)
        self.info = self._describe(model_id, folder, model, dtype)

    @classmethod
    def load(cls, model_id: str, source: str, options: Mapping[str, Any]) -> "SentenceEncoder":
        """A model by path, hub name, or "minilm".

        Raises:
            ModelFormatError, MissingExtraError, OptionError
        """
        read = read_options(SentenceOptions, options, f"model {model_id!r}")
        return cls(model_id, model_folder(source, read), read)

    def check_options(self, options: EncodeOptions) -> None:
        """Refuses options that do not fit; loads a compute format asked for the first time.

        Raises:
            OptionError
        """
        super().check_options(options)
        self._modules.get(options.compute_dtype or self.info.compute_dtype)

    def prepare(self, item: Item, options: EncodeOptions) -> Prepared:
        """Tokenises one text.

        Raises:
            InvalidItemError: without a visible character, or not valid Unicode.
            ItemTooLargeError: too many characters, or tokens where truncation is refused.
        """
        [prepared] = self.prepare_batch([item], options)
        if isinstance(prepared, ItemError):
            raise prepared
        return prepared

    def prepare_batch(
        self, items: Sequence[Item], options: EncodeOptions = DEFAULT_OPTIONS
    ) -> list[Prepared | ItemError]:
        """Tokenises all texts in one call of the tokenizer; a bad one gives its error."""
        checked = [self._text_or_error(item) for item in items]
        texts = [text for text in checked if isinstance(text, str)]
        tokens = iter(self._features.tokenize(texts, options.role) if texts else ())
        return [
            text if isinstance(text, ItemError) else self._prepared(next(tokens), options)
            for text in checked
        ]

    def _forward(self, batch: Sequence[Prepared], options: EncodeOptions) -> Encoded:
        model = self._modules.get(options.compute_dtype or self.info.compute_dtype)
        groups = length_groups([item.cost for item in batch], self._waste, self._budget)
        try:
            with torch.inference_mode():
                parts = [
                    forward(
                        model,
                        self._features.collate([batch[i].data for i in group], options.role),
                        options.role,
                    )
                    for group in groups
                ]
                # one copy from the device for all groups: each would wait for the stream
                found: FloatRows = torch.cat(parts).cpu().numpy()
        # callers halve the batch, and need not know torch for that
        except torch.OutOfMemoryError as error:
            raise MemoryError(f"{self.info.device}: {error}") from error
        rows = np.empty_like(found)
        rows[np.concatenate(groups)] = found
        return Encoded.one_each(rows)

    def _text_or_error(self, item: Item) -> str | ItemError:
        try:
            self.check_item(item)
            return _checked_text(item.value, self._options.max_characters)
        except ItemError as error:
            return error

    def _prepared(self, text: TextTokens, options: EncodeOptions) -> Prepared | ItemError:
        if text.truncated and options.refuse_truncation:
            return ItemTooLargeError(
                f"the text has {text.tokens} tokens, at most {self._features.max_tokens} fit"
            )
        return Prepared(text.data, Modality.TEXT, text.cost, text.tokens, text.truncated)

    def _choose_dtype(self, choice: DtypeChoice, device: str) -> ComputeDtype:
        if choice is not DtypeChoice.AUTO:
            return ComputeDtype(choice.value)
        if not has_bfloat16(device):
            return ComputeDtype.FLOAT32
        try:
            self._modules.get(ComputeDtype.BFLOAT16)
        except OptionError:
            return ComputeDtype.FLOAT32
        return ComputeDtype.BFLOAT16

    def _describe(
        self, model_id: str, folder: Path, model: SentenceTransformer, dtype: ComputeDtype
    ) -> ModelInfo:
        dim = int(model.get_embedding_dimension() or 0)
        cut = min(model.truncate_dim or dim, dim)
        last = list(model.children())[-1]
        files = identity_folder(folder)
        return ModelInfo(
            id=model_id,
            family="sentence",
            modalities=frozenset({Modality.TEXT}),
            dim=cut,
            revision=revision_of(files),
            normalized=isinstance(last, Normalize) and cut == dim,
            limits=Limits(max_tokens=self._features.max_tokens),
            prompts={role: prompt or "" for role, prompt in model.prompts.items()},
            space_parts=space_parts_of(files, self._features.max_tokens),
            compute_dtype=dtype,
            device=str(model.device),
            memory_bytes=self._modules.memory_bytes,
        )


def _checked_text(value: str | bytes, max_characters: int) -> str:
    if not isinstance(value, str):
        raise InvalidItemError("a text is a string")
    if len(value) > max_characters:
        raise ItemTooLargeError(
            f"the text has {len(value)} characters, at most {max_characters} are read"
        )
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise InvalidItemError(f"the text is not valid Unicode: {error.reason}") from None
    return value
