"""Items of a batch that cannot be sent: they fail alone, by position, and the others are sent."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from latentspace.errors import FieldViolation, InvalidArgumentError, LatentspaceError

S = TypeVar("S")
T = TypeVar("T")

Errors = dict[int, LatentspaceError]


@dataclass(frozen=True, slots=True)
class Sifted:
    """A stretch of a batch.

    Args:
        count: its items, sent or not.
        places: of the items that were sent, in it.
        errors: of the others, by place.
    """

    count: int
    places: list[int]
    errors: Errors = field(default_factory=dict)

    def spread(self, results: list[T], failed: Callable[[], T]) -> list[T]:
        """Results of what was sent, and between them what stands for the others."""
        spread = [failed() for _ in range(self.count)]
        for place, result in zip(self.places, results, strict=True):
            spread[place] = result
        return spread

    def placed(self, errors: Errors) -> Errors:
        """All errors by place, in order: those of the server count what was sent."""
        placed = {self.places[i]: error for i, error in errors.items()}
        return dict(sorted((placed | self.errors).items()))


class Sieve(Generic[S, T]):
    """Converts items one by one, as they are needed, and remembers those that cannot be.

    Args:
        items: of the caller.
        convert: an item to what is sent; raises LatentspaceError or OSError.
        name: of the argument, as "texts".
    """

    def __init__(self, items: Iterable[S], convert: Callable[[S], T], name: str) -> None:
        self._items, self._convert, self.name = items, convert, name
        self._places: deque[int] = deque()
        self._errors: Errors = {}
        self._start = 0
        self.count = 0

    def __iter__(self) -> Iterator[T]:
        for position, item in enumerate(self._items):
            self.count = position + 1
            try:
                converted = self._convert(item)
            except (LatentspaceError, OSError) as error:
                self._errors[position] = item_error(error, f"{self.name}[{position}]")
                continue
            self._places.append(position)
            yield converted

    def taken(self, sent: int) -> Sifted:
        """The stretch that ends with the next `sent` items that were sent; forgets it."""
        places = [self._places.popleft() for _ in range(sent)]
        return self._stretch(places, places[-1] + 1 if places else self._start)

    def whole(self) -> Sifted:
        """All, of a batch that was sent at once.

        Raises:
            InvalidArgumentError: there were no items.
        """
        if not self.count:
            raise InvalidArgumentError(f"{self.name}: is empty; pass at least one")
        return self.rest()

    def rest(self) -> Sifted:
        """All that was not taken."""
        places = list(self._places)
        self._places.clear()
        return self._stretch(places, self.count)

    def _stretch(self, places: list[int], end: int) -> Sifted:
        start, self._start = self._start, end
        errors = {i - start: self._errors.pop(i) for i in sorted(self._errors) if i < end}
        return Sifted(end - start, [place - start for place in places], errors)


def item_error(error: LatentspaceError | OSError, name: str) -> LatentspaceError:
    """The error of an item with its place in the caller's list, such as "texts[3]"."""
    kind: type[LatentspaceError] = InvalidArgumentError
    problem, reason = f"cannot be read: {error}", ""
    if isinstance(error, LatentspaceError):
        head, colon, rest = error.message.partition(": ")
        # what was said of one item, as "text: ..."
        problem = rest if colon and head.partition("[")[0].isidentifier() else error.message
        reason = error.reason
        if type(error).__init__ is LatentspaceError.__init__:
            kind = type(error)
    placed = kind(
        f"{name}: {problem}", reason=reason, field_violations=[FieldViolation(name, problem)]
    )
    placed.__cause__ = error
    return placed
