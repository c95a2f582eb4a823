"""Raw items through a model, without any cache: prepared in threads, batched, gathered again."""

import asyncio
import time
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from embedders.base import Encoded, EncodeOptions, Encoder, Item, Modality, Prepared, Region
from embedders.errors import ItemError
from embedders.vectors import FloatRows, IndexArray
from services.runtime.batching import Batcher, BatchLimits, is_out_of_memory
from services.runtime.memory import release_memory
from services.runtime.pools import Pools, run_in
from services.runtime.queueing import Claim

# Items prepared in one thread hop: large calls start encoding before all is prepared.
PREPARE_CHUNK = 256
# Texts of so few characters are tokenised in the event loop: that takes less than a thread hop.
QUICK_CHARACTERS = 1024
# Decoding an image takes milliseconds, so calls with images go in small blocks: several threads
# decode while the model encodes what is ready, and a long call holds few decoded pictures.
IMAGE_BLOCK = 8
BLOCKS_IN_FLIGHT = 16


@dataclass(frozen=True, slots=True)
class Embedded:
    """What a model makes of one input.

    Args:
        rows: float32 (r, dim); none, one or more.
        regions: for each row its place in the image; empty unless the model detects.
        tokens: before truncation; 0 for inputs that are not text.
    """

    rows: FloatRows
    regions: Sequence[Region] = ()
    tokens: int = 0
    truncated: bool = False
    composed: bool = False


Rows = tuple[FloatRows, Sequence[Region]]
EncodeBatcher = Batcher[Prepared, Rows]
Outcome = Embedded | Exception


@dataclass(frozen=True, slots=True)
class Times:
    """Nanoseconds of a call's stages."""

    queue_ns: int = 0
    prepare_ns: int = 0
    encode_ns: int = 0

    def or_longer(self, other: "Times") -> "Times":
        """The slower of two calls that ran side by side, stage by stage."""
        return Times(
            max(self.queue_ns, other.queue_ns),
            max(self.prepare_ns, other.prepare_ns),
            max(self.encode_ns, other.encode_ns),
        )


NO_TIMES = Times()


@dataclass(frozen=True, slots=True)
class EmbedResult:
    """Rows of a call.

    Args:
        rows: float32 (r, dim).
        index: intp (r,), position of each row's input, ascending.
        tokens: for each input its tokens before truncation; empty where no input is text.
        errors: inputs that failed, by position.
    """

    rows: FloatRows
    index: IndexArray
    space_id: str
    regions: Sequence[Region] = ()
    tokens: Sequence[int] = ()
    truncated: Sequence[int] = ()
    composed: Sequence[int] = ()
    errors: Mapping[int, Exception] = field(default_factory=dict)
    times: Times = NO_TIMES


def encode_batcher(encoder: Encoder, pools: Pools, limits: BatchLimits) -> EncodeBatcher:
    """The queue of one model; batches are of one modality and one set of options."""

    async def work(key: Hashable, batch: Sequence[Prepared]) -> list[Rows | Exception]:
        assert isinstance(key, tuple)
        try:
            encoded = await run_in(pools.encode, encoder.encode, batch, key[1])
        except Exception as error:
            if is_out_of_memory(error):
                await run_in(pools.load, release_memory)
            raise
        return split(encoded, len(batch))

    if encoder.info.device != "cpu":
        # one batch a device at a time; the next is prepared meanwhile
        limits = replace(limits, lanes=1)
    return Batcher(f"model {encoder.info.id!r}", work, limits)


def split(encoded: Encoded, count: int) -> list[Rows | Exception]:
    """What each of `count` inputs got."""
    bounds = np.searchsorted(encoded.index, np.arange(count + 1))
    found: list[Rows | Exception] = []
    for position in range(count):
        low, high = int(bounds[position]), int(bounds[position + 1])
        regions = () if encoded.regions is None else encoded.regions[low:high]
        error = encoded.errors.get(position)
        found.append((encoded.rows[low:high], regions) if error is None else error)
    return found


def look_up(
    encoder: Encoder, items: Sequence[Item], options: EncodeOptions
) -> tuple[list[Outcome], Times]:
    """Both steps at once, for models that are faster than a queue; to be called in a thread.

    Raises:
        OptionError
    """
    started = time.perf_counter_ns()
    encoder.check_options(options)
    prepared = encoder.prepare_batch(items, options)
    between = time.perf_counter_ns()
    good = [p for p in prepared if isinstance(p, Prepared)]
    rows = split(encoder.encode(good, options), len(good)) if good else []
    times = Times(0, between - started, time.perf_counter_ns() - between)
    return _outcomes(prepared, rows), times


@dataclass(frozen=True, slots=True)
class Encoding:
    """How one call goes through a model's queue."""

    encoder: Encoder
    batcher: EncodeBatcher
    pools: Pools
    options: EncodeOptions

    async def run(self, items: Sequence[Item], claim: Claim) -> tuple[list[Outcome], Times]:
        """What became of each item, in order.

        Raises:
            OptionError: an option does not fit the model.
            OverloadedError: the model's queue is full; nothing was done.
        """
        with self.batcher.admit(len(items), claim):
            if len(items) > IMAGE_BLOCK and any(i.modality is Modality.IMAGE for i in items):
                return await self._in_blocks(items, claim)
            return await self._prepare_and_queue(items, claim)

    async def _in_blocks(self, items: Sequence[Item], claim: Claim) -> tuple[list[Outcome], Times]:
        """Blocks side by side, gathered in the order given."""
        gate = asyncio.Semaphore(BLOCKS_IN_FLIGHT)

        async def one(start: int) -> tuple[list[Outcome], Times]:
            async with gate:
                return await self._prepare_and_queue(items[start : start + IMAGE_BLOCK], claim)

        tasks = [asyncio.ensure_future(one(start)) for start in range(0, len(items), IMAGE_BLOCK)]
        try:
            parts = await asyncio.gather(*tasks)
        finally:
            # where one block failed as a whole, the caller wants none of the others
            for task in tasks:
                task.cancel()
        times = Times()
        for _, part in parts:
            times = times.or_longer(part)
        return [outcome for outcomes, _ in parts for outcome in outcomes], times

    async def _prepare_and_queue(
        self, items: Sequence[Item], claim: Claim
    ) -> tuple[list[Outcome], Times]:
        started = time.perf_counter_ns()
        prepared = await self._prepare(items)
        prepare_ns = time.perf_counter_ns() - started
        good = [p for p in prepared if isinstance(p, Prepared)]
        rows, queue_ns, work_ns = await self._queue(good, claim)
        return _outcomes(prepared, rows), Times(queue_ns, prepare_ns, work_ns)

    async def _prepare(self, items: Sequence[Item]) -> list[Prepared | ItemError]:
        """CPU work on items in threads, a chunk a hop."""

        def work(chunk: Sequence[Item]) -> list[Prepared | ItemError]:
            # Checked here: an option may load another compute format first.
            self.encoder.check_options(self.options)
            return self.encoder.prepare_batch(chunk, self.options)

        if self.options.compute_dtype is None and is_quick(items):
            return work(items)
        found: list[Prepared | ItemError] = []
        for start in range(0, len(items), PREPARE_CHUNK):
            found += await run_in(self.pools.prepare, work, items[start : start + PREPARE_CHUNK])
        return found

    async def _queue(
        self, good: Sequence[Prepared], claim: Claim
    ) -> tuple[list[Rows | Exception], int, int]:
        """Modality by modality; results in the order given."""
        rows: dict[int, Rows | Exception] = {}
        queue_ns = work_ns = 0
        for modality in sorted({p.modality for p in good}):
            places = [i for i, p in enumerate(good) if p.modality == modality]
            batch = [good[i] for i in places]
            result = await self.batcher.run(
                batch, [p.cost for p in batch], (modality, self.options), claim, admitted=True
            )
            rows.update(zip(places, result.results, strict=True))
            queue_ns = max(queue_ns, result.queue_ns)
            work_ns += result.work_ns
        return [rows[i] for i in range(len(good))], queue_ns, work_ns


def is_quick(items: Sequence[Item]) -> bool:
    """Whether these are texts, and short ones."""
    left = QUICK_CHARACTERS
    for item in items:
        left -= len(item.value) if item.modality is Modality.TEXT else QUICK_CHARACTERS
        if left <= 0:
            return False
    return True


def _outcomes(
    prepared: Sequence[Prepared | ItemError], rows: Sequence[Rows | Exception]
) -> list[Outcome]:
    given = iter(rows)
    return [p if isinstance(p, ItemError) else _outcome(p, next(given)) for p in prepared]


def _outcome(prepared: Prepared, found: Rows | Exception) -> Outcome:
    if isinstance(found, Exception):
        return found
    rows, regions = found
    return Embedded(rows, regions, prepared.tokens, prepared.truncated, prepared.composed)


def gather(
    encoder: Encoder, options: EncodeOptions, outcomes: Sequence[Outcome], times: Times
) -> EmbedResult:
    """The columns of a reply."""
    space = encoder.info.space(options.dimensions)
    if len(outcomes) == 1 and isinstance(only := outcomes[0], Embedded):
        return _gather_one(only, space, times)
    dim = options.dimensions or encoder.info.dim
    kept = [(i, found) for i, found in enumerate(outcomes) if isinstance(found, Embedded)]
    rows = [found.rows for _, found in kept]
    tokens = [found.tokens if isinstance(found, Embedded) else 0 for found in outcomes]
    return EmbedResult(
        rows=np.concatenate(rows) if rows else np.empty((0, dim), np.float32),
        index=np.repeat([i for i, _ in kept], [len(r) for r in rows]).astype(np.intp),
        space_id=space,
        regions=[region for _, found in kept for region in found.regions],
        tokens=tokens if any(tokens) else (),
        truncated=[i for i, found in kept if found.truncated],
        composed=[i for i, found in kept if found.composed],
        errors={i: found for i, found in enumerate(outcomes) if isinstance(found, Exception)},
        times=times,
    )


def _gather_one(found: Embedded, space: str, times: Times) -> EmbedResult:
    """The same for the most frequent call, of one input: a good part of its overhead."""
    return EmbedResult(
        rows=found.rows,
        index=np.zeros(len(found.rows), np.intp),
        space_id=space,
        regions=found.regions,
        tokens=(found.tokens,) if found.tokens else (),
        truncated=(0,) if found.truncated else (),
        composed=(0,) if found.composed else (),
        times=times,
    )
