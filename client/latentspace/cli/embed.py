"""latentspace embed"""

from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from latentspace.cli.command import command
from latentspace.cli.exits import UsageError
from latentspace.cli.items import Items, read_items
from latentspace.cli.options import CroppedOption, FileOption, KindOption
from latentspace.cli.output import Output
from latentspace.results.embedding import EmbeddingBatch
from latentspace.sync.client import Client


def embed(
    client: Client,
    out: Output,
    model: Annotated[str, typer.Argument(help="Id of a model.")],
    items: Annotated[
        list[str] | None, typer.Argument(help="Texts, words, images or folders of images.")
    ] = None,
    file: FileOption = None,
    kind: KindOption = None,
    role: Annotated[str, typer.Option(help="query, document or another of the model's.")] = "",
    dimensions: Annotated[int, typer.Option(min=0, help="Keep the first so many numbers.")] = 0,
    cropped: CroppedOption = False,
    save: Annotated[
        Path | None, typer.Option("--out", help="Write the vectors to this .npy file.")
    ] = None,
) -> None:
    """Turn items into vectors."""
    if save is not None and save.suffix != ".npy":
        raise UsageError(f"--out {save}: expected a name that ends in .npy")
    read = read_items(client, model, kind, items or [], file)
    with read.sending():
        batch = client.embed_batch(
            model,
            inputs=read.inputs,
            on_error="return",
            role=role,
            dimensions=dimensions,
            cropped=cropped,
        )
    if save is not None:
        _save(batch, read, save, out)
    else:
        _show(batch, read.sent_names, out)
    read.end(batch.errors)


def add_embed(app: typer.Typer) -> None:
    """Adds the command."""
    command(app, "embed")(embed)


def _show(batch: EmbeddingBatch, lines: list[str], out: Output) -> None:
    out.records(
        (
            {
                "input": lines[position],
                "index": position,
                "space_id": batch.space_id,
                "truncated": position in batch.truncated,
                "vector": row,
            }
            for position, row in zip(batch.index.tolist(), batch.rows, strict=True)
        ),
        ("input", "vector"),
    )


def _save(batch: EmbeddingBatch, items: Items, path: Path, out: Output) -> None:
    """Writes a row for each item, in their order: NaN where it failed."""
    made = batch.one_each()
    rows = np.full((len(items.names), made.shape[1]), np.nan, np.float32)
    rows[items.positions] = made
    np.save(path, rows, allow_pickle=False)
    size = {"path": str(path), "rows": rows.shape[0], "dim": rows.shape[1]}
    out.say(
        f"wrote {path}: {rows.shape[0]} x {rows.shape[1]} float32",
        {**size, "space_id": batch.space_id},
    )
