"""Connections that cannot be made say why, and what to do."""

import http.server
import shutil
import subprocess
import threading
from collections.abc import Iterator
from concurrent import futures
from pathlib import Path

import grpc
import pytest

from latentspace import Client, RetryPolicy, UnavailableError

ONCE = RetryPolicy(max_attempts=1)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, bytes]:
    """Key and certificate of localhost."""
    if shutil.which("openssl") is None:
        pytest.skip("there is no openssl to make a certificate with")
    folder = tmp_path_factory.mktemp("tls")
    key, crt = folder / "key.pem", folder / "crt.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    command += ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    subprocess.run([*command, "-keyout", key, "-out", crt], check=True, capture_output=True)
    return key.read_bytes(), crt.read_bytes()


@pytest.fixture
def secure(certificate: tuple[bytes, bytes]) -> Iterator[str]:
    server = grpc.server(futures.ThreadPoolExecutor(1))
    port = server.add_secure_port("localhost:0", grpc.ssl_server_credentials([certificate]))
    server.start()
    yield f"localhost:{port}"
    server.stop(None)


@pytest.fixture
def web(tmp_path: Path) -> Iterator[str]:
    handler = http.server.SimpleHTTPRequestHandler
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def problem(target: str, credentials: grpc.ChannelCredentials | None = None) -> str:
    client = Client(target, retry=ONCE, credentials=credentials)
    with client, pytest.raises(UnavailableError) as error:
        client.models()
    return str(error.value)


def test_a_server_with_tls_reached_in_plain_text(secure: str) -> None:
    assert "a server with TLS needs credentials=" in problem(secure)


def test_a_server_of_an_unknown_authority(secure: str) -> None:
    assert "pass its root_certificates" in problem(secure, grpc.ssl_channel_credentials())


def test_a_plain_server_reached_by_tls(address: str, certificate: tuple[bytes, bytes]) -> None:
    credentials = grpc.ssl_channel_credentials(certificate[1])
    assert "the server speaks plain text: leave out credentials=" in problem(address, credentials)


def test_a_port_of_http(web: str) -> None:
    assert "not a gRPC server: name its gRPC port" in problem(web)


def test_nobody_there() -> None:
    assert "Start one with `latentspace serve`" in problem("127.0.0.1:1")


def test_an_unknown_host() -> None:
    assert "name of the host is unknown" in problem("no-such-host.invalid:50051")
