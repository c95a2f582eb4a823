"""Arguments of commands as inputs: each is read as what it says, or fails alone."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from latentspace.cli.exits import complain, end_failed
from latentspace.cli.lines import listing_of, told_fault
from latentspace.cli.options import Kind
from latentspace.cli.reading import Reader, Reading
from latentspace.enums import Modality
from latentspace.errors import FailedPreconditionError, LatentspaceError, PartialError
from latentspace.inputs import Input, TextInput
from latentspace.sync.client import Client


@dataclass(frozen=True, slots=True)
class Items:
    """What the arguments of a command stand for; a folder stands for its images.

    Args:
        names: of all items, in the order of the arguments.
        inputs: what can be sent.
        positions: place of each input in `names`.
        errors: place in `names` of each item that cannot be read to what is wrong with it.
    """

    names: list[str] = field(default_factory=list)
    inputs: list[Input] = field(default_factory=list)
    positions: list[int] = field(default_factory=list)
    errors: dict[int, str] = field(default_factory=dict)

    @classmethod
    def named(cls, names: Sequence[str]) -> Self:
        """Items that need no reading, by name."""
        return cls(list(names), positions=list(range(len(names))))

    def add(self, name: str, reading: Reading) -> None:
        """One more item: its input, or what is wrong with it."""
        if isinstance(reading, str):
            self.errors[len(self.names)] = reading
        else:
            self.positions.append(len(self.names))
            self.inputs.append(reading)
        self.names.append(name)

    @property
    def sent_names(self) -> list[str]:
        """Names of the inputs, one for each."""
        return [self.names[position] for position in self.positions]

    @contextmanager
    def sending(self) -> Iterator[None]:
        """Around a call with the inputs: where all of it is refused, what cannot be read is told.

        Raises:
            typer.Exit: there is nothing to send.
        """
        if not self.positions:
            self.end({})
        try:
            yield
        except PartialError:
            raise
        except LatentspaceError:
            self._tell(self.errors)
            raise

    def end(self, errors: Mapping[int, LatentspaceError]) -> None:
        """Says what failed, on standard error and in the exit code.

        Args:
            errors: of inputs, by their places in `inputs`.

        Raises:
            typer.Exit: something failed.
        """
        failed = self.errors | {self.positions[i]: str(error) for i, error in errors.items()}
        self._tell(failed)
        end_failed(len(failed), len(self.names))

    def _tell(self, failed: Mapping[int, str]) -> None:
        single = len(self.names) == 1
        for position, problem in sorted(failed.items()):
            name = f"{self.names[position]:.60}"
            complain(f"{name}: {problem}" if single else f"item {position} ({name}): {problem}")


def read_items(
    client: Client, model: str, kind: Kind | None, arguments: Sequence[str], file: Path | None
) -> Items:
    """The arguments, or the lines of --file or of a pipe, as inputs of a model.

    Raises:
        UsageError: there are none, or both.
        LatentspaceError: the model is unknown, or not loaded and so does not say what it takes.
    """
    listing = listing_of(arguments, file)
    reader = reader_for(client, model, kind, in_file=not arguments)
    items = Items()
    faults = {line.number: line for line in listing.faults}
    texts = dict(zip(listing.numbers, listing.items, strict=True))
    for number in sorted([*texts, *faults]):
        if line := faults.get(number):
            items.add(line.text, told_fault(line))
            continue
        for name, reading in reader.read(texts[number]):
            items.add(name, reading)
    if arguments and reader.guesses and reader.images:
        _tell_guesses(items)
    return items


def _tell_guesses(items: Items) -> None:
    """Says which single words were taken for texts: one may be a misspelt file or folder."""
    words = [
        name
        for name, item in zip(items.sent_names, items.inputs, strict=True)
        if isinstance(item, TextInput) and len(name.split()) == 1
    ]
    if words:
        complain(
            f"taken for text, since there is no such file: {', '.join(words):.200}"
            " (--as text says so)"
        )


def reader_for(client: Client, model: str, kind: Kind | None, in_file: bool = False) -> Reader:
    """How lines for a model are read: as --as says, else by what the model takes.

    Args:
        in_file: the lines are not arguments of the command line.

    Raises:
        LatentspaceError: the model is unknown, or not loaded.
    """
    if kind is not None:
        return Reader(None if kind is Kind.IMAGE else kind, kind is Kind.IMAGE, guesses=False)
    known = client.model(model)
    if not known.modalities:
        why = f" ({known.state_reason})" if known.state_reason else ""
        raise FailedPreconditionError(
            f"{model} is {known.state or 'not ready'}{why} and does not say what it takes: load it"
            f" with `latentspace models load {model}`, or pass --as"
        )
    words = next((one for one in (Kind.KEY, Kind.TEXT) if Modality(one) in known.modalities), None)
    guesses = not in_file or Modality.IMAGE in known.modalities
    return Reader(words, Modality.IMAGE in known.modalities, guesses)
