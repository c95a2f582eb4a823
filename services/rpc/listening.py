"""Addresses to listen on: why one cannot be taken, and who can reach it."""

import ipaddress
import socket


class ListenError(Exception):
    """An address cannot be listened on; names the setting, says why and what to do."""


def host_and_port(address: str) -> tuple[str, int]:
    """The parts of HOST:PORT; an IPv6 address stands in brackets."""
    host, _, port = address.rpartition(":")
    return host.removeprefix("[").removesuffix("]"), int(port)


def check_free(address: str, setting: str, cure: str) -> None:
    """Binds the address and lets go of it: gRPC tells only in its own log why it cannot.

    Raises:
        ListenError
    """
    host, port = host_and_port(address)
    try:
        places = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        for family, kind, protocol, _, place in places:
            with socket.socket(family, kind, protocol) as probe:
                # what a closed server leaves behind for a minute is not in the way
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                if family == socket.AF_INET6:
                    probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                probe.bind(place)
                # where somebody listens, a bound address may be shared, but not listened on
                probe.listen()
    except OSError as error:
        raise listen_error(address, setting, error, cure) from error


def listen_error(address: str, setting: str, error: OSError, cure: str) -> ListenError:
    """The sentence for an address that the system refuses."""
    reason = (error.strerror or str(error)).lower()
    return ListenError(f"cannot listen on {address} (setting {setting}): {reason}; {cure}")


def is_loopback(address: str) -> bool:
    """Whether only programs of this machine reach it; of a name that is not known, False."""
    host, _ = host_and_port(address)
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
