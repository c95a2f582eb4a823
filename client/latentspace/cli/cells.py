"""Values as people read them in a cell of a table."""

import json
import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import numpy as np


def text_of(value: object) -> str:
    """A value in a cell; "" for None."""
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case float():
            return f"{value:.6g}"
        case datetime():
            return _time(value)
        case Mapping():
            return json.dumps(plain(value), ensure_ascii=False) if value else ""
        case np.ndarray():
            head = " ".join(f"{number:.4f}" for number in value[:4])
            return f"{head}{' ...' if len(value) > 4 else ''}"
        case list() | tuple():
            return ", ".join(map(text_of, value))
    return str(value)


def plain(value: object) -> Any:
    """A value as JSON has it; numbers that JSON does not have are null."""
    match value:
        case float():
            return value if math.isfinite(value) else None
        case datetime():
            return value.isoformat()
        case Mapping():
            return {str(key): plain(item) for key, item in value.items()}
        case np.ndarray():
            return value.tolist()
        case list() | tuple():
            return [plain(item) for item in value]
    return value


def _time(value: datetime) -> str:
    """In RFC 3339, to the second."""
    if value.tzinfo is None:
        return value.isoformat(timespec="seconds")
    return value.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="seconds") + "Z"
