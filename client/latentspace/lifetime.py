"""Where and until when a client may be used."""

import os

from latentspace.errors import FailedPreconditionError


def closed_error() -> FailedPreconditionError:
    """What calls of a closed client raise."""
    return FailedPreconditionError("this client is closed; make a new one")


def check_process(opened_in: int) -> None:
    """Refuses a client in a process that was forked from the one that opened it.

    gRPC's threads do not come along with a fork: a call over the inherited connection may crash,
    or never end.

    Args:
        opened_in: id of the process of its first call.

    Raises:
        FailedPreconditionError: this is another process.
    """
    here = os.getpid()
    if here != opened_in:
        raise FailedPreconditionError(
            f"this client was opened in process {opened_in}, and this is process {here}, forked "
            "from it: make a client here, or start processes with the method 'spawn'"
        )
