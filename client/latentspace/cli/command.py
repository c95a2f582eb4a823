"""How commands are made: each gets a client and an output, and the options that all share."""

import inspect
import sys
from collections.abc import Callable
from typing import Annotated, Any, TypeVar

import typer

from latentspace.addresses import DEFAULT_TARGET, SERVER_VARIABLE
from latentspace.cli.exits import EPILOG, UsageError, errors_as_exits, new_app
from latentspace.cli.output import Output
from latentspace.errors import InvalidArgumentError
from latentspace.sync.client import Client

ServerOption = Annotated[
    str | None,
    typer.Option(
        "--server",
        metavar="HOST:PORT",
        help=f"Address of the server (else {SERVER_VARIABLE}, else {DEFAULT_TARGET}).",
    ),
]
YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, one object a line.")]
TimeoutOption = Annotated[
    float | None, typer.Option("--timeout", metavar="SECONDS", help="Longest wait for a reply.")
]

F = TypeVar("F", bound=Callable[..., None])
_SHARED = {
    "server": (ServerOption, None),
    "json": (JsonOption, False),
    "timeout": (TimeoutOption, None),
}


def command(app: typer.Typer, name: str) -> Callable[[F], F]:
    """Adds a function (client, out, ...) to `app`; its docstring is the help."""

    def add(function: F) -> F:
        app.command(name, epilog=EPILOG, no_args_is_help=False)(_adapted(function))
        return function

    return add


def subcommands(app: typer.Typer, name: str, help: str) -> typer.Typer:
    """A group of commands within `app` that means nothing without one."""
    made = new_app(help=help, no_args_is_help=True)

    @made.callback()
    def run(ctx: typer.Context, server: ServerOption = None) -> None:
        remember_server(ctx, server)

    app.add_typer(made, name=name)
    return made


def group(app: typer.Typer, name: str, default: Callable[[Client, Output], None]) -> typer.Typer:
    """A group of commands within `app`; without a command, `default` runs."""
    made = new_app(help=default.__doc__)

    @made.callback(invoke_without_command=True)
    def run(
        ctx: typer.Context,
        server: ServerOption = None,
        json: JsonOption = False,
        timeout: TimeoutOption = None,
    ) -> None:
        remember_server(ctx, server)
        if ctx.invoked_subcommand is None:
            with errors_as_exits(), client_for(ctx, server, timeout) as client:
                default(client, Output(json))

    app.add_typer(made, name=name)
    return made


def confirm(question: str, yes: bool) -> None:
    """Asks before what cannot be undone.

    Args:
        question: as "Delete photos and its 3 points?".
        yes: it was answered on the command line.

    Raises:
        UsageError: nobody is there to be asked.
        typer.Abort: the answer is no.
    """
    if yes:
        return
    if not sys.stdin.isatty():
        raise UsageError(f"{question} This cannot be undone: pass --yes")
    typer.confirm(question, abort=True)


def remember_server(ctx: typer.Context, server: str | None) -> None:
    """Keeps a --server that stands before the command's name."""
    if server is not None:
        ctx.obj = server


def client_for(ctx: typer.Context, server: str | None, timeout_s: float | None) -> Client:
    """A client of the server that was named nearest to the command.

    Raises:
        UsageError: that is no address.
    """
    try:
        return Client(server or ctx.obj, timeout_s=timeout_s)
    except InvalidArgumentError as error:
        raise UsageError(str(error)) from None


def _adapted(function: Callable[..., None]) -> Callable[..., None]:
    """The function as typer sees it: without client and out, with the shared options."""

    def run(ctx: typer.Context, **arguments: Any) -> None:
        server, json, timeout = (arguments.pop(name) for name in _SHARED)
        with errors_as_exits(), client_for(ctx, server, timeout) as client:
            function(client, Output(json), **arguments)

    signature = inspect.signature(function, eval_str=True)
    own = list(signature.parameters.values())[2:]
    kind = inspect.Parameter.KEYWORD_ONLY
    context = inspect.Parameter("ctx", kind, annotation=typer.Context)
    shared = [
        inspect.Parameter(name, kind, default=default, annotation=annotation)
        for name, (annotation, default) in _SHARED.items()
    ]
    parameters = [context, *(one.replace(kind=kind) for one in own), *shared]
    # typer reads the signature in some versions, the annotations in others
    run.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {one.name: one.annotation for one in parameters}
    run.__doc__ = function.__doc__
    run.__name__ = function.__name__
    return run
