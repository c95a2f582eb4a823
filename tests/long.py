"""How much tests with random inputs try: a little in every run, much where it is asked for."""

import os

LONG = os.environ.get("LATENTSPACE_LONG") == "1"


def examples(usual: int) -> int:
    """Examples of a property: `usual`, or 10,000 in the long run (LATENTSPACE_LONG=1)."""
    return 10_000 if LONG else usual
