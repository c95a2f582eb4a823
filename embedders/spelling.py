"""Close spellings of a key that is not in a vocabulary."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher

PREFIX = 2
CANDIDATES = 1500
CUTOFF = 0.7


class SpellingIndex:
    """Suggests keys; built once for a vocabulary, then read from many threads.

    In order: the same key in another case, keys one edit away (P. Norvig, "How to write a
    spelling corrector", 2007), then keys of like length and the same beginning by their
    `difflib` ratio. Within a step frequent keys come first.
    """

    def __init__(self, keys: Sequence[str]) -> None:
        self._keys = keys
        self._folded: dict[str, int] = {}
        self._others: dict[str, list[int]] = {}
        self._buckets: dict[tuple[str, int], list[int]] = defaultdict(list)
        for position, key in enumerate(keys):
            self._add(key.casefold(), position)
        self._alphabet = "".join(sorted(_letters(keys[:20_000])))

    def suggest(self, key: str, n: int = 3) -> list[str]:
        """At most n keys, best first."""
        folded = key.casefold()
        found = dict.fromkeys(self._same(folded))
        if len(found) < n:
            near = sorted({p for edit in self._edits(folded) for p in self._same(edit)})
            found.update(dict.fromkeys(near))
        if len(found) < n:
            found.update(dict.fromkeys(self._alike(folded, n)))
        return [self._keys[position] for position in list(found)[:n]]

    def _add(self, folded: str, position: int) -> None:
        # buckets hold the most frequent of equal spellings: the others come with it
        if folded in self._folded:
            self._others.setdefault(folded, []).append(position)
        else:
            self._folded[folded] = position
            self._buckets[folded[:PREFIX], len(folded)].append(position)

    def _same(self, folded: str) -> list[int]:
        first = self._folded.get(folded)
        return [] if first is None else [first, *self._others.get(folded, [])]

    def _edits(self, word: str) -> Iterator[str]:
        if len(word) > 64:  # edits grow with the length; nobody types such a key
            return
        for i in range(len(word) + 1):
            head, tail = word[:i], word[i:]
            yield head + tail[1:]
            yield head + tail[1:2] + tail[:1] + tail[2:]
            for letter in self._alphabet:
                yield head + letter + tail
                yield head + letter + tail[1:]

    def _alike(self, folded: str, n: int) -> list[int]:
        # only keys that begin alike and are about as long: at 400,000 keys some hundreds
        spread = max(1, len(folded) // 4)
        lengths = range(len(folded) - spread, len(folded) + spread + 1)
        near = [p for size in lengths for p in self._buckets.get((folded[:PREFIX], size), ())]
        matcher = SequenceMatcher(b=folded, autojunk=False)
        scored: list[tuple[float, int]] = []
        for position in sorted(near)[:CANDIDATES]:
            matcher.set_seq1(self._keys[position].casefold())
            if matcher.real_quick_ratio() >= CUTOFF and matcher.quick_ratio() >= CUTOFF:
                scored.append((-matcher.ratio(), position))
        return [position for ratio, position in sorted(scored)[:n] if -ratio >= CUTOFF]


def _letters(keys: Sequence[str]) -> set[str]:
    """Letters that keys are written with; the 64 most common, to bound the edits."""
    counts: dict[str, int] = defaultdict(int)
    for key in keys:
        for letter in key.casefold():
            counts[letter] += 1
    return set(sorted(counts, key=lambda letter: -counts[letter])[:64])
