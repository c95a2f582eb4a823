"""The one way from raw items to vectors: whoever wants rows of a model asks here."""

from collections.abc import Sequence

from embedders.base import DEFAULT_OPTIONS, EncodeOptions, Item
from services.runtime.encoding import EmbedResult, Encoding, gather, look_up
from services.runtime.models import Model
from services.runtime.pools import Pools, run_in
from services.runtime.queueing import Claim, Priority

# Calls of more items are bulk work: they gain little from haste, and others would wait for them.
BULK_ITEMS = 32


class Embedder:
    """Embeds raw items with loaded models."""

    def __init__(self, pools: Pools) -> None:
        self._pools = pools

    async def embed(
        self,
        model: Model,
        items: Sequence[Item],
        options: EncodeOptions = DEFAULT_OPTIONS,
        deadline: float | None = None,
        priority: Priority | None = None,
    ) -> EmbedResult:
        """Rows of a batch; items that fail are in `errors`, the others have their rows.

        Args:
            deadline: `time.monotonic()` value after which the caller does not want them.
            priority: None: interactive, or bulk where the items are many.

        Raises:
            ModelNotReadyError, OptionError, OverloadedError
        """
        encoder, batcher = model.ready(), model.batcher
        if batcher is None:
            outcomes, times = await run_in(self._pools.prepare, look_up, encoder, items, options)
        else:
            if priority is None:
                priority = Priority.BULK if len(items) > BULK_ITEMS else Priority.INTERACTIVE
            encoding = Encoding(encoder, batcher, self._pools, options)
            outcomes, times = await encoding.run(items, Claim(priority, deadline))
        return gather(encoder, options, outcomes, times)
