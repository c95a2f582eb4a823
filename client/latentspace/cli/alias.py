"""latentspace alias"""

from typing import Annotated

import typer

from latentspace.cli.command import command, group
from latentspace.cli.output import Output
from latentspace.sync.client import Client

Alias = Annotated[str, typer.Argument(help="The alias, named like a collection.")]


def list_aliases(client: Client, out: Output) -> None:
    """Second names of collections: list (the default), set, delete."""
    pairs = sorted((alias, one.name) for one in client.collections() for alias in one.aliases)
    out.records(
        ({"alias": alias, "collection": name} for alias, name in pairs), ("alias", "collection")
    )


def set_alias(
    client: Client,
    out: Output,
    alias: Alias,
    collection: Annotated[str, typer.Argument(help="Collection that it stands for from now on.")],
) -> None:
    """Point an alias at a collection, at once; a new alias is made."""
    before = client.set_alias(alias, collection)
    was = f" (before: {before})" if before else ""
    record = {"alias": alias, "collection": collection, "previous_collection": before or None}
    out.say(f"{alias} stands for {collection}{was}", record)


def delete_alias(client: Client, out: Output, alias: Alias) -> None:
    """Delete an alias; its collection stays."""
    client.delete_alias(alias)
    out.say(f"deleted {alias}", {"deleted": alias})


def add_alias(app: typer.Typer) -> None:
    """Adds the group."""
    aliases = group(app, "alias", list_aliases)
    command(aliases, "list")(list_aliases)
    command(aliases, "set")(set_alias)
    command(aliases, "delete")(delete_alias)
