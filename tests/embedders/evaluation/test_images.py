"""Cross-modal retrieval, verification and zero-shot beside plain loops and scikit-learn."""

import json
import tarfile
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from embedders.base import EncodeOptions, Item, Modality, Region
from embedders.errors import OptionError
from embedders.evaluation import run
from embedders.evaluation.cross_modal import ranks
from embedders.evaluation.dyads import Dyads
from embedders.evaluation.files import Archive, Images
from embedders.evaluation.local import LocalSubject, one_row_each
from embedders.evaluation.pairs import read_pairs
from embedders.evaluation.verification import auc, best_threshold, ten_fold
from embedders.vectors import normalize_rows

RNG = np.random.default_rng(9)


def write(folder: Path, files: dict[str, bytes]) -> Path:
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


def tar(path: Path, files: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w") as archive:
        for name, data in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, BytesIO(data))
    return path


CAPTIONED = {
    **{f"{i}.jpg": f"picture{i}".encode() for i in range(6)},
    **{
        # the toy reads a picture as the one word of its bytes
        f"{i}.json": json.dumps(
            {"captions": [f"picture{i} a", f"picture{(i + 1) % 6} b c"]}
        ).encode()
        for i in range(6)
    },
    "lonely.jpg": b"no card",
}


def test_recall_both_ways_equals_plain_loops(tmp_path: Path, toy: LocalSubject) -> None:
    found = run(toy, "cross_modal_retrieval", str(write(tmp_path / "f", CAPTIONED)))
    packed = run(toy, "cross_modal_retrieval", str(tar(tmp_path / "f.tar", CAPTIONED)))
    assert packed == found
    figures = {figure.name: figure for figure in found.figures}
    images = [Item(Modality.IMAGE, f"picture{i}".encode()) for i in range(6)]
    texts, owner = [], []
    for i in range(6):
        texts += json.loads(CAPTIONED[f"{i}.json"])["captions"]
        owner += [i, i]
    rows = toy.embed([Item(Modality.TEXT, text) for text in texts], EncodeOptions()).rows
    scores = rows @ toy.embed(images, EncodeOptions()).rows.T
    for k in (1, 5):
        hits = [owner[i] in np.argsort(-scores[i])[:k] for i in range(12)]
        assert figures[f"text_to_image/recall@{k}"].value == pytest.approx(np.mean(hits))
        back = [any(owner[t] == i for t in np.argsort(-scores[:, i])[:k]) for i in range(6)]
        assert figures[f"image_to_text/recall@{k}"].value == pytest.approx(np.mean(back))
    assert figures["text_to_image/recall@1"].items == 12
    assert figures["image_to_text/recall@1"].items == 6
    assert found.coverage == 1.0


def test_ranks_of_each_image_against_sorting() -> None:
    random = np.random.default_rng(0)
    images = normalize_rows(random.standard_normal((700, 384), dtype=np.float32))
    owner = np.repeat(np.arange(700), 3)
    noise = 6 * random.standard_normal((2100, 384), dtype=np.float32) / 384**0.5
    captions = normalize_rows(images[owner] + noise)
    to_image, to_text = ranks(captions, images, owner)
    exact = captions.astype(np.float64) @ images.T.astype(np.float64)
    nearest = owner[exact.argmax(axis=0)]
    # a caption must not lose against itself by a rounding error
    assert ((to_text == 0) == (nearest == np.arange(700))).mean() > 0.999
    assert ((to_image == 0) == (exact.argmax(axis=1) == owner)).mean() > 0.999
    assert 0.3 < (to_text == 0).mean() < 1


def test_constant_vectors_earn_nothing() -> None:
    same = np.ones((4, 3), np.float32)
    to_image, _ = ranks(np.ones((8, 3), np.float32), same, np.repeat(np.arange(4), 2))
    assert to_image.tolist() == [3] * 8


def test_an_image_may_have_several_rows() -> None:
    rows = np.array([[1, 0], [2, 0], [3, 0]], np.float32)
    regions = [Region(0, 0, side, side, 1.0) for side in (5, 9, 2)]
    found = one_row_each(rows, np.array([0, 0, 2]), regions, 3, {})
    assert found.rows.tolist() == [[2, 0], [0, 0], [3, 0]]
    assert list(found.errors) == [1]
    first = one_row_each(rows, np.array([0, 0, 2]), (), 3, {})
    assert first.rows[0].tolist() == [1, 0]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from([-0.5, 0.0, 0.1, 0.2, 0.9]), st.booleans()),
        min_size=2,
        max_size=30,
    )
)
def test_the_threshold_is_best(pairs: list[tuple[float, bool]]) -> None:
    scores = np.array([score for score, _ in pairs])
    same = np.array([truth for _, truth in pairs])

    def right(threshold: float) -> int:
        return int(((scores >= threshold) == same).sum())

    best = max(right(threshold) for threshold in [*scores, scores.max() + 1])
    assert right(best_threshold(scores, same)) == best


def test_ten_folds_equal_a_search_over_all_thresholds() -> None:
    same = RNG.random(400) < 0.5
    scores = RNG.normal(same * 1.2, 1)
    fold = np.arange(400) // 40
    right, thresholds = ten_fold(scores, same, fold)
    assert len(thresholds) == 10
    for number in range(10):
        held = fold == number
        seen, truth = np.sort(scores[~held]), same[~held]
        tries = np.concatenate([[seen[0] - 1], (seen[1:] + seen[:-1]) / 2, [seen[-1] + 1]])
        counts = [((scores[~held] >= t) == truth).sum() for t in tries]
        t = tries[int(np.argmax(counts))]
        assert ((scores[held] >= t) == same[held]).tolist() == right[held].tolist()
    figure = auc(scores, same, Dyads(np.arange(400), np.arange(400)))
    assert figure.value == pytest.approx(roc_auc_score(same, scores))
    assert figure.low < figure.value < figure.high


def faces(folder: Path) -> Path:
    """Two photos of each of 20 people; the toy sees the same bytes as the same person."""
    return write(
        folder,
        {f"p{i}/p{i}_{k:04d}.jpg": f"person{i}".encode() for i in range(20) for k in (1, 2)},
    )


def test_pairs_of_lfw_and_of_csv(tmp_path: Path, toy: LocalSubject) -> None:
    folder = faces(tmp_path / "lfw")
    lines = ["10\t2"]
    for i in range(10):
        lines += [
            f"p{i}\t1\t2",
            f"p{i + 10}\t1\t2",
            f"p{i}\t1\tp{i + 1}\t2",
            f"p{i}\t2\tp{i + 9}\t1",
        ]
    (folder / "pairs.txt").write_text("\n".join(lines))
    found = run(toy, "verification", str(folder))
    assert [figure.value for figure in found.figures[:2]] == [1.0, 1.0]
    assert (found.figures[0].items, found.coverage) == (40, 1.0)
    pairs = read_pairs(folder / "pairs.txt", Archive(folder))
    assert pairs.fold.tolist() == [i // 4 for i in range(40)]
    assert (pairs.left[0], pairs.right[2]) == ("p0/p0_0001.jpg", "p1/p1_0002.jpg")
    rows = ["left,right,same"]
    rows += [f"p{i}/p{i}_0001.jpg,p{i}/p{i}_0002.jpg,{i % 2}" for i in range(20)]
    (folder / "half.csv").write_text("\n".join(rows))
    half = run(toy, "verification", str(folder / "half.csv"))
    # all pairs look alike, and every second one is said to be of two people
    assert half.figures[0].value == pytest.approx(0.5, abs=0.2)
    dealt = read_pairs(folder / "half.csv", Archive(folder))
    assert np.bincount(dealt.fold).tolist() == [2] * 10
    packed = tar(tmp_path / "photos.tar", {n: (folder / n).read_bytes() for n in pairs.left})
    (tmp_path / "pairs.csv").write_text(
        "".join(f"{a},{a},1\n{a},{b},0\n" for a, b in zip(pairs.left, pairs.left[4:], strict=False))
    )
    assert packed.name == "photos.tar"
    assert run(toy, "verification", str(tmp_path), {"images": "photos.tar"}).coverage == 1.0


def test_pairs_never_lead_out_of_their_folder(tmp_path: Path, toy: LocalSubject) -> None:
    folder = faces(tmp_path / "lfw")
    (tmp_path / "secret.jpg").write_bytes(b"secret")
    (folder / "pairs.csv").write_text("../secret.jpg,p0/p0_0001.jpg,1\n")
    with pytest.raises(OptionError, match="not among the images"):
        run(toy, "verification", str(folder))
    (folder / "link.jpg").symlink_to(tmp_path / "secret.jpg")
    (folder / "pairs.csv").write_text("link.jpg,p0/p0_0001.jpg,1\n")
    with pytest.raises(OptionError, match="leads out of the folder"):
        run(toy, "verification", str(folder))
    with pytest.raises(OptionError, match="beside the file of pairs"):
        run(toy, "verification", str(folder), {"images": ".."})
    (folder / "pairs.csv").write_text("a.jpg,b.jpg,1\nc.jpg,d.jpg,perhaps\n")
    with pytest.raises(OptionError, match="line 2"):
        run(toy, "verification", str(folder))
    (folder / "pairs.csv").unlink()
    with pytest.raises(OptionError, match=r"pairs\.csv or pairs\.txt"):
        run(toy, "verification", str(folder))


def labelled() -> dict[str, bytes]:
    """The toy is right for cats, and takes dogs for "wild_cat"."""
    return {
        **{f"cat/{i}.png": b"cat" for i in range(3)},
        **{f"dog/{i}.png": b"wild" for i in range(2)},
        "wild_cat/1.png": b"wild",
    }


def test_zero_shot_by_folder_and_by_card(tmp_path: Path, toy: LocalSubject) -> None:
    params = {"templates": ["{}", "a {}"], "top": [1, 2, 3]}
    found = run(toy, "zero_shot", str(write(tmp_path / "f", labelled())), params)
    assert found.figures[0].value == pytest.approx(4 / 6)
    assert found.figures[2].value == 1.0
    labels = ["cat", "dog", "wild_cat"]
    words = [label.replace("_", " ") for label in labels]
    parts = [
        toy.embed([Item(Modality.TEXT, template.format(word)) for word in words], EncodeOptions())
        for template in ("{}", "a {}")
    ]
    weights = normalize_rows(sum(part.rows for part in parts))  # type: ignore[arg-type]
    archive = Archive(tmp_path / "f")
    rows = toy.embed(list(Images(archive, archive.names)), EncodeOptions()).rows
    guessed = [labels[i] for i in (rows @ weights.T).argmax(axis=1)]
    right = np.mean(
        [guess == name.split("/")[0] for guess, name in zip(guessed, archive.names, strict=True)]
    )
    assert found.figures[0].value == pytest.approx(right)
    cards = {f"{i}.jpg": data for i, data in enumerate(labelled().values())}
    cards |= {
        f"{i}.json": json.dumps({"label": name.split("/")[0]}).encode()
        for i, name in enumerate(labelled())
    }
    assert (
        run(toy, "zero_shot", str(tar(tmp_path / "f.tar", cards)), params).figures == found.figures
    )
    named = run(toy, "zero_shot", str(tmp_path / "f"), {**params, "names": {"dog": "wild"}})
    assert named.figures[0].value > found.figures[0].value


def test_what_is_no_test_set(tmp_path: Path, toy: LocalSubject) -> None:
    (tmp_path / "broken.tar").write_bytes(b"no tar at all")
    write(tmp_path / "one", {"cat/1.jpg": b"cat"})
    write(tmp_path / "flat", {"1.jpg": b"cat"})
    write(tmp_path / "card", {"1.jpg": b"cat", "1.json": b'{"captions": [3]}'})
    for task, name, said in (
        ("zero_shot", "broken.tar", "neither a folder nor a plain tar"),
        ("zero_shot", "one", "two labels"),
        ("zero_shot", "flat", "no label"),
        ("zero_shot", "card", "1.json is not"),
        ("cross_modal_retrieval", "card", "1.json is not"),
        ("cross_modal_retrieval", "one", "no image"),
    ):
        with pytest.raises(OptionError, match=said):
            run(toy, task, str(tmp_path / name))
    with pytest.raises(OptionError, match="templates"):
        run(toy, "zero_shot", str(tmp_path / "one"), {"templates": ["no slot"]})
