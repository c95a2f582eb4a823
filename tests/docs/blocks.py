"""What a reader would type, read out of the Markdown pages."""

import re
import shlex
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"`(latentspace [^`\n]+)`")
ASSIGNMENT = re.compile(r"\w+=\S*")


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block; `line` is that of its opening fence."""

    page: str
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


@cache
def pages() -> list[Path]:
    """Every page that people read, the shipped models' cards too."""
    places = ["*.md", "docs/*.md", "client/*.md", "examples/*.md", "embedders/minis/*/*.md"]
    return sorted(
        path for place in places for path in ROOT.glob(place) if path.name != "CHANGELOG.md"
    )


def blocks() -> list[Block]:
    """All fenced blocks."""
    return [
        Block(
            str(page.relative_to(ROOT)),
            text[: match.start()].count("\n") + 1,
            match[1],
            textwrap.dedent(match[2]),
        )
        for page in pages()
        for text in [page.read_text()]
        for match in FENCE.finditer(text)
    ]


def shell_lines() -> list[tuple[str, str]]:
    """(place, line) of each line of a block without a language or of a shell, joined at "\\"."""
    return [
        (str(block), line.strip())
        for block in blocks()
        if block.language in ("", "sh", "bash", "console")
        for line in block.text.replace("\\\n", " ").splitlines()
    ]


def words_of(line: str) -> list[list[str]]:
    """The commands of a line, each as words; [] of what is no shell."""
    try:
        lexer = shlex.shlex(line, posix=True, punctuation_chars="|;&<>")
        lexer.whitespace_split = True
        words = list(lexer)
    except ValueError:  # a sentence with an apostrophe
        return []
    commands: list[list[str]] = [[]]
    for word in words:
        if set(word) <= set("|;&"):
            commands.append([])
        else:
            commands[-1].append(word)
    return [without_variables(command) for command in commands if command]


def without_variables(words: list[str]) -> list[str]:
    """A command without `NAME=value` before it, and without what it is redirected to."""
    while words and ASSIGNMENT.fullmatch(words[0]):
        if "$(" in words[0]:
            return []
        words = words[1:]
    ends = [place for place, word in enumerate(words) if set(word) <= set("<>")]
    return words[: ends[0]] if ends else words


def commands(program: str) -> Iterator[tuple[str, list[str]]]:
    """(place, arguments) of each call of a program, in blocks."""
    for place, line in shell_lines():
        for words in words_of(line):
            if words and Path(words[0]).name == program:
                yield place, words[1:]


def inline_commands() -> Iterator[tuple[str, list[str]]]:
    """(page, arguments) of each `latentspace ...` in a sentence; those with alternatives apart."""
    for page in pages():
        for match in INLINE.finditer(page.read_text()):
            if not set(match[1]) & set("|…") and "..." not in match[1]:
                yield str(page.relative_to(ROOT)), shlex.split(match[1])[1:]
