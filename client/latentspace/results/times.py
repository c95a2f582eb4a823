"""Times from the wire."""

from datetime import UTC, datetime

from google.protobuf.timestamp_pb2 import Timestamp


def time_of(stamp: Timestamp) -> datetime | None:
    """The moment in UTC; None where nothing was sent."""
    if not stamp.seconds and not stamp.nanos:
        return None
    return stamp.ToDatetime(tzinfo=UTC)
