"""Examples on words, sentences and graphs."""

import itertools
import re
from pathlib import Path

import pytest

from tests.examples.conftest import EXAMPLES, Run, Show


@pytest.fixture
def clustering() -> None:
    pytest.importorskip("sklearn", reason="the graph example groups nodes with scikit-learn")


def answers(output: str) -> dict[str, list[str]]:
    """The lines "  SCORE  ANSWER" below each line that is not indented."""
    found: dict[str, list[str]] = {}
    for line in output.splitlines():
        if line.startswith("  "):
            found[list(found)[-1]].append(line.split(maxsplit=1)[1])
        elif line:
            found[line] = []
    return found


def groups(output: str) -> list[set[str]]:
    """The members of each printed group; its own count must agree."""
    parts = re.findall(r"group \d+: (\d+) nodes\n((?:  .*\n)+)", output)
    members = [{name for name in re.split(r",?\s+", listed) if name} for _, listed in parts]
    assert [int(count) for count, _ in parts] == [len(names) for names in members]
    return members


def test_word_analogies(show: Show) -> None:
    output = show("word_analogies.py")
    found = answers(output)
    assert found["man is to king as woman is to"][0] == "queen"
    assert found["france is to paris as italy is to"][0] == "rome"
    assert found["walk is to walked as go is to"][0] == "went"
    assert output.splitlines()[-1] == "the odd one out: violin"
    code = (EXAMPLES / "word_analogies.py").read_text().split('"""')[2]
    assert len([line for line in code.splitlines() if line]) <= 10


def test_text_search_in_its_own_notes(show: Show) -> None:
    for _ in range(2):
        [(head, lines)] = answers(show("text_search.py")).items()
        assert head == "7 paragraphs, searched for: my bicycle makes a noise"
        assert lines[0].startswith("The back wheel squeaks")


def test_text_search_in_a_file(show: Show, tmp_path: Path) -> None:
    lines = ["Sheep graze on the hill.", "The bank raised its rates.", "Two violins play a duet."]
    by_line, by_paragraph = tmp_path / "lines.txt", tmp_path / "paragraphs.txt"
    by_line.write_text("\n".join(lines))
    by_paragraph.write_text("\n \n".join(line.replace(" ", "\n", 1) for line in lines))
    for file in (by_line, by_paragraph):
        for query, place in (("finance news", 1), ("classical music", 2), ("farm animals", 0)):
            [(head, found)] = answers(show("text_search.py", file, query)).items()
            assert head == f"3 paragraphs, searched for: {query}"
            assert found[0] == lines[place]


@pytest.mark.usefixtures("clustering")
def test_communities_of_the_novel(show: Show) -> None:
    networkx = pytest.importorskip("networkx", reason="networkx has the graph to compare with")
    graph = networkx.les_miserables_graph()
    found = groups(show("graph_communities.py"))
    assert len(found) == 6
    assert networkx.community.is_partition(graph, found)
    [household] = [group for group in found if "Myriel" in group]
    assert household >= {"MlleBaptistine", "MmeMagloire", "Napoleon"}
    best = networkx.community.greedy_modularity_communities(graph, weight="weight")
    modularity = networkx.community.modularity
    assert modularity(graph, found) > 0.9 * modularity(graph, best)


@pytest.mark.usefixtures("clustering")
def test_communities_of_an_edge_list(show: Show, readable: Path) -> None:
    cliques = [{f"{letter}{i}" for i in range(10)} for letter in "abc"]
    edges = [pair for clique in cliques for pair in itertools.combinations(sorted(clique), 2)]
    edges += [("a0", "b0"), ("b1", "c0"), ("c1", "a1")]
    file = readable / "edges.tsv"
    file.write_text("".join(f"{a}\t{b}\n" for a, b in edges))
    first = show("graph_communities.py", file, "--groups", 3)
    assert first.startswith("training graph-")
    assert sorted(groups(first), key=min) == cliques
    again = show("graph_communities.py", file, "--groups", 3)
    assert "training" not in again
    assert groups(again) == groups(first)


@pytest.mark.usefixtures("clustering")
def test_a_file_that_the_service_may_not_read(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "edges.tsv"
    file.write_text("a\tb\n")
    done = run("graph_communities.py", file)
    assert done.returncode == 1
    assert "LATENTSPACE_ROOTS" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_readme_names_every_script() -> None:
    readme = (EXAMPLES / "README.md").read_text(encoding="utf-8")
    rows = re.findall(
        r"^\| \[(\w+\.py)\]\((\w+\.py)\) \|.*examples/(\w+\.py)", readme, re.MULTILINE
    )
    scripts = {path.name for path in EXAMPLES.glob("*.py")} - {"photos.py"}
    assert {frozenset(row) for row in rows} == {frozenset({name}) for name in scripts}
