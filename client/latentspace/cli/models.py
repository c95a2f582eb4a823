"""latentspace models"""

import sys
from dataclasses import asdict
from typing import Annotated

import typer

from latentspace.cli.command import YesOption, command, confirm, group
from latentspace.cli.operations import Wait, told_operation
from latentspace.cli.options import ParamOption, params_of
from latentspace.cli.output import Output
from latentspace.enums import ModelOrigin
from latentspace.sync.client import Client

COLUMNS = ("id", "family", "modalities", "dim", "state", "vocabulary_size", "space_id")
# `show` has the rest
SHOWN = ("id", "family", "modalities", "dim", "state", "origin")


def list_models(client: Client, out: Output) -> None:
    """Models: list (the default), show, load, unload, add, delete, train."""
    models = client.models()
    out.records(map(asdict, models), SHOWN if out.is_table else COLUMNS)
    if not out.as_json:
        for model in models:
            if model.state_reason:
                print(f"{model.id}: {model.state_reason}", file=sys.stderr)


def show_model(client: Client, out: Output, model: str) -> None:
    """Show all that is known of a model."""
    out.record(asdict(client.model(model)))


def load_model(client: Client, out: Output, model: str) -> None:
    """Load a configured model and wait until it answers."""
    loaded = client.load_model(model)
    out.say(f"{loaded.id} is {loaded.state}", asdict(loaded))


def unload_model(client: Client, out: Output, model: str) -> None:
    """Unload a model and give its memory back."""
    unloaded = client.unload_model(model)
    out.say(f"{unloaded.id} is {unloaded.state}", asdict(unloaded))


def add_model(
    client: Client,
    out: Output,
    model: Annotated[str, typer.Argument(help="Id of the new model.")],
    family: Annotated[
        str, typer.Option(help="word2vec, node2vec, averaged, sentence, face, clip, ...")
    ],
    source: Annotated[
        str,
        typer.Option(
            help="File or folder that the server can see, below its roots; else the family's own."
        ),
    ] = "",
    option: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=VALUE", help="An option of the family; repeatable."),
    ] = None,
    load: Annotated[bool, typer.Option(help="Load it now; where that fails, add nothing.")] = True,
) -> None:
    """Add a model to the running server; it is there after a restart too."""
    added = client.add_model(
        model, family=family, source=source, options=params_of(option, "--option"), load=load
    )
    out.say(f"added {added.id}: {added.family}, {added.state}", asdict(added))


def delete_model(
    client: Client,
    out: Output,
    model: Annotated[str, typer.Argument(help="Id of a model that was added or trained.")],
    force: Annotated[
        bool, typer.Option("--force", help="Even where collections or label sets are of it.")
    ] = False,
    yes: YesOption = False,
) -> None:
    """Delete a model; of one that the server trained the files too."""
    if not yes:
        trained = client.model(model).origin is ModelOrigin.TRAINED
        confirm(f"Delete the model {model}{' and its files' if trained else ''}?", yes)
    client.delete_model(model, force=force)
    out.say(f"deleted {model}", {"deleted": model})


def train_model(
    client: Client,
    out: Output,
    family: Annotated[str, typer.Argument(help="word2vec, node2vec, face or clip.")],
    source: Annotated[
        str, typer.Option(help="File or folder that the server can see, below its roots.")
    ],
    model: Annotated[str, typer.Option(help="Id of the new model; else made up.")] = "",
    param: ParamOption = None,
    load: Annotated[bool, typer.Option("--load", help="Load it when it is trained.")] = False,
    wait: Wait = True,
) -> None:
    """Train a model on the server, as an operation (`latentspace train` needs none)."""
    started = client.train(family, source=source, model=model, params=params_of(param), load=load)
    told_operation(started, out, wait)


def add_models(app: typer.Typer) -> None:
    """Adds the group."""
    models = group(app, "models", list_models)
    command(models, "list")(list_models)
    command(models, "show")(show_model)
    command(models, "load")(load_model)
    command(models, "unload")(unload_model)
    command(models, "add")(add_model)
    command(models, "delete")(delete_model)
    command(models, "train")(train_model)
