"""The pieces of background work: sealing, building, merging, giving disk back."""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from index.core import CollectionCore
from index.recipes.base import BuildContext
from index.segments.indexing import (
    Target,
    build_index,
    meets,
    target_of,
    with_effort,
    with_index_of,
)
from index.segments.merging import merge_window
from index.segments.part import Part
from index.store.operations import Housekeeping
from index.types import SegmentState
from index.upkeep.progress import Progress

_VACUUM_PAGES = 256
_VACUUM_FROM_PAGES = 1024
_VACUUM_SHARE = 0.25
_IDLE_NS = 10 * 10**9


class BackgroundWork:
    """Each method does one bounded piece and says whether there was any.

    Args:
        last_search_ns: when the collection was last searched (monotonic clock); a collection
            that nobody searches is built with all cores.
    """

    def __init__(
        self, core: CollectionCore, progress: Progress, last_search_ns: Callable[[], int]
    ) -> None:
        self._core, self._progress, self._last_search_ns = core, progress, last_search_ns

    def fold_one(self) -> bool:
        """Folds the store's log when it is long, so that no commit has to."""
        if not self._core.log_is_long:
            return False
        self._core.unfolded_rows = 0
        self._core.reader.fold_log()
        return True

    def save_one(self) -> bool:
        """Writes the manifest, where that failed before."""
        if not self._core.manifest_is_old:
            return False
        self._core.save_manifest()
        return True

    def seal_one(self) -> bool:
        """Writes the files of the oldest frozen segment."""
        frozen = self._core.frozen()
        if not frozen:
            return False
        self._rewrite(frozen[:1], "seal", build=False)
        return True

    def build_one(self) -> bool:
        """Builds the index of a segment that lacks the one it should have."""
        for part in self._core.sealed():
            target = self._target(part)
            if part.state is SegmentState.BUILDING and target.recipe == "exact":
                self._settle(part)
                return True
            if part.recipe == "exact" and not meets(part, target):
                self._build(part, target)
                return True
        return False

    def measure_one(self) -> bool:
        """Measures the effort of a segment that was built before efforts were."""
        for part in self._core.sealed():
            if part.recipe != "exact" and part.effort is None:
                self._measure(part)
                return True
        return False

    def compact_one(self, dead_share: float) -> bool:
        """Writes a segment anew without its dead rows, if they are many."""
        for part in self._core.sealed():
            if part.dead and part.dead >= dead_share * len(part):
                self._rewrite([part], "compact", build=part.index is not None)
                return True
        return False

    def compact_all(self) -> None:
        """Writes every segment that has dead rows now anew, once: deletions may go on for ever."""
        for part in self._core.sealed():
            if part.dead:
                self._rewrite([part], "compact", build=part.index is not None)

    def merge_one(self) -> bool:
        """Merges the neighbours that are due."""
        options = self._core.options
        window = merge_window(self._core.sealed(), options.merge_factor, options.max_segment_rows)
        if window is None:
            return False
        self._rewrite(window, "merge", build=True)
        return True

    def merge_all(self) -> None:
        """One segment of all that are sealed, with the index it should have."""
        sealed = self._core.sealed()
        if not sealed:
            return
        if len(sealed) == 1 and not sealed[0].dead and meets(sealed[0], self._target(sealed[0])):
            return
        if len(sealed) == 1 and not sealed[0].dead:
            self._build(sealed[0], self._target(sealed[0]))
            return
        self._rewrite(sealed, "merge", build=True)

    def vacuum(self, all_pages: bool) -> bool:
        """Gives free pages of the store back to the file system, a few megabytes a transaction."""
        free, total = self._core.reader.pages()
        if not free or not (
            all_pages or (free >= _VACUUM_FROM_PAGES and free >= _VACUUM_SHARE * total)
        ):
            return False
        self._progress.begin("vacuum")
        for done in range(0, free, _VACUUM_PAGES):
            self._core.run_in_store(Housekeeping(lambda store: store.give_back(_VACUUM_PAGES)))
            self._progress.check(done, free)
        self._core.reader.fold_log()
        return True

    def context(self) -> BuildContext:
        """Limits of a build that begins now."""
        options = self._core.options
        idle = time.monotonic_ns() - self._last_search_ns() > _IDLE_NS
        return BuildContext(options.threads if idle else options.build_threads, self._between)

    def _between(self, done: int, total: int) -> None:
        # a long build does not leave newly filled segments without their files
        self._progress.check(done, total)
        self.fold_one()
        if frozen := self._core.frozen():
            self._rewrite(frozen[:1], "seal", build=False)
            self._progress.begin("build")

    def _target(self, part: Part) -> Target:
        core = self._core
        return target_of(core.spec, core.view.live, part.live, core.options.memory_bytes)

    def _rewrite(self, parts: Sequence[Part], stage: str, build: bool) -> None:
        core = self._core
        self._progress.begin(stage)
        # payloads that change from here on may be missing from the columns that are read below
        core.live.keep_patches()
        try:
            version = core.reader.version()
            number = core.live.take_id()
            part = core.files.make(number, parts, core.spec.fields)
            if part is not None and build:
                part = self._indexed(part, self._target(part))
            core.install(parts, part, version)
        finally:
            core.live.drop_patches()
        reasons = [core.damaged.pop(old.id, "") for old in parts]
        if part is not None and not build and any(reasons):
            core.damaged[part.id] = max(reasons)

    def _indexed(self, part: Part, target: Target) -> Part:
        core = self._core
        try:
            return build_index(core.files.folder, part.id, part, target, core.spec, self.context())
        except BaseException:  # whatever it was, the files of no segment stay behind
            assert part.entry is not None
            core.files.remove([file.name for file in part.entry.files.values()])
            raise

    def _build(self, part: Part, target: Target) -> None:
        core = self._core
        self._progress.begin("build")
        number = core.live.take_id()
        built = build_index(core.files.folder, number, part, target, core.spec, self.context())
        with core.structure:
            # rows may have died meanwhile, so the segment of now gets the index
            core.live.amend(part.id, lambda now: with_index_of(now, built))
            core.damaged.pop(part.id, None)
            core.save_manifest()

    def _measure(self, part: Part) -> None:
        core = self._core
        self._progress.begin("measure")
        done = with_effort(part, core.spec, self.context())
        with core.structure:
            core.live.amend(
                part.id, lambda now: with_index_of(now, done) if now.index is part.index else now
            )
            core.save_manifest()

    def _settle(self, part: Part) -> None:
        with self._core.structure:
            self._core.live.amend(part.id, lambda now: replace(now, state=SegmentState.SEALED))
            self._core.damaged.pop(part.id, None)
