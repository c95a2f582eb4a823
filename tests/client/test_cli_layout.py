"""What the command line looks like in a terminal of 80 columns."""

import io
import os
import re
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import typer
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len
from typer.testing import CliRunner

from latentspace.cli.app import app
from latentspace.cli.exits import ExitCode
from latentspace.cli.operations import SHOWN
from latentspace.cli.output import Output
from latentspace.cli.progress import age_text
from tests.client.test_cli import PROGRAM, environment
from tests.long import examples

WIDTH = 80


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def eighty_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", str(WIDTH))
    monkeypatch.setenv("TERM", "dumb")


def printed(records: list[dict[str, Any]], columns: list[str]) -> list[str]:
    stream = Terminal()
    Output(stream=stream).records(records, columns)
    return stream.getvalue().splitlines()


def commands(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every command of the tree, with the words that lead to it."""
    yield path, command
    for name, child in getattr(command, "commands", {}).items():
        yield from commands(child, (*path, name))


TREE = dict(commands(typer.main.get_command(app)))
PLUGINS = {("serve",), ("train",), ("cache",)}


@pytest.mark.parametrize("path", [path for path in TREE if path not in PLUGINS], ids=" ".join)
def test_help_names_every_option_whole(path: tuple[str, ...]) -> None:
    shown = CliRunner().invoke(app, [*path, "--help"], prog_name="latentspace").stdout
    words = re.split(r"[\s,/\[\]{}]+", shown.replace("...", " "))
    for option in TREE[path].params:
        for name in (*option.opts, *option.secondary_opts):
            assert name in words, shown
    assert all(cell_len(line) <= WIDTH for line in shown.splitlines()), shown
    for code in ExitCode:
        assert f"  {code:>3}  {code.meaning}\n" in shown


@pytest.mark.parametrize("words", ["serve", "train", "train word2vec", "cache", "cache stats"])
def test_help_of_commands_of_the_server(words: str) -> None:
    done = subprocess.run(
        [PROGRAM, *words.split(), "--help"],
        capture_output=True,
        text=True,
        env=environment(COLUMNS=str(WIDTH)),
    )
    assert done.returncode == 0, done.stderr
    assert "…" not in done.stdout
    assert all(cell_len(line) <= WIDTH for line in done.stdout.splitlines()), done.stdout
    assert "4  some items failed" in done.stdout


def test_operations_keep_their_ids_whole() -> None:
    records = [
        {
            "id": f"evaluate-{number:012x}",
            "target": "sentences",
            "state": "succeeded",
            "progress": "1,379/1,379 pairs",
            "age": "12m",
        }
        for number in range(3)
    ]
    lines = printed(records, list(SHOWN))
    assert len(lines) == 4
    assert [line.split()[0] for line in lines[1:]] == [one["id"] for one in records]
    assert all("succeeded" in line for line in lines[1:])


def test_numbers_stand_below_each_other() -> None:
    scores = [0.5, 0.49997, 12.0, -3.25]
    lines = printed([{"id": "a", "score": score} for score in scores], ["id", "score"])
    assert [line[4:] for line in lines[1:]] == [*(" 0.50000", " 0.49997", "12.00000", "-3.25000")]
    counts = printed([{"points": n} for n in (7, 1200, None)], ["points"])
    assert [line.rstrip() for line in counts] == ["points", "     7", "  1200", ""]


def test_what_does_not_fit_stands_in_blocks() -> None:
    record = {"name": "n" * 60, "space_id": "0123456789abcdef" * 4, "metric": "cosine"}
    lines = printed([record, record], ["name", "space_id", "metric"])
    assert lines[:3] == [
        f"name      {record['name']}",
        f"space id  {record['space_id']}",
        "metric    cosine",
    ]
    assert lines[3] == ""
    assert lines[4:] == lines[:3]


CELLS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**12), 10**12),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(st.characters(categories=["L", "N", "P"]), max_size=70),
    st.lists(st.text(st.characters(categories=["L"]), max_size=30), max_size=6),
    st.dictionaries(st.sampled_from("abc"), st.integers(), max_size=3),
    st.lists(st.from_regex(r"[a-z]{1,9}", fullmatch=True), max_size=20).map(" ".join),
)


@given(st.lists(st.fixed_dictionaries(dict.fromkeys("abcd", CELLS)), min_size=1, max_size=5))
@settings(deadline=None, max_examples=examples(100))
def test_any_table_fits_and_breaks_no_word(records: list[dict[str, Any]]) -> None:
    os.environ["COLUMNS"] = str(WIDTH)
    lines = printed(records, list("abcd"))
    assert all(cell_len(line) <= WIDTH or len(line.split()) <= 2 for line in lines), lines
    text = "\n".join(lines)
    for record in records:
        for value in record.values():
            if isinstance(value, str):
                assert all(word in text for word in value.split())


def test_ages() -> None:
    assert [age_text(s) for s in (0, 59, 60, 3599, 3600, 172_799, 172_800, 10**7)] == [
        *("0s", "59s", "1m", "59m", "1h", "47h", "2d", "115d")
    ]
    moment = datetime.now(UTC) - timedelta(minutes=5)
    assert age_text((datetime.now(UTC) - moment).total_seconds()) == "5m"
