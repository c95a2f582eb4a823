"""latentspace labels"""

from dataclasses import asdict
from typing import Annotated

import typer

from latentspace.cli.command import command, group
from latentspace.cli.lines import lines_of
from latentspace.cli.options import FileOption, TemplateOption, templates_of
from latentspace.cli.output import Output
from latentspace.sync.client import Client

COLUMNS = ("name", "model", "labels", "templates", "template_set", "create_time", "space_id")

Name = Annotated[str, typer.Argument(help="Name of a label set.")]


def list_labels(client: Client, out: Output) -> None:
    """Label sets: list (the default), show, create, delete."""
    sets = [asdict(one) for one in client.label_sets()]
    if not out.as_json:
        # a label set may have thousands: their number is enough here
        sets = [{**one, **{n: len(one[n]) for n in ("labels", "templates")}} for one in sets]
    out.records(sets, COLUMNS)


def show_labels(client: Client, out: Output, name: Name) -> None:
    """Show all that is known of a label set."""
    out.record(asdict(client.label_set(name)))


def create_labels(
    client: Client,
    out: Output,
    name: Annotated[str, typer.Argument(help="Name of the new label set.")],
    model: Annotated[str, typer.Option(help="Id of the model that encodes it.")],
    label: Annotated[list[str] | None, typer.Option(help="A label; repeatable.")] = None,
    file: FileOption = None,
    template: TemplateOption = None,
) -> None:
    """Encode labels once and store them, for classify --label-set."""
    labels = lines_of(label or [], file).items
    made = client.create_label_set(
        name, model=model, labels=labels, templates=templates_of(template)
    )
    out.say(f"created {made.name}: {len(made.labels)} labels of {made.model}", asdict(made))


def delete_labels(client: Client, out: Output, name: Name) -> None:
    """Delete a label set."""
    client.delete_label_set(name)
    out.say(f"deleted {name}", {"deleted": name})


def add_labels(app: typer.Typer) -> None:
    """Adds the group."""
    labels = group(app, "labels", list_labels)
    command(labels, "list")(list_labels)
    command(labels, "show")(show_labels)
    command(labels, "create")(create_labels)
    command(labels, "delete")(delete_labels)
