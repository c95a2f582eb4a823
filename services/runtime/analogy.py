"""Analogies."""
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from index.base import Collection
from services.runtime.collections import Collections
from services.runtime.errors import NotServedError
from services.runtime.inputs import WeightedInput
from services.runtime.search import SearchOutcome

class AnalogyMethod(StrEnum):
    ADD="3CosAdd"; MUL="3CosMul"; PAIR_DIRECTION="PairDirection"

@dataclass(frozen=True, slots=True)
class Question:
    positives: Sequence[WeightedInput]
    negatives: Sequence[WeightedInput]

@dataclass(frozen=True, slots=True)
class Asked:
    questions: Sequence[Question]
    method: AnalogyMethod
    k: int
    limit: int
    include_inputs: bool
    with_payload: bool

async def answer(collections: Collections, collection: Collection, asked: Asked, deadline: float|None) -> SearchOutcome:
    raise NotServedError("x")
