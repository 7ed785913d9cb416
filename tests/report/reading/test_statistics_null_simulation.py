"""Where methods do not differ, a test finds a difference as often as its level says, whatever seeds and scores are.

Scores are drawn as they are in studies: right or wrong, or sentence scores with many zeros; easy and hard examples are
so for every method, and a seed moves all examples of its run a little, or not at all.
"""

import numpy as np
import pytest
import scipy.stats

from ipt_jax.report.reading.statistics import (
    approximate_randomisation,
    brown_forsythe,
    detectable_correlation,
    detectable_ratio,
    effect,
    holm,
)

LEVEL = 0.05


def scores(draw, kind, seeds, difficulty, deviation, gain=0.0):
    """f64[seeds, examples], of 0 to 100."""
    moved = difficulty + gain / 100 + draw.normal(0, deviation, (seeds, 1))
    if kind == "binary":
        return 100.0 * (draw.random((seeds, len(difficulty))) < np.clip(moved, 0.01, 0.99))
    return 100.0 * np.clip(moved + draw.normal(0, 0.08, (seeds, len(difficulty))), 0.0, 1.0)


def difficulty_of(draw, kind, examples):
    if kind == "binary":
        return draw.beta(1, 3, examples)
    return np.where(draw.random(examples) < 0.3, 0.3, draw.beta(3, 3, examples))


def judged(draw, kind, seeds, examples, deviation, gain=0.0):
    """The effect between two methods, and the p-value of the examples alone."""
    difficulty = difficulty_of(draw, kind, examples)
    a = scores(draw, kind, seeds[0], difficulty, deviation, gain)
    b = scores(draw, kind, seeds[1], difficulty, deviation)
    difference = a.mean(axis=0) - b.mean(axis=0)
    found = effect(a.mean(axis=1), b.mean(axis=1), difference.var() / examples, examples)
    return found, lambda: approximate_randomisation(a.mean(axis=0), b.mean(axis=0), samples=400)


def highest(studies, level=LEVEL):
    """What the share of so many studies may come to by chance, once in some ten thousand times."""
    return level + 4 * (level * (1 - level) / studies) ** 0.5


CASES = [(kind, seeds, deviation) for kind in ("binary", "zeros") for seeds in (3, 5) for deviation in (0.0, 0.06)]
MORE = [
    pytest.param(kind, seeds, deviation, examples, marks=pytest.mark.slow)
    for kind in ("binary", "zeros")
    for seeds in (2, 3, 5, 8, 15)
    for deviation in (0.0, 0.02, 0.1)
    for examples in (200, 1000)
]


def share_of_findings(kind, seeds, deviation, examples, studies):
    draw = np.random.default_rng(0)
    return np.mean([judged(draw, kind, seeds, examples, deviation)[0].p_value < LEVEL for _ in range(studies)])


@pytest.mark.parametrize(("kind", "seeds", "deviation"), CASES)
def test_methods_that_do_not_differ_are_told_apart_as_often_as_the_level_says(kind, seeds, deviation):
    assert share_of_findings(kind, (seeds, seeds), deviation, 200, studies=300) <= highest(300)


@pytest.mark.parametrize(("kind", "seeds", "deviation", "examples"), MORE)
def test_so_it_is_for_any_number_of_seeds_and_examples(kind, seeds, deviation, examples):
    assert share_of_findings(kind, (seeds, seeds), deviation, examples, studies=1000) <= highest(1000)
    assert share_of_findings(kind, (1, seeds), 0.0, examples, studies=1000) <= highest(1000)


def test_a_test_of_examples_alone_takes_seeds_for_methods():
    """Why a verdict needs both: of three seeds that matter, most studies without a difference would find one."""
    draw = np.random.default_rng(0)
    found = [judged(draw, "zeros", (3, 3), 200, 0.06)[1]() < LEVEL for _ in range(60)]
    assert np.mean(found) > 0.5


def test_a_nested_bootstrap_of_three_seeds_covers_too_little():
    """Why the interval is Student's: three seeds drawn again are these three."""
    draw, covered = np.random.default_rng(0), []
    for _ in range(80):
        difficulty = difficulty_of(draw, "zeros", 200)
        a, b = (scores(draw, "zeros", 3, difficulty, 0.1) for _ in range(2))
        means = []
        for _ in range(200):
            chosen = draw.integers(200, size=200)
            drawn = (each[draw.integers(3, size=3)][:, chosen].mean() for each in (a, b))
            means.append(next(drawn) - next(drawn))
        low, high = np.percentile(means, [2.5, 97.5])
        covered.append(low <= 0 <= high)
    assert np.mean(covered) < 0.88


@pytest.mark.parametrize(("kind", "seeds", "deviation"), [("binary", 3, 0.0), ("zeros", 5, 0.03)])
def test_a_difference_that_could_have_been_found_is_found_in_most_studies(kind, seeds, deviation):
    """Four of five by the formula; conservative where seeds do not matter, and clipped scores lose some of a gain."""
    draw = np.random.default_rng(1)
    reach = np.median([judged(draw, kind, (seeds, seeds), 300, deviation)[0].detectable() for _ in range(60)])
    found = [judged(draw, kind, (seeds, seeds), 300, deviation, gain=reach) for _ in range(200)]
    assert 0.68 < np.mean([each.p_value < LEVEL for each, _ in found]) < 0.99


def test_the_interval_holds_the_true_difference():
    draw = np.random.default_rng(2)
    found = [judged(draw, "binary", (4, 4), 300, 0.02, gain=8.0)[0] for _ in range(300)]
    means = [each.mean for each in found]
    assert np.mean([each.low <= np.mean(means) <= each.high for each in found]) >= 1 - highest(300)


@pytest.mark.parametrize("seeds", [3, 5, 15])
def test_deviations_that_do_not_differ_are_told_apart_no_more_often_than_the_level_says(seeds):
    draw = np.random.default_rng(3)
    values = draw.normal(size=(1000, 2, seeds))
    assert np.mean([brown_forsythe(*pair) < LEVEL for pair in values]) <= highest(1000)


@pytest.mark.parametrize("seeds", [(8, 8), (15, 15), (15, 5)])
def test_a_ratio_of_deviations_that_could_have_been_found_is_found_in_four_of_five_studies(seeds):
    draw, reach = np.random.default_rng(5), detectable_ratio(*seeds)
    found = [brown_forsythe(draw.normal(size=seeds[0]) * reach, draw.normal(size=seeds[1])) < LEVEL for _ in range(800)]
    assert 0.76 < np.mean(found) < 0.84


def test_five_seeds_find_no_ratio_of_deviations_and_more_seeds_find_smaller_ones():
    assert detectable_ratio(3, 3) is None and detectable_ratio(5, 5) is None
    reach = [detectable_ratio(n, n) for n in (8, 10, 15, 40)]
    assert sorted(reach, reverse=True) == reach and reach[-1] > 1
    assert detectable_ratio(15, 15, level=0.01) > detectable_ratio(15, 15)


@pytest.mark.parametrize("n", [30, 200])
def test_a_rank_correlation_that_could_have_been_found_is_found_in_four_of_five_studies(n):
    draw, reach = np.random.default_rng(6), detectable_correlation(n)
    rho = 2 * np.sin(np.pi / 6 * reach)  # of normal values whose ranks correlate so
    pairs = [draw.multivariate_normal([0, 0], [[1, rho], [rho, 1]], size=n).T for _ in range(600)]
    assert 0.75 < np.mean([scipy.stats.spearmanr(*pair).pvalue < LEVEL for pair in pairs]) < 0.85
    assert detectable_correlation(3) is None


def test_of_five_tests_that_are_made_together_any_finding_is_as_rare_as_the_level_says():
    draw = np.random.default_rng(4)
    families = [[judged(draw, "zeros", (3, 3), 200, 0.05)[0].p_value for _ in range(5)] for _ in range(200)]
    assert np.mean([min(holm(family)) < LEVEL for family in families]) <= highest(200)
