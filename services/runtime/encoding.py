"""Raw items through a model: prepared in threads, batched, gathered again."""

import asyncio
import time
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from embedders.base import Encoded, EncodeOptions, Encoder, Item, Modality, Prepared, Region
from embedders.errors import ItemError
from embedders.vectors import FloatRows, IndexArray
from services.runtime.batching import Batcher, BatchLimits
from services.runtime.pools import Pools, run_in

# Items prepared in one thread hop: large calls start encoding before all is prepared.
PREPARE_CHUNK = 256
# Decoding an image takes milliseconds, so calls with images go in small blocks: several threads
# decode while the model encodes what is ready, and a long call holds few decoded pictures.
IMAGE_BLOCK = 8
BLOCKS_IN_FLIGHT = 16


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows of one input float32 (r, dim), and their places in an image."""

    vectors: FloatRows
    regions: Sequence[Region] | None = None


EncodeBatcher = Batcher[Prepared, Rows]

# nanoseconds: waiting, preparing, encoding
Times = tuple[int, int, int]
# what became of each item, the rows of the good ones, and the times
Found = tuple[list[Prepared | ItemError], list[Rows | Exception], Times]


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
    queue_ns: int = 0
    prepare_ns: int = 0
    encode_ns: int = 0


def encode_batcher(encoder: Encoder, pools: Pools, limits: BatchLimits) -> EncodeBatcher:
    """The queue of one model; batches are of one modality and one set of options."""

    async def work(key: Hashable, batch: Sequence[Prepared]) -> list[Rows | Exception]:
        assert isinstance(key, tuple)
        encoded = await run_in(pools.encode, encoder.encode, batch, key[1])
        return split(encoded, len(batch))

    return Batcher(f"model {encoder.info.id!r}", work, limits)


def split(encoded: Encoded, count: int) -> list[Rows | Exception]:
    """What each of `count` inputs got."""
    bounds = np.searchsorted(encoded.index, np.arange(count + 1))
    found: list[Rows | Exception] = []
    for position in range(count):
        low, high = int(bounds[position]), int(bounds[position + 1])
        regions = None if encoded.regions is None else encoded.regions[low:high]
        error = encoded.errors.get(position)
        found.append(Rows(encoded.rows[low:high], regions) if error is None else error)
    return found


async def encode(
    encoder: Encoder,
    batcher: EncodeBatcher | None,
    pools: Pools,
    items: Sequence[Item],
    options: EncodeOptions,
    deadline: float | None = None,
) -> EmbedResult:
    """Embeds a batch; items that fail are in `errors`, the others have their rows.

    Raises:
        OptionError: an option does not fit the model.
        OverloadedError: the model's queue is full.
    """
    if batcher is None:
        found = await run_in(pools.prepare, _look_up, encoder, items, options)
    elif len(items) > IMAGE_BLOCK and any(item.modality is Modality.IMAGE for item in items):
        found = await _in_blocks(encoder, batcher, pools, items, options, deadline)
    else:
        found = await _through_queue(encoder, batcher, pools, items, options, deadline)
    return _gather(encoder, options, *found)


async def _in_blocks(
    encoder: Encoder,
    batcher: EncodeBatcher,
    pools: Pools,
    items: Sequence[Item],
    options: EncodeOptions,
    deadline: float | None,
) -> Found:
    """Blocks side by side, gathered in the order given; times are the slowest block's."""
    gate = asyncio.Semaphore(BLOCKS_IN_FLIGHT)

    async def one(start: int) -> Found:
        async with gate:
            block = items[start : start + IMAGE_BLOCK]
            return await _through_queue(encoder, batcher, pools, block, options, deadline)

    tasks = [asyncio.ensure_future(one(start)) for start in range(0, len(items), IMAGE_BLOCK)]
    try:
        parts = await asyncio.gather(*tasks)
    finally:
        # where one block was refused, the caller wants none of the others
        for task in tasks:
            task.cancel()
    prepared = [entry for part in parts for entry in part[0]]
    rows = [row for part in parts for row in part[1]]
    queue_ns, prepare_ns, work_ns = (max(part[2][i] for part in parts) for i in range(3))
    return prepared, rows, (queue_ns, prepare_ns, work_ns)


async def _through_queue(
    encoder: Encoder,
    batcher: EncodeBatcher,
    pools: Pools,
    items: Sequence[Item],
    options: EncodeOptions,
    deadline: float | None,
) -> Found:
    """Prepared in threads, then batched with what else waits."""
    started = time.perf_counter_ns()
    prepared = await prepare(encoder, pools, items, options)
    prepare_ns = time.perf_counter_ns() - started
    good = [p for p in prepared if isinstance(p, Prepared)]
    rows, queue_ns, work_ns = await _batched(batcher, good, options, deadline)
    return prepared, rows, (queue_ns, prepare_ns, work_ns)


def _look_up(encoder: Encoder, items: Sequence[Item], options: EncodeOptions) -> Found:
    """Both steps in one hop, for models that are faster than a queue."""
    started = time.perf_counter_ns()
    encoder.check_options(options)
    prepared = encoder.prepare_batch(items, options)
    between = time.perf_counter_ns()
    good = [p for p in prepared if isinstance(p, Prepared)]
    rows = split(encoder.encode(good, options), len(good)) if good else []
    return prepared, rows, (0, between - started, time.perf_counter_ns() - between)


async def prepare(
    encoder: Encoder, pools: Pools, items: Sequence[Item], options: EncodeOptions
) -> list[Prepared | ItemError]:
    """CPU work on items in threads, a chunk a hop.

    Raises:
        OptionError
    """

    def work(chunk: Sequence[Item]) -> list[Prepared | ItemError]:
        # Checked here: an option may load another compute format first.
        encoder.check_options(options)
        return encoder.prepare_batch(chunk, options)

    found: list[Prepared | ItemError] = []
    for start in range(0, len(items), PREPARE_CHUNK):
        found += await run_in(pools.prepare, work, items[start : start + PREPARE_CHUNK])
    return found


async def _batched(
    batcher: EncodeBatcher,
    good: Sequence[Prepared],
    options: EncodeOptions,
    deadline: float | None,
) -> tuple[list[Rows | Exception], int, int]:
    """Through the queue, modality by modality; results in the order given."""
    rows: dict[int, Rows | Exception] = {}
    queue_ns = work_ns = 0
    for modality in sorted({p.modality for p in good}):
        places = [i for i, p in enumerate(good) if p.modality == modality]
        batch = [good[i] for i in places]
        result = await batcher.run(batch, [p.cost for p in batch], (modality, options), deadline)
        rows.update(zip(places, result.results, strict=True))
        queue_ns = max(queue_ns, result.queue_ns)
        work_ns += result.work_ns
    return [rows[i] for i in range(len(good))], queue_ns, work_ns


def _gather(
    encoder: Encoder,
    options: EncodeOptions,
    prepared: Sequence[Prepared | ItemError],
    rows: Sequence[Rows | Exception],
    times: Times,
) -> EmbedResult:
    good = [(i, p) for i, p in enumerate(prepared) if isinstance(p, Prepared)]
    errors: dict[int, Exception] = {
        i: p for i, p in enumerate(prepared) if isinstance(p, ItemError)
    }
    kept: list[tuple[int, Rows]] = []
    for (position, _), row in zip(good, rows, strict=True):
        if isinstance(row, Exception):
            errors[position] = row
        else:
            kept.append((position, row))
    dim = options.dimensions or encoder.info.dim
    vectors = [r.vectors for _, r in kept]
    tokens = [p.tokens if isinstance(p, Prepared) else 0 for p in prepared]
    queue_ns, prepare_ns, encode_ns = times
    return EmbedResult(
        rows=np.concatenate(vectors) if vectors else np.empty((0, dim), np.float32),
        index=np.repeat([i for i, _ in kept], [len(v) for v in vectors]).astype(np.intp),
        space_id=encoder.info.space(options.dimensions),
        regions=[region for _, r in kept if r.regions for region in r.regions],
        tokens=tokens if any(tokens) else (),
        truncated=[i for i, p in good if p.truncated],
        composed=[i for i, p in good if p.composed],
        errors=errors,
        queue_ns=queue_ns,
        prepare_ns=prepare_ns,
        encode_ns=encode_ns,
    )
