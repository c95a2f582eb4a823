"""The table of protocols, and the intervals of all figures."""

from dataclasses import is_dataclass
from importlib import import_module

import numpy as np
import pytest
from scipy.stats import bootstrap

from embedders.errors import OptionError
from embedders.evaluation import TASKS, check_source, read_params
from embedders.evaluation.base import Figure
from embedders.evaluation.bootstrap import interval, mean_figure
from embedders.evaluation.correlation import correlations

RNG = np.random.default_rng(1)


@pytest.mark.parametrize("task", sorted(TASKS))
def test_every_protocol_is_there(task: str) -> None:
    module = import_module(TASKS[task].module)
    assert callable(module.evaluate)
    assert is_dataclass(getattr(module, TASKS[task].params))
    assert read_params(task, {}) == getattr(module, TASKS[task].params)()
    with pytest.raises(OptionError, match="nonsense") as caught:
        read_params(task, {"nonsense": 1})
    assert caught.value.field == "nonsense"


def test_sources() -> None:
    assert check_source("analogies", "")
    assert check_source("word_similarity", "simlex999")
    assert not check_source("sts", "file.csv")
    with pytest.raises(OptionError, match="no built-in"):
        check_source("sts", "")
    with pytest.raises(OptionError, match="one of: analogies"):
        check_source("magic", "")


def test_the_interval_of_a_mean_is_scipys() -> None:
    values = RNG.exponential(2.0, 400)
    figure = mean_figure("m", values)
    theirs = bootstrap(
        (values,), np.mean, n_resamples=4000, method="percentile"
    ).confidence_interval
    assert figure.value == pytest.approx(values.mean())
    width = theirs.high - theirs.low
    assert figure.low == pytest.approx(theirs.low, abs=0.15 * width)
    assert figure.high == pytest.approx(theirs.high, abs=0.15 * width)


def test_intervals_hold_the_truth_about_as_often_as_they_say() -> None:
    held = 0
    for _ in range(200):
        figure = mean_figure("m", RNG.random(100) < 0.3)
        held += figure.low <= 0.3 <= figure.high
    assert 175 <= held <= 200


def test_groups_are_drawn_as_wholes() -> None:
    # five captions of an image are all right or all wrong: they tell no more than one
    one = (RNG.random(200) < 0.5).astype(float)
    grouped = mean_figure("m", one * 5, np.full(200, 5))
    alone = mean_figure("m", np.repeat(one, 5))
    assert grouped.value == alone.value == one.mean()
    assert grouped.items == alone.items == 1000
    ratio = (grouped.high - grouped.low) / (alone.high - alone.low)
    assert ratio == pytest.approx(np.sqrt(5), rel=0.15)


def test_intervals_repeat_and_pass_over_what_is_not_defined() -> None:
    values = RNG.random(50)
    assert mean_figure("m", values) == mean_figure("m", values)
    assert all(np.isnan(interval(5, lambda drawn: np.full(len(drawn), np.nan))))
    few = correlations(np.array([1.0, 2, 3]), np.array([1.0, 2, 3]))[0]
    assert few == Figure("spearman", 1.0, 1.0, 1.0, 3)


def test_the_interval_of_a_correlation_narrows_with_more_pairs() -> None:
    def width(n: int) -> float:
        gold = RNG.standard_normal(n)
        rho, _ = correlations(gold, gold + RNG.standard_normal(n))
        assert rho.low < rho.value < rho.high
        return rho.high - rho.low

    assert width(100) > 2 * width(3000)
