"""latentspace classify"""

from typing import Annotated, cast

import typer

from latentspace.cli.command import command
from latentspace.cli.exits import UsageError
from latentspace.cli.items import read_items
from latentspace.cli.options import (
    FileOption,
    KindOption,
    TemplateOption,
    templates_of,
)
from latentspace.cli.output import Output
from latentspace.errors import LatentspaceError, PartialError
from latentspace.results.classification import Label
from latentspace.sync.client import Client


def classify(
    client: Client,
    out: Output,
    model: Annotated[str, typer.Argument(help="Id of a model.")],
    items: Annotated[
        list[str] | None, typer.Argument(help="Texts, words, images or folders of images.")
    ] = None,
    file: FileOption = None,
    kind: KindOption = None,
    label: Annotated[list[str] | None, typer.Option(help="A label; repeatable.")] = None,
    label_set: Annotated[str | None, typer.Option(help="A stored label set instead.")] = None,
    template: TemplateOption = None,
    top: Annotated[int, typer.Option(min=0, help="Best labels of each item; 0 is all.")] = 0,
    min_probability: Annotated[
        float, typer.Option(min=0.0, max=1.0, help="Leave out less probable labels.")
    ] = 0.0,
) -> None:
    """Name what items show, by labels in words."""
    if (not label) == (label_set is None):
        raise UsageError("pass --label (more than once) or --label-set")
    read = read_items(client, model, kind, items or [], file)
    found: list[list[Label]]
    errors: dict[int, LatentspaceError] = {}
    try:
        with read.sending():
            found = client.classify(
                model,
                inputs=read.inputs,
                labels=label or None,
                label_set=label_set,
                templates=templates_of(template),
                top_k=top,
                min_probability=min_probability,
            )
    except PartialError as partial:
        found, errors = cast(list[list[Label]], partial.result), partial.errors
    out.records(
        (
            {"input": line, "label": one.label, "probability": one.probability}
            for line, labels in zip(read.sent_names, found, strict=True)
            for one in labels
        ),
        ("input", "label", "probability"),
    )
    read.end(errors)


def add_classify(app: typer.Typer) -> None:
    """Adds the command."""
    command(app, "classify")(classify)
