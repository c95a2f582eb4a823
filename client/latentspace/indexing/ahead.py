"""Work done ahead of its use, in threads and within bounds."""

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Executor, Future
from contextlib import suppress
from queue import Empty, Full, Queue
from threading import Event, Thread
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")

# how often a thread looks whether it is still wanted
LOOK_S = 0.1
# how long a thread that is not wanted any more is waited for
LEAVE_S = 2.0


def mapped(pool: Executor, work: Callable[[T], R], items: Iterable[T], most: int) -> Iterator[R]:
    """`work` of each item in order, of at most `most` items side by side.

    What is done comes out before more items are asked for: these may be long in coming.
    """
    under_way: deque[Future[R]] = deque()
    try:
        for item in items:
            under_way.append(pool.submit(work, item))
            while under_way and (under_way[0].done() or len(under_way) == most):
                yield under_way.popleft().result()
        while under_way:
            yield under_way.popleft().result()
    finally:
        for future in under_way:
            future.cancel()


def ahead(items: Iterable[T], most: int) -> Generator[T, None, None]:
    """The items, taken by a thread of their own up to `most` before they are asked for.

    What fails there is raised here. Closing the generator ends the thread after its present item;
    one that waits for ever, as for a pipe, is left behind.
    """
    # one more than an item: its end, or why there are no more
    ready: Queue[tuple[bool, T | BaseException | None]] = Queue(most)
    unwanted = Event()

    def put(entry: tuple[bool, T | BaseException | None]) -> None:
        while not unwanted.is_set():
            with suppress(Full):
                ready.put(entry, timeout=LOOK_S)
                return

    def take() -> None:
        try:
            for item in items:
                put((True, item))
                if unwanted.is_set():
                    return
        except BaseException as error:  # noqa: BLE001 - raised where the items are wanted
            put((False, error))
        else:
            put((False, None))

    thread = Thread(target=take, name="ahead", daemon=True)
    thread.start()
    try:
        while True:
            # a wait without end would not hear Ctrl-C everywhere
            try:
                is_item, value = ready.get(timeout=LOOK_S)
            except Empty:
                continue
            if is_item:
                yield value  # type: ignore[misc]
            elif isinstance(value, BaseException):
                raise value
            else:
                return
    finally:
        unwanted.set()
        thread.join(LEAVE_S)
