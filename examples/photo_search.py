"""A photo folder searched by text, by photo, and by "this photo, but ...".

    .venv/bin/python examples/photo_search.py
    .venv/bin/python examples/photo_search.py ~/Pictures "two dogs in the snow" --but "on a beach"

Without a folder it searches sample photos. The photos go into the collection `example-photos` of
the service (`make run`), made anew at each run; afterwards the command line can search it too.
"""

import argparse
import tempfile
from contextlib import suppress
from pathlib import Path

from photos import photos_below, write_photos

from latentspace import Client, Match, NotFoundError, point, text

COLLECTION = "example-photos"


def store(ls: Client, folder: Path) -> None:
    """Embeds and stores every photo of the folder; says which cannot be read."""
    photos = photos_below(folder)
    with suppress(NotFoundError):
        ls.delete_collection(COLLECTION)
    ls.create_collection(COLLECTION, model="clip")
    stored = ls.upsert(COLLECTION, ids=photos, images=photos.values(), on_error="return")
    print(f"{len(photos) - len(stored.errors)} photos in the collection {COLLECTION}")
    for position, error in stored.errors.items():
        print(f"left out {list(photos)[position]}: {error.message}")


def show(question: str, matches: list[Match]) -> None:
    """Prints the photos that were found, best first."""
    print(f"\n{question}")
    for match in matches:
        print(f"  {match.score:.3f}  {match.id}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Search a folder of photos.")
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("text", nargs="?", default="a rocket launch into the sky")
    parser.add_argument("--but", default="a furry animal")
    given = parser.parse_args()

    with tempfile.TemporaryDirectory() as samples, Client() as ls:
        if given.folder is None:
            write_photos(Path(samples))
        store(ls, given.folder or Path(samples))
        found = ls.search(COLLECTION, text=given.text, k=3)
        show(f"text: {given.text}", found)
        best = found[0].id
        show(f"photos like {best}", ls.search(COLLECTION, point=best, k=3))
        # photos are nearer to each other than any text is to a photo, so the text weighs more
        changed = ls.search(COLLECTION, query=[(1.0, point(best)), (1.5, text(given.but))], k=3)
        show(f"{best}, but {given.but}", changed)
