import subprocess
import sys
from types import ModuleType

import pytest

import embedders
from embedders import formats


@pytest.mark.parametrize("module", [embedders, formats])
def test_all_is_sorted_and_is_what_is_exposed(module: ModuleType) -> None:
    assert module.__all__ == sorted(module.__all__)
    exposed = {
        name
        for name, value in vars(module).items()
        if not name.startswith("_") and type(value).__name__ != "module"
    }
    assert set(module.__all__) == exposed


def test_importing_the_package_loads_nothing_heavy() -> None:
    code = (
        "import sys, embedders; embedders.families();"
        "heavy = {'torch', 'gensim', 'transformers', 'sentence_transformers', 'scipy', 'pydantic'};"
        "print(sorted(heavy & set(sys.modules)))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_loading_words_needs_neither_gensim_nor_torch() -> None:
    code = (
        "import sys, embedders; embedders.load('n', 'node2vec');"
        "print(sorted({'torch', 'gensim', 'networkx'} & set(sys.modules)))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
