"""Generates docs/cli.md from the commands, or checks that it is up to date.

python scripts/generate_cli_page.py [--check]
"""

import argparse
import sys
from collections.abc import Iterator
from enum import StrEnum
from importlib import import_module
from pathlib import Path
from typing import Any

import typer

from latentspace.cli.app import app
from latentspace.cli.exits import ExitCode

PAGE = Path(__file__).resolve().parent.parent / "docs" / "cli.md"
#: what the server's distribution brings, by the entry points of pyproject.toml
SERVER = {
    "serve": ("services.app.cli", "serve"),
    "train": ("services.app.training", "app"),
    "cache": ("services.app.cache", "app"),
    "config": ("services.app.config", "app"),
}
#: said once, at the beginning
SHARED = ("server", "json", "timeout", "help")

#: what stands for a value of an option
WORDS = {int: "N", float: "X", Path: "PATH"}

HEAD = """# The command line

Made from the commands by `scripts/generate_cli_page.py`; `latentspace COMMAND --help` says the
same. `pip install 'latentspace[cli]'` brings it; `serve`, `train`, `cache` and `config` come with
the server.

## What all commands share

- `--server HOST:PORT`: address of the server; else `LATENTSPACE_SERVER`, else 127.0.0.1:50051. It
  may stand before or after the command's name.
- `--json`: JSON, one object a line, with keys of their own names; nothing is shortened.
- `--timeout SECONDS`: longest wait for a reply.
- `-h`, `--help`: help of the command.

A terminal gets tables (blocks of lines where a table would not fit), a pipe tab-separated lines
without a header. Progress and messages go to standard error. Of a call that fails the message
ends in `(request ID)`: the server's log lines of that call have the same `request_id`. Commands
that delete ask first; in a pipe they need `--yes`.

## Exit codes

| code | meaning |
|---|---|
{codes}

## What an argument is

Commands that take items (`embed`, `classify`, `compare`, `identify`, `search --file`) read each by
itself. For a model that takes

- **images and texts** it is an image where it is there as a file; the images below it where it is a
  folder; an error of that item alone where it is written as a path (a separator in it, `~` in
  front, the ending of a picture) and cannot be read; else a text;
- **images** it is a path;
- **texts** it is a text; an error where it is the name of a picture, begins as a path does (`/`,
  `./`, `../`, `~/`) or is a file whose name has an ending. Lines of `--file` are texts, whatever
  they look like;
- **keys** it is a key.

URLs are not fetched. `--as text`, `--as image` and `--as key` say what all of them are. Items that
fail are told on standard error, the others are answered (exit code 4); where not one worked the
exit code is 1.

Files of lines (`--file`, a pipe) are UTF-8, a byte order mark is left out, and lines end at LF or
CR LF only. Blank lines are left out and counted on standard error; a line that cannot be read
fails alone.
"""


def main() -> int:
    """Writes the page, or with --check compares and returns 1 where it differs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="compare, change nothing")
    check = parser.parse_args().check
    fresh = page()
    if PAGE.exists() and PAGE.read_text(encoding="utf-8") == fresh:
        return 0
    print(f"{'stale' if check else 'wrote'}: docs/cli.md")
    if not check:
        PAGE.write_text(fresh, encoding="utf-8")
    return int(check)


def page() -> str:
    """The whole page."""
    codes = "\n".join(f"| {code} | {code.meaning} |" for code in ExitCode)
    parts = [HEAD.replace("{codes}", codes)]
    for words, command in commands():
        depth = "##" if len(words) == 1 else "###"
        parts.append(f"{depth} latentspace {' '.join(words)}\n\n{section(words, command)}")
    return "\n".join(parts)


def commands() -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every command by the words that lead to it."""
    for name, command in typer.main.get_command(app).commands.items():  # type: ignore[attr-defined]
        yield from tree((name,), server_command(name) if name in SERVER else command)


def tree(words: tuple[str, ...], command: Any) -> Iterator[tuple[tuple[str, ...], Any]]:
    """A command and all below it."""
    yield words, command
    for name, child in getattr(command, "commands", {}).items():
        yield from tree((*words, name), child)


def server_command(name: str) -> Any:
    """A command of the server's distribution."""
    module, attribute = SERVER[name]
    found = getattr(import_module(module), attribute)
    if not isinstance(found, typer.Typer):
        single = typer.Typer(add_completion=False)
        single.command(name)(found)
        found = single
    return typer.main.get_command(found)


def section(words: tuple[str, ...], command: Any) -> str:
    """Usage, what it does, and its options."""
    shown = [one for one in command.params if one.name not in SHARED and not hidden(one)]
    arguments = [one for one in shown if not is_option(one)]
    usage = ["latentspace", *words, *(metavar(one) for one in arguments)]
    if hasattr(command, "commands"):
        usage.append("COMMAND")
    elif len(shown) > len(arguments):
        usage.append("[OPTIONS]")
    about = (command.help or "").strip()
    text = f"    {' '.join(usage)}\n\n{about}\n"
    rows = "\n".join(row(one) for one in shown)
    return f"{text}\n| | |\n|---|---|\n{rows}\n" if rows else text


def hidden(parameter: Any) -> bool:
    """Options that help does not show, or that every program has."""
    return bool(parameter.hidden) or "completion" in parameter.name


def is_option(parameter: Any) -> bool:
    """Whether it begins with a dash."""
    return str(parameter.opts[0]).startswith("-")


def row(parameter: Any) -> str:
    """A line of the table."""
    if is_option(parameter):
        names = [*parameter.opts, *parameter.secondary_opts]
        value = "" if parameter.is_flag else f" {metavar(parameter)}"
        name = ", ".join(f"`{one}{value}`" for one in names)
    else:
        name = f"`{metavar(parameter)}`"
    notes = [str(parameter.help or "").replace("|", "\\|")]
    kind = parameter.type_descriptor.annotation
    if isinstance(kind, type) and issubclass(kind, StrEnum) and not parameter.default:
        notes.append(f"One of {', '.join(f'`{one}`' for one in kind)}.")
    if parameter.required and is_option(parameter):
        notes.append("Required.")
    if default := default_of(parameter):
        notes.append(f"Default: {default}.")
    return f"| {name} | {' '.join(filter(None, notes))} |"


def metavar(parameter: Any) -> str:
    """The word that stands for a value."""
    kind = parameter.type_descriptor.annotation
    if is_option(parameter):
        choices = isinstance(kind, type) and issubclass(kind, StrEnum)
        return str(parameter.metavar or ("NAME" if choices else WORDS.get(kind, "TEXT")))
    word = parameter.metavar or parameter.name.upper()
    word += "..." if parameter.nargs != 1 else ""
    return str(word if parameter.required else f"[{word}]")


def default_of(parameter: Any) -> str:
    """Its default, for people; "" where there is none, or it says nothing."""
    kind, value = parameter.type_descriptor.annotation, parameter.default
    if isinstance(parameter.show_default, str):
        return parameter.show_default
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        choices = ", ".join(f"`{one}`" for one in kind)
        return f"`{value}`; one of {choices}" if value else ""
    if parameter.is_flag if is_option(parameter) else False:
        return f"`{parameter.opts[0]}`" if value and parameter.secondary_opts else ""
    return "" if value in (None, "", ()) else f"`{value}`"


if __name__ == "__main__":
    sys.exit(main())
