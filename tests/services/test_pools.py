"""Thread pools: bounded queues, and one number of cores."""

import asyncio
import os
import subprocess
import sys
import threading

import pytest

from services.runtime.errors import OverloadedError
from services.runtime.pools import Pool, Pools, run_in
from services.runtime.process import THREAD_VARIABLES


async def test_calls_beyond_the_bound_are_refused_at_once() -> None:
    pool, gate = Pool("work", 1, max_waiting=2), threading.Event()
    running = [asyncio.create_task(pool.run(gate.wait)) for _ in range(3)]
    await asyncio.sleep(0.01)
    assert (pool.busy, pool.waiting) == (1, 2)
    with pytest.raises(OverloadedError, match="2 calls wait to work") as refused:
        await pool.run(gate.wait)
    assert refused.value.retry_after_s > 0
    urgent = asyncio.create_task(pool.run(lambda: 7, urgent=True))
    gate.set()
    assert await urgent == 7
    assert await asyncio.gather(*running) == [True] * 3
    assert (pool.busy, pool.waiting) == (0, 0)
    pool.close()


async def test_a_search_may_take_the_cores_that_no_encoder_uses() -> None:
    pools, gate = Pools(3), threading.Event()
    assert pools.spare_cores() == 3
    encoding = [asyncio.create_task(run_in(pools.encode, gate.wait)) for _ in range(2)]
    await asyncio.sleep(0.01)
    assert pools.spare_cores() == 1
    encoding += [asyncio.create_task(run_in(pools.encode, gate.wait)) for _ in range(4)]
    await asyncio.sleep(0.01)
    assert pools.spare_cores() == 1
    gate.set()
    await asyncio.gather(*encoding)
    assert pools.spare_cores() == 3
    pools.close()


def settled(cores: int, **variables: str) -> list[str]:
    """Threads of FAISS, torch and the variables in a process that settled on so many cores."""
    code = (
        "import os, sys; from services.runtime.process import THREAD_VARIABLES, settle;"
        f"assert 'numpy' not in sys.modules; settle({cores}); import faiss, torch;"
        "print(faiss.omp_get_max_threads(), torch.get_num_threads(),"
        " *(os.environ[name] for name in THREAD_VARIABLES))"
    )
    clean = {k: v for k, v in os.environ.items() if k not in THREAD_VARIABLES}
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={**clean, **variables},
    )
    return done.stdout.split()


def test_arithmetic_libraries_hold_to_the_number_of_cores() -> None:
    assert settled(1) == ["1"] * 7
    assert settled(1, OMP_NUM_THREADS="2")[2] == "2"
