"""Whatever a parser raises on a damaged file, as an error that names the file."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from embedders.errors import EmbedderError

LONGEST_REASON = 300


@contextmanager
def naming(
    path: Path | str, refuse: Callable[[str], EmbedderError], kind: str = "what its name says"
) -> Iterator[None]:
    """Errors of this package pass; all others become `refuse(message)`.

    Hostile files make parsers raise nearly anything: zlib.error, struct.error, KeyError,
    OverflowError ... A list of them would never be complete.

    Args:
        path: the file, named at the beginning of the message.
        refuse: makes the error.
        kind: what the file should be ("a MATLAB file").
    """
    try:
        yield
    except EmbedderError:
        raise
    except MemoryError as error:
        raise refuse(f"{path}: damaged, or too large for this machine's memory") from error
    except Exception as error:
        raise refuse(f"{path}: not {kind}, or damaged: {_reason(error)}") from error


def _reason(error: Exception) -> str:
    text = " ".join(str(error).split())[:LONGEST_REASON]
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
