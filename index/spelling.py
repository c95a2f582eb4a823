"""Names like one that is unknown."""

from collections.abc import Iterable
from difflib import get_close_matches

_MAX_LISTED = 10
# the cost of comparing grows with the product of both lengths
_MAX_LETTERS = 128


def near_names(name: str, known: Iterable[str]) -> str:
    """The end of a message on an unknown name: the names like it, else all, else that none is."""
    names = sorted(known)
    if close := get_close_matches(name[:_MAX_LETTERS], names, n=3, cutoff=0.6):
        return f"; did you mean {' or '.join(map(repr, close))}?"
    if not names:
        return "; there is none yet"
    rest = len(names) - _MAX_LISTED
    return f"; there are: {', '.join(names[:_MAX_LISTED])}{f' and {rest} more' if rest > 0 else ''}"
