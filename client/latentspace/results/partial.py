"""What to do about items that failed."""

from collections.abc import Mapping
from typing import Literal

from latentspace.errors import LatentspaceError, PartialError

OnError = Literal["raise", "return"]


def raise_failed(
    errors: Mapping[int, LatentspaceError], items: int, result: object, on_error: OnError = "raise"
) -> None:
    """Raises for items that failed, unless the caller wants them returned.

    Raises:
        PartialError: some items failed; a call of one item raises that item's own error.
    """
    if not errors or on_error == "return":
        return
    if items == 1:
        raise next(iter(errors.values()))
    raise PartialError(None, errors, result)
