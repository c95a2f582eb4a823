"""Models."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from latentspace.enums import Dtype, Modality, ModelOrigin, ModelState, from_wire
from latentspace.payloads import load_payload
from latentspace.v1 import embedding_service_pb2


@dataclass(frozen=True, slots=True)
class ModelLimits:
    """What a model accepts; 0 means no limit of its own."""

    max_tokens: int = 0
    max_image_bytes: int = 0
    max_image_pixels: int = 0
    max_batch_items: int = 0

    @classmethod
    def from_message(cls, message: embedding_service_pb2.ModelLimits) -> Self:
        """From the wire."""
        return cls(
            max_tokens=message.max_tokens,
            max_image_bytes=message.max_image_bytes,
            max_image_pixels=message.max_image_pixels,
            max_batch_items=message.max_batch_items,
        )


@dataclass(frozen=True, slots=True)
class Model:
    """A configured encoder.

    Args:
        revision: hash of the weights.
        state: None where the server is newer and names a state unknown here.
        vocabulary_size: keys of a lookup model; 0 where it has none.
        logit_scale: factor on cosines before the softmax; None where the model has none.
        same_threshold: calibrated score from which two items count as the same, or None.
        source: where its weights come from, as configured: a path of the server, a hub name or a
            packaged name; "" is the family's own.
        options: the family's options, as configured.
        origin: how it came to the server; None where that is older and does not say.
    """

    id: str
    family: str
    modalities: tuple[Modality, ...]
    dim: int
    space_id: str
    state: ModelState | None
    state_reason: str = ""
    revision: str = ""
    limits: ModelLimits = ModelLimits()
    roles: tuple[str, ...] = ()
    compute_dtype: Dtype | None = None
    device: str = ""
    normalized: bool = False
    vocabulary_size: int = 0
    logit_scale: float | None = None
    logit_bias: float | None = None
    same_threshold: float | None = None
    memory_bytes: int = 0
    source: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    origin: ModelOrigin | None = None

    @classmethod
    def from_message(cls, message: embedding_service_pb2.Model) -> Self:
        """From the wire."""
        modalities = (from_wire(Modality, number) for number in message.modalities)
        return cls(
            id=message.id,
            family=message.family,
            modalities=tuple(m for m in modalities if m is not None),
            dim=message.dim,
            space_id=message.space_id,
            state=from_wire(ModelState, message.state),
            state_reason=message.state_reason,
            revision=message.revision,
            limits=ModelLimits.from_message(message.limits),
            roles=tuple(message.roles),
            compute_dtype=from_wire(Dtype, message.compute_dtype),
            device=message.device,
            normalized=message.normalized,
            vocabulary_size=message.vocabulary_size,
            logit_scale=message.logit_scale if message.HasField("logit_scale") else None,
            logit_bias=message.logit_bias if message.HasField("logit_bias") else None,
            same_threshold=message.same_threshold if message.HasField("same_threshold") else None,
            memory_bytes=message.memory_bytes,
            source=message.source,
            options=load_payload(message.options),
            origin=from_wire(ModelOrigin, message.origin),
        )
