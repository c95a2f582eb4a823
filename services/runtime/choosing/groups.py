"""The best points of each group instead of the best points."""

from collections.abc import Mapping
from dataclasses import dataclass

from index.filter import All, Condition, Filter, Not, Op, Scalar
from index.types import CollectionSpec, FieldType, Hits
from services.runtime.choosing.base import Choice
from services.runtime.errors import RequestError
from services.runtime.ranking import MAX_K, Ranking, check_k
from services.runtime.results import joined, no_hits, one_query

FIELD_TYPES = (FieldType.KEYWORD, FieldType.INT, FieldType.BOOL)
# points looked at for each point wanted, before a search that leaves known groups out
OVERSAMPLING = 4


@dataclass(frozen=True, slots=True)
class Grouped(Choice):
    """Points by the value of a field; the group of the best point comes first.

    Points without the field are in no group.

    Args:
        field: a declared keyword, int or bool field.
        size: points of each group.
        offset: groups to pass over at the front.
    """

    field: str
    size: int = 1
    offset: int = 0

    def depth(self, k: int) -> int:
        """See `Choice`."""
        return min((k + self.offset) * self.size * OVERSAMPLING, MAX_K)

    def check(self, spec: CollectionSpec, k: int) -> None:
        """See `Choice`."""
        check_k(k, self.offset)
        declared = spec.fields.get(self.field)
        if declared not in FIELD_TYPES:
            known = ", ".join(n for n, kind in spec.fields.items() if kind in FIELD_TYPES)
            raise RequestError(
                "group_by.field",
                f"{self.field[:100]!r} is {declared or 'not declared'}; groups are made by a"
                f" declared keyword, int or bool field: {known or 'there is none'}",
            )
        points = (k + self.offset) * self.size
        if points > MAX_K:
            raise RequestError(
                "group_by.group_size",
                f"(k + offset) * group_size must be at most {MAX_K}, not {points}",
            )

    async def choose(self, ranking: Ranking, k: int) -> Hits:
        """See `Choice`; at most `size` points of each of k groups, group after group."""
        wanted = k + self.offset
        groups: dict[Scalar, Hits] = {}
        while len(groups) < wanted:
            depth = min((wanted - len(groups)) * self.size * OVERSAMPLING, MAX_K)
            hits = await ranking.first(depth, self._beside(groups), value_of=self.field)
            new = self._divided(hits, wanted - len(groups))
            ended = len(hits.scores) < depth
            for value, members in new.items():
                whole = ended or len(members.scores) == self.size
                groups[value] = members if whole else await self._filled(ranking, value)
            if ended:
                break
        found = list(groups.values())[self.offset :]
        return one_query(joined(found), slice(None)) if found else no_hits(1)

    def _beside(self, groups: Mapping[Scalar, Hits]) -> Filter:
        """Points that are in a group, and in none of these."""
        there = Condition(self.field, Op.EXISTS, True)
        if not groups:
            return there
        return All((there, Not(Condition(self.field, Op.IN, tuple(groups)))))

    def _divided(self, hits: Hits, most: int) -> dict[Scalar, Hits]:
        """The first `most` groups among some hits, each cut to its size."""
        places: dict[Scalar, list[int]] = {}
        for place, value in enumerate(hits.values or ()):
            assert isinstance(value, str | int | bool), "the filter asks for the field"
            if value in places or len(places) < most:
                places.setdefault(value, []).append(place)
        return {value: one_query(hits, found[: self.size]) for value, found in places.items()}

    async def _filled(self, ranking: Ranking, value: Scalar) -> Hits:
        """The best points of a group that was not seen whole."""
        condition = Condition(self.field, Op.EQ, value)
        return await ranking.first(self.size, condition, value_of=self.field)
