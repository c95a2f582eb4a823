"""The paragraphs of a text file, searched by meaning instead of by words.

    .venv/bin/python examples/text_search.py
    .venv/bin/python examples/text_search.py docs/faces.md "is it fair to women?"

Without a file it searches the notes below. Paragraphs end at blank lines; a file without blank
lines is searched line by line.
"""

import argparse
import re
import textwrap
from contextlib import suppress
from pathlib import Path

from latentspace import Client, NotFoundError

COLLECTION = "example-text"
NOTES = """
The back wheel squeaks when I brake; a drop of oil on the hub would help.

Loaves stay soft for three days in a cotton bag, never in the fridge.

Grandmother's piano was tuned in March and should be done again before winter.

Tomatoes want to be watered at the root in the morning, not on their leaves.

The boiler shows error 28 when the gas tap in the cellar is closed.

Passports run out in June, and new ones take six weeks.

When the lights go out, look at the third fuse from the left.
"""


def paragraphs_of(content: str) -> list[str]:
    """What blank lines divide, or the lines where there are none."""
    parts = re.split(r"\n\s*\n", content.strip())
    return parts if len(parts) > 1 else content.splitlines()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Search a text file by meaning.")
    parser.add_argument("file", type=Path, nargs="?")
    parser.add_argument("query", nargs="?", default="my bicycle makes a noise")
    given = parser.parse_args()

    paragraphs = paragraphs_of(given.file.read_text(encoding="utf-8") if given.file else NOTES)
    with Client() as ls:
        with suppress(NotFoundError):  # what a run that was interrupted left
            ls.delete_collection(COLLECTION)
        ls.create_collection(COLLECTION, model="sentences")
        ls.upsert(COLLECTION, map(str, range(len(paragraphs))), texts=paragraphs)
        print(f"{len(paragraphs)} paragraphs, searched for: {given.query}")
        for match in ls.search(COLLECTION, text=given.query, k=3):
            print(f"  {match.score:.3f}  {textwrap.shorten(paragraphs[int(match.id)], 80)}")
        ls.delete_collection(COLLECTION)
