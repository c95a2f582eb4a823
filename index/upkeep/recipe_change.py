"""Changing the recipe of a collection in place: built beside, checked, then switched at once."""

import logging
from dataclasses import replace
from functools import partial

import orjson

from index.core import CollectionCore
from index.search.plan import share
from index.search.view import segment_of
from index.segments.calibration import K, Trial
from index.segments.indexing import Target, build_index, meets, target_of, with_index_of
from index.segments.part import Part
from index.store.operations import Housekeeping
from index.store.spec_json import dump_spec
from index.types import CollectionSpec, IndexParameters, SearchParameters
from index.upkeep.progress import Progress
from index.upkeep.work import BackgroundWork

log = logging.getLogger(__name__)

MIN_RECALL = 0.95


class RecipeChange:
    """The change that was asked for last, which survives a restart until it is decided."""

    def __init__(self, core: CollectionCore, progress: Progress, work: BackgroundWork) -> None:
        self._core, self._progress, self._work = core, progress, work
        stored = core.reader.meta("pending_recipe")
        self._pending = bytes(stored) if isinstance(stored, bytes) else b""

    @property
    def pending(self) -> bool:
        """Whether a change waits or is being built."""
        return bool(self._pending)

    def ask(self, recipe: str, index: IndexParameters) -> None:
        """Notes the wish, durably; it takes the place of an earlier one."""
        wish = orjson.dumps({"recipe": recipe, "index": index})
        self._core.run_in_store(Housekeeping(lambda store: store.put_meta("pending_recipe", wish)))
        self._core.note = ""
        self._pending = wish

    def step(self) -> bool:
        """Builds what was asked for, and switches all segments or none."""
        wish = self._pending
        if not wish:
            return False
        parsed = orjson.loads(wish)
        spec = replace(
            self._core.spec, recipe=parsed["recipe"], index=IndexParameters(**parsed["index"])
        )
        built: list[Part] = []
        try:
            for part in self._core.sealed():
                target = target_of(
                    spec, self._core.view.live, part.live, self._core.options.memory_bytes
                )
                if not meets(part, target):
                    built.append(self._built(part, target, spec))
            reason = self._shortfall(built, spec)
        except BaseException:  # whatever it was, no index that is not used stays behind
            self._discard(built)
            raise
        self._decide(wish, spec, built, reason)
        return True

    def _built(self, part: Part, target: Target, spec: CollectionSpec) -> Part:
        self._progress.begin("build")
        number = self._core.live.take_id()
        context = self._work.context()
        return build_index(self._core.files.folder, number, part, target, spec, context)

    def _shortfall(self, built: list[Part], spec: CollectionSpec) -> str:
        self._progress.begin("check")
        for part in built:
            recall = self._recall(part, spec)
            if recall < MIN_RECALL:
                return (
                    f"recipe {spec.recipe!r} was not taken: recall@10 {recall:.3f} in segment "
                    f"{part.id} is under {MIN_RECALL}; raise the search effort or keep "
                    f"{self._core.spec.recipe!r}"
                )
        return ""

    def _recall(self, part: Part, spec: CollectionSpec) -> float:
        """recall@10 of a part's index at the collection's effort."""
        if part.index is None or spec.search.exact:
            return 1.0
        if part.effort is not None and spec.search == SearchParameters():
            return part.effort.recall
        check = partial(self._progress.check, 0, 1)
        effort = share(segment_of(part, None), len(part), K, spec.search)
        return Trial(part.index, part.rows, spec.metric, check).measure(effort).recall

    def _decide(self, wish: bytes, spec: CollectionSpec, built: list[Part], reason: str) -> None:
        core = self._core
        with core.structure:
            if self._pending != wish:
                self._discard(built)
                return
            if reason:
                log.warning("collection %s: %s", core.name, reason)
                self._discard(built)
                spec = core.spec
            else:
                spec = replace(core.spec, recipe=spec.recipe, index=spec.index)
                for part in built:
                    core.live.amend(part.id, partial(with_index_of, built=part))
                    core.damaged.pop(part.id, None)
            core.run_in_store(Housekeeping(lambda store: store.settle(dump_spec(spec))))
            core.spec, core.note, self._pending = spec, reason, b""
            core.save_manifest()

    def _discard(self, built: list[Part]) -> None:
        entries = [part.entry for part in built if part.entry is not None]
        self._core.files.remove(
            [entry.files["index"].name for entry in entries if "index" in entry.files]
        )
