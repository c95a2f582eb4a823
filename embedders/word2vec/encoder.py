"""Vectors of words from a file of any known format."""

from typing import ClassVar

from embedders.lookup import LookupEncoder


class Word2VecEncoder(LookupEncoder):
    """Words to vectors; the default is the shipped `words-mini`."""

    family: ClassVar[str] = "word2vec"
    default_source: ClassVar[str] = "words-mini"
