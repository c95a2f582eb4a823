"""latentspace analogy"""

from typing import Annotated

import typer

from latentspace.cli.command import command
from latentspace.cli.exits import UsageError
from latentspace.cli.hits import show_matches
from latentspace.cli.items import Items
from latentspace.cli.lines import lines_of
from latentspace.cli.options import FileOption, LimitOption
from latentspace.cli.output import Output
from latentspace.enums import AnalogyMethod
from latentspace.requests.analogies import Question
from latentspace.sync.client import Client
from latentspace_text import Listing


def analogy(
    client: Client,
    out: Output,
    collection: Annotated[str, typer.Argument(help="A vocabulary, or another collection.")],
    positive: Annotated[
        list[str] | None, typer.Argument(help="Words to be near to, as: king woman.")
    ] = None,
    minus: Annotated[
        list[str] | None, typer.Option("--minus", help="A word to be far from; repeatable.")
    ] = None,
    file: FileOption = None,
    k: LimitOption = 10,
    method: Annotated[
        AnalogyMethod, typer.Option(help="How answers are scored.", case_sensitive=False)
    ] = AnalogyMethod.COS_ADD,
    vocabulary: Annotated[
        int, typer.Option("--vocabulary-limit", min=0, help="Only the most frequent keys.")
    ] = 0,
) -> None:
    """Answer "man is to king as woman is to what": king woman --minus man.

    A --file holds one question a line as "man king woman"; a fourth word and lines that begin
    with ":" are passed over, so that the published test sets can be read.
    """
    if positive or minus:
        if file is not None:
            raise UsageError("pass words or --file, not both")
        names = [_name(positive or [], minus or [])]
        questions: list[Question] = [(positive or [], minus or [])]
    else:
        names, questions = _questions(lines_of([], file))
    result = client.analogy_batch(
        collection,
        questions,
        k=k,
        method=method,
        vocabulary_limit=vocabulary,
        with_payload=len(questions) == 1,
        on_error="return",
    )
    show_matches(out, result, names)
    Items.named(names).end(result.errors)


def add_analogy(app: typer.Typer) -> None:
    """Adds the command."""
    command(app, "analogy")(analogy)


def _questions(lines: Listing) -> tuple[list[str], list[Question]]:
    names: list[str] = []
    questions: list[Question] = []
    for number, line in zip(lines.numbers, lines.items, strict=True):
        if line.startswith(":"):
            continue
        words = line.split()
        if len(words) not in (3, 4):
            raise UsageError(f'line {number}: expected three words as "man king woman": {line:.60}')
        a, b, c = words[:3]
        names.append(_name([b, c], [a]))
        questions.append(([b, c], [a]))
    if not questions:
        raise UsageError("the file has no questions")
    return names, questions


def _name(positive: list[str], minus: list[str]) -> str:
    return " + ".join(positive) + "".join(f" - {word}" for word in minus)
