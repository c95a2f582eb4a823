"""Records in JSON: of this version, of an older or a newer one, or damaged."""

import logging
from typing import Generic, TypeVar

from pydantic import TypeAdapter, ValidationError

logger = logging.getLogger(__name__)
T = TypeVar("T")


class RecordReader(Generic[T]):
    """Reads records of one kind; fields that a newer version has added are passed over.

    Args:
        kind: a dataclass; its types are checked.
    """

    def __init__(self, kind: type[T]) -> None:
        self._adapter: TypeAdapter[T] = TypeAdapter(kind)

    def read(self, text: str | bytes, what: str) -> T | None:
        """What a record holds; None, and a warning in the log, where it cannot be read.

        So one bad record costs itself alone, never the start of the server.

        Args:
            what: names the record in the log.
        """
        try:
            return self._adapter.validate_json(text)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            problem = f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
            logger.warning("record unusable", extra={"record": what, "error": problem})
            return None
