"""The child process of a job: one function, told of by the server, and its result.

`python -m services.runtime.child FD FUNCTION` reads its argument from the pipe FD, calls
FUNCTION ("module:name") with it and a `Parent`, and sends back what came of it. It ends with the
server: where the pipe closes, nobody wants the result.
"""

import os
import queue
import sys
import threading
import traceback
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from multiprocessing.connection import Connection
from typing import Any

from embedders.errors import EmbedderError
from services.runtime.errors import ServiceError
from services.runtime.pipes import Block, Message, receive, send

ORPHANED = 3
# Training yields to serving where both want the same core.
NICENESS = 10

Function = Callable[["Parent", Mapping[str, Any]], Mapping[str, Any]]


class Parent:
    """The server as its job sees it; also a `MeteredProgress`."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe
        self._replies: queue.SimpleQueue[Message] = queue.SimpleQueue()
        self._metrics: dict[str, float] = {}
        threading.Thread(target=self._listen, daemon=True).start()

    def __call__(self, stage: str, done: int, total: int) -> None:
        """Reports progress."""
        send(
            self._pipe,
            "progress",
            stage=stage,
            done=int(done),
            total=int(total),
            metrics=self._metrics,
        )

    def note(self, **metrics: float) -> None:
        """Figures that go with the next report."""
        self._metrics |= {name: float(value) for name, value in metrics.items()}

    def ask(self, question: str, blocks: Sequence[Block] = (), **fields: Any) -> Message:
        """Asks the server and waits for its answer.

        Raises:
            EmbedderError: it could not answer.
        """
        send(self._pipe, question, blocks, **fields)
        reply = self._replies.get()
        if reply.kind == "refused":
            raise EmbedderError(reply.fields["message"])
        return reply

    def first(self) -> Message:
        """The message that the server begins with."""
        return self._replies.get()

    def _listen(self) -> None:
        while True:
            try:
                self._replies.put(receive(self._pipe))
            except (EOFError, OSError):
                # the main thread may be deep in C code; nothing is left to be saved
                os._exit(ORPHANED)


def main(fd: int, function: str) -> None:
    """Runs the function and sends its result, or why it failed."""
    os.nice(NICENESS)
    pipe = Connection(fd)
    parent = Parent(pipe)
    argument = parent.first().fields
    try:
        module, _, name = function.partition(":")
        work: Function = getattr(import_module(module), name)
        send(pipe, "result", value=dict(work(parent, argument)))
    except MemoryError:
        send(pipe, "failed", message="it ran out of memory", trace="")
    except (EmbedderError, ServiceError, OSError) as error:
        send(pipe, "failed", message=str(error), trace="")
    except Exception as error:  # noqa: BLE001 - the server tells it, and logs the trace
        message = f"{type(error).__name__}: {error}"
        send(pipe, "failed", message=message, trace=traceback.format_exc())


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
