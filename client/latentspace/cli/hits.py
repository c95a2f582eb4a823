"""What searches and analogies print."""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from latentspace.cli.output import Output
from latentspace.results.search import SearchResult

SEGMENTS = ("segment", "method", "candidates", "ef", "nprobe", "ms")


def show_matches(
    out: Output, result: SearchResult, names: Sequence[str], grouped: bool = False
) -> None:
    """Prints the matches of each query."""
    columns = ["id", "score", *(["group"] if grouped else []), "payload"]
    out.records(_records(result, names), columns if len(names) == 1 else ["query", *columns])


def show_plan(out: Output, result: SearchResult) -> None:
    """Prints to standard error how a search was carried out, and where the time went."""
    beside = Output(out.as_json, sys.stderr)
    if out.as_json:
        plans = [asdict(plan) for plan in result.plans]
        beside.record({"plans": plans, "timing": asdict(result.timing)})
        return
    for plan in result.plans:
        rows = ({**asdict(one), "ms": _ms(one.search_ns)} for one in plan.segments)
        beside.records(rows, SEGMENTS)
    steps = {n.removesuffix("_ns"): t for n, t in asdict(result.timing).items() if t}
    steps |= {"filter": sum(plan.filter_ns for plan in result.plans)}
    times: dict[str, Any] = {f"{name} ms": _ms(time) for name, time in steps.items()}
    shares = [plan.selectivity for plan in result.plans]
    beside.record(times | {"passed the filter": f"{max(shares, default=1.0):.1%}"})


def _ms(ns: int) -> float:
    return round(ns / 1e6, 3)


def _records(result: SearchResult, names: Sequence[str]) -> Iterator[dict[str, Any]]:
    for name, matches in zip(names, result, strict=True):
        for rank, match in enumerate(matches):
            yield {
                "query": name,
                "rank": rank + 1,
                "id": match.id,
                "score": match.score,
                "payload": match.payload,
                "modality": match.modality,
                "group": match.group,
            }
