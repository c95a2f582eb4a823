"""latentspace snapshots"""

from dataclasses import asdict
from typing import Annotated

import typer

from latentspace.cli.command import YesOption, command, confirm, group
from latentspace.cli.exits import complain
from latentspace.cli.operations import Wait, told_operation
from latentspace.cli.output import Output
from latentspace.sync.client import Client

COLUMNS = ("name", "collection", "points", "bytes", "create_time")

Snapshot = Annotated[str, typer.Argument(help="Name of a snapshot.")]


def all_snapshots(client: Client, out: Output) -> None:
    """Snapshots of collections: list (the default), create, restore, delete."""
    list_snapshots(client, out)


def list_snapshots(
    client: Client,
    out: Output,
    collection: Annotated[str, typer.Argument(help="Only of this collection.")] = "",
) -> None:
    """List snapshots, newest first."""
    snapshots = client.snapshots(collection)
    if collection and not snapshots:
        others = sorted({one.collection for one in client.snapshots() if one.collection})
        complain(f"there is no snapshot of {collection!r}; of: {', '.join(others) or 'none'}")
    out.records(map(asdict, snapshots), COLUMNS)


def create_snapshot(
    client: Client,
    out: Output,
    collection: Annotated[str, typer.Argument(help="Name or alias of a collection.")],
    name: Annotated[str, typer.Option(help="Name of the snapshot; else made from the time.")] = "",
    wait: Wait = True,
) -> None:
    """Write a collection as it is now to an archive in the server's data folder."""
    told_operation(client.snapshot(collection, name, wait=False), out, wait)


def restore_snapshot(
    client: Client,
    out: Output,
    snapshot: Snapshot,
    collection: Annotated[str, typer.Argument(help="Name of the new collection.")],
    wait: Wait = True,
) -> None:
    """Make a new collection from a snapshot; point an alias at it to switch to it."""
    told_operation(client.restore(snapshot, collection, wait=False), out, wait)


def delete_snapshot(
    client: Client, out: Output, snapshot: Snapshot, yes: YesOption = False
) -> None:
    """Delete a snapshot and its archive; the collection stays."""
    confirm(f"Delete the snapshot {snapshot}?", yes)
    freed = client.delete_snapshot(snapshot)
    out.say(
        f"deleted {snapshot}: {freed:,} bytes freed", {"deleted": snapshot, "bytes_freed": freed}
    )


def add_snapshots(app: typer.Typer) -> None:
    """Adds the group."""
    snapshots = group(app, "snapshots", all_snapshots)
    command(snapshots, "list")(list_snapshots)
    command(snapshots, "create")(create_snapshot)
    command(snapshots, "restore")(restore_snapshot)
    command(snapshots, "delete")(delete_snapshot)
