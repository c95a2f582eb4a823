"""Phrases: words that stand together more often than chance are one key ("new_york").

Mikolov and others, "Distributed Representations of Words and Phrases and their
Compositionality" (2013), section 4. Two neighbours a b are joined where

    score(a, b) = (count(ab) - min_count) * vocabulary / (count(a) * count(b)) > threshold,

or, with scoring "npmi", where ln(p(ab) / (p(a) p(b))) / -ln p(ab) > threshold. A second pass
over the joined text finds phrases of three and four words.
"""

import json
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from tempfile import NamedTemporaryFile

from embedders.errors import ModelFormatError
from embedders.word2vec.corpus import MAX_LINE_WORDS, Corpus
from embedders.word2vec.params import Word2VecParams

DELIMITER = "_"
#: key of a vocabulary's metadata that holds its phrases
METADATA = "phrases"
# gensim splits what it found at its delimiter again: words that hold "_" must not come apart
_SEAM = "\0"


class Phraser:
    """Joins words as the passes of a training did, from the left, each word once.

    Args:
        passes: for each pass the joined phrases that it found.
    """

    def __init__(self, passes: Iterable[Iterable[str]] = ()) -> None:
        self.passes = tuple(frozenset(found) for found in passes)

    @classmethod
    def from_json(cls, text: str) -> "Phraser":
        """What `to_json` wrote; "" is no phrases.

        Raises:
            ModelFormatError: something else.
        """
        try:
            passes = json.loads(text or "[]")
            if all(isinstance(phrase, str) for found in passes for phrase in found):
                return cls(passes)
        except (TypeError, ValueError):
            pass
        raise ModelFormatError(f"metadata {METADATA!r} is no list of lists of phrases")

    def to_json(self) -> str:
        """The passes as JSON lists, sorted; "" where there are none."""
        found = [sorted(phrases) for phrases in self.passes]
        return json.dumps(found, ensure_ascii=False) if found else ""

    def apply(self, words: Sequence[str]) -> list[str]:
        """The words with those that make phrases joined."""
        joined = list(words)
        for phrases in self.passes:
            joined = _join(joined, phrases)
        return joined


def learn_phrases(
    corpus: Corpus, params: Word2VecParams, progress: Callable[[str, int, int], None]
) -> tuple[Corpus, Phraser]:
    """Finds phrases in as many passes as asked and joins them in the corpus's own file.

    Raises:
        OSError: the temporary file cannot be written.
    """
    passes: list[frozenset[str]] = []
    for number in range(params.phrase_passes):
        progress("phrases", number, params.phrase_passes)
        found = _find(corpus.path, params)
        passes.append(found)
        corpus = replace(corpus, words=_rewrite(corpus.path, Phraser([found])))
    return corpus, Phraser(passes)


def _find(path: Path, params: Word2VecParams) -> frozenset[str]:
    # imported here: a text encoder applies phrases without gensim
    from gensim.models.phrases import Phrases
    from gensim.models.word2vec import LineSentence

    phrases = Phrases(
        LineSentence(str(path), max_sentence_length=MAX_LINE_WORDS),
        min_count=params.phrase_min_count,
        threshold=params.phrase_threshold,
        scoring=params.phrase_scoring.value,
        delimiter=_SEAM,
    )
    return frozenset(found.replace(_SEAM, DELIMITER) for found in phrases.export_phrases())


def _rewrite(path: Path, phraser: Phraser) -> int:
    """Puts the joined text in the file's place and counts its words."""
    words = 0
    with NamedTemporaryFile("w", dir=path.parent, delete=False, encoding="utf-8") as copy:
        joined = Path(copy.name)
        try:
            with path.open(encoding="utf-8", newline="\n") as lines:
                for line in lines:
                    found = phraser.apply(line.split())
                    words += len(found)
                    copy.write(" ".join(found) + "\n")
            copy.close()
            joined.replace(path)
        finally:
            with suppress(FileNotFoundError):
                joined.unlink()
    return words


def _join(words: Sequence[str], phrases: frozenset[str]) -> list[str]:
    joined: list[str] = []
    position, last = 0, len(words) - 1
    while position <= last:
        word = words[position]
        if position < last and (phrase := f"{word}{DELIMITER}{words[position + 1]}") in phrases:
            word, position = phrase, position + 1
        joined.append(word)
        position += 1
    return joined
