"""Commands that other distributions bring, by entry points of the group "latentspace.cli".

An entry point names a function with typer annotations, or a `typer.Typer`. It is imported when
its command runs, not before: `--help` and the other commands stay light.
"""

from collections.abc import Callable
from importlib.metadata import EntryPoint, entry_points

import typer

from latentspace.cli.exits import EPILOG, ExitCode, complain, new_app

GROUP = "latentspace.cli"

# What the server distribution brings; named here, so that its absence has a cure.
SERVER_COMMANDS = {
    "serve": "Run the service.",
    "config": "Check and show the settings of a server.",
    "train": "Train models from files.",
    "cache": "Show or clear what Redis keeps of made rows.",
}


def add_plugins(app: typer.Typer) -> None:
    """Adds a light stand-in for every entry point, and for the server's commands without one."""
    found = {entry.name: entry for entry in entry_points(group=GROUP)}
    for name in sorted({*SERVER_COMMANDS, *found}):
        entry = found.get(name)
        app.command(
            name,
            help=_short_help(name, entry),
            # --help goes through to the real command
            add_help_option=False,
            context_settings={"ignore_unknown_options": True, "allow_extra_args": True},
        )(_missing(name) if entry is None else _runner(entry))


def _runner(entry: EntryPoint) -> Callable[[typer.Context], None]:
    def run(ctx: typer.Context) -> None:
        loaded = entry.load()
        if isinstance(loaded, typer.Typer):
            plugin = loaded
        else:
            plugin = new_app(add_completion=False)
            plugin.command(entry.name, epilog=EPILOG)(loaded)
        plugin(args=ctx.args, prog_name=f"latentspace {entry.name}")

    return run


def _missing(name: str) -> Callable[[typer.Context], None]:
    def run(ctx: typer.Context) -> None:
        complain(
            f"{name} comes with the server, which is not installed; in a checkout of latentspace: "
            "pip install ./client '.[all]'"
        )
        raise typer.Exit(ExitCode.USAGE)

    return run


def _short_help(name: str, entry: EntryPoint | None) -> str:
    if name in SERVER_COMMANDS:
        needs = "" if entry else " (needs the package latentspace-server)"
        return f"{SERVER_COMMANDS[name]}{needs}"
    return f"From {entry.dist.name}." if entry and entry.dist else "An extension."
