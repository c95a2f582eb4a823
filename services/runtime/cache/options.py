"""What a Redis cache is told."""

from dataclasses import dataclass
from urllib.parse import urlsplit


@dataclass(frozen=True, slots=True)
class RedisOptions:
    """Where Redis is and what may be asked of it.

    Args:
        url: redis://HOST:PORT/DB, rediss:// for TLS, unix://PATH; may hold user and password.
        ttl_s: an entry lives so long after it was written.
        timeout_s: longest wait for an answer.
        retry_s: a Redis that does not answer is tried again so often.
        connections: lookups that run side by side.
        max_waiting_bytes: that may wait to be written.
    """

    url: str
    ttl_s: int = 7 * 86_400
    timeout_s: float = 0.05
    retry_s: float = 1.0
    connections: int = 4
    max_waiting_bytes: int = 32 << 20

    @property
    def address(self) -> str:
        """The URL as it may be shown: without user, password and options."""
        parts = urlsplit(self.url)
        return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="").geturl()
