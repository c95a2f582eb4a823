"""`latentspace serve`; it joins the command line by entry point."""

import asyncio
import logging
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from services.app.ending import fail
from services.app.settings import DEFAULT_LISTEN, Settings, SettingsError, load_settings
from services.runtime.process import settle

logger = logging.getLogger(__name__)


def serve(
    listen: Annotated[
        str | None,
        typer.Option(help=f"HOST:PORT; port 0 takes a free one (default {DEFAULT_LISTEN})."),
    ] = None,
    data_dir: Annotated[
        Path | None,
        typer.Option(help="Where collections live (default ~/.local/share/latentspace)."),
    ] = None,
    config: Annotated[Path | None, typer.Option(help="YAML file of settings.")] = None,
    demo: Annotated[bool, typer.Option(help="Show first answers when the service is up.")] = False,
) -> None:
    """Run the service; without a configuration, on its embedded default."""
    try:
        settings = load_settings(config, {"listen": listen, "data_dir": data_dir})
    except SettingsError as error:
        fail(str(error), code=2)
    run(settings, demo)


def run(settings: Settings, demo: bool) -> None:
    """Serves until asked to stop; what prevents it is said in one line."""
    settle(settings.cores)
    # Imported here: settings are checked, and threads settled, before the heavy packages are read.
    from services.app.logs import logging_to

    with logging_to(settings.log):
        code, reason = serve_to_the_end(settings, demo)
        if reason and settings.log.format == "json":
            logger.error("ended", extra={"error": reason})
    if reason and settings.log.format == "text":
        fail(reason, code)
    if code:
        raise SystemExit(code)


def serve_to_the_end(settings: Settings, demo: bool) -> tuple[int, str]:
    """The exit code, and what prevented serving."""
    if find_spec("faiss") is None:
        cure = "pip install 'latentspace-server[cpu]', or the extra gpu"
        return 1, f"collections need FAISS, which is not installed: {cure}"
    from embedders.errors import EmbedderError
    from index.errors import VectorIndexError
    from services.app.demo import greet
    from services.app.life import serve as serve_until_stopped
    from services.rpc.listening import ListenError

    # first answers are for people; where the log is JSON there is nothing but the log
    greeting = greet if demo and settings.log.format == "text" else None
    try:
        asyncio.run(serve_until_stopped(settings, greeting))
    except SettingsError as error:
        return 2, str(error)
    except (EmbedderError, VectorIndexError, ListenError, OSError) as error:
        return 1, str(error)
    return 0, ""
