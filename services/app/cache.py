"""`latentspace cache`: what Redis keeps of this service, and clearing it."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from latentspace.cli.exits import EPILOG, ExitCode, new_app
from latentspace.cli.output import Output
from services.app.ending import fail
from services.app.settings import SettingsError, load_settings

if TYPE_CHECKING:
    import redis

# Nobody waits in a queue here: a person may wait for a busy Redis.
TIMEOUT_S = 10.0
SPACE = re.compile(r"[0-9a-f]{1,64}")

app = new_app(
    help="What Redis keeps of rows that were made before.",
    no_args_is_help=True,
    add_completion=False,
)

ConfigOption = Annotated[Path | None, typer.Option(help="YAML file of settings.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, one object a line.")]


@app.command(epilog=EPILOG)
def stats(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Counts entries and bytes by space, and shows what Redis says of its hits."""

    def show(client: "redis.Redis") -> None:
        from services.runtime.cache.inspection import server_figures, take_stock

        found = take_stock(client)
        spaces = [
            {"space_id": space, "keys": keys, "bytes": found.bytes[space]}
            for space, keys in found.keys.most_common()
        ]
        totals = {"keys": found.keys.total(), "bytes": found.bytes.total()}
        totals |= server_figures(client)
        out = Output(as_json)
        out.record(totals | {"spaces": spaces} if as_json else totals)
        if spaces and not as_json:
            out.records(spaces, ["space_id", "keys", "bytes"])

    with_redis(config, show)


@app.command(epilog=EPILOG)
def clear(
    config: ConfigOption = None,
    space: Annotated[str, typer.Option(help="Only rows of this space_id.")] = "",
    as_json: JsonOption = False,
) -> None:
    """Deletes entries; other keys of the same Redis stay."""
    if space and not SPACE.fullmatch(space):
        fail(f"--space {space!r} is no space_id: hexadecimal digits", ExitCode.USAGE)

    def delete(client: "redis.Redis") -> None:
        from services.runtime.cache.inspection import clear as clear_entries

        deleted = clear_entries(client, space)
        Output(as_json).say(f"deleted {deleted} entries", {"deleted": deleted})

    with_redis(config, delete)


def with_redis(config: Path | None, work: Callable[["redis.Redis"], None]) -> None:
    """Does work with the Redis of the settings; what prevents it is said in one line."""
    try:
        settings = load_settings(config).cache
    except SettingsError as error:
        fail(str(error), ExitCode.USAGE)
    if not (url := settings.redis_url.get_secret_value()):
        fail(
            "no Redis is configured (cache.redis_url, LATENTSPACE_CACHE__REDIS_URL); the cache in"
            " memory is each server's own and ends with it",
            ExitCode.USAGE,
        )
    try:
        import redis
    except ModuleNotFoundError:
        fail("this needs the package redis: pip install 'latentspace-server[redis]'")
    try:
        with redis.Redis.from_url(
            url, socket_timeout=TIMEOUT_S, socket_connect_timeout=TIMEOUT_S
        ) as client:
            work(client)
    except (redis.ConnectionError, redis.TimeoutError) as error:
        fail(f"Redis does not answer: {error}", ExitCode.UNREACHABLE)
    except (redis.RedisError, ValueError) as error:
        fail(f"Redis refuses: {error}")
