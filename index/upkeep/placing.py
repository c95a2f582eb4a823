"""Moving the indexes of sealed segments to a device, once they are built or loaded."""

from dataclasses import replace

from index.core import CollectionCore
from index.gpu.device import Device, open_device
from index.gpu.index import GpuIndex, to_device
from index.segments.part import Part
from index.threads import faiss_threads
from index.types import IndexParameters, SegmentState


class Placing:
    """Background work of a collection; until a segment has its turn, the CPU searches it."""

    def __init__(self, core: CollectionCore) -> None:
        self._core = core
        # segments that cannot live there as they are: not asked again until something changes
        self._stay: set[tuple[int, str, IndexParameters]] = set()

    def place_one(self) -> bool:
        """Copies one segment's index to the device of the options; False if there is none to."""
        device = open_device(self._core.options.device)
        if device is None:
            return False
        part = next((part for part in self._core.sealed() if self._is_due(part)), None)
        if part is None:
            return False
        self._place(part, device)
        return True

    def _is_due(self, part: Part) -> bool:
        settled = part.state is SegmentState.SEALED and not isinstance(part.index, GpuIndex)
        return settled and _key(part) not in self._stay

    def _place(self, part: Part, device: Device) -> None:
        # codes may have to be trained: as builds do, that leaves a core to searches
        with faiss_threads(self._core.options.build_threads):
            index = to_device(part.index, part.recipe, part.rows, self._core.spec.metric, device)
        if index is part.index:
            self._stay.add(_key(part))
            return
        self._core.live.amend(
            part.id, lambda now: replace(now, index=index) if now.index is part.index else now
        )


def _key(part: Part) -> tuple[int, str, IndexParameters]:
    assert part.entry is not None
    return part.id, part.recipe, part.entry.params
