"""Exit codes, and errors as one paragraph on standard error."""

import os
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum

import typer

from latentspace.errors import (
    DeadlineError,
    FilterSyntaxError,
    LatentspaceError,
    PartialError,
    UnavailableError,
)


class ExitCode(IntEnum):
    """What the process ends with."""

    OK = 0
    REFUSED = 1
    USAGE = 2
    UNREACHABLE = 3
    PARTIAL = 4
    INTERRUPTED = 130


EPILOG = (
    "Exit codes: 0 all went well, 1 the server refused or failed, 2 the command line is wrong, "
    "3 the server cannot be reached or does not answer in time, 4 some items failed and the rest "
    "worked, 130 interrupted."
)


class UsageError(Exception):
    """The command line is wrong; the message says what would be right."""


@contextmanager
def errors_as_exits() -> Iterator[None]:
    """Turns what a command raises into a message and an exit code; never a traceback.

    With LATENTSPACE_DEBUG=1 the exception goes on as it is.
    """
    try:
        yield
    except KeyboardInterrupt:
        raise typer.Exit(ExitCode.INTERRUPTED) from None
    except BrokenPipeError:
        # the reader has left; what is still buffered must not be flushed into its pipe
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(ExitCode.OK) from None
    except (LatentspaceError, UsageError, OSError) as error:
        if os.environ.get("LATENTSPACE_DEBUG") == "1":
            raise
        complain(str(error))
        raise typer.Exit(exit_code(error)) from None


def exit_code(error: Exception) -> ExitCode:
    """The code that an error stands for."""
    match error:
        case UnavailableError() | DeadlineError():
            return ExitCode.UNREACHABLE
        case PartialError():
            return ExitCode.PARTIAL
        case FilterSyntaxError() | UsageError() | OSError():
            return ExitCode.USAGE
        case _:
            return ExitCode.REFUSED


def end_failed(failed: int, items: int) -> None:
    """Ends a command some of whose items failed.

    Raises:
        typer.Exit: PARTIAL, or REFUSED where not one worked.
    """
    if failed:
        raise typer.Exit(ExitCode.REFUSED if failed >= items else ExitCode.PARTIAL)


def complain(message: str) -> None:
    """Writes one paragraph to standard error."""
    # a log or a pipe gets one line, which grep finds whole
    width = 100 if sys.stderr.isatty() else 10_000
    print(textwrap.fill(f"latentspace: {message}", width, subsequent_indent="  "), file=sys.stderr)
