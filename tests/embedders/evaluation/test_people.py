"""Who is in a pair, folds without shared people, and what is said where no face is seen."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import skimage.data
from hypothesis import given
from hypothesis import strategies as st

from embedders.errors import OptionError
from embedders.evaluation import run
from embedders.evaluation.dyads import Dyads
from embedders.evaluation.local import LocalSubject
from embedders.evaluation.people import dealt, people_of, strangers
from embedders.registry import load


def test_folders_name_people_where_they_fit_all_pairs() -> None:
    same = np.array([True, False, False])
    people = people_of(["a/1", "a/1", "b/3"], ["a/2", "b/3", "c/1"], same)
    assert people.units == 3
    assert (people.first == people.second).tolist() == same.tolist()


def test_pairs_of_one_person_link_images_elsewhere() -> None:
    same = np.array([True, True, False])
    people = people_of(["x/1", "x/2", "x/3"], ["x/2", "x/3", "x/4"], same)
    assert people.first.tolist() == [people.first[0]] * 3
    assert people.second[2] != people.first[0]


@given(st.integers(0, 2**32 - 1), st.integers(2, 60), st.integers(1, 200))
def test_a_fold_is_learnt_from_strangers_where_enough_are_left(
    seed: int, people: int, pairs: int
) -> None:
    random = np.random.default_rng(seed)
    first = random.integers(people, size=pairs)
    same = random.random(pairs) < 0.5
    second = np.where(same, first, (first + 1) % people)
    who = Dyads(first, second).part(np.ones(pairs, np.bool_))
    fold = dealt(who)
    # all pairs of one person are in one fold
    for person in np.unique(who.first[same]):
        assert len(set(fold[same & (who.first == person)])) == 1
    for number in np.unique(fold):
        held = fold == number
        chosen = strangers(who, held, same)
        assert not (chosen & held).any()
        met = {*who.first[held], *who.second[held]}
        free = [
            not h and a not in met and b not in met
            for h, a, b in zip(held, who.first, who.second, strict=True)
        ]
        enough = 4 * sum(free) >= (~held).sum() and 0 < same[free].sum() < sum(free)
        assert chosen.tolist() == (free if enough else (~held).tolist())


def test_verification_says_that_no_face_is_seen(tmp_path: Path) -> None:
    astronaut = skimage.data.astronaut()[..., ::-1]
    for name, picture in {
        "anna/1": astronaut,
        "anna/2": astronaut[:, ::-1],
        "ben/1": np.full((200, 200, 3), 90, np.uint8),
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        cv2.imwrite(str(tmp_path / f"{name}.png"), np.ascontiguousarray(picture))
    (tmp_path / "pairs.csv").write_text("anna/1.png,anna/2.png,1\nanna/1.png,ben/1.png,0\n")
    faces = LocalSubject(load("faces", "face", "face-mini"))
    with pytest.raises(OptionError) as caught:
        run(faces, "verification", str(tmp_path))
    message = str(caught.value)
    assert "the file has 1 and 1, of which 1 and 0 are left" in message
    assert "finds nothing in 1 of the images, the first 'ben/1.png': no face was found" in message
    assert "set the parameter cropped" in message
