"""Filters written as Qdrant's, recognised so that a message can show them as ours."""

import json
from collections.abc import Mapping
from typing import Any

CLAUSES = frozenset(("must", "should", "must_not"))


def as_ours(tree: Mapping[Any, Any]) -> str:
    """Our form of a filter of Qdrant as JSON; "" where it is no such filter, or not understood."""
    try:
        translated = _filter(tree)
    except (AttributeError, KeyError, TypeError, ValueError):
        return ""
    return json.dumps(translated) if translated else ""


def _filter(tree: Mapping[Any, Any]) -> dict[str, Any]:
    """A filter of clauses, or a single condition.

    Raises:
        AttributeError, KeyError, TypeError, ValueError: it is neither.
    """
    if "key" in tree:
        return _condition(tree)
    if not tree.keys() <= CLAUSES:
        raise ValueError(tree)
    parts = []
    for clause, conditions in tree.items():
        listed = [conditions] if isinstance(conditions, Mapping) else list(conditions)
        ours = [_filter(condition) for condition in listed]
        if clause == "must":
            parts += ours
        elif clause == "should":
            parts.append({"or": ours})
        else:
            parts += [{"not": part} for part in ours]
    return parts[0] if len(parts) == 1 else {"and": parts}


def _condition(condition: Mapping[Any, Any]) -> dict[str, Any]:
    """{"key": "year", "range": {"gte": 2010}} and its kin."""
    field = condition["key"]
    if "range" in condition:
        return {field: dict(condition["range"])}
    match = condition["match"]
    if "any" in match:
        return {field: {"in": list(match["any"])}}
    if "except" in match:
        return {"not": {field: {"in": list(match["except"])}}}
    return {field: match["value"]}
