"""Changes and measures of a collection: `latentspace collections update | fields | recall`."""

from dataclasses import asdict
from typing import Annotated

import typer

from latentspace.cli.exits import UsageError
from latentspace.cli.options import fields_of
from latentspace.cli.output import Output
from latentspace.requests.options import IndexParams, SearchParams
from latentspace.sync.client import Client

Name = Annotated[str, typer.Argument(help="Name or alias of a collection.")]
Ef = Annotated[int, typer.Option(min=0, help="HNSW effort.")]
Nprobe = Annotated[int, typer.Option(min=0, help="IVF lists visited.")]
Rerank = Annotated[
    int, typer.Option(min=0, help="Candidates of quantised recipes rescored with full vectors.")
]


def list_fields(client: Client, out: Output, name: Name) -> None:
    """List the declared payload fields, the ones that filters read."""
    fields = client.collection(name).fields
    out.records(
        ({"field": field, "type": kind} for field, kind in fields.items()), ("field", "type")
    )


def update_collection(
    client: Client,
    out: Output,
    name: Name,
    field: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=TYPE", help="A payload field to declare; stored points are read for it."
        ),
    ] = None,
    recipe: Annotated[
        str, typer.Option(help="New recipe, built beside the old one: hnsw, ivf_pq, ...")
    ] = "",
    m: Annotated[int, typer.Option("--m", min=0, help="HNSW links a node.")] = 0,
    ef_construction: Annotated[int, typer.Option(min=0, help="HNSW effort while building.")] = 0,
    nlist: Annotated[int, typer.Option(min=0, help="IVF lists.")] = 0,
    pq_bytes: Annotated[int, typer.Option(min=0, help="Bytes a code.")] = 0,
    ef: Ef = 0,
    nprobe: Nprobe = 0,
    rerank: Rerank = 0,
    wait: Annotated[bool, typer.Option(help="Wait until a new recipe answers.")] = True,
) -> None:
    """Declare fields, change the recipe in place, or set the default effort of searches."""
    index: IndexParams = {
        "m": m,
        "ef_construction": ef_construction,
        "nlist": nlist,
        "pq_bytes": pq_bytes,
    }
    search: SearchParams = {"ef": ef, "nprobe": nprobe, "rerank": rerank}
    if not (field or recipe or any(index.values()) or any(search.values())):
        raise UsageError("nothing to change: pass --field, --recipe, or parameters of it")
    changed = client.update_collection(
        name,
        add_fields=fields_of(field or []),
        recipe=recipe or None,
        index=index if any(index.values()) else None,
        search=search if any(search.values()) else None,
        wait=wait,
    )
    declared = ", ".join(f"{field}={kind}" for field, kind in changed.fields.items())
    out.say(f"updated {changed.name}: {changed.recipe}; {declared or 'no fields'}", asdict(changed))


def measure_recall(
    client: Client,
    out: Output,
    name: Name,
    k: Annotated[int, typer.Option("-k", min=1, help="Neighbours compared.")] = 10,
    samples: Annotated[int, typer.Option(min=1, help="Stored points used as queries.")] = 100,
    ef: Ef = 0,
    nprobe: Nprobe = 0,
    rerank: Rerank = 0,
    seed: Annotated[int, typer.Option(min=0, help="Of the sample.")] = 0,
) -> None:
    """Compare searches with exact ones: recall with its 95 % interval, and both times."""
    params: SearchParams = {"ef": ef, "nprobe": nprobe, "rerank": rerank}
    measured = client.measure_recall(name, k=k, samples=samples, params=params, seed=seed)
    if out.as_json:
        out.record(asdict(measured))
        return
    row = {
        f"recall@{k}": measured.recall,
        "95 % from": measured.low,
        "to": measured.high,
        "samples": measured.samples,
        "search ms": round(measured.mean_search_ns / 1e6, 3),
        "exact ms": round(measured.mean_exact_ns / 1e6, 3),
    }
    out.records([row], list(row))
