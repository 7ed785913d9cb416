"""Tests and intervals of the report, on data whose answer is known."""

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from ipt_jax.report.reading.statistics import (
    approximate_randomisation,
    brown_forsythe,
    deviation_ratio,
    holm,
    paired_bootstrap,
    spread,
)


def test_the_interval_of_a_mean_is_students():
    values = [1.0, 2.0, 4.0]
    low, high = spread(values).interval
    expected = scipy.stats.ttest_1samp(values, 0.0).confidence_interval(0.95)
    assert (low, high) == pytest.approx((expected.low, expected.high))
    assert spread([1.0]).interval is None


@pytest.mark.parametrize("n", [2, 7, 700])
def test_the_bootstrap_is_that_of_means_of_drawn_examples_for_every_pair_of_methods(n):
    samples = 250
    drawn = np.random.default_rng(0).integers(n, size=(samples, n))
    for seed in (1, 2):
        a, b = np.random.default_rng(seed).normal(size=(2, n))
        means = (a - b)[drawn].mean(axis=1)
        found = paired_bootstrap(a, b, samples=samples)
        assert (found.low, found.high) == pytest.approx(tuple(np.percentile(means, [2.5, 97.5])))
        assert found.mean == pytest.approx(float(np.mean(a - b))) and found.n == n


def test_equal_methods_are_alike_and_a_method_that_always_wins_is_not():
    random = np.random.default_rng(0)
    scores = random.normal(size=30)
    assert approximate_randomisation(scores, scores) == 1.0
    assert approximate_randomisation(scores + 1.0, scores, samples=999) == pytest.approx(1e-3)
    assert approximate_randomisation(scores, scores + 1.0, samples=999) == pytest.approx(1e-3)


def test_few_examples_have_the_p_value_of_all_their_exchanges():
    differences = [1.0, 2.0, -0.5, 3.0]
    signs = np.array(np.meshgrid(*[[-1, 1]] * 4)).reshape(4, -1)
    exact = np.mean(np.abs(np.array(differences) @ signs) >= sum(differences) - 1e-9)
    assert approximate_randomisation(differences, np.zeros(4)) == pytest.approx(exact, abs=0.02)


def test_where_nothing_differs_few_p_values_are_small():
    random = np.random.default_rng(1)
    found = [approximate_randomisation(*random.normal(size=(2, 20)), samples=200) for _ in range(200)]
    assert np.mean(np.array(found) < 0.05) < 0.1


@given(st.lists(st.floats(0.0, 1.0), min_size=1, max_size=8))
def test_a_corrected_p_value_is_never_smaller_nor_of_another_rank(p_values):
    corrected = holm(p_values)
    assert all(p <= c <= 1.0 for p, c in zip(p_values, corrected, strict=True))
    order = np.argsort(p_values, kind="stable")
    assert (np.diff(np.array(corrected)[order]) >= 0).all()
    assert min(corrected) == pytest.approx(min(1.0, len(p_values) * min(p_values)))


def test_variances_are_compared_where_there_are_enough_values_that_differ():
    assert brown_forsythe([1.0, 2.0], [1.0, 2.0, 3.0]) is None
    assert brown_forsythe([1.0] * 3, [2.0] * 3) is None
    random = np.random.default_rng(0)
    assert brown_forsythe(random.normal(0, 10, 40), random.normal(0, 1, 40)) < 1e-6
    assert brown_forsythe(random.normal(0, 1, 40), random.normal(5, 1, 40)) > 0.05


def test_the_ratio_of_deviations_is_in_its_interval_and_found_from_many_values():
    random = np.random.default_rng(0)
    ratio = deviation_ratio(random.normal(0, 3, 400), random.normal(0, 1, 400))
    assert ratio.low < ratio.value < ratio.high
    assert ratio.low < 3 < ratio.high < 4
    assert deviation_ratio([1.0, 2.0, 3.0], [1.0, 1.0, 1.0]) is None
    few = deviation_ratio([1.0, 2.0, 3.0], [1.0, 1.5, 1.0])
    assert few.low < few.value < few.high == np.inf
