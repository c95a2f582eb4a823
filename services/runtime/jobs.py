"""Jobs: work in a child process, so that serving never stutters and cancelling really stops it."""

import logging
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from embedders.errors import EmbedderError
from services.runtime.errors import JobError, ServiceError
from services.runtime.operations import Reporter
from services.runtime.pipes import Block, Message, receive, send
from services.runtime.process import thread_variables

logger = logging.getLogger(__name__)

# How soon a job hears that it was cancelled.
POLL_S = 0.1
TERMINATE_S = 3.0


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer to a question of a job."""

    fields: Mapping[str, Any]
    blocks: Sequence[Block] = ()


Answer = Callable[[Message, Reporter], Reply]


class Jobs:
    """Child processes of a server.

    Args:
        folder: for the temporary files of jobs; what a killed server left there is removed.
        cores: threads that a job may compute with.
    """

    def __init__(self, folder: Path, cores: int) -> None:
        self._folder, self.cores = folder, cores
        shutil.rmtree(folder, ignore_errors=True)

    @contextmanager
    def scratch(self) -> Iterator[Path]:
        """A folder for one job's files, gone afterwards.

        Raises:
            OSError
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        path = Path(tempfile.mkdtemp(dir=self._folder))
        try:
            yield path
        finally:
            shutil.rmtree(path, ignore_errors=True)

    def run(
        self,
        function: str,
        argument: Mapping[str, Any],
        scratch: Path,
        report: Reporter,
        answer: Answer | None = None,
        threads: int = 0,
    ) -> Mapping[str, Any]:
        """Runs "module:function" in a child and waits for its result.

        Args:
            argument: what the function gets; JSON.
            report: told of progress; raises where the operation was cancelled.
            answer: answers what the job asks.
            threads: of its arithmetic libraries; 0 is every core of the server's share.

        Raises:
            JobError: it failed, or its process died; says how.
            WorkCancelledError: the process is gone.
        """
        ours, theirs = Pipe()
        process = self._spawn(function, theirs, scratch, threads or self.cores)
        theirs.close()
        try:
            send(ours, "start", **argument)
            return _conversation(ours, report, answer)
        except (EOFError, OSError) as error:
            raise JobError(_death(process)) from error
        finally:
            _end(process)
            ours.close()

    def _spawn(
        self, function: str, pipe: Connection, scratch: Path, threads: int
    ) -> "subprocess.Popen[bytes]":
        """A fresh interpreter: a fork of a process with threads and gRPC could hang."""
        return subprocess.Popen(
            # -P: modules of the current folder are not ours
            [sys.executable, "-P", "-m", "services.runtime.child", str(pipe.fileno()), function],
            pass_fds=[pipe.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=sys.stderr.fileno() if _has_descriptor() else subprocess.DEVNULL,
            env={**os.environ, **thread_variables(threads), "TMPDIR": str(scratch)},
            # its own group: a signal from a terminal is not for it, and its children go with it
            start_new_session=True,
        )


def _conversation(pipe: Connection, report: Reporter, answer: Answer | None) -> Mapping[str, Any]:
    while True:
        while not pipe.poll(POLL_S):
            report.check()
        message = receive(pipe)
        fields = message.fields
        match message.kind:
            case "progress":
                report.note(fields["metrics"])
                report(fields["stage"], fields["done"], fields["total"])
            case "result":
                value: Mapping[str, Any] = fields["value"]
                return value
            case "failed":
                if fields["trace"]:
                    logger.error("job failed", extra={"trace": fields["trace"]})
                raise JobError(fields["message"])
            case _:
                assert answer is not None
                _answer(pipe, message, report, answer)


def _answer(pipe: Connection, message: Message, report: Reporter, answer: Answer) -> None:
    try:
        reply = answer(message, report)
    except (ServiceError, EmbedderError) as error:
        send(pipe, "refused", message=str(error))
    else:
        send(pipe, "answer", reply.blocks, **reply.fields)


def _death(process: "subprocess.Popen[bytes]") -> str:
    """How a process ended that gave no result."""
    try:
        code = process.wait(TERMINATE_S)
    except subprocess.TimeoutExpired:
        return "its process closed the line to the server"
    if code == -signal.SIGKILL:
        return (
            "its process was killed (SIGKILL); most often the system does so for want of memory:"
            " give it more memory, or less to do at once"
        )
    if code < 0:
        return f"its process was ended by signal {signal.Signals(-code).name}"
    return f"its process ended with code {code} and no result; the server's standard error has why"


def _end(process: "subprocess.Popen[bytes]") -> None:
    """SIGTERM, then SIGKILL, to the process and its children."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
        except ProcessLookupError:
            break
        try:
            process.wait(TERMINATE_S)
        except subprocess.TimeoutExpired:
            continue
    process.wait()


def _has_descriptor() -> bool:
    """Whether standard error is a file of the system; in notebooks and tests it may not be."""
    try:
        sys.stderr.fileno()
    except (OSError, ValueError, AttributeError):
        return False
    return True
