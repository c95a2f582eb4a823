"""Texts and images to one space, exactly as open_clip gives them (Radford et al. 2021)."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import torch

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
from embedders.clip.files import ClipFiles
from embedders.clip.identity import revision_of, space_parts_of
from embedders.clip.loading import load_model
from embedders.clip.options import ClipOptions, DtypeChoice
from embedders.clip.pictures import Pictures
from embedders.clip.source import clip_files
from embedders.clip.tokens import TextIds, texts_of
from embedders.clip.towers import Towers
from embedders.devices import has_bfloat16, pick_device
from embedders.errors import InvalidItemError, ItemError, ItemTooLargeError, OptionError
from embedders.images import decode, patch_cost
from embedders.options import read_options
from embedders.sentence.grouping import length_groups
from embedders.vectors import FloatRows
from embedders.visible import check_visible

# in tokens: padding worth one more forward pass; the largest padded batch
CPU_WASTE, CPU_BUDGET = 48, 8_192
GPU_WASTE, GPU_BUDGET = 16_384, 131_072
# a fast JPEG keeps this many times the pixels of a side that the model's picture has
FAST_JPEG_MARGIN = 2
# how a label is put into words where the caller does not say
TEMPLATES = ("a photo of a {}",)


class ClipEncoder(Encoder):
    """A CLIP model behind the encoder contract: rows of unit length for texts and images.

    An empty text, or one of white space alone, means nothing and is refused.
    """

    options_type: ClassVar[type[Any]] = ClipOptions

    def __init__(self, model_id: str, files: ClipFiles, options: ClipOptions) -> None:
        device = pick_device(options.device)
        model: Any = load_model(files)
        self._options = options
        self._texts = texts_of(files)
        preprocess_cfg = dict(model.visual.preprocess_cfg)
        self._pictures = Pictures(preprocess_cfg)
        self._towers = Towers(files, model, self._texts, self._pictures, device)
        cuda = device.startswith("cuda")
        self._waste, self._budget = (GPU_WASTE, GPU_BUDGET) if cuda else (CPU_WASTE, CPU_BUDGET)
        dtype = self._choose_dtype(options.dtype, device)
        dim = int(files.model_cfg["embed_dim"])
        self._towers.check(self._towers.get(dtype), dtype, dim)
        self.info = ModelInfo(
            id=model_id,
            family="clip",
            modalities=frozenset({Modality.TEXT, Modality.IMAGE}),
            dim=dim,
            revision=revision_of(files),
            normalized=True,
            limits=Limits(
                max_tokens=self._texts.context,
                max_image_bytes=options.max_image_bytes,
                max_image_pixels=options.max_image_pixels,
            ),
            space_parts=space_parts_of(
                files, preprocess_cfg, self._texts.context, options.fast_jpeg
            ),
            compute_dtype=dtype,
            device=device,
            memory_bytes=self._towers.memory_bytes,
            logit_scale=float(model.logit_scale.exp()),
            logit_bias=None if model.logit_bias is None else float(model.logit_bias),
            templates=TEMPLATES,
        )

    @classmethod
    def load(cls, model_id: str, source: str, options: Mapping[str, Any]) -> "ClipEncoder":
        """A model by "clip-lite", "clip-mini", "ARCHITECTURE/TAG", "hf-hub:org/name" or path.

        Raises:
            ModelFormatError, MissingExtraError, OptionError
        """
        read = read_options(ClipOptions, options, f"model {model_id!r}")
        return cls(model_id, clip_files(source, read), read)

    def check_options(self, options: EncodeOptions) -> None:
        """Refuses options that do not fit; makes a compute format asked for the first time.

        Raises:
            OptionError
        """
        super().check_options(options)
        self._towers.get(options.compute_dtype or self.info.compute_dtype)

    def close(self) -> None:
        """Gives the memory of all formats back."""
        self._towers.close()

    def prepare(self, item: Item, options: EncodeOptions) -> Prepared:
        """Decodes, resizes and crops one image, or tokenises one text.

        Raises:
            InvalidItemError: an empty text, or a damaged image.
            ItemTooLargeError: over a limit, or truncated where that is refused.
        """
        if item.modality is Modality.IMAGE:
            return self._image(item.value)
        text = self._checked_text(item.value)
        [ids] = self._texts.tokenize([text])
        return self._text(ids, options)

    def prepare_batch(
        self, items: Sequence[Item], options: EncodeOptions = DEFAULT_OPTIONS
    ) -> list[Prepared | ItemError]:
        """Tokenises all texts in one call; images one by one; a bad item gives its error."""
        if any(item.modality is not Modality.TEXT for item in items):
            return super().prepare_batch(items, options)
        checked = [self._text_or_error(item) for item in items]
        ids = iter(self._texts.tokenize([text for text in checked if isinstance(text, str)]))
        return [
            self._prepared_or_error(next(ids), options) if isinstance(text, str) else text
            for text in checked
        ]

    def _forward(self, batch: Sequence[Prepared], options: EncodeOptions) -> Encoded:
        dtype = options.compute_dtype or self.info.compute_dtype
        model = self._towers.get(dtype)
        data = [item.data for item in batch]
        try:
            with torch.inference_mode():
                if batch[0].modality is Modality.IMAGE:
                    rows = self._towers.picture_rows(model, data, dtype).cpu().numpy()
                else:
                    rows = self._text_rows(model, data)
        # callers halve the batch, and need not know torch for that
        except torch.OutOfMemoryError as error:
            raise MemoryError(f"{self.info.device}: {error}") from error
        return Encoded.one_each(rows)

    def _text_rows(self, model: Any, data: list[Any]) -> FloatRows:
        groups = length_groups([len(ids) for ids in data], self._waste, self._budget)
        parts = [self._towers.text_rows(model, [data[i] for i in group]) for group in groups]
        # one copy from the device for all groups: each would wait for the stream
        found: FloatRows = torch.cat(parts).cpu().numpy()
        rows = np.empty_like(found)
        rows[np.concatenate(groups)] = found
        return rows

    def _image(self, value: str | bytes) -> Prepared:
        if not isinstance(value, bytes):
            raise InvalidItemError("an image is the bytes of its file")
        pictures = self._pictures
        at_least = FAST_JPEG_MARGIN * max(pictures.height, pictures.width)
        image = decode(
            value, self._options.image_limits, at_least if self._options.fast_jpeg else None
        )
        cost = patch_cost(pictures.width, pictures.height)
        return Prepared(pictures.shape(image), Modality.IMAGE, cost)

    def _checked_text(self, value: str | bytes) -> str:
        if not isinstance(value, str):
            raise InvalidItemError("a text is a string")
        check_visible(value)
        most = self._options.max_characters
        if len(value) > most:
            raise ItemTooLargeError(
                f"the text has {len(value)} characters, at most {most} are read"
            )
        try:
            value.encode()
        except UnicodeEncodeError as error:
            raise InvalidItemError(f"the text is not valid Unicode: {error.reason}") from None
        return value

    def _text_or_error(self, item: Item) -> str | ItemError:
        try:
            return self._checked_text(item.value)
        except ItemError as error:
            return error

    def _prepared_or_error(self, text: TextIds, options: EncodeOptions) -> Prepared | ItemError:
        try:
            return self._text(text, options)
        except ItemError as error:
            return error

    def _text(self, text: TextIds, options: EncodeOptions) -> Prepared:
        if text.truncated and options.refuse_truncation:
            raise ItemTooLargeError(
                f"the text has {text.tokens} tokens, at most {self._texts.context} fit"
            )
        return Prepared(text.ids, Modality.TEXT, len(text.ids), text.tokens, text.truncated)

    def _choose_dtype(self, choice: DtypeChoice, device: str) -> ComputeDtype:
        wanted = ComputeDtype.FLOAT32
        if choice is not DtypeChoice.AUTO:
            wanted = ComputeDtype(choice.value)
        elif has_bfloat16(device):
            wanted = ComputeDtype.BFLOAT16
        try:
            self._towers.get(wanted)
        except OptionError:
            if choice is not DtypeChoice.AUTO:
                raise
            wanted = ComputeDtype.FLOAT32
            self._towers.get(wanted)
        return wanted
