"""Addresses of servers, as people write them.

| written | meant |
|---|---|
| nothing, or "" | the variable LATENTSPACE_SERVER, else 127.0.0.1:50051 |
| `localhost`, `10.0.0.5`, `::1` | port 50051 |
| `http://localhost:50051/` | the same without `http://` |
| `https://example.org` | port 443, and only with credentials |
| `unix:...`, `dns:...`, `ipv4:...` | gRPC's own names, as they are |
"""

import os
import re

from latentspace.errors import InvalidArgumentError

DEFAULT_PORT = 50051
DEFAULT_TARGET = f"127.0.0.1:{DEFAULT_PORT}"
SERVER_VARIABLE = "LATENTSPACE_SERVER"
HTTPS_PORT = 443

_GRPC_NAME = re.compile(r"(unix|unix-abstract|dns|ipv4|ipv6|vsock|xds|passthrough):(?!\d+$)")
_URL = re.compile(r"([a-z][a-z0-9+.-]*)://(.*)", re.IGNORECASE)
_HOST_PORT = re.compile(
    r"(?P<host>\[[0-9a-f:.]+(?:%\w+)?\]|[\w.-]+)(?::(?P<port>[^:]*))?", re.IGNORECASE
)
_BARE_IPV6 = re.compile(r"[0-9a-f]*:[0-9a-f]*:[0-9a-f:.]*(?:%\w+)?", re.IGNORECASE)


def server_address(target: str | None, *, secure: bool = False) -> str:
    """The name of a server as gRPC takes it, "host:port" in the usual case.

    Args:
        target: see the table above.
        secure: the connection has credentials.

    Raises:
        InvalidArgumentError: not an address, or one that needs credentials and has none.
    """
    written = (target or os.environ.get(SERVER_VARIABLE) or DEFAULT_TARGET).strip()
    if _GRPC_NAME.match(written):
        return written
    port = DEFAULT_PORT
    rest = written
    if url := _URL.fullmatch(written):
        scheme, rest = url[1].lower(), url[2].removesuffix("/")
        if scheme == "https" and not secure:
            raise InvalidArgumentError(
                f"address {written!r} means TLS: pass credentials=grpc.ssl_channel_credentials()"
            )
        if scheme not in ("http", "https", "grpc"):
            raise InvalidArgumentError(_unreadable(written))
        port = HTTPS_PORT if scheme == "https" else DEFAULT_PORT
    if _BARE_IPV6.fullmatch(rest):
        rest = f"[{rest}]"
    parts = _HOST_PORT.fullmatch(rest)
    if parts is None:
        raise InvalidArgumentError(_unreadable(written))
    return f"{parts['host']}:{_port(parts['port'], port, written)}"


def _port(text: str | None, default: int, written: str) -> int:
    if text is None:
        return default
    if not (text.isascii() and text.isdigit() and 0 < int(text) < 1 << 16):
        raise InvalidArgumentError(f"address {written!r}: a port is a number from 1 to 65535")
    return int(text)


def _unreadable(written: str) -> str:
    return f'address {written!r} is not understood: write "host:port", as in "{DEFAULT_TARGET}"'
