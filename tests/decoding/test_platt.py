"""Shares of the probability become how likely answers are right, in the same order."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qa.decoding.platt import UNCHANGED, Platt, log_odds

shares = st.lists(st.floats(0.0, 1.0), min_size=1, max_size=9).map(np.array)


@given(shares, st.floats(0.05, 8.0), st.floats(-6.0, 6.0))
def test_likelihood_is_the_logistic_function_of_the_line(share, slope, shift):
    found = Platt(slope, shift).likelihood(share)
    for one, likelihood in zip(share.tolist(), found.tolist(), strict=True):
        if one in {0.0, 1.0}:
            assert likelihood == one
        else:
            odds = math.exp(shift) * (one / (1 - one)) ** slope
            wanted = odds / (1 + odds)
            assert likelihood == pytest.approx(wanted, rel=1e-9, abs=1e-9)
    assert (np.diff(found[np.argsort(share)]) >= -1e-15).all()


@given(shares)
def test_the_line_that_changes_nothing_changes_nothing(share):
    assert UNCHANGED.likelihood(share) is share


def test_shares_of_any_shape_are_taken():
    found = Platt(2.0, 0.0).likelihood(np.array([[0.5, 0.0], [1.0, 0.25]]))
    np.testing.assert_allclose(found, [[0.5, 0.0], [1.0, 0.1]], rtol=1e-12)
    assert Platt(2.0, 0.0).likelihood(np.zeros((0,))).shape == (0,)


def test_log_odds_are_those_of_the_definition():
    np.testing.assert_allclose(log_odds(np.array([0.5, 0.9, 1e-9])), [0.0, math.log(9), math.log(1e-9)], rtol=1e-6)
