"""`latentspace train FAMILY`: trains from files, on this machine, without a server."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from latentspace.cli.exits import EPILOG, new_app
from services.app.ending import fail
from services.runtime.process import available_cores

app = new_app(
    help="Train models from files, without a server.", no_args_is_help=True, add_completion=False
)


@app.callback()
def _families() -> None:
    """Train models from files, without a server."""


@app.command(epilog=EPILOG)
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
    phrase_passes: Annotated[int, typer.Option(help="Passes that join phrases, 0 to 2.")] = 0,
    phrase_min_count: Annotated[int, typer.Option(help="Leave out rarer phrases.")] = 5,
    phrase_threshold: Annotated[float, typer.Option(help="Least score of a phrase.")] = 10.0,
    phrase_scoring: Annotated[str, typer.Option(help="default or npmi.")] = "default",
    analogies: Annotated[
        str, typer.Option(help="Ask these questions after each epoch: google, or a file.")
    ] = "",
    analogy_vocabulary: Annotated[
        int, typer.Option(help="Ask among so many frequent words; 0: all.")
    ] = 30_000,
    seed: Annotated[int, typer.Option(help="Repeats exactly only with --threads 1.")] = 1,
    threads: Annotated[
        int, typer.Option(help="Workers.", show_default="every core")
    ] = available_cores(),
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
        "phrase_passes": phrase_passes,
        "phrase_min_count": phrase_min_count,
        "phrase_threshold": phrase_threshold,
        "phrase_scoring": phrase_scoring,
        "analogies": analogies,
        "analogy_vocabulary": analogy_vocabulary,
        "seed": seed,
        "threads": threads,
    }
    run("word2vec", corpus, out, params, as_json)


@app.command(epilog=EPILOG)
def node2vec(
    graph: Annotated[
        Path, typer.Argument(help="Edge list (source, target, weight; also .gz), .mat or .pt.")
    ],
    out: Annotated[Path, typer.Option(help="File to write.")] = Path("nodes.safetensors"),
    p: Annotated[float, typer.Option(help="Return parameter: small stays near.")] = 1.0,
    q: Annotated[float, typer.Option(help="In-out parameter: small goes outwards.")] = 1.0,
    walks: Annotated[int, typer.Option(help="Walks from each node.")] = 10,
    length: Annotated[int, typer.Option(help="Nodes a walk.")] = 80,
    dim: Annotated[int, typer.Option(help="Numbers a vector.")] = 128,
    window: Annotated[int, typer.Option(help="Context nodes on each side, at most.")] = 10,
    epochs: Annotated[int, typer.Option(help="Passes over the walks.")] = 1,
    negative: Annotated[int, typer.Option(help="Noise nodes a positive one.")] = 5,
    sample: Annotated[float, typer.Option(help="Thin out nodes above this share.")] = 1e-3,
    alpha: Annotated[float, typer.Option(help="Learning rate; 0: the trainer's own.")] = 0.0,
    directed: Annotated[bool, typer.Option(help="Edges lead one way.")] = False,
    weights: Annotated[str, typer.Option(help="auto, use or ignore.")] = "auto",
    delimiter: Annotated[str, typer.Option(help="auto, tab, comma or space.")] = "auto",
    header: Annotated[bool, typer.Option(help="The first line names the columns.")] = False,
    duplicates: Annotated[
        str, typer.Option(help="Of one edge with two weights: refuse, sum or last.")
    ] = "refuse",
    self_loops: Annotated[str, typer.Option(help="keep or drop.")] = "keep",
    variable: Annotated[str, typer.Option(help="The matrix in a .mat file.")] = "network",
    min_degree: Annotated[int, typer.Option(help="Leave out nodes with fewer links.")] = 1,
    trainer: Annotated[str, typer.Option(help="numba, gensim or torch.")] = "numba",
    device: Annotated[str, typer.Option(help="Of torch: cpu, cuda; a GPU if there is one.")] = "",
    storage: Annotated[str, typer.Option(help="float32, float16 or int8.")] = "float32",
    seed: Annotated[int, typer.Option(help="Repeats exactly only with --threads 1.")] = 1,
    threads: Annotated[
        int, typer.Option(help="Workers.", show_default="every core")
    ] = available_cores(),
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """node2vec (p = q = 1: DeepWalk): random walks, then skip-gram with negative sampling."""
    params = {k: v for k, v in locals().items() if k not in ("graph", "out", "as_json")}
    run("node2vec", graph, out, params, as_json)


@app.command(epilog=EPILOG)
def face(
    source: Annotated[Path, typer.Argument(help="Folder with a folder of photos a person; .tar.")],
    out: Annotated[Path, typer.Option(help="File to write.")] = Path("faces.safetensors"),
    detect: Annotated[bool, typer.Option(help="Photos, not crops: find the largest face.")] = False,
    epochs: Annotated[int, typer.Option(help="Passes over the people of two photos.")] = 35,
    people: Annotated[int, typer.Option(help="People of a batch.")] = 48,
    photos: Annotated[int, typer.Option(help="Photos of each, at most.")] = 4,
    mining: Annotated[str, typer.Option(help="semi-hard, hard, batch-hard or all.")] = "semi-hard",
    margin: Annotated[float, typer.Option(help="Between squared distances, 0 to 4.")] = 0.3,
    learning_rate: Annotated[float, typer.Option(help="At the start.")] = 1e-3,
    variants: Annotated[int, typer.Option(help="Copies of each photo, varied.")] = 2,
    components: Annotated[int, typer.Option(help="Principal components kept.")] = 400,
    hidden: Annotated[int, typer.Option(help="Units of the learnt branch.")] = 512,
    dim: Annotated[int, typer.Option(help="Numbers a vector.")] = 128,
    image_size: Annotated[int, typer.Option(help="Pixels of a side; 64, 128, 192, 256.")] = 64,
    holdout: Annotated[float, typer.Option(help="Share of the people kept out.")] = 0.2,
    seed: Annotated[int, typer.Option(help="Of all random numbers.")] = 1,
    threads: Annotated[
        int, typer.Option(help="Of the arithmetic.", show_default="every core")
    ] = available_cores(),
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Faces by the triplet loss; the people kept out calibrate the threshold of "same person"."""
    params = {
        "detect": detect,
        "epochs": epochs,
        "people": people,
        "photos": photos,
        "mining": mining,
        "margin": margin,
        "learning_rate": learning_rate,
        "variants": variants,
        "components": components,
        "hidden": hidden,
        "dim": dim,
        "image_size": image_size,
        "holdout": holdout,
        "seed": seed,
        "threads": threads,
    }
    run("face", source, out, params, as_json)


@app.command(epilog=EPILOG)
def clip(
    source: Annotated[
        Path, typer.Argument(help="Folder or .tar: KEY.jpg beside KEY.json with captions.")
    ],
    out: Annotated[Path, typer.Option(help="Folder to write.")] = Path("clip-model"),
    start: Annotated[str, typer.Option(help='Learns on from this model; "": anew.')] = "clip-mini",
    epochs: Annotated[int, typer.Option(help="Passes over the images.")] = 20,
    batch: Annotated[int, typer.Option(help="Images a step.")] = 64,
    learning_rate: Annotated[float, typer.Option(help="At its highest; 0: what suits.")] = 0.0,
    architecture: Annotated[str, typer.Option(help="timm's name, if anew.")] = "regnetx_004",
    dim: Annotated[int, typer.Option(help="Numbers of an embedding, if anew.")] = 384,
    image_size: Annotated[int, typer.Option(help="Pixels of a side; 0: the start's.")] = 0,
    holdout: Annotated[float, typer.Option(help="Share of the images kept out.")] = 0.1,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda.")] = "auto",
    seed: Annotated[int, typer.Option(help="Of all random numbers.")] = 1,
    threads: Annotated[
        int, typer.Option(help="Of the arithmetic.", show_default="every core")
    ] = available_cores(),
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """CLIP: an image tower beside the packaged text tower, by contrastive loss."""
    params = {k: v for k, v in locals().items() if k not in ("source", "out", "as_json")}
    run("clip", source, out, params, as_json)


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
