"""Giving memory back to the system, and not only to the allocator."""

import gc
import sys

from embedders.memory import give_back


def release_memory() -> None:
    """Frees what nothing refers to any more, on GPUs too; takes some tens of milliseconds."""
    gc.collect()
    # not imported for this: a process without torch has nothing on a GPU
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available() and torch.cuda.is_initialized():
        torch.cuda.empty_cache()
    give_back()
