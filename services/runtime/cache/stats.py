"""What a cache did since the start; plain counters, read by whoever shows them."""

from dataclasses import dataclass, field


@dataclass(slots=True)
class TierStats:
    """Counters of one store; all but `errors` count entries.

    Args:
        name: "memory", "redis" or "searches".
        stored: written.
        errors: operations that failed or took too long.
        bypassed: not asked for, since the store did not answer before.
        dropped: not written, since too much waited or the store did not answer.
        evictions: taken out to make room; Redis counts its own.
        bytes: held now; Redis counts its own.
        entries: held now; Redis counts its own.
        is_open: whether the circuit is open, that is, the store is left alone.
    """

    name: str
    hits: int = 0
    misses: int = 0
    stored: int = 0
    errors: int = 0
    bypassed: int = 0
    dropped: int = 0
    evictions: int = 0
    bytes: int = 0
    entries: int = 0
    is_open: bool = False


@dataclass(slots=True)
class CacheStats:
    """Counters of a whole cache; equal inputs of one call count once.

    Args:
        tiers: of each store, in the order asked.
        hits: inputs that some store knew.
        misses: inputs that were encoded.
        shared: inputs whose rows another call was making already.
        damaged: values that were there and could not be read.
    """

    tiers: tuple[TierStats, ...] = field(default=())
    hits: int = 0
    misses: int = 0
    shared: int = 0
    damaged: int = 0
