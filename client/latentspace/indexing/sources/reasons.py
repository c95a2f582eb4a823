"""Why an item of a source did not become a record."""

from enum import StrEnum


class Reason(StrEnum):
    """What a `BadRecord` of a source gives as its reason."""

    UNREADABLE = "UNREADABLE"  # a line, row or member that is not what it should be
    NO_ID = "NO_ID"
    BAD_ID = "BAD_ID"  # over 512 bytes, or not text
    REPEATED_ID = "REPEATED_ID"
    NO_INPUT = "NO_INPUT"
    BAD_INPUT = "BAD_INPUT"
    BAD_PAYLOAD = "BAD_PAYLOAD"


class RecordError(Exception):
    """An item cannot be made a record; becomes a `BadRecord` where its place is known."""

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason = reason
