"""Keywords of calls that take options: unknown ones are named as they were written."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from latentspace.errors import InvalidArgumentError
from latentspace.spelling import did_you_mean

MAX_K = 10_000

# What other libraries call the same thing.
SYNONYMS: Mapping[str, str] = {
    **dict.fromkeys(("limit", "n", "n_results", "size", "top", "top_k", "topk", "topn"), "k"),
    **dict.fromkeys(("filters", "query_filter", "where"), "filter"),
    **dict.fromkeys(("min_score", "threshold"), "score_threshold"),
    **dict.fromkeys(("include_payload", "payload", "with_payloads"), "with_payload"),
    **dict.fromkeys(("include_vectors", "return_vectors", "with_vector"), "with_vectors"),
    **dict.fromkeys(("search_params",), "params"),
    **dict.fromkeys(("query_vector", "embedding"), "vector"),
    **dict.fromkeys(("embeddings", "query_embeddings"), "vectors"),
    **dict.fromkeys(("query_text", "prompt"), "text"),
    **dict.fromkeys(("documents", "sentences", "query_texts"), "texts"),
    **dict.fromkeys(("timeout",), "timeout_s"),
    **dict.fromkeys(("dtype",), "compute_dtype"),
    **dict.fromkeys(("dim", "truncate_dim"), "dimensions"),
}


def check_keywords(
    call: Callable[..., Any], options: Mapping[str, object], known: frozenset[str]
) -> None:
    """Refuses keywords that a call does not have.

    Args:
        call: the method that was called, which names the keywords that it spells out.
        options: what was passed beside those.
        known: the keys of its options.

    Raises:
        TypeError: naming the keyword, and the one that was probably meant.
    """
    unknown = options.keys() - known
    if not unknown:
        return
    name = min(unknown)
    own = [p.name for p in inspect.signature(call).parameters.values() if p.kind is p.KEYWORD_ONLY]
    names = [*own, *sorted(known)]
    meant = SYNONYMS.get(name.lower(), "")
    hint = f"; did you mean {meant!r}?" if meant in names else did_you_mean(name, names)
    raise TypeError(f"{call.__name__}() has no keyword {name!r}{hint}")


def whole_number(value: object, name: str, least: int, most: int) -> int:
    """A whole number between two bounds; numpy's integers are such too.

    Raises:
        InvalidArgumentError: another type, or out of bounds.
    """
    try:
        if isinstance(value, bool):
            raise TypeError
        number = int(value.__index__())  # type: ignore[attr-defined]
    except (AttributeError, TypeError):
        raise InvalidArgumentError(f"{name}: expected a whole number, got {value!r:.80}") from None
    if not least <= number <= most:
        raise InvalidArgumentError(f"{name}: expected {least:,} to {most:,}, got {number:,}")
    return number
