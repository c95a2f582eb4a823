"""The id of the call that is being answered, for log lines wherever they are written."""

import os
import re
from collections.abc import Iterable
from contextvars import ContextVar

#: key of the metadata, in requests and replies
KEY = "x-request-id"
# what a log line, a header and a shell take as it is
SANE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/+=-]{0,127}")

current: ContextVar[str] = ContextVar("request_id", default="")


def request_id(metadata: Iterable[tuple[str, str | bytes]]) -> str:
    """The caller's own id, where it is sane; else a new one, 16 hexadecimal digits."""
    for key, value in metadata:
        if key == KEY and isinstance(value, str) and SANE.fullmatch(value):
            return value
    return os.urandom(8).hex()
