"""Lines of arguments, of --file and of pipes, by the rules that all text files are read by."""

import sys
from collections.abc import Sequence
from pathlib import Path

from latentspace.cli.exits import UsageError, complain
from latentspace_text import Line, Listing, TextFileError, open_lines, read_list


def lines_of(arguments: Sequence[str], file: Path | None) -> Listing:
    """The arguments, else the lines of --file, else those of a piped standard input.

    Raises:
        UsageError: there is nothing, or a line cannot be read.
    """
    listing = listing_of(arguments, file)
    if listing.faults:
        raise UsageError(f"{file or 'standard input'}: {told_fault(listing.faults[0])}")
    return listing


def listing_of(arguments: Sequence[str], file: Path | None) -> Listing:
    """The same with the lines that could not be read; how many blank ones were left out is told.

    Raises:
        UsageError: there is nothing, or the file cannot be read.
    """
    if arguments and file is not None:
        raise UsageError("pass arguments or --file, not both")
    if arguments:
        return Listing(list(arguments), list(range(1, len(arguments) + 1)))
    if file is None and sys.stdin.isatty():
        raise UsageError("nothing to do: pass arguments, --file, or lines on standard input")
    # a pipe is read without being asked for; a terminal never is
    piped = file is None or str(file) == "-"
    name = "standard input" if piped or file is None else str(file)
    try:
        listing = read_list(open_lines(sys.stdin.buffer, name) if piped or file is None else file)
    except TextFileError as error:
        raise UsageError(str(error)) from error
    if not listing.items and not listing.faults:
        raise UsageError(f"{name} has no lines")
    if listing.blank:
        rest = f"the other {len(listing.items):,} keep their order"
        blanks = f"{listing.blank:,} blank line{'s' * (listing.blank != 1)}"
        complain(f"{name}: {blanks} left out; {rest}")
    return listing


def told_fault(line: Line) -> str:
    """Why a line cannot be used: "line 3 is not UTF-8"."""
    return f"line {line.number} {line.fault}"
