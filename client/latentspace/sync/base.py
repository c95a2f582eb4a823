"""What the groups of calls share: the channel and its stubs."""
# Generated from aio/base.py by scripts/generate_sync_client.py; edit that.

from typing import NoReturn

from latentspace.sync.stubs import Stubs
from latentspace.sync.transport import Transport


class Calls:
    """Base of the groups of calls.

    Args:
        transport: the channel.
    """

    def __init__(self, transport: Transport) -> None:
        self._rpc = transport

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            f"{self!r} cannot be pickled or copied, since it holds a connection: send its target, "
            "and make a client where it is needed"
        )

    @property
    def _stubs(self) -> Stubs:
        return self._rpc.stubs
