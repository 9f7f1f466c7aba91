"""Intervals of means, against published figures and against resampling in a loop."""

import math

import numpy as np
import pytest

from qa.evaluation.intervals import mean_interval, share_interval


@pytest.mark.parametrize(
    ("right", "total", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_shares_have_the_intervals_that_newcombe_published(right, total, low, high):
    """Newcombe, 1998, table I, method 3: the score method."""
    found = share_interval(right, total)
    assert found.mean == right / total
    assert (round(found.low, 4), round(found.high, 4)) == (low, high)


def test_an_interval_of_all_or_none_stays_within_a_share():
    assert share_interval(0, 3).low == 0.0
    assert share_interval(3, 3).high == 1.0


def test_the_bootstrap_agrees_with_a_loop_that_draws_groups():
    random = np.random.default_rng(3)
    groups = np.repeat(np.arange(12), random.integers(1, 6, 12))
    values = random.random(len(groups)) + groups / 10

    means = []
    for _ in range(4000):
        drawn = random.choice(12, 12)
        means.append(np.concatenate([values[groups == group] for group in drawn]).mean())
    low, high = np.percentile(means, [2.5, 97.5])
    found = mean_interval(values, groups)
    assert found.mean == values.mean()
    assert math.isclose(found.low, low, abs_tol=0.03)
    assert math.isclose(found.high, high, abs_tol=0.03)


def test_examples_of_one_group_tell_less_than_as_many_by_themselves():
    values = np.repeat([0.0, 1.0, 0.0, 1.0, 1.0, 0.0], 20)
    alone, together = mean_interval(values), mean_interval(values, np.repeat(np.arange(6), 20))
    assert together.high - together.low > 2 * (alone.high - alone.low)


def test_the_draw_depends_on_the_seed_alone():
    values = np.linspace(0, 1, 30) ** 2
    assert mean_interval(values, seed=1) == mean_interval(values, seed=1)
    assert mean_interval(values, seed=1) != mean_interval(values, seed=2)


def test_one_example_has_an_interval_of_its_own_value():
    assert mean_interval(np.array([0.25])) == (0.25, 0.25, 0.25)
