"""Intervals and tests against the few lines that define them."""

import math

import numpy as np
import pytest
from scipy import stats

from qa.experiments.statistics import Estimate, difference_of_means, mcnemar, mean_estimate, paired_difference


def loop_of_bca(differences, confidence, resamples, seed):
    """Efron's interval, one resample and one left-out example at a time."""
    random = np.random.default_rng(seed)
    count, mean = len(differences), sum(differences) / len(differences)
    drawn = []
    for _ in range(resamples):
        picked = random.integers(0, count, count)
        drawn.append(sum(differences[at] for at in picked) / count)
    below = sum(value < mean for value in drawn) + sum(value == mean for value in drawn) / 2
    bias = stats.norm.ppf(below / resamples)
    without = [(sum(differences) - value) / (count - 1) for value in differences]
    centre = sum(without) / count
    cubes = sum((centre - value) ** 3 for value in without)
    squares = sum((centre - value) ** 2 for value in without)
    acceleration = cubes / (6 * squares**1.5)
    ends = []
    for share in ((1 - confidence) / 2, (1 + confidence) / 2):
        z = bias + stats.norm.ppf(share)
        ends.append(np.quantile(drawn, stats.norm.cdf(bias + z / (1 - acceleration * z))))
    return ends


def binomial_p(few, many):
    """Two-sided: all splits that are no likelier than the one found."""
    total = few + many
    chances = [math.comb(total, k) / 2**total for k in range(total + 1)]
    return sum(chance for chance in chances if chance <= chances[few] * (1 + 1e-9))


@pytest.mark.parametrize(("count", "confidence"), [(40, 0.95), (300, 0.95), (300, 0.99)])
def test_bca_interval_is_that_of_a_plain_loop(count, confidence):
    random = np.random.default_rng(count)
    first, second = random.random(count), random.random(count) ** 3  # skewed, so that the correction counts
    found = paired_difference(first, second, confidence=confidence, resamples=4000)
    low, high = loop_of_bca(list(second - first), confidence, 4000, seed=1)
    width = high - low
    assert found.mean == pytest.approx(float(np.mean(second - first)))
    assert abs(found.low - low) < 0.06 * width
    assert abs(found.high - high) < 0.06 * width


def test_bca_interval_covers_the_truth_as_often_as_it_says():
    random = np.random.default_rng(3)
    covered = 0
    for _ in range(200):
        differences = random.exponential(1.0, 60) - 1.0
        found = paired_difference(np.zeros(60), differences, resamples=600)
        covered += found.low <= 0 <= found.high
    assert 180 <= covered <= 199


def test_the_same_seed_draws_the_same_and_pairs_matter():
    random = np.random.default_rng(0)
    first = random.random(200)
    second = first + random.normal(0.02, 0.01, 200)
    found = paired_difference(first, second)
    assert found == paired_difference(first, second)
    assert found != paired_difference(first, second, seed=1)
    assert found.excludes_zero
    assert not paired_difference(first, random.permutation(second)).excludes_zero


def test_without_differences_there_is_no_doubt_and_one_example_tells_no_interval():
    same = np.full(9, 0.5)
    assert paired_difference(same, same) == Estimate(mean=0.0, low=0.0, high=0.0)
    assert not paired_difference(same, same).excludes_zero
    assert paired_difference(same, same + 0.25).excludes_zero
    assert paired_difference(same[:1], same[:1] + 1) == Estimate(mean=1.0)


@pytest.mark.parametrize(("few", "many"), [(0, 0), (0, 5), (3, 9), (10, 10), (40, 61), (9, 3)])
def test_mcnemar_is_the_binomial_formula(few, many):
    first = np.array([True] * few + [False] * many + [True] * 7 + [False] * 5)
    second = np.array([False] * few + [True] * many + [True] * 7 + [False] * 5)
    found = mcnemar(first, second)
    assert (found.only_first, found.only_second) == (few, many)
    assert found.p == pytest.approx(binomial_p(few, many) if few + many else 1.0)


def test_interval_of_a_mean_is_students():
    found = mean_estimate([69.1, 69.9, 70.4])
    half = 4.302652729911275 * np.std([69.1, 69.9, 70.4], ddof=1) / 3**0.5  # the 97.5 % point at two degrees of freedom
    assert (found.low, found.high) == pytest.approx((found.mean - half, found.mean + half))
    assert mean_estimate([1.5]) == Estimate(mean=1.5)


@pytest.mark.parametrize("sizes", [(3, 3), (3, 5), (2, 9)])
def test_difference_of_unpaired_means_is_welchs(sizes):
    random = np.random.default_rng(sum(sizes))
    first, second = random.normal(0, 1, sizes[0]), random.normal(1, 4, sizes[1])
    found = difference_of_means(first.tolist(), second.tolist(), paired=False)
    wanted = stats.ttest_ind(second, first, equal_var=False).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((wanted.low, wanted.high))


def test_difference_of_paired_means_is_that_of_the_differences():
    assert difference_of_means([1.0, 2.0, 4.0], [2.0, 4.0, 5.0], paired=True) == mean_estimate([1.0, 2.0, 1.0])
    assert difference_of_means([1.0], [3.0], paired=False) == Estimate(mean=2.0)
    assert difference_of_means([1.0, 1.0], [3.0, 3.0], paired=False) == Estimate(mean=2.0, low=2.0, high=2.0)
