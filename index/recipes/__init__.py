"""Recipes by name. Each is a class in a file of its own, imported when it is first used."""

from functools import cache
from importlib import import_module

from index.errors import SpecError
from index.recipes.base import Recipe

TABLE = {
    "auto": "index.recipes.auto:Auto",
    "exact": "index.recipes.exact:Exact",
    "hnsw": "index.recipes.hnsw:Hnsw",
    "hnsw_sq8": "index.recipes.hnsw_sq8:HnswSq8",
    "ivf": "index.recipes.ivf:Ivf",
    "ivf_pq": "index.recipes.ivf_pq:IvfPq",
    "ivf_sq8": "index.recipes.ivf_sq8:IvfSq8",
    "rabitq": "index.recipes.rabitq:RabitQ",
}
FACTORY = "factory:"


@cache
def recipe(name: str) -> Recipe:
    """The recipe of this name, or of a FAISS index factory string after "factory:".

    Raises:
        SpecError: unknown name or malformed string.
    """
    if name.startswith(FACTORY):
        from index.recipes.factory import Factory

        return Factory(name)
    if name not in TABLE:
        known = ", ".join(sorted(TABLE))
        raise SpecError(
            "recipe", f"recipe {name!r} is unknown; one of: {known}, {FACTORY}FAISS_STRING"
        )
    module, _, attribute = TABLE[name].partition(":")
    made: Recipe = getattr(import_module(module), attribute)()
    return made


def concrete(name: str, rows: int, dim: int, budget_bytes: int = 0) -> str:
    """`name`, with "auto" replaced by the recipe it stands for at this size and budget."""
    if name != "auto":
        return name
    from index.recipes.auto import choose

    return choose(rows, dim, budget_bytes)
