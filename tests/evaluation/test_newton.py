"""The least value of a convex loss is found, from wherever the search begins."""

import numpy as np
import pytest

from qa.evaluation.newton import least


@pytest.mark.parametrize("start", [[0.0, 0.0], [30.0, -40.0]])
def test_a_parabola_takes_one_step(start):
    curvature, middle = np.array([[3.0, 1.0], [1.0, 2.0]]), np.array([1.5, -0.5])
    steps = []

    def step(at):
        steps.append(at)
        return middle - at

    found = least(lambda at: float((at - middle) @ curvature @ (at - middle)), step, np.array(start))
    np.testing.assert_allclose(found, middle, atol=1e-12)
    assert len(steps) == 2  # the last one finds that nothing is left


def test_steps_that_overshoot_are_halved():
    """The logarithm of a hyperbolic cosine: from 3 full steps of Newton's method go ever further away."""
    full = 3.0
    for _ in range(2):
        full -= np.tanh(full) * np.cosh(full) ** 2
    assert abs(full) > 1e6
    found = least(
        lambda at: float(np.logaddexp(at[0], -at[0])),
        lambda at: -np.tanh(at) * np.cosh(at) ** 2,
        np.array([3.0]),
    )
    np.testing.assert_allclose(found, [0.0], atol=1e-6)
