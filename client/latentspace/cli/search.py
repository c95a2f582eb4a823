"""latentspace search"""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from latentspace.cli.command import command
from latentspace.cli.exits import ExitCode, UsageError, complain
from latentspace.cli.finding import Finder
from latentspace.cli.hits import show_matches, show_plan
from latentspace.cli.items import Items
from latentspace.cli.options import FileOption, FilterOption, KindOption, LimitOption, filter_of
from latentspace.cli.output import Output
from latentspace.cli.queries import Asked, asked_alike, asked_by_line, asked_once, composed
from latentspace.enums import RecommendStrategy
from latentspace.requests.options import SearchParams
from latentspace.results.search import SearchResult
from latentspace.sync.client import Client


def search(
    client: Client,
    out: Output,
    collection: Annotated[str, typer.Argument(help="Name or alias of a collection.")],
    text: Annotated[str | None, typer.Option(help="Search by a text.")] = None,
    key: Annotated[str | None, typer.Option(help="Search by a word or node.")] = None,
    image: Annotated[Path | None, typer.Option(help="Search by an image file.")] = None,
    point: Annotated[str | None, typer.Option(help="Search by a stored point.")] = None,
    vector: Annotated[
        str | None, typer.Option(help="Search by a JSON list of numbers, or a .npy file.")
    ] = None,
    file: FileOption = None,
    kind: KindOption = None,
    plus: Annotated[
        list[str] | None, typer.Option(help="A text or word to add to the query; repeatable.")
    ] = None,
    minus: Annotated[
        list[str] | None, typer.Option(help="A text or word to take from it; repeatable.")
    ] = None,
    like: Annotated[
        list[str] | None,
        typer.Option(metavar="ID", help="Recommend by a stored point; repeatable."),
    ] = None,
    unlike: Annotated[
        list[str] | None, typer.Option(metavar="ID", help="... but not like this one; repeatable.")
    ] = None,
    strategy: Annotated[
        RecommendStrategy | None, typer.Option(help="How examples become scores.")
    ] = None,
    k: LimitOption = 10,
    offset: Annotated[int, typer.Option(min=0, help="Pass over so many at the front.")] = 0,
    filter: FilterOption = None,
    threshold: Annotated[
        float | None, typer.Option("--score-threshold", help="Only scores from here on.")
    ] = None,
    group_by: Annotated[
        str, typer.Option(metavar="FIELD", help="Best points of each value of a field.")
    ] = "",
    group_size: Annotated[int, typer.Option(min=1, help="Points of each group.")] = 1,
    diversity: Annotated[
        float | None,
        typer.Option(min=0, max=1, help="Diverse points: 1 is relevance alone, 0 diversity alone."),
    ] = None,
    ef: Annotated[int, typer.Option(min=0, help="HNSW effort.")] = 0,
    nprobe: Annotated[int, typer.Option(min=0, help="IVF lists visited.")] = 0,
    exact: Annotated[bool, typer.Option("--exact", help="Compare with every point.")] = False,
    explain: Annotated[
        bool, typer.Option("--explain", help="Tell plan and times on standard error.")
    ] = False,
    sheet: Annotated[
        Path | None, typer.Option(help="Draw images that are found into this .png file.")
    ] = None,
    root: Annotated[Path, typer.Option(help="Folder of the images that --sheet draws.")] = Path(),
    path_field: Annotated[
        str, typer.Option(help="Payload field that holds an image's path; else its id does.")
    ] = "path",
) -> None:
    """Find the nearest points of one query, or of every line of a file."""
    if sheet is not None and sheet.suffix != ".png":
        raise UsageError(f"--sheet {sheet}: expected a name that ends in .png")
    if sheet is not None and not root.is_dir():
        raise UsageError(f"--root {root}: there is no such folder")
    if group_size > 1 and not group_by:
        raise UsageError("--group-size goes with --group-by")
    tree = filter_of(filter)
    asked = asked_once(text, key, image, point, vector)
    asked += asked_alike(like or [], unlike or [], strategy)
    if len(asked) > 1 or (asked and file is not None):
        raise UsageError("pass one of --text, --key, --image, --point, --vector, --like, --file")
    # one query is a batch of one too: errors and rows are then printed the same way
    items = Items.named([one.name for one in asked])
    if not asked:
        asked, items = asked_by_line(client, collection, file, kind)
    asked = composed(client, collection, kind, asked, plus or [], minus or [])
    params: SearchParams = {"ef": ef, "nprobe": nprobe, "exact": exact}
    with items.sending():
        result = client.search_batch(
            collection,
            queries=[one.query for one in asked],
            k=k,
            offset=offset,
            filter=tree,
            score_threshold=threshold,
            group_by=group_by,
            group_size=group_size,
            diversity=diversity,
            params=params,
            explain=explain,
            with_payload=True,
            on_error="return",
        )
    finder = Finder(root, path_field)
    undrawn = [] if sheet is None else draw_sheet(sheet, asked, result, finder)
    if explain:
        show_plan(out, result)
    show_matches(out, result, [one.name for one in asked], bool(group_by))
    tell_undrawn(undrawn, finder)
    items.end(result.errors)
    if undrawn:
        raise typer.Exit(ExitCode.PARTIAL)


def draw_sheet(
    path: Path, asked: Sequence[Asked], result: SearchResult, finder: Finder
) -> list[str]:
    """Writes a contact sheet; names of the hits whose images could not be drawn.

    Raises:
        UsageError: Pillow is not installed.
    """
    try:  # an image library is for those who draw
        from latentspace.cli.sheet import save_sheet
    except ImportError as error:
        raise UsageError("--sheet needs Pillow: pip install 'latentspace[cli]'") from error
    return save_sheet(path, asked, result, finder)


def tell_undrawn(names: Sequence[str], finder: Finder) -> None:
    """Says which images are missing on a sheet, and where they were looked for."""
    if names:
        more = f" and {len(names) - 1:,} more" if len(names) > 1 else ""
        complain(
            f"empty frames on the sheet: no readable image of {names[0]:.60}{more} below"
            f" {finder.root}; --root names the folder of the images, --path-field the payload"
            " field that holds their paths below it"
        )


def add_search(app: typer.Typer) -> None:
    """Adds the command."""
    command(app, "search")(search)
