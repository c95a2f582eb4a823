"""docs/cli.md knows every command and every option."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer

from latentspace.cli.app import app
from latentspace.cli.exits import ExitCode
from latentspace.cli.plugins import SERVER_COMMANDS

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
SHARED = {"--server", "--json", "--timeout", "-h", "--help"}


def sections() -> dict[str, str]:
    """The text below each heading of a command."""
    parts = re.split(r"^#{2,3} latentspace (.*)$", PAGE, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def commands(command: Any, words: str = "") -> dict[str, Any]:
    """Every command of the tree by its words."""
    children = getattr(command, "commands", {})
    found = {words: command} if words else {}
    for name, child in children.items():
        found |= commands(child, f"{words} {name}".strip())
    return found


TREE = commands(typer.main.get_command(app))


@pytest.mark.parametrize("words", TREE)
def test_every_command_is_documented(words: str) -> None:
    assert words in sections(), f"docs/cli.md lacks {words}: scripts/generate_cli_page.py"
    if words in SERVER_COMMANDS:  # a stand-in here: its options are the server's
        return
    for parameter in TREE[words].params:
        for option in {*parameter.opts, *parameter.secondary_opts} - SHARED:
            name = option if option.startswith("-") else option.upper()
            assert f"`{name}" in sections()[words] or f"`[{name}" in sections()[words]


def test_the_commands_of_the_server_are_documented() -> None:
    assert {"serve", "train word2vec", "cache clear", "config show"} <= sections().keys()


def test_exit_codes_and_shared_options() -> None:
    for code in ExitCode:
        assert f"| {code} | {code.meaning} |" in PAGE
    for option in SHARED - {"--help"}:
        assert f"`{option}" in PAGE


def test_the_page_is_fresh() -> None:
    script = ROOT / "scripts" / "generate_cli_page.py"
    done = subprocess.run(
        [sys.executable, str(script), "--check"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
