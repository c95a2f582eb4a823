"""Vectors of graph nodes from a file of any known format."""

from typing import ClassVar

from embedders.lookup import LookupEncoder


class Node2VecEncoder(LookupEncoder):
    """Nodes to vectors; the default is the shipped `nodes-mini`."""

    family: ClassVar[str] = "node2vec"
    default_source: ClassVar[str] = "nodes-mini"
