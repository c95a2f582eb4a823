"""Exit codes, and errors as one paragraph on standard error."""

import os
import shutil
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum
from typing import Any

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

    OK = 0, "all went well"
    REFUSED = 1, "the server refused or failed, or not one item worked"
    USAGE = 2, "the command line, or a file that it names, is wrong"
    UNREACHABLE = 3, "the server cannot be reached or does not answer in time"
    PARTIAL = 4, "some items failed and the rest worked"
    INTERRUPTED = 130, "interrupted"

    meaning: str

    def __new__(cls, number: int, meaning: str) -> "ExitCode":
        """A code that knows what it means."""
        code = int.__new__(cls, number)
        code._value_ = number
        code.meaning = meaning
        return code


# the mark keeps a help formatter from filling the lines
EPILOG = "\b\nExit codes:\n" + "\n".join(f"  {code:>3}  {code.meaning}" for code in ExitCode)


def new_app(**options: Any) -> typer.Typer:
    """A group of commands; its help is plain text, which names every option whole."""
    return typer.Typer(
        epilog=EPILOG,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
        **options,
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
        complain(told(error))
        raise typer.Exit(exit_code(error)) from None


def told(error: Exception) -> str:
    """Its message, with the id by which the server's log knows the call."""
    name = getattr(error, "request_id", "")
    return f"{error} (request {name})" if name else str(error)


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
    width = min(100, shutil.get_terminal_size().columns) if sys.stderr.isatty() else 10_000
    print(textwrap.fill(f"latentspace: {message}", width, subsequent_indent="  "), file=sys.stderr)
