"""What the tests of jobs run in a child process."""

import os
import signal
import subprocess
import time
from collections.abc import Mapping
from typing import Any

from services.runtime.child import Parent

Fields = Mapping[str, Any]


def talk(parent: Parent, argument: Fields) -> Fields:
    parent("asking", 0, 1)
    reply = parent.ask("shout", [b"x" * 100_000], word=argument["word"])
    parent.note(loss=0.5)
    parent("asking", 1, 1)
    return {
        "word": reply.fields["word"],
        "blocks": [len(block) for block in reply.blocks],
        "threads": os.environ["OMP_NUM_THREADS"],
    }


def identity(parent: Parent, argument: Fields) -> Fields:
    # left running, as a data loader may be
    child = subprocess.Popen(["sleep", "600"])
    return {
        "pid": os.getpid(),
        "group": os.getpgid(0),
        "scratch": os.environ["TMPDIR"],
        "grandchild": child.pid,
    }


def refused(parent: Parent, argument: Fields) -> Fields:
    return parent.ask("refuse").fields


def raises(parent: Parent, argument: Fields) -> Fields:
    return {"never": 1 / 0}


def starves(parent: Parent, argument: Fields) -> Fields:
    return {"never": bytearray(1 << 60)}


def exits(parent: Parent, argument: Fields) -> Fields:
    os._exit(7)


def crashes(parent: Parent, argument: Fields) -> Fields:
    os.kill(os.getpid(), signal.SIGSEGV)
    return {}


def stubborn(parent: Parent, argument: Fields) -> Fields:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    parent("staying", os.getpid(), 0)
    while True:
        time.sleep(1)
