"""latentspace index"""

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from latentspace.cli.command import command
from latentspace.cli.exits import UsageError
from latentspace.cli.indexed import NewCollection, declared_fields, filled_collection
from latentspace.cli.on_server import index_on_server
from latentspace.cli.options import fields_of
from latentspace.cli.output import Output
from latentspace.cli.running import Run, run_told
from latentspace.enums import FieldType, Metric, Modality
from latentspace.indexing.engines import ClusterOptions, Engine, EngineError, find_engine
from latentspace.indexing.export import open_export
from latentspace.indexing.export_format import ExportError, ExportSource
from latentspace.indexing.foreign.opening import is_foreign, open_foreign
from latentspace.indexing.job import run_job
from latentspace.indexing.options import JobOptions, SourceError
from latentspace.indexing.records import Source
from latentspace.indexing.sources.choosing import open_source
from latentspace.indexing.sources.distinct import Distinct
from latentspace.indexing.sources.opening import STDIN
from latentspace.indexing.sources.options import SourceKind, SourceOptions
from latentspace.requests.options import EmbedOptions
from latentspace.sync.client import Client

TYPED = (".csv", ".tsv")


def index(
    client: Client,
    out: Output,
    source: Annotated[
        str,
        typer.Argument(
            help="A folder, a file, an export, - for standard input, or a collection elsewhere:"
            " qdrant+http://HOST:PORT/NAME, chroma+http://HOST:PORT/NAME."
        ),
    ],
    collection: Annotated[
        str, typer.Option("--collection", "-c", help="Name or alias; a missing one is created.")
    ],
    model: Annotated[str, typer.Option(help="Model of a new collection.")] = "",
    dim: Annotated[int, typer.Option(min=0, help="Numbers a vector, without a model.")] = 0,
    metric: Annotated[Metric | None, typer.Option(help="Of a new collection.")] = None,
    recipe: Annotated[str | None, typer.Option(help="Of a new collection: auto, hnsw, ...")] = None,
    field: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=TYPE", help="A payload field that filters read; repeatable."),
    ] = None,
    kind: Annotated[
        SourceKind | None, typer.Option(help="What the source is; by default what its name says.")
    ] = None,
    id_column: Annotated[str, typer.Option(help="Column of the ids; else id, else rows.")] = "",
    input_column: Annotated[
        str, typer.Option(help="Column to embed; else text, image, key or vector.")
    ] = "",
    input_kind: Annotated[
        Modality | None, typer.Option("--as", help="What the column to embed holds.")
    ] = None,
    payload_column: Annotated[
        list[str] | None, typer.Option(help="A column to keep, repeatable; else all others.")
    ] = None,
    glob: Annotated[str, typer.Option(help="Which images below a folder.")] = "*",
    recursive: Annotated[bool, typer.Option(help="Folders within the folder too.")] = True,
    paragraphs: Annotated[
        bool, typer.Option("--paragraphs", help="Of a text, up to a blank line, not lines.")
    ] = False,
    delimiter: Annotated[str, typer.Option(help="Of the fields of CSV and edges.")] = "",
    quotes: Annotated[bool, typer.Option(help="Fields of CSV may stand in quotes.")] = True,
    header: Annotated[
        bool, typer.Option("--header", help="An edge list begins with names of its columns.")
    ] = False,
    list_delimiter: Annotated[
        str, typer.Option(help="Between the parts of a keyword_list in a cell of CSV.")
    ] = ",",
    keep_text: Annotated[
        bool, typer.Option("--keep-text", help="Keep embedded texts in the payload too.")
    ] = False,
    role: Annotated[str, typer.Option(help="document (the default) or another.")] = "",
    resize: Annotated[
        int,
        typer.Option(min=0, metavar="PIXELS", help="Larger images are made so long at most."),
    ] = 0,
    batch: Annotated[int, typer.Option(min=1, max=1024, help="Records sent at a time.")] = 256,
    delete_missing: Annotated[
        bool, typer.Option("--delete-missing", help="Delete points that the source lacks.")
    ] = False,
    max_errors: Annotated[
        int | None, typer.Option(min=0, help="Stop when more records than this failed.")
    ] = None,
    dead_letters: Annotated[
        Path | None, typer.Option(help="Write what failed to this file, JSON lines.")
    ] = None,
    on_server: Annotated[
        bool, typer.Option("--on-server", help="The server reads the source, below its roots.")
    ] = False,
    ray: Annotated[
        str, typer.Option(metavar="ADDRESS", help="Work on a Ray cluster: auto, local, HOST:PORT.")
    ] = "",
    ray_readers: Annotated[int, typer.Option(min=1, help="Processes that read the source.")] = 2,
    ray_encoders: Annotated[
        int, typer.Option(min=0, help="Processes that encode; 0: as many as fit.")
    ] = 0,
    ray_gpus: Annotated[
        float, typer.Option(min=0.0, help="Each encoder's share of a GPU, such as 0.5.")
    ] = 0.0,
) -> None:
    """Bring a collection up to date with a source; stopped anywhere, run it again to go on."""
    fields = fields_of(field or [])
    said = SourceOptions(
        kind=kind,
        id_column=id_column,
        input_column=input_column,
        input_kind=input_kind,
        payload_columns=None if payload_column is None else tuple(payload_column),
        types=_types(source, kind, fields),
        glob=glob,
        recursive=recursive,
        paragraphs=paragraphs,
        delimiter=delimiter,
        quotes=quotes,
        header=header,
        declared=_declared(client, collection, fields),
        list_delimiter=list_delimiter,
        keep_text=keep_text,
    )
    wanted = NewCollection(collection, model, dim, metric, recipe, fields)
    embed = EmbedOptions(role=role) if role else EmbedOptions()
    options = JobOptions(collection, batch, delete_missing, max_errors, resize, embed)
    if on_server:
        _check_on_server(source, dead_letters, ray)
        with filled_collection(client, wanted):
            index_on_server(client, out, source, said, options)
        return
    if dead_letters is not None and _same(dead_letters, Path(source)):
        raise UsageError(f"--dead-letters {dead_letters} is the source, and would be overwritten")
    engine = _ray() if ray else None
    records = _opened(source, said)
    with filled_collection(client, wanted, records):
        if isinstance(records, ExportSource):
            records = Distinct(records)
        run: Run = partial(run_job, client, records, options)
        if engine is not None:
            cluster = ClusterOptions(ray, ray_readers, ray_encoders, ray_gpus)
            run = partial(engine, client.target, records, options, cluster)
        run_told(out, records, options, dead_letters, run)


def add_index(app: typer.Typer) -> None:
    """Adds the command."""
    command(app, "index")(index)


def _types(source: str, kind: SourceKind | None, fields: dict[str, str]) -> dict[str, FieldType]:
    """Types of columns, where a source has text only."""
    if is_foreign(source):
        return {}
    by_name = kind is None and any(s.lower() in TYPED for s in Path(source).suffixes)
    if not by_name and kind not in (SourceKind.CSV, SourceKind.TSV):
        return {}
    return {name: FieldType(one) for name, one in fields.items()}


def _declared(client: Client, collection: str, fields: dict[str, str]) -> dict[str, FieldType]:
    """Types of the fields that the collection has, or will have."""
    known = {**declared_fields(client, collection), **fields}
    return {name: FieldType(kind) for name, kind in known.items()}


def _same(one: Path, other: Path) -> bool:
    return one.exists() and other.exists() and one.samefile(other)


def _check_on_server(source: str, dead_letters: Path | None, ray: str) -> None:
    if source == STDIN:
        raise UsageError("--on-server: the server cannot read this standard input; name a file")
    if dead_letters is not None:
        raise UsageError(
            "--on-server: the server writes the dead letters itself, and the end says where"
        )
    if ray:
        raise UsageError("pass --on-server or --ray, not both")


def _opened(source: str, said: SourceOptions) -> Source:
    try:
        if is_foreign(source):
            if replace(said, declared={}) != SourceOptions():
                raise UsageError(f"{source}: options of files mean nothing for a collection")
            return open_foreign(source)
        # who names columns or a kind means the file as such
        plain = replace(said, declared={}) == SourceOptions()
        export = open_export(Path(source)) if plain else None
        return export or open_source(source, said)
    except (SourceError, ExportError) as error:
        raise UsageError(str(error)) from error


def _ray() -> Engine:
    try:
        return find_engine("ray")
    except EngineError as error:
        raise UsageError(f"--ray: {error}") from error
