"""Windows and pages of the ranked points."""

import struct
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass
from hashlib import blake2b
from itertools import takewhile

import numpy as np

from embedders.vectors import FloatRows
from index.types import CollectionSpec, Hits
from services.runtime.choosing.base import Choice
from services.runtime.errors import RequestError
from services.runtime.ranking import MAX_K, Ranking, check_k
from services.runtime.results import one_query

DIGEST_BYTES, ID_BYTES = 8, 8
HEADER = struct.Struct(f"<{DIGEST_BYTES}sIf")
# Scores that differ by so much of their size may be those of one point: a text that is embedded
# again in other company comes out a few last digits off.
TOLERANCE = 1e-5


@dataclass(frozen=True, slots=True)
class Mark:
    """Where a page ended.

    Args:
        seen: points given so far.
        score: of the last of them.
        ties: hashes of the ids given with that score, nearly.
    """

    seen: int
    score: float
    ties: frozenset[bytes]

    def passed(self, ids: list[str], scores: FloatRows) -> list[int]:
        """Places of the points that come after it."""
        slack = TOLERANCE * max(1.0, abs(self.score))
        after = scores < self.score - slack
        near = ~after & (scores <= self.score + slack)
        places = np.flatnonzero(near).tolist()
        after[near] = [hash_of(ids[place]) not in self.ties for place in places]
        return np.flatnonzero(after).tolist()


@dataclass(frozen=True, slots=True)
class Windowed(Choice):
    """The ranked points from an offset on."""

    offset: int = 0

    def depth(self, k: int) -> int:
        """See `Choice`."""
        return k + self.offset

    def check(self, spec: CollectionSpec, k: int) -> None:
        """See `Choice`."""
        check_k(k, self.offset)

    async def choose(self, ranking: Ranking, k: int) -> Hits:
        """See `Choice`."""
        hits = await ranking.first(k + self.offset)
        return one_query(hits, slice(self.offset, None))


@dataclass(frozen=True, slots=True)
class Paged(Choice):
    """The ranked points after those of the pages before.

    What was given is known by its score, not by its place: points that are written or deleted
    meanwhile neither repeat nor hide others.
    """

    mark: Mark

    def depth(self, k: int) -> int:
        """See `Choice`."""
        return k + self.mark.seen

    async def choose(self, ranking: Ranking, k: int) -> Hits:
        """See `Choice`.

        Raises:
            RequestError: the page would lie deeper than a search goes.
        """
        depth = min(self.mark.seen + k, MAX_K)
        while True:
            hits = await ranking.first(depth)
            after = self.mark.passed(list(hits.points.ids), hits.scores)[:k]
            ended = len(hits.scores) < depth
            if len(after) == k or ended or depth == MAX_K:
                break
            depth = min(2 * depth, MAX_K)
        if not after and not ended:
            raise RequestError(
                "page_token",
                f"a search goes {MAX_K} points deep; narrow it by a filter or a score_threshold,"
                " or read all points with ListPoints",
            )
        return one_query(hits, after)


def next_mark(hits: Hits, k: int, offset: int, before: Mark | None) -> Mark | None:
    """Where the page of one query ends; None where it is the last."""
    if len(hits.scores) < k:
        return None
    last = float(hits.scores[-1])
    bound = last + 2 * TOLERANCE * max(1.0, abs(last))
    # from the end: few are so near to the last
    near = takewhile(
        lambda pair: pair[0] <= bound,
        zip(hits.scores[::-1], reversed(hits.points.ids), strict=True),
    )
    ties = {hash_of(point_id) for _, point_id in near}
    if before is not None and before.score <= bound:
        ties |= before.ties
    seen = offset if before is None else before.seen
    return Mark(seen + k, last, frozenset(ties))


def write_token(mark: Mark | None, digest: bytes) -> str:
    """A token for one search, which `digest` stands for; "" at the end."""
    if mark is None:
        return ""
    packed = HEADER.pack(digest, mark.seen, mark.score) + b"".join(sorted(mark.ties))
    return urlsafe_b64encode(packed).rstrip(b"=").decode()


def read_token(token: str, digest: bytes) -> Mark:
    """Where a token says the page before ended.

    Raises:
        RequestError: it is none, or of another search.
    """
    try:
        packed = urlsafe_b64decode(token + "=" * (-len(token) % 4))
        given, seen, score = HEADER.unpack_from(packed)
    except (ValueError, struct.error) as error:
        raise RequestError("page_token", "this is no next_page_token of a search") from error
    if given != digest:
        raise RequestError(
            "page_token",
            "this token is of another search: repeat the one that gave it, but for k and columns",
        )
    ids = packed[HEADER.size :]
    ties = (ids[place : place + ID_BYTES] for place in range(0, len(ids), ID_BYTES))
    return Mark(seen, score, frozenset(ties))


def digest_of(search: bytes) -> bytes:
    """What stands for a search in tokens."""
    return blake2b(search, digest_size=DIGEST_BYTES).digest()


def hash_of(point_id: str) -> bytes:
    """What stands for an id in tokens."""
    return blake2b(point_id.encode(), digest_size=ID_BYTES).digest()
