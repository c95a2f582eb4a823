"""What a job is told, and what it tells."""

from collections.abc import Callable
from dataclasses import dataclass, field

from latentspace.indexing.records import BadRecord
from latentspace.payloads import DIGEST_FIELD as DIGEST_FIELD
from latentspace.requests.options import EmbedOptions


class SourceError(Exception):
    """A source cannot be opened, or not be read any further; says what and why."""


class TooManyErrorsError(Exception):
    """More records failed than the job was allowed; what was written stays written."""


@dataclass(frozen=True, slots=True)
class JobOptions:
    """How a source goes into a collection.

    Args:
        collection: name or alias; it must be there.
        batch_items: records looked up and sent at a time.
        delete_missing: delete points whose ids the source does not have, when all of it was read.
        max_errors: stop when more records than this failed; None never stops.
        resize: longest side of images in pixels; larger ones are made smaller before they are
            sent; 0 sends files as they are.
        embed: how raw items are embedded.
    """

    collection: str
    batch_items: int = 256
    delete_missing: bool = False
    max_errors: int | None = None
    resize: int = 0
    embed: EmbedOptions = field(default_factory=lambda: EmbedOptions())


@dataclass(frozen=True, slots=True)
class Progress:
    """A job so far; all but times count records.

    Args:
        total: of the source; None where it is not known.
        read: looked at, bad ones too; the sum of the next three and of what is under way.
        unchanged: stored already as they are.
        written: on disk.
        failed: bad records.
        deleted: points that the source does not have any more.
        finished: whether all of the source was read and answered.
    """

    total: int | None = None
    read: int = 0
    unchanged: int = 0
    written: int = 0
    failed: int = 0
    deleted: int = 0
    seconds: float = 0.0
    finished: bool = False


OnProgress = Callable[[Progress], None]
OnFailed = Callable[[BadRecord], None]
