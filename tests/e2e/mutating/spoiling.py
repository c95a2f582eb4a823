"""Spoiling of encoded messages: bytes flipped, lost, doubled, spliced, and wire-level nonsense."""

import random
from collections.abc import Callable, Sequence

Spoil = Callable[[random.Random, bytes, bytes], bytes]


def flip_bits(chance: random.Random, data: bytes, other: bytes) -> bytes:
    """One to eight bits turned over."""
    spoiled = bytearray(data)
    for _ in range(chance.randrange(1, 9)):
        if spoiled:
            spoiled[chance.randrange(len(spoiled))] ^= 1 << chance.randrange(8)
    return bytes(spoiled)


def truncate(chance: random.Random, data: bytes, _: bytes) -> bytes:
    """The beginning only."""
    return data[: chance.randrange(len(data) + 1)]


def insert(chance: random.Random, data: bytes, _: bytes) -> bytes:
    """Random bytes in between."""
    at = chance.randrange(len(data) + 1)
    return data[:at] + chance.randbytes(chance.randrange(1, 20)) + data[at:]


def remove(chance: random.Random, data: bytes, _: bytes) -> bytes:
    """A part is gone."""
    low = chance.randrange(len(data) + 1)
    return data[:low] + data[low + chance.randrange(1, 20) :]


def double(chance: random.Random, data: bytes, _: bytes) -> bytes:
    """A part twice: often a field that comes twice, which protobuf merges."""
    low = chance.randrange(len(data) + 1)
    high = chance.randrange(low, len(data) + 1)
    return data[:high] + data[low:high] * chance.choice([1, 1, 3]) + data[high:]


def splice(chance: random.Random, data: bytes, other: bytes) -> bytes:
    """The beginning of one request and the end of another."""
    return data[: chance.randrange(len(data) + 1)] + other[chance.randrange(len(other) + 1) :]


def merge(_: random.Random, data: bytes, other: bytes) -> bytes:
    """Two requests in one."""
    return data + other


def overwrite(chance: random.Random, data: bytes, _: bytes) -> bytes:
    """A run of bytes that are special somewhere."""
    at = chance.randrange(len(data) + 1)
    run = chance.choice([b"\xff", b"\x00", b"\x7f", b"\x80", b"\xc3\x28"]) * chance.randrange(1, 12)
    return data[:at] + run + data[at + len(run) :]


def foreign_field(chance: random.Random, data: bytes, other: bytes) -> bytes:
    """A field of a random number and wire type, with content that need not fit."""
    number, kind = chance.choice([1, 2, 3, 5, 9, 15, 1000, 536_870_911]), chance.randrange(8)
    contents = [
        varint(chance.getrandbits(64)),
        chance.randbytes(8),
        varint(len(other)) + other,
        b"",
        b"",
        chance.randbytes(4),
        b"\xff" * 11,
        varint(1 << 40) + b"short",
    ]
    field = varint(number << 3 | kind) + contents[kind]
    return data + field if chance.random() < 0.5 else field + data


def nothing(*_: object) -> bytes:
    """An empty message."""
    return b""


def noise(chance: random.Random, *_: object) -> bytes:
    """Random bytes."""
    return chance.randbytes(chance.randrange(1, 400))


def groups(chance: random.Random, data: bytes, _: bytes) -> bytes:
    """Groups within groups, as no parser should follow for ever."""
    return data + b"\x0b" * chance.choice([10, 1000, 50_000])


def deep(chance: random.Random, data: bytes, other: bytes) -> bytes:
    """A field nested in itself: a filter's negation in many of the requests."""
    inner = b""
    for _ in range(chance.choice([50, 99, 101, 5000])):
        inner = b"\x22" + varint(len(inner)) + inner
    return data + varint(chance.randrange(1, 8) << 3 | 2) + varint(len(inner)) + inner


SPOILS: Sequence[Spoil] = (
    flip_bits,
    flip_bits,
    truncate,
    insert,
    remove,
    double,
    splice,
    merge,
    overwrite,
    foreign_field,
    nothing,
    noise,
    groups,
    deep,
)


def spoil(chance: random.Random, data: bytes, other: bytes) -> bytes:
    """One to three of the above; `other` is another valid request."""
    for _ in range(chance.choice([1, 1, 2, 3])):
        data = chance.choice(SPOILS)(chance, data, other)
    return data


def varint(value: int) -> bytes:
    """protobuf's number."""
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*found, value])
