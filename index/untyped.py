"""FAISS as `Any`: its stubs know about half of what it has."""

from importlib import import_module
from typing import Any

faiss: Any = import_module("faiss")
