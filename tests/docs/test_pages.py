"""Every command and every block of the pages: commands exist, code compiles, names are there."""

import ast
import importlib
import inspect
import re
import tomllib
from collections.abc import Iterator
from typing import Any, get_type_hints

import pytest
import typer
import yaml

from latentspace import AsyncClient, Client
from latentspace.cli.app import app
from services.app.settings import Settings
from tests.docs.blocks import ROOT, Block, blocks, commands, inline_commands, shell_lines

OURS = ("latentspace", "embedders", "index", "services")
#: names that stand for a client in the pages
CLIENTS = {"ls": Client, "client": Client, "als": AsyncClient}


def plugin_commands() -> dict[str, Any]:
    """The server's own commands, which join the command line by entry points."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    commands: dict[str, Any] = {}
    for name, place in project["entry-points"]["latentspace.cli"].items():
        module, _, attribute = place.partition(":")
        plugin = getattr(importlib.import_module(module), attribute)
        if not isinstance(plugin, typer.Typer):
            function, plugin = plugin, typer.Typer()
            plugin.command(name)(function)
        commands[name] = typer.main.get_command(plugin)
    return commands


def parse(arguments: list[str]) -> None:
    """Follows a command down to its options; what is missing is no matter.

    Raises:
        AssertionError, UsageError: a command or an option that there is not.
    """
    command: Any = typer.main.get_command(app)
    plugins = plugin_commands()
    name, words, context = "latentspace", arguments, None
    while True:
        context = command.context_class(command, info_name=name, parent=context)
        _, words, _ = command.make_parser(context).parse_args(list(words))
        if not hasattr(command, "get_command") or not words:
            return
        name, words = words[0], words[1:]
        if name.isupper():  # stands for any
            return
        command, plugins = plugins.get(name) or command.get_command(context, name), {}
        assert command is not None, f"no command {name!r}"


def test_the_reader_of_commands_sees_faults() -> None:
    for wrong in (["serv"], ["search", "--kk", "5"], ["serve", "--port", "5"], ["train", "bert"]):
        with pytest.raises(Exception, match=r"(?i)no (such|command)"):
            parse(wrong)


PROMPTS = sorted(
    {(place, *words) for place, words in [*commands("latentspace"), *inline_commands()]}
)


@pytest.mark.parametrize("prompt", PROMPTS, ids=lambda prompt: " ".join(prompt)[:80])
def test_each_documented_command_exists_with_its_options(prompt: tuple[str, ...]) -> None:
    parse(list(prompt[1:]))


def test_there_are_commands_to_check() -> None:
    assert len(PROMPTS) > 40


def targets() -> set[str]:
    return set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


@pytest.mark.parametrize(("place", "words"), list(commands("make")))
def test_each_verb_of_make_is_there(place: str, words: list[str]) -> None:
    assert {word for word in words if "=" not in word and word.islower()} <= targets(), place


@pytest.mark.parametrize(("place", "words"), list(commands("python")))
def test_each_script_that_python_runs_is_there(place: str, words: list[str]) -> None:
    if words[0] == "-m":
        assert (
            (ROOT / f"{words[1].replace('.', '/')}.py").exists()
            or (ROOT / words[1].replace(".", "/") / "__main__.py").exists()
            or not words[1].startswith(("benchmarks", "services", "scripts"))
        ), place
    elif words[0].endswith(".py") and "/" in words[0]:
        assert (ROOT / words[0]).exists(), place


@pytest.mark.parametrize(("place", "words"), list(commands("pip")))
def test_pip_is_told_of_nothing_that_no_index_has(place: str, words: list[str]) -> None:
    """Our distributions are installed from the checkout; by name only extras of installed ones."""
    assert words[0] in ("install", "wheel"), place
    for path, name in ((ROOT / "client", "latentspace"), (ROOT, "latentspace-server")):
        project = tomllib.loads((path / "pyproject.toml").read_text())["project"]
        extras = set(project["optional-dependencies"])
        for word in words[1:]:
            bare, _, inside = word.removesuffix("]").partition("[")
            if bare in (name, "./client" if name == "latentspace" else "."):
                assert set(filter(None, inside.split(","))) <= extras, place
                assert bare.startswith(".") or inside, f"{place}: {word} is on no index"


PYTHON = [block for block in blocks() if block.language == "python"]


def parsed(block: Block) -> ast.Module:
    flags = ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    tree = compile(block.text, str(block), "exec", flags)
    assert isinstance(tree, ast.Module)
    return tree


@pytest.mark.parametrize("block", PYTHON, ids=str)
def test_each_python_block_compiles_and_imports_what_is_there(block: Block) -> None:
    for node in ast.walk(parsed(block)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(OURS):
            module = importlib.import_module(node.module or "")
            for alias in node.names:
                assert hasattr(module, alias.name), f"{block}: {node.module}.{alias.name}"


def calls_of_clients(tree: ast.Module) -> Iterator[tuple[type, str, ast.Call]]:
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Attribute(value=ast.Name(id=owner), attr=method)):
                if owner in CLIENTS:
                    yield CLIENTS[owner], method, node


def keywords_of(function: Any) -> set[str]:
    """Names that a call may use, those of `**options: Unpack[...]` too."""
    names: set[str] = set()
    for name, parameter in inspect.signature(function).parameters.items():
        if parameter.kind is not inspect.Parameter.VAR_KEYWORD:
            names.add(name)
            continue
        hint = get_type_hints(function)[name]
        (options,) = hint.__args__
        names |= set(get_type_hints(options))
    return names


@pytest.mark.parametrize("block", PYTHON, ids=str)
def test_each_call_of_a_client_is_there_with_its_keywords(block: Block) -> None:
    for kind, method, call in calls_of_clients(parsed(block)):
        assert hasattr(kind, method), f"{block}: {method}"
        used = {keyword.arg for keyword in call.keywords if keyword.arg}
        if used:
            unknown = used - keywords_of(getattr(kind, method))
            assert not unknown, f"{block}: {method}({unknown})"


def test_there_are_blocks_to_check() -> None:
    assert len(PYTHON) > 15


YAML = [block for block in blocks() if block.language == "yaml"]


@pytest.mark.parametrize("block", YAML, ids=str)
def test_each_block_of_settings_fits(block: Block) -> None:
    for document in yaml.safe_load_all(block.text):
        if set(document) & set(Settings.model_fields):
            Settings(**document)


LINK = re.compile(r"\]\((?!https?:|#)([^)#\s]+)")


@pytest.mark.parametrize("page", sorted({block.page for block in blocks()}))
def test_each_link_leads_somewhere(page: str) -> None:
    path = ROOT / page
    for target in LINK.findall(path.read_text()):
        assert (path.parent / target).exists(), f"{page}: {target}"


def test_no_command_is_left_for_the_reader_to_guess() -> None:
    for place, line in shell_lines():
        assert not re.match(r"(git|pip|make|latentspace|python)\b.*…", line), f"{place}: {line}"


def test_pages_are_read() -> None:
    assert {"README.md", "docs/settings.md", "client/README.md"} <= {b.page for b in blocks()}
