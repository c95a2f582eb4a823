"""The cache in memory, and one before another."""

from collections import OrderedDict

from hypothesis import given
from hypothesis import strategies as st

from services.runtime.cache.memory import ENTRY_BYTES, MemoryCache
from services.runtime.cache.tiers import TieredCache

STEPS = st.lists(
    st.tuples(st.booleans(), st.sampled_from("abcdefgh"), st.integers(0, 400)), max_size=60
)


@given(STEPS, st.integers(0, 2000))
async def test_it_is_what_a_plain_list_of_recent_values_is(
    steps: list[tuple[bool, str, int]], bound: int
) -> None:
    cache, model = MemoryCache(bound), OrderedDict[str, bytes]()
    for writes, key, size in steps:
        if writes:
            cache.put({key: bytes(size)})
            if size + 1 + ENTRY_BYTES <= bound:
                model.pop(key, None)
                model[key] = bytes(size)
            while sum(len(v) + 1 + ENTRY_BYTES for v in model.values()) > bound:
                model.popitem(last=False)
        else:
            assert await cache.get([key]) == [model.get(key)]
            if key in model:
                model.move_to_end(key)
    [stats] = cache.stats
    assert await cache.get(list("abcdefgh")) == [model.get(key) for key in "abcdefgh"]
    assert stats.entries == len(model)
    assert stats.bytes == sum(len(v) + 1 + ENTRY_BYTES for v in model.values()) <= bound


async def test_a_first_store_learns_what_the_second_knew() -> None:
    first, second = MemoryCache(10_000), MemoryCache(10_000)
    both = TieredCache([first, second])
    second.put({"a": b"1", "b": b"2"})
    first.put({"b": b"2"})
    assert await both.get(["a", "b", "c"]) == [b"1", b"2", None]
    assert await first.get(["a"]) == [b"1"]
    assert [stats.hits for stats in both.stats] == [2, 1]
    both.put({"c": b"3"})
    assert await first.get(["c"]) == await second.get(["c"]) == [b"3"]
