"""Messages between the server and the child process of a job: JSON, and blocks of bytes.

A message is a JSON object that tells how many blocks follow it. Nothing that comes over the pipe
is ever run: a child that parsed a hostile file can send nothing but data.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

Block = bytes | memoryview


@dataclass(frozen=True, slots=True)
class Message:
    """What came: `fields` with "kind" and more, and the blocks that belong to it."""

    fields: Mapping[str, Any]
    blocks: Sequence[bytes] = ()

    @property
    def kind(self) -> str:
        """What it is about."""
        return str(self.fields["kind"])


def send(pipe: Connection, kind: str, blocks: Sequence[Block] = (), **fields: Any) -> None:
    """Sends a message.

    Raises:
        OSError: the other end is gone.
    """
    head = {**fields, "kind": kind, "blocks": len(blocks)}
    pipe.send_bytes(json.dumps(head).encode())
    for block in blocks:
        pipe.send_bytes(block)


def receive(pipe: Connection) -> Message:
    """Waits for the next message.

    Raises:
        EOFError, OSError: the other end is gone.
    """
    head = json.loads(pipe.recv_bytes())
    return Message(head, [pipe.recv_bytes() for _ in range(head.pop("blocks"))])
