"""latentspace models"""

from dataclasses import asdict
from typing import Annotated

import typer

from latentspace.cli.command import command, group
from latentspace.cli.operations import Wait, told_operation
from latentspace.cli.options import ParamOption, params_of
from latentspace.cli.output import Output
from latentspace.sync.client import Client

COLUMNS = ("id", "family", "modalities", "dim", "state", "vocabulary_size", "space_id")


def list_models(client: Client, out: Output) -> None:
    """Models: list (the default), show, load, unload, train."""
    out.records(map(asdict, client.models()), COLUMNS)


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
    command(models, "train")(train_model)
