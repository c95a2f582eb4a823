"""Clients that are closed, forked, pickled or left open: an error with its cure, never a crash.

Each script runs in an interpreter of its own, whose exit code would tell of a crash.
"""

import subprocess
import sys

import pytest

PRELUDE = """
import asyncio, copy, multiprocessing, os, pickle, signal, sys, threading
from latentspace import AsyncClient, Client, LatentspaceError
signal.alarm(50)
address = sys.argv[1]

def outcome(call):
    try:
        call()
    except (LatentspaceError, TypeError) as error:
        return str(error)
    return "works"

def in_fork(call):
    pid = os.fork()
    if not pid:
        signal.alarm(15)
        print(outcome(call), flush=True)
        os._exit(0)
    print("child exit", os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
"""

CLOSED = "this client is closed; make a new one"
FORKED = "make a client here, or start processes with the method 'spawn'"

SYNC = {
    "closed and never used": ("c = Client(address); c.close(); print(outcome(c.models))", [CLOSED]),
    "closed and never used, a stream": (
        "c = Client(address); c.close(); "
        "print(outcome(lambda: list(c.embed_stream('sentences', texts=['a']))))",
        [CLOSED],
    ),
    "closed twice": (
        "c = Client(address); c.models(); c.close(); c.close(); print(outcome(c.models))",
        [CLOSED],
    ),
    "left by its context": (
        "with Client(address) as c: c.models()\nprint(outcome(lambda: c.search('x', text='a')))",
        [CLOSED],
    ),
    "another with patience of a closed one": (
        "c = Client(address); c.close(); d = c.with_patience(c._rpc.options.retry, {})\n"
        "print(outcome(d.models)); d.close(); print(outcome(d.models))",
        ["works", CLOSED],
    ),
    "left open": ("c = Client(address); c.models(); print('end')", ["end"]),
    "left open and never used": ("c = Client(address); print('end')", ["end"]),
    "left open in a stream": (
        "c = Client(address); s = iter(c.embed_stream('sentences', texts=iter(lambda: 'a', '')))\n"
        "next(s); print('end')",
        ["end"],
    ),
    "left open in a thread": (
        "c = Client(address)\n"
        "def use():\n while True: c.models()\n"
        "threading.Thread(target=use, daemon=True).start(); c.models(); print('end')",
        ["end"],
    ),
    "pickled": (
        "c = Client(address); print(outcome(lambda: pickle.dumps(c)))\n"
        "print(outcome(lambda: copy.copy(c)))",
        ["cannot be pickled or copied", "cannot be pickled or copied"],
    ),
    "opened, then forked": (
        "c = Client(address); c.models(); in_fork(c.models)\n"
        "in_fork(lambda: list(c.embed_stream('sentences', texts=['a'])))\n"
        "in_fork(lambda: (c.close(), c.close())); print(outcome(c.models))",
        [FORKED, "child exit 0", FORKED, "child exit 0", "works", "child exit 0", "works"],
    ),
    "never used, then forked": (
        "c = Client(address); in_fork(c.models); print(outcome(c.models))",
        ["works", "child exit 0", "works"],
    ),
    "closed, then forked": (
        "c = Client(address); c.models(); c.close(); in_fork(c.models)\n"
        "in_fork(lambda: Client(address).models())",
        ["forked", "child exit 0", "works", "child exit 0"],
    ),
    "forked, and a new one in the child": (
        "c = Client(address); c.models(); in_fork(lambda: Client(address).models())\n"
        "print(outcome(c.models))",
        ["works", "child exit 0", "works"],
    ),
    "forked in a stream": (
        "c = Client(address); s = iter(c.embed_stream('sentences', texts=iter(lambda: 'a', '')))\n"
        "next(s); in_fork(lambda: next(s)); next(s); print('end')",
        [FORKED, "child exit 0", "end"],
    ),
    "multiprocessing by fork": (
        "c = Client(address); c.models()\n"
        "p = multiprocessing.get_context('fork').Process(target=lambda: print(outcome(c.models)))\n"
        "p.start(); p.join(20); print('child exit', p.exitcode)",
        [FORKED, "child exit 0"],
    ),
    "a child that ends as interpreters do": (
        "c = Client(address); c.models(); pid = os.fork()\n"
        "if not pid: signal.alarm(15); print(outcome(c.models), flush=True); sys.exit(0)\n"
        "print('child exit', os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))",
        [FORKED, "child exit 0"],
    ),
}

RACE = """
texts = ["a"] * 300
for turn in range(25):
    c = Client(address)
    if turn % 2: c.models()
    seen = set()
    def use():
        while True:
            said = outcome(lambda: c.embed("sentences", texts=texts) if turn % 3 else c.models())
            seen.add(said)
            if said != "works": break
    threads = [threading.Thread(target=use) for _ in range(4)]
    for t in threads: t.start()
    threading.Event().wait(0.002 * turn)
    c.close()
    for t in threads: t.join()
    for said in seen - {"works"}:
        assert "closed" in said.lower(), said
print("end")
"""

RUN = "def run(call): return outcome(lambda: asyncio.run(call()))\n"
ASYNC = {
    "closed and never used": (
        "async def use():\n c = AsyncClient(address); await c.close(); await c.models()\n"
        "print(run(use))",
        [CLOSED],
    ),
    "closed twice": (
        "async def use():\n c = AsyncClient(address); await c.models(); await c.close()\n"
        " await c.close(); await c.models()\nprint(run(use))",
        [CLOSED],
    ),
    "in a second loop": (
        "c = AsyncClient(address); print(run(c.models)); print(run(c.models)); print(run(c.close))",
        ["works", "belongs to the event loop of its first call", "works"],
    ),
    "never used in the first loop": (
        "async def make(): return AsyncClient(address)\n"
        "c = asyncio.run(make()); print(run(c.models))",
        ["works"],
    ),
    "closed from another loop while its own goes on": (
        "c = AsyncClient(address); loop = asyncio.new_event_loop()\n"
        "threading.Thread(target=loop.run_forever, daemon=True).start()\n"
        "asyncio.run_coroutine_threadsafe(c.models(), loop).result(20)\n"
        "print(run(c.models)); print(run(c.close)); print(run(c.models))",
        ["belongs to the event loop of its first call", "works", CLOSED],
    ),
    "left open": (
        "c = AsyncClient(address); print(run(c.models)); print('end')",
        ["works", "end"],
    ),
    "left open in a running loop": (
        "c = AsyncClient(address); loop = asyncio.new_event_loop()\n"
        "loop.run_until_complete(c.models()); print('end')",
        ["end"],
    ),
    "pickled": (
        "c = AsyncClient(address); print(outcome(lambda: pickle.dumps(c)))",
        ["cannot be pickled or copied"],
    ),
    "opened, then forked in another loop": (
        "c = AsyncClient(address); run(c.models); in_fork(lambda: asyncio.run(c.models()))\n"
        "in_fork(lambda: asyncio.run(c.close()))",
        [FORKED, "child exit 0", "works", "child exit 0"],
    ),
    "never used, then forked": (
        "c = AsyncClient(address); in_fork(lambda: asyncio.run(c.models())); print(run(c.models))",
        ["works", "child exit 0", "works"],
    ),
    "forked, and a new one in the child": (
        "async def use():\n async with AsyncClient(address) as c: await c.models()\n"
        "print(run(use)); in_fork(lambda: asyncio.run(use()))",
        ["works", "works", "child exit 0"],
    ),
}

ASYNC_RACE = """
async def calls(c):
    await c.models()
async def batches(c):
    await c.embed("sentences", texts=["a"] * 1000)
async def streams(c):
    async for _ in c.embed_stream("sentences", texts=iter(lambda: "a", "")): pass
async def main():
    for use in (calls, batches, streams):
        for turns in range(12):
            c = AsyncClient(address)
            if turns % 2: await c.models()
            tasks = [asyncio.create_task(use(c)) for _ in range(3)]
            for _ in range(turns): await asyncio.sleep(0)
            await c.close()
            for said in await asyncio.gather(*tasks, return_exceptions=True):
                ended = isinstance(said, LatentspaceError) and "closed" in str(said)
                assert said is None or ended, repr(said)
asyncio.run(main()); print("end")
"""


def run(script: str, address: str) -> list[str]:
    """Lines that a script printed in an interpreter of its own, which must end well."""
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", PRELUDE + script, address]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, (done.returncode, done.stdout, done.stderr)
    assert "Traceback" not in done.stderr, done.stderr
    return done.stdout.splitlines()


@pytest.mark.parametrize("order", SYNC)
def test_orders_of_a_client(address: str, order: str) -> None:
    script, expected = SYNC[order]
    lines = run(script, address)
    assert len(lines) == len(expected)
    assert all(part in line for part, line in zip(expected, lines, strict=True)), lines


@pytest.mark.parametrize("order", ASYNC)
def test_orders_of_an_async_client(address: str, order: str) -> None:
    script, expected = ASYNC[order]
    lines = run(RUN + script, address)
    assert len(lines) == len(expected)
    assert all(part in line for part, line in zip(expected, lines, strict=True)), lines


@pytest.mark.parametrize("script", [RACE, ASYNC_RACE], ids=["sync", "async"])
def test_closing_while_others_call(address: str, script: str) -> None:
    assert run(script, address) == ["end"]
