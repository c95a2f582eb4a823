"""Building, saving and loading the index of a segment."""

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from index.recipes import concrete, recipe
from index.recipes.base import BuildContext, SegmentIndex
from index.search.frame import within_float32
from index.segments.calibration import calibrate
from index.segments.durable import write_file
from index.segments.part import Part
from index.threads import faiss_threads
from index.types import CollectionSpec, IndexParameters, SegmentState


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
        entry = replace(
            part.entry, files=files, recipe=target.recipe, params=target.params, effort=None
        )
        return replace(part, index=None, entry=entry, state=SegmentState.SEALED)
    made, path = recipe(target.recipe), folder / f"{number:08d}.index"
    files["index"] = write_file(
        path, made.build(part.rows, spec.metric, target.params, context).save
    )
    # read back, so that what FAISS can map is the kernel's memory and not this process's own
    index = made.load(path, part.rows, spec.metric)
    entry = replace(part.entry, files=files, recipe=target.recipe, params=target.params)
    built = replace(part, index=index, entry=entry, state=SegmentState.SEALED)
    try:
        return with_effort(built, spec, context)
    except BaseException:  # cancelled, for instance: no index that is not used stays behind
        path.unlink()
        raise


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
    entry = replace(
        part.entry,
        files=files,
        recipe=built.entry.recipe,
        params=built.entry.params,
        effort=built.entry.effort,
    )
    return replace(part, index=built.index, entry=entry, state=SegmentState.SEALED)


def with_effort(part: Part, spec: CollectionSpec, context: BuildContext) -> Part:
    """The part with the effort that its index needs."""
    if part.index is None or part.entry is None:
        return part
    with faiss_threads(context.threads):
        check = partial(context.check, len(part), len(part))
        effort = calibrate(part.index, part.rows, spec.metric, check)
    return replace(part, entry=replace(part.entry, effort=effort))
