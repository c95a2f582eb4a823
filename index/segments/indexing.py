"""Building, saving and loading the index of a segment."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from embedders.vectors import normalize_rows, row_norms
from index.recipes import concrete, recipe
from index.recipes.base import BuildContext, SegmentIndex
from index.search.bounds import longest_row
from index.search.exact import search_exact
from index.search.frame import centre_of, measured, within_float32
from index.segments.durable import write_file
from index.segments.part import Part
from index.types import CollectionSpec, IndexParameters, Metric, SegmentState

_SAMPLE = 64
_RECALL_K = 10


@dataclass(frozen=True, slots=True)
class Target:
    """What a segment's index should be: a concrete recipe and its parameters."""

    recipe: str
    params: IndexParameters


def target_of(spec: CollectionSpec, live: int, rows: int, budget_bytes: int = 0) -> Target:
    """For a segment of `rows` rows in a collection of `live` points; the budget is `auto`'s."""
    name = concrete(spec.recipe, live, spec.dim, budget_bytes)
    if name == "exact" or rows < max(1, recipe(name).min_rows):
        return Target("exact", IndexParameters())
    return Target(name, spec.index)


def meets(part: Part, target: Target) -> bool:
    """Whether a sealed part has the index it should have."""
    assert part.entry is not None
    if target.recipe == "exact":
        return part.recipe == "exact"
    # one without an index file has numbers that its recipe could not compare
    made = part.index is not None or "index" not in part.entry.files
    return made and Target(part.entry.recipe, part.entry.params) == target


def build_index(
    folder: Path,
    number: int,
    part: Part,
    target: Target,
    spec: CollectionSpec,
    context: BuildContext,
) -> Part:
    """The part with this index and its file, SEALED. Rows whose products overflow or vanish in
    float32 have no index: they are searched exactly.

    Raises:
        RecipeError, OSError: nothing is left behind.
    """
    assert part.entry is not None
    files = {role: file for role, file in part.entry.files.items() if role != "index"}
    if target.recipe == "exact" or not within_float32(part.rows, spec.metric):
        entry = replace(part.entry, files=files, recipe=target.recipe, params=target.params)
        return replace(part, index=None, entry=entry, state=SegmentState.SEALED)
    made, path = recipe(target.recipe), folder / f"{number:08d}.index"
    files["index"] = write_file(
        path, made.build(part.rows, spec.metric, target.params, context).save
    )
    # read back, so that what FAISS can map is the kernel's memory and not this process's own
    index = made.load(path, part.rows, spec.metric)
    entry = replace(part.entry, files=files, recipe=target.recipe, params=target.params)
    return replace(part, index=index, entry=entry, state=SegmentState.SEALED)


def load_index(folder: Path, part: Part, spec: CollectionSpec) -> Part:
    """The part with the index its entry names, SEALED.

    Raises:
        RecipeError
    """
    assert part.entry is not None
    index: SegmentIndex | None = None
    if "index" in part.entry.files:
        path = folder / part.entry.files["index"].name
        index = recipe(part.entry.recipe).load(path, part.rows, spec.metric)
    return replace(part, index=index, state=SegmentState.SEALED)


def with_index_of(part: Part, built: Part) -> Part:
    """The part as it is now with what `build_index` made of it as it was."""
    assert part.entry is not None
    assert built.entry is not None
    files = {role: file for role, file in part.entry.files.items() if role != "index"}
    if "index" in built.entry.files:
        files["index"] = built.entry.files["index"]
    entry = replace(part.entry, files=files, recipe=built.entry.recipe, params=built.entry.params)
    return replace(part, index=built.index, entry=entry, state=SegmentState.SEALED)


def recall_of(part: Part, spec: CollectionSpec, check: Callable[[int, int], None]) -> float:
    """recall@10 of a part's index at the collection's effort, against exact search.

    The queries are rows of the segment moved a little, so that they are not their own answers;
    a hit as good as the tenth exact one counts.
    """
    if part.index is None:
        return 1.0
    check(0, 1)
    random = np.random.default_rng(0)
    squares = spec.metric is Metric.L2
    # ascending, since the rows are memory-mapped
    rows = part.rows[np.sort(random.choice(len(part), min(_SAMPLE, len(part)), replace=False))]
    noise = random.standard_normal(rows.shape, dtype=np.float32)
    # far from the origin a little is a part of the distance to the middle
    lengths = row_norms(measured(rows, centre_of(rows) if squares else None))[:, None]
    scale = 0.5 * lengths / np.sqrt(spec.dim)
    queries = np.asarray(rows + scale * noise, dtype=np.float32)
    if spec.metric.normalizes:
        queries = normalize_rows(queries)
    best, _ = search_exact(part.rows, queries, _RECALL_K, spec.metric)
    found, _ = part.index.search(queries, _RECALL_K, spec.search)
    last = best[:, -1:]
    # a distance keeps its digits however small it is, a product those of its factors
    sizes = np.abs(last) if squares else row_norms(queries)[:, None] * longest_row(part.rows)
    floor = last - 1e-5 * sizes
    return float(np.mean(found >= floor))
