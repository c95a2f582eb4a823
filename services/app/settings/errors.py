"""What is wrong with settings."""

from collections.abc import Sequence


class SettingsError(Exception):
    """The settings cannot be read; names file or variable, setting and cure.

    Args:
        message: the whole of it, a line a fault.
        faults: one sentence a fault.
    """

    def __init__(self, message: str, faults: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.faults = tuple(faults) or (message,)
