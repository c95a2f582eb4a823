"""A server process of one's own: for notebooks, tests and benchmarks.

with LocalServer(data_dir) as server:
    client = Client(server.address)
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import yaml

START_TIMEOUT_S = 120.0
STOP_TIMEOUT_S = 40.0


class LocalServer:
    """`latentspace serve` as a child process, on a free port of the loopback.

    Args:
        data_dir: where collections live.
        settings: settings as in a configuration file; None is the embedded default.
        start_timeout_s: how long loading may take.
        listen: HOST:PORT; port 0 takes a free one.

    Raises:
        RuntimeError: the server did not come up; with what it printed.
    """

    def __init__(
        self,
        data_dir: Path,
        settings: Mapping[str, Any] | None = None,
        start_timeout_s: float = START_TIMEOUT_S,
        listen: str = "127.0.0.1:0",
    ) -> None:
        self.data_dir, self._listen = data_dir, listen
        self.log: list[str] = []
        self.address = ""
        self._serving = threading.Event()
        with tempfile.NamedTemporaryFile("w", suffix=".yaml", delete=False) as config:
            yaml.safe_dump(dict(settings or {}), config)
        self._config = Path(config.name)
        self.process = self._start(data_dir)
        threading.Thread(target=self._read_log, daemon=True).start()
        if not self._wait(start_timeout_s):
            self.kill()
            raise RuntimeError("the server did not come up:\n" + "\n".join(self.log))

    def stop(self) -> int:
        """SIGTERM, then the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self._ended(self.process.wait(STOP_TIMEOUT_S))

    def kill(self) -> int:
        """SIGKILL: nothing is written or closed."""
        self.process.kill()
        return self._ended(self.process.wait())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def _start(self, data_dir: Path) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [
                str(Path(sys.executable).with_name("latentspace")),
                "serve",
                f"--listen={self._listen}",
                f"--data-dir={data_dir}",
                f"--config={self._config}",
            ],
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "LATENTSPACE_LOG__FORMAT": "json"},
        )

    def _read_log(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.log.append(line.rstrip("\n"))
            if '"event": "serving"' in line:
                self.address = json.loads(line)["address"]
                self._serving.set()

    def _wait(self, timeout_s: float) -> bool:
        end = time.monotonic() + timeout_s
        while time.monotonic() < end and self.process.poll() is None:
            if self._serving.wait(0.05):
                return True
        return False

    def _ended(self, code: int) -> int:
        self._config.unlink(missing_ok=True)
        return code
