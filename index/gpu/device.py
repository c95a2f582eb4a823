"""A GPU that holds copies of sealed segments' indexes, through faiss-gpu.

    device = open_device("cuda:0")              # None where there is none; a warning says why
    held = device.hold(trained, small_tables=False)
    scores, positions = held.search(queries, k)

FAISS indexes on a GPU are not safe even for concurrent reads, since those of one device share the
temporary memory of a StandardGpuResources (FAISS wiki, "Threads and asynchronous calls"). So each
device has one thread, which alone makes, searches and frees what lives there.
"""

import logging
import re
import threading
import weakref
from collections.abc import Callable
from concurrent.futures import Future
from functools import cache, partial
from queue import SimpleQueue
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from embedders.vectors import FloatRows
from index.options import DEVICE_PATTERN
from index.untyped import faiss

log = logging.getLogger(__name__)

#: most neighbours and most lists of one search on a GPU
LIMIT = 2048

T = TypeVar("T")


class DeviceError(Exception):
    """FAISS failed on a device, for want of memory mostly. Never leaves this package."""


class BeyondDeviceError(DeviceError):
    """More neighbours or lists are asked for than a search there can give."""


class Transfer(Protocol):
    """What brings indexes to a device. Made, called and freed by the device's thread."""

    def copy(self, index: Any, small_tables: bool) -> Any:
        """The index there; with lookup tables of 16-bit floats if `small_tables`.

        Raises:
            RuntimeError, MemoryError
        """


class Cuda:
    """FAISS's own transfer, without cuVS, whose selectors and limits are others."""

    def __init__(self, number: int) -> None:
        self._number, self._resources = number, faiss.StandardGpuResources()

    def copy(self, index: Any, small_tables: bool) -> Any:
        """See `Transfer.copy`."""
        options = faiss.GpuClonerOptions()
        options.useFloat16, options.use_cuvs = small_tables, False
        return faiss.index_cpu_to_gpu(self._resources, self._number, index, options)


class Device:
    """One device and the one thread that touches it.

    Args:
        name: for messages.
        transfer: called on that thread.

    Raises:
        DeviceError: the device cannot be used.
    """

    def __init__(self, name: str, transfer: Callable[[], Transfer]) -> None:
        self.name, self._warned = name, False
        # its put is safe in finalizers, which may run inside another put
        self._jobs: SimpleQueue[Callable[[], object] | None] = SimpleQueue()
        threading.Thread(target=self._work, name=f"device-{name}", daemon=True).start()
        try:
            self._transfer = self.call(transfer)
        except DeviceError:
            self.close()
            raise

    def call(self, work: Callable[[], T]) -> T:
        """What `work` gives on the device's thread, in turn. Not to be called from there.

        Raises:
            DeviceError: FAISS failed.
        """
        future: Future[T] = Future()
        self._jobs.put(partial(_answer, future, work))
        try:
            return future.result()
        finally:
            # an error, its traceback and this variable would keep each other alive
            del future

    def hold(self, index: Any, small_tables: bool) -> "Held":
        """A copy of a FAISS index on the device.

        Raises:
            DeviceError
        """
        box = self.call(lambda: [self._transfer.copy(index, small_tables)])
        return Held(self, box, index.nlist if isinstance(index, faiss.IndexIVF) else 0)

    def later(self, work: Callable[[], object]) -> None:
        """Has `work` done on the device's thread, without waiting."""
        self._jobs.put(work)

    def warn(self, error: DeviceError) -> None:
        """Says once that the device failed."""
        if not self._warned:
            self._warned = True
            # as text: a log record that held the error would hold the index in its traceback
            log.warning("%s: %s; the CPU does what it cannot", self.name, str(error))

    def close(self) -> None:
        """Ends the thread, once it has done what it was given."""
        self._jobs.put(None)

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            job()
            # a job that stayed in this variable would keep what it speaks of alive
            del job


class Held:
    """A FAISS index on a device, as threads at large may use it.

    Args:
        box: the index alone in a list, so that it can be dropped on the device's thread.
        nlist: its lists, 0 if it has none.
    """

    def __init__(self, device: Device, box: list[Any], nlist: int) -> None:
        self.device, self._box, self.nlist = device, box, nlist
        weakref.finalize(self, device.later, box.clear).atexit = False

    def add(self, rows: FloatRows) -> None:
        """Adds rows float32 (n, d).

        Raises:
            DeviceError
        """
        box = self._box
        self.device.call(lambda: box[0].add(np.ascontiguousarray(rows)))

    def search(
        self, queries: FloatRows, k: int, params: Any = None
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """As FAISS: distances float32 (q, k) and positions int64 (q, k), -1 where missing.

        Args:
            params: SearchParametersIVF without a selector, or None.

        Raises:
            BeyondDeviceError: `k` or nprobe is above `LIMIT`.
            DeviceError
        """
        if max(k, params.nprobe if params is not None else 0) > LIMIT:
            raise BeyondDeviceError(f"more than {LIMIT} neighbours or lists")
        box, device = self._box, self.device
        found: tuple[NDArray[np.float32], NDArray[np.int64]] = device.call(
            lambda: box[0].search(queries, k, params=params)
        )
        return found


@cache
def open_device(name: str) -> Device | None:
    """The device of this name, opened once a process; None for "cpu" and where there is none.

    Raises:
        ValueError: not such a name.
    """
    if not re.fullmatch(DEVICE_PATTERN, name):
        raise ValueError(f"device {name!r} is neither cpu nor cuda:NUMBER")
    if name == "cpu":
        return None
    number = int(name.partition(":")[2])
    if number >= faiss.get_num_gpus():
        log.warning("%s: FAISS sees %d GPUs here; the CPU is used", name, faiss.get_num_gpus())
        return None
    try:
        return Device(name, lambda: Cuda(number))
    except DeviceError as error:
        log.warning("%s: %s; the CPU is used", name, error)
        return None


def _answer(future: Future[T], work: Callable[[], T]) -> None:
    try:
        future.set_result(work())
    except (RuntimeError, MemoryError) as error:
        # without its traceback, whose frames would free an index on the caller's thread
        future.set_exception(DeviceError(str(error) or "out of memory"))
    except Exception as error:  # noqa: BLE001 - a caller waits for it, whatever it is
        future.set_exception(error)
