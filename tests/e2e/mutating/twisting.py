"""Twisting of messages by their fields: each value is of its type, and none is what is wanted."""

import json
import random
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import DecodeError, Message

from latentspace.v1 import filter_pb2 as filters

# stands in a message for bytes that no string may hold, and has as many
MARK = "\x01\x02\x03MARK\x03\x02\x01"
NO_UTF8 = b"\xff\xfe\xc3\x28\xed\xa0\x80\x80\xc0\xaf"
LONG = 100_000

STRINGS: Sequence[str] = (
    "",
    " ",
    "\0",
    "a\0b",
    "x" * LONG,
    "ü" * 5000,
    "../../etc/passwd",
    "/etc/passwd",
    "-",
    ".",
    "..",
    ".hidden",
    "CON",
    "%s%n{}",
    "'; DROP TABLE points; --",
    "\u202e\u0000\ufeff\U0001f600",
    "e\u0301" * 50,
    "\r\nx-header: y",
    "a/b\\c",
    "word " * 3000,
    "fuzz",
    "made-1",
    MARK,
    MARK * 3,
)
DEEP = 100_000
BYTES: Sequence[bytes] = (
    b"",
    b"\0",
    b"{}",
    b"[]",
    b"null",
    b"{",
    b"[" * DEEP,
    b"[" * DEEP + b"]" * DEEP,
    b'{"a":' * DEEP + b"1" + b"}" * DEEP,
    b'{"a":' * 900 + b"1" + b"}" * 900,
    b'{"n": NaN}',
    b'{"n": Infinity, "x": -Infinity}',
    b'{"n": 1e999}',
    b'{"n": 123456789012345678901234567890}',
    b'{"n": -9223372036854775809, "x": 18446744073709551616}',
    b'{"x": 1' + b"0" * 5000 + b"}",
    b'{"tag": "\\ud800"}',
    b'{"tag": "\xff\xfe"}',
    b'{"tag": "a", "tag": "b"}',
    b'{"tag": ["a", 1, null], "tags": "a", "ok": 1, "at": 5}',
    b'{"at": "9999-12-31T23:59:60Z"}',
    b'{"at": "0000-00-00T00:00:00+99:99"}',
    b'{"at": "2024-01-01T00:00:00.123456789123456789Z"}',
    b'{"": 1, "modality": "x", "\\u0000": 1}',
    b'\xef\xbb\xbf{"n": 1}',
    b'{"free": "' + b"y" * 2_000_000 + b'"}',
    json.dumps({f"k{i}": i for i in range(20_000)}).encode(),
    b'{"dim": 1000000000, "epochs": 1}',
    b'{"dim": -1}',
    b'{"dim": "8"}',
    b'{"threads": 100000, "dim": 8}',
    b'{"window": 1e300}',
    b'{"seed": 18446744073709551616}',
    b"\xff" * 64,
)
UNSIGNED_32 = (0, 1, 2, 3, 7, 65_535, 65_536, 65_537, (1 << 31) - 1, 1 << 31, (1 << 32) - 1)
UNSIGNED_64 = (*UNSIGNED_32, 1 << 32, (1 << 63) - 1, 1 << 63, (1 << 64) - 1)
SIGNED_64 = (0, -1, 1, 1 << 53, -(1 << 53) - 1, (1 << 63) - 1, -(1 << 63), 253_402_300_800)
FLOATS = (0.0, -0.0, -1.0, 1e-45, 1e-30, 3.4e38, -3.4e38, 1e20, *map(float, ("nan", "inf", "-inf")))
DOUBLES = (*FLOATS, 5e-324, 1.8e308)
ENUMS = (0, 1, 2, 3, 7, 99, -1, (1 << 31) - 1, -(1 << 31))
F = FieldDescriptor
VALUES: Mapping[int, Sequence[Any]] = {
    F.CPPTYPE_INT32: (0, -1, 1_000_000_000, (1 << 31) - 1, -(1 << 31)),
    F.CPPTYPE_INT64: SIGNED_64,
    F.CPPTYPE_UINT32: UNSIGNED_32,
    F.CPPTYPE_UINT64: UNSIGNED_64,
    F.CPPTYPE_FLOAT: FLOATS,
    F.CPPTYPE_DOUBLE: DOUBLES,
    F.CPPTYPE_BOOL: (True, False),
    F.CPPTYPE_ENUM: ENUMS,
}
MANY = (2, 40, 1000, 9000)


class Twister:
    """Changes fields of messages.

    Args:
        pictures: image files for fields that may hold them.
    """

    def __init__(self, chance: random.Random, pictures: Sequence[bytes]) -> None:
        self._chance = chance
        self._bytes = [*BYTES, *pictures]

    def twist(self, message: Message) -> bytes:
        """A message encoded, with one to three of its fields changed; the message itself too."""
        for _ in range(self._chance.choice([1, 1, 1, 2, 3])):
            self._twist_one(message)
        return message.SerializeToString().replace(MARK.encode(), NO_UTF8)

    def _twist_one(self, message: Message) -> None:
        holder = self._chance.choice(list(_within(message)))
        fields: Sequence[Any] = holder.DESCRIPTOR.fields
        if not fields:
            return
        field = self._chance.choice(fields)
        if isinstance(holder, filters.Filter) and self._chance.random() < 0.3:
            # what is grown beyond the levels that protobuf copies stays as it is
            with suppress(DecodeError):
                self._grow_filter(holder)
        elif _is_map(field):
            self._twist_map(getattr(holder, field.name), field)
        elif field.is_repeated:
            self._twist_list(getattr(holder, field.name), field)
        elif field.cpp_type == F.CPPTYPE_MESSAGE:
            self._clear_or_set(holder, field)
        else:
            setattr(holder, field.name, self._value(field))

    def _value(self, field: FieldDescriptor) -> Any:
        if field.type == F.TYPE_STRING:
            return self._chance.choice(STRINGS)
        if field.type == F.TYPE_BYTES:
            return self._chance.choice(self._bytes)
        return self._chance.choice(VALUES[field.cpp_type])

    def _clear_or_set(self, holder: Message, field: FieldDescriptor) -> None:
        holder.ClearField(field.name)
        if self._chance.random() < 0.6:
            getattr(holder, field.name).SetInParent()

    def _twist_list(self, values: Any, field: FieldDescriptor) -> None:
        kind = self._chance.randrange(5)
        if kind == 0 or (kind == 1 and not values):
            del values[:]
        elif kind == 1:
            del values[self._chance.randrange(len(values))]
        elif kind == 2 and values:
            one = values[self._chance.randrange(len(values))]
            values.extend([one] * self._affordable(one))
        elif field.cpp_type == F.CPPTYPE_MESSAGE:
            values.add()
        else:
            values.append(self._value(field))

    def _affordable(self, one: object) -> int:
        """How often a value is repeated: never so that its copies fill a message of 4 MiB."""
        size = one.ByteSize() if isinstance(one, Message) else len(str(one))
        return min(self._chance.choice(MANY), max(1, (4 << 20) // (size + 1)))

    def _twist_map(self, values: Any, field: FieldDescriptor) -> None:
        for _ in range(self._chance.choice([1, 1, 300])):
            name = self._chance.choice([*STRINGS, f"f{self._chance.randrange(1000)}"])
            values[name] = self._chance.choice(ENUMS)
        if self._chance.random() < 0.2:
            values.clear()

    def _grow_filter(self, message: filters.Filter) -> None:
        """Deep, wide, or both."""
        kind, inner = self._chance.randrange(3), filters.Filter()
        inner.CopyFrom(message)
        if kind == 0:
            for _ in range(self._chance.choice([10, 31, 33, 90])):
                outer = filters.Filter()
                outer.negation.CopyFrom(inner)
                inner = outer
            message.CopyFrom(inner)
        elif kind == 1:
            message.all.filters.extend([inner] * self._affordable(inner))
        else:
            wide = filters.Filter(any=filters.FilterList(filters=[inner] * 20))
            message.all.filters.extend([wide] * self._chance.choice([10, 600]))


def _is_map(field: FieldDescriptor) -> bool:
    kind = field.message_type
    return kind is not None and kind.GetOptions().map_entry


def _within(message: Message) -> "list[Message]":
    """A message and all that are set inside it."""
    found = [message]
    for field, value in message.ListFields():
        if field.cpp_type != F.CPPTYPE_MESSAGE or _is_map(field):
            continue
        for one in value if field.is_repeated else [value]:
            found += _within(one)
    return found
