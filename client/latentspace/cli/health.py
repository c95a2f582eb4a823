"""latentspace health"""

from typing import Annotated, Any

import typer

from latentspace.cli.command import command
from latentspace.cli.exits import ExitCode
from latentspace.cli.output import Output
from latentspace.enums import CollectionState, ServingStatus
from latentspace.errors import NotFoundError
from latentspace.results.model import Model
from latentspace.sync.client import Client

PACKAGE = "latentspace.v1"
SERVICES = ("EmbeddingService", "SearchService", "CollectionService")


def health(
    client: Client,
    out: Output,
    name: Annotated[
        str, typer.Argument(help="A service, as SearchService, or a model; else the whole server.")
    ] = "",
) -> None:
    """Say whether the server, a service or a model answers; exit code 0 if so, 1 if not.

    Without a name the services, models and collections that are not well are told too; a model
    that is not loaded does not make the server ill.
    """
    if name:
        rows = [_named(client, name)]
    else:
        rows = [{"name": "server", "status": client.health(), "reason": ""}]
        rows += [_service(client, service) for service in SERVICES]
        rows += [_model(client, model) for model in client.models()]
        rows += _degraded(client)
    out.records(rows, ("name", "status", "reason"))
    if rows[0]["status"] is not ServingStatus.SERVING:
        raise typer.Exit(ExitCode.REFUSED)


def add_health(app: typer.Typer) -> None:
    """Adds the command."""
    command(app, "health")(health)


def _named(client: Client, name: str) -> dict[str, Any]:
    """The row of a service, or of a model."""
    if name.endswith("Service"):
        return _service(client, name)
    return _model(client, client.model(name))


def _service(client: Client, name: str) -> dict[str, Any]:
    full = name if "." in name else f"{PACKAGE}.{name}"
    return {"name": name, "status": client.health(full), "reason": ""}


def _model(client: Client, model: Model) -> dict[str, Any]:
    try:
        status = client.health(f"{PACKAGE}.EmbeddingService/{model.id}")
    except NotFoundError:  # added a moment ago, and not yet tried
        status = ServingStatus.NOT_SERVING
    well = status is ServingStatus.SERVING
    reason = "" if well else model.state_reason or str(model.state or "")
    return {"name": f"model {model.id}", "status": status, "reason": reason}


def _degraded(client: Client) -> list[dict[str, Any]]:
    return [
        {"name": f"collection {one.name}", "status": one.state, "reason": one.state_reason}
        for one in client.collections()
        if one.state is not CollectionState.READY
    ]
