"""What the groups of calls share: the channel and its stubs."""

from typing import NoReturn

from latentspace.aio.stubs import Stubs
from latentspace.aio.transport import AsyncTransport


class AsyncCalls:
    """Base of the groups of calls.

    Args:
        transport: the channel.
    """

    def __init__(self, transport: AsyncTransport) -> None:
        self._rpc = transport

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            f"{self!r} cannot be pickled or copied, since it holds a connection: send its target, "
            "and make a client where it is needed"
        )

    @property
    def _stubs(self) -> Stubs:
        return self._rpc.stubs
