"""Parts of valid requests, drawn at random."""

import json
import random
from collections.abc import Sequence
from typing import Any

import numpy as np

from latentspace.v1 import collection_service_pb2 as collections
from latentspace.v1 import filter_pb2 as filters
from latentspace.v1 import types_pb2 as types

DIM = 8
WORDS = [f"w{i}" for i in range(60)]


class Parts:
    """Draws names, inputs, filters and payloads of the scene.

    Args:
        pictures: image files, sound and broken.
    """

    def __init__(self, chance: random.Random, pictures: Sequence[bytes]) -> None:
        self._chance, self._pictures = chance, pictures

    def _one_of(self, *values: str) -> str:
        return self._chance.choice(values)

    def _number(self, end: int, start: int = 0) -> Any:
        """Of an enum."""
        return self._chance.randrange(start, end)

    def _name(self) -> str:
        return self._one_of("fuzz", "fuzz", "fuzz", "raw", "pics", "people", "words", "alias")

    def _id(self) -> str:
        return f"p{self._chance.randrange(40)}"

    def _input(self, model: str = "") -> types.Input:
        text, key = f"text {self._chance.randrange(50)}", self._chance.choice(WORDS)
        known = self._chance.random() < (0.3 if model in ("faces", "people") else 0.05)
        picture = types.Input(image=self._chance.choice(self._pictures[: 2 if known else None]))
        if model in ("faces", "people") or (
            model in ("clip", "pics") and self._chance.random() < 0.5
        ):
            return picture
        if model == "words":
            return types.Input(key=key)
        if model and self._chance.random() < 0.7:
            return types.Input(text=text)
        point = types.PointRef(collection=self._name(), id=self._id())
        values = types.Vector(values=[self._chance.gauss(0, 1) for _ in range(DIM)])
        return self._chance.choice(
            [
                types.Input(text=text),
                types.Input(key=key),
                picture,
                types.Input(vector=values),
                types.Input(point=point),
            ]
        )

    def _inputs(self, model: str) -> list[types.Input]:
        return [self._input(model) for _ in range(self._chance.randrange(1, 5))]

    def _vectors(self, count: int) -> types.VectorBatch:
        rows = np.random.default_rng(self._chance.randrange(1 << 30)).normal(size=(count, DIM))
        dtype: Any
        dtype, form = self._chance.choice([(1, "<f4"), (2, "<f2"), (3, "<u2"), (0, "<f4")])
        return types.VectorBatch(
            data=rows.astype(form).tobytes(), dtype=dtype, dim=DIM, count=count
        )

    def _options(self) -> types.EmbedOptions | None:
        if self._chance.random() < 0.6:
            return None
        return types.EmbedOptions(
            role=self._one_of("", "query", "document"),
            compute_dtype=self._number(4),
            dimensions=self._chance.randrange(DIM + 1),
            refuse_truncation=self._chance.random() < 0.5,
            cropped=self._chance.random() < 0.5,
            compose_unknown_keys=self._chance.random() < 0.5,
        )

    def _value(self) -> filters.Value:
        value = filters.Value()
        value.datetime_value.FromSeconds(self._chance.randrange(1 << 31))
        number = self._chance.randrange(-5, 5)
        return self._chance.choice(
            [
                filters.Value(string_value=self._one_of("a", "b", "")),
                filters.Value(int_value=number),
                filters.Value(float_value=number / 2),
                filters.Value(bool_value=True),
                value,
            ]
        )

    def _condition(self) -> filters.Condition:
        found = filters.Condition(
            field=self._one_of("tag", "tags", "n", "x", "ok", "at", "modality")
        )
        kind = self._chance.randrange(5)
        if kind == 0:
            found.equal.CopyFrom(self._value())
        elif kind == 1:
            found.not_equal.CopyFrom(self._value())
        elif kind == 2:
            getattr(found, "in").values.extend([self._value(), self._value()])
        elif kind == 3:
            value = self._value()
            found.range.gte.CopyFrom(value)
            found.range.lt.CopyFrom(self._value() if self._chance.random() < 0.2 else value)
        else:
            found.exists = self._chance.random() < 0.5
        return found

    def _filter(self, depth: int = 0) -> filters.Filter:
        kind = self._chance.randrange(4 if depth < 3 else 1)
        if kind == 1:
            parts = [self._filter(depth + 1) for _ in range(2)]
            return filters.Filter(all=filters.FilterList(filters=parts))
        if kind == 2:
            parts = [self._filter(depth + 1) for _ in range(2)]
            return filters.Filter(any=filters.FilterList(filters=parts))
        if kind == 3:
            return filters.Filter(negation=self._filter(depth + 1))
        return filters.Filter(condition=self._condition())

    def _payload(self) -> bytes:
        full = {
            "tag": "a",
            "tags": ["a", "b"],
            "n": self._chance.randrange(-9, 9),
            "x": 0.5,
            "ok": True,
            "at": "2024-05-01T00:00:00Z",
            "free": {"deep": [1, None, "ü"]},
        }
        keys = self._chance.sample(sorted(full), self._chance.randrange(len(full) + 1))
        return json.dumps({key: full[key] for key in keys}).encode()

    def _fields(self) -> dict[str, filters.FieldType.ValueType]:
        names = self._chance.sample(["tag", "tags", "n", "x", "ok", "at", "new"], 3)
        numbers = [number for number in filters.FieldType.values() if number]
        return {name: self._chance.choice(numbers) for name in names}

    def _index(self) -> collections.IndexParameters:
        return collections.IndexParameters(
            m=self._chance.choice([0, 4, 16]),
            ef_construction=self._chance.choice([0, 8, 40]),
            nlist=self._chance.choice([0, 1, 4]),
            pq_bytes=self._chance.choice([0, 2, 4]),
        )

    def _params(self) -> collections.SearchParameters:
        return collections.SearchParameters(
            ef=self._chance.choice([0, 16, 64]),
            nprobe=self._chance.choice([0, 1, 4]),
            rerank=self._chance.choice([0, 10]),
            exact=self._chance.random() < 0.3,
        )

    def _recipe(self) -> str:
        return self._one_of(
            "auto", "exact", "hnsw", "ivf", "hnsw_sq8", "ivf_pq", "ivf_sq8", "rabitq"
        )

    def _writes(self, name: str) -> collections.PointWrites:
        count = self._chance.randrange(1, 5)
        ids = [self._id() for _ in range(count)]
        payloads = [self._payload() for _ in ids] if self._chance.random() < 0.7 else []
        if name == "raw" or self._chance.random() < 0.3:
            kinds = [self._number(5) for _ in ids] if self._chance.random() < 0.3 else []
            return collections.PointWrites(
                ids=ids, vectors=self._vectors(count), payloads=payloads, modalities=kinds
            )
        inputs = [self._input(name) for _ in ids]
        return collections.PointWrites(
            ids=ids, inputs=inputs, payloads=payloads, options=self._options()
        )

    def _weighted(self, model: str = "") -> types.WeightedInput:
        return types.WeightedInput(
            input=self._input(model), weight=self._chance.choice([1, -0.5, 2])
        )
