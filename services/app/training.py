"""`latentspace train FAMILY`: trains from files, on this machine, without a server."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from services.app.ending import fail
from services.runtime.pools import available_cores

app = typer.Typer(
    help="Train models from files, without a server.",
    no_args_is_help=True,
    add_completion=False,
)


@app.callback()
def _families() -> None:
    """Train models from files, without a server."""


@app.command()
def word2vec(
    corpus: Annotated[Path, typer.Argument(help="UTF-8, one sentence a line; also .gz, .xz.")],
    out: Annotated[Path, typer.Option(help="File to write.")] = Path("words.safetensors"),
    dim: Annotated[int, typer.Option(help="Numbers a vector.")] = 100,
    window: Annotated[int, typer.Option(help="Context words on each side, at most.")] = 5,
    min_count: Annotated[int, typer.Option(help="Leave out rarer words.")] = 5,
    epochs: Annotated[int, typer.Option(help="Passes over the corpus.")] = 5,
    negative: Annotated[int, typer.Option(help="Noise words a positive one.")] = 5,
    architecture: Annotated[str, typer.Option(help="skip-gram or cbow.")] = "skip-gram",
    sample: Annotated[float, typer.Option(help="Thin out words above this share.")] = 1e-3,
    max_vocabulary: Annotated[int, typer.Option(help="Keep at most so many words; 0: all.")] = 0,
    storage: Annotated[str, typer.Option(help="float32, float16 or int8.")] = "float32",
    seed: Annotated[int, typer.Option(help="Repeats exactly only with --threads 1.")] = 1,
    threads: Annotated[int, typer.Option(help="Workers.")] = available_cores(),
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Word2Vec by skip-gram or CBOW with negative sampling."""
    params = {
        "dim": dim,
        "window": window,
        "min_count": min_count,
        "epochs": epochs,
        "negative": negative,
        "architecture": architecture,
        "sample": sample,
        "max_vocabulary": max_vocabulary,
        "storage": storage,
        "seed": seed,
        "threads": threads,
    }
    run("word2vec", corpus, out, params, as_json)


def run(family: str, source: Path, out: Path, params: Mapping[str, Any], as_json: bool) -> None:
    """Trains, with a bar on a terminal, and prints what came of it."""
    # Imported here: the table of commands is read without the heavy packages.
    from embedders.errors import EmbedderError
    from embedders.training import train

    console = Console(stderr=True)
    columns = [
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed}/{task.total}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    ]
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task("starting", total=None)

        def show(stage: str, done: int, total: int) -> None:
            bar.update(task, description=stage, completed=done, total=total or None)

        try:
            report = train(family, source, out, params, show)
        except (EmbedderError, OSError) as error:
            bar.stop()
            fail(str(error))
    if as_json:
        print(
            json.dumps(
                {
                    "family": report.family,
                    "path": str(report.path),
                    "keys": report.keys,
                    "dim": report.dim,
                    "revision": report.revision,
                    "metrics": dict(report.metrics),
                    "warnings": list(report.warnings),
                }
            )
        )
        return
    for warning in report.warnings:
        print(f"note: {warning}")
    print(f"wrote {report.path}: {report.keys} keys of {report.dim} numbers")
    print("  ".join(f"{name} {value:.6g}" for name, value in report.metrics.items()))
    print("to serve it, name it in a configuration (latentspace serve --config FILE):")
    print(f"  models:\n    mine: {{family: {report.family}, source: {report.path.absolute()}}}")
