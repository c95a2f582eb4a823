"""A model of the service in a process of the cluster, asked as the server asks its own."""

import asyncio
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from embedders import registry
from embedders.base import EncodeOptions, Item
from embedders.errors import EmbedderError
from latentspace.enums import Modality as Made
from latentspace.errors import FailedPreconditionError
from latentspace.inputs import VectorInput
from services.runtime.batching import BatchLimits
from services.runtime.embedder import Embedder
from services.runtime.models import ModelConfig, ModelRegistry
from services.runtime.points import one_row_each
from services.runtime.pools import Pools
from services.runtime.process import settle

# where it runs is this machine's affair, not the server's
LOCAL_OPTIONS = frozenset({"device"})
# one job is all there is: it waits as long as it takes
LIMITS = BatchLimits(max_queue_cost=1 << 60, max_wait_s=float("inf"))


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """A model as the server has it.

    Args:
        space_id: of its vectors, to know that these are the same weights; "" where the server has
            not loaded it, and looks at the vectors themselves.
        dim: of the collection; where it has fewer numbers than the model, the first are kept.
        threads: cores that one process may compute with.
    """

    id: str
    family: str
    source: str
    space_id: str
    options: Mapping[str, Any] = field(default_factory=dict)
    dim: int = 0
    threads: int = 1


class HostedModel:
    """A loaded model.

    Raises:
        FailedPreconditionError: it cannot be loaded here, or has other weights than the server's.
    """

    def __init__(self, spec: ModelSpec) -> None:
        settle(spec.threads)
        options = {k: value for k, value in spec.options.items() if k not in LOCAL_OPTIONS}
        pools = Pools(spec.threads)
        models = ModelRegistry(
            [ModelConfig(spec.id, spec.family, spec.source, options)], pools, LIMITS, registry.load
        )
        self._runner = asyncio.Runner()
        self._embedder = Embedder(pools)
        self._dim = spec.dim
        try:
            self._model = self._runner.run(models.load(spec.id))
        except (EmbedderError, OSError) as error:
            raise FailedPreconditionError(f"{_here(spec)} cannot be loaded: {error}") from error
        found = self._model.ready().info.space_id
        if spec.space_id and found != spec.space_id:
            raise FailedPreconditionError(
                f"{_here(spec)} is of the space {found}, the server's of {spec.space_id}: install"
                " the same version and weights on both"
            )

    def embed(
        self, items: Sequence[Item], options: EncodeOptions
    ) -> tuple[dict[int, VectorInput], dict[int, Exception]]:
        """Vectors and errors of the items, by position.

        Raises:
            OptionError
        """
        # as the server does
        if not options.dimensions and self._dim < self._model.ready().info.dim:
            options = replace(options, dimensions=self._dim)
        found = self._runner.run(self._embedder.embed_patiently(self._model, items, options))
        errors = dict(found.errors)
        rows, places = one_row_each(found, len(items), errors)
        vectors = {
            place: VectorInput(found.rows[row], found.space_id, Made(items[place].modality.value))
            for row, place in zip(rows, places, strict=True)
        }
        return vectors, errors


def _here(spec: ModelSpec) -> str:
    return f"model {spec.id!r} on {socket.gethostname()}"
