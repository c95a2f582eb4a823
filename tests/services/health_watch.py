"""A client of grpc.health.v1 that keeps every status it hears."""

import threading
import time
from types import TracebackType
from typing import Self

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

PREFIX = "latentspace.v1."
PATIENCE_S = 30.0


class HealthWatch:
    """Watches one name (without the package's prefix; "" is all) in a thread."""

    def __init__(self, address: str, service: str) -> None:
        self.heard: list[bool] = []
        self._changed = threading.Condition()
        self._channel = grpc.insecure_channel(address)
        name = f"{PREFIX}{service}" if service else ""
        stub = health_pb2_grpc.HealthStub(self._channel)
        self._call = stub.Watch(health_pb2.HealthCheckRequest(service=name))
        self._thread = threading.Thread(target=self._listen)
        self._thread.start()

    def until(self, serving: bool) -> None:
        """Waits until the last status is this one."""
        end = time.monotonic() + PATIENCE_S
        with self._changed:
            while self.heard[-1:] != [serving]:
                left = end - time.monotonic()
                assert left > 0, f"heard {self.heard}, not {serving}"
                self._changed.wait(left)

    def __enter__(self) -> Self:
        self.until(True)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._call.cancel()
        self._thread.join()
        self._channel.close()

    def _listen(self) -> None:
        try:
            for reply in self._call:
                with self._changed:
                    self.heard.append(reply.status == health_pb2.HealthCheckResponse.SERVING)
                    self._changed.notify_all()
        except grpc.RpcError as error:
            assert error.code() is grpc.StatusCode.CANCELLED  # noqa: PT017
