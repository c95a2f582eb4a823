"""`latentspace config`: settings checked and shown, without a server."""

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from latentspace.cli.exits import EPILOG, ExitCode, complain, new_app
from latentspace.cli.output import Output
from services.app.ending import fail
from services.app.settings import (
    ModelSettings,
    Origin,
    Settings,
    SettingsError,
    effective_settings,
    load_settings,
)

app = new_app(
    help="Settings of a server, checked and shown without one.",
    no_args_is_help=True,
    add_completion=False,
)

JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, one object a line.")]
# what begins so is a path, and no name of packaged or downloaded weights
PATHS = ("/", "./", "../", "~")


@app.command(epilog=EPILOG)
def check(
    file: Annotated[Path, typer.Argument(help="YAML file of settings.")],
    as_json: JsonOption = False,
) -> None:
    """Check a file with the LATENTSPACE_* variables as `serve` would take them.

    Names and values of all settings, the families of models, their options, and whether files
    that they name are there; nothing is loaded. Exit code 2 where something does not fit.
    """
    try:
        settings = load_settings(file)
    except SettingsError as error:
        fail(str(error), ExitCode.USAGE)
    faults = list(model_faults(settings))
    for fault in faults:
        complain(fault)
    if faults:
        raise typer.Exit(ExitCode.USAGE)
    models = sorted(settings.models)
    Output(as_json).say(
        f"{file} fits: it listens on {settings.listen}, models: {', '.join(models) or 'none'}",
        {"file": str(file), "listen": settings.listen, "models": models},
    )


@app.command(epilog=EPILOG)
def show(
    config: Annotated[Path | None, typer.Option(help="YAML file of settings.")] = None,
    listen: Annotated[str | None, typer.Option(help="As of serve.")] = None,
    data_dir: Annotated[Path | None, typer.Option(help="As of serve.")] = None,
    changed: Annotated[bool, typer.Option("--changed", help="Leave out defaults.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Show every setting as `serve` would take it, and where it comes from.

    Origins are default, file, environment and command line; secrets are asterisks.
    """
    try:
        settings = effective_settings(config, {"listen": listen, "data_dir": data_dir})
    except SettingsError as error:
        fail(str(error), ExitCode.USAGE)
    out = Output(as_json)
    rows = (asdict(one) for one in settings if not changed or one.origin is not Origin.DEFAULT)
    # of a default the origin says all; else the file, variable or option does
    shown = rows if as_json else ({**row, "from": row["source"] or row["origin"]} for row in rows)
    out.records(shown, ("name", "value", "from"))


def model_faults(settings: Settings) -> Iterator[str]:
    """What a server would find wrong with its models at the latest when it loads them."""
    for name, model in settings.models.items():
        yield from (f"models.{name}: {problem}" for problem in problems_of(name, model))


def problems_of(name: str, model: ModelSettings) -> Iterator[str]:
    """Faults of one model: its family, its options, its file."""
    # Imported here: `show` and --help need no encoder.
    from embedders.errors import EmbedderError
    from embedders.options import read_options
    from embedders.registry import options_type

    try:
        kind = options_type(model.family)
        if kind is not None:
            read_options(kind, model.options, "options")
    except EmbedderError as error:
        yield str(error)
    source = model.source
    if source.startswith(PATHS) and not Path(source).expanduser().exists():
        yield f"source: there is no file or folder {source}"
