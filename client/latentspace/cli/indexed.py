"""The collection that a job writes into: found, or made."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from latentspace.cli.exits import UsageError
from latentspace.enums import Metric
from latentspace.errors import LatentspaceError, NotFoundError, RequestError
from latentspace.indexing.export_format import ExportSource
from latentspace.indexing.records import Source
from latentspace.results.collection import Collection
from latentspace.sync.client import Client


@dataclass(frozen=True, slots=True)
class NewCollection:
    """What the command line says of a collection that may not be there yet.

    Args:
        model: whose space it holds; "" where `dim` or an export says enough.
        dim: numbers a vector, for sources of vectors; 0 where it is not said.
        metric: None is the export's, else cosine.
        recipe: None is "auto".
        fields: declared payload fields.
    """

    name: str
    model: str = ""
    dim: int = 0
    metric: Metric | None = None
    recipe: str | None = None
    fields: dict[str, str] = field(default_factory=dict)


@contextmanager
def filled_collection(
    client: Client, wanted: NewCollection, source: Source | None = None
) -> Iterator[Collection]:
    """`ensure_collection` for the job inside.

    A new one does not outlive a job that failed before it wrote anything: the next try may be of
    another model.
    """
    try:
        client.collection(wanted.name)
    except NotFoundError:
        created = ensure_collection(client, wanted, source)
        with _removed_if_empty(client, created.name):
            yield created
    else:
        yield ensure_collection(client, wanted, source)


def ensure_collection(
    client: Client, wanted: NewCollection, source: Source | None = None
) -> Collection:
    """The collection of this name, with at least these fields.

    Args:
        source: what a new one is filled from, where it is at hand: an export says what it was.

    Raises:
        UsageError: it is of another kind, or nothing says of what a new one is.
        LatentspaceError: the server refuses it.
    """
    try:
        found = client.collection(wanted.name)
    except NotFoundError:
        return _created(client, wanted, source)
    if wanted.model and found.model != wanted.model:
        holds = f"the model {found.model}" if found.model else "vectors without a model"
        raise UsageError(f"--model {wanted.model}: {wanted.name} is there and is of {holds}")
    for option, held in _differences(found, wanted):
        raise UsageError(f"{option}: {wanted.name} is there and has {held}")
    missing = {name: kind for name, kind in wanted.fields.items() if name not in found.fields}
    return client.update_collection(wanted.name, add_fields=missing) if missing else found


def _differences(found: Collection, wanted: NewCollection) -> Iterator[tuple[str, str]]:
    """Options that a collection which is there does not fit, and what it has instead."""
    if wanted.dim not in (0, found.dim):
        yield f"--dim {wanted.dim}", f"{found.dim} numbers a vector"
    if wanted.metric not in (None, found.metric):
        yield f"--metric {wanted.metric}", f"the metric {found.metric}"
    if wanted.recipe not in (None, "auto", found.asked_recipe, found.recipe):
        change = f"collections update {wanted.name} --recipe {wanted.recipe} changes it"
        yield f"--recipe {wanted.recipe}", f"the recipe {found.asked_recipe}; {change}"
    for name, kind in wanted.fields.items():
        if (held := found.fields.get(name, kind)) != kind:
            yield f"--field {name}={kind}", f"{name} as {held}"


def declared_fields(client: Client, name: str) -> Mapping[str, str]:
    """Fields of a collection and their types; none where it is not there."""
    try:
        fields = client.collection(name).fields
    except NotFoundError:
        return {}
    return {field: str(kind) for field, kind in fields.items() if kind is not None}


@contextmanager
def _removed_if_empty(client: Client, name: str) -> Iterator[None]:
    try:
        yield
    except BaseException:
        # a server that is away keeps it
        with suppress(LatentspaceError):
            if not client.count(name):
                client.delete_collection(name)
        raise


def _created(client: Client, wanted: NewCollection, source: Source | None) -> Collection:
    about = source.about if isinstance(source, ExportSource) else None
    dim = wanted.dim or (source.dim if isinstance(source, ExportSource) else 0)
    if not wanted.model and not dim:
        raise UsageError(
            f"there is no collection {wanted.name}: to make it, pass --model MODEL, or --dim where "
            "the source holds vectors"
        )

    def create(model: str) -> Collection:
        return client.create_collection(
            wanted.name,
            model=model,
            dim=dim,
            metric=wanted.metric or (about.metric if about else Metric.COSINE),
            recipe=wanted.recipe or (about.recipe if about else "auto"),
            fields=(about.fields if about else {}) | wanted.fields,
            space_id=about.space_id if about else "",
        )

    if wanted.model or about is None or not about.model:
        return create(wanted.model)
    try:
        return create(about.model)
    except RequestError:
        return create("")  # a server without this model, or with another of its name
