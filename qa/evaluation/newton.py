"""Where a convex loss of a few numbers is least."""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float64

Point = Float64[np.ndarray, "number"]
_ROUNDS = 50  # which are done in ten
_STILL = 1e-6  # a step as small ends the search, which is then as near as its square


def least(loss: Callable[[Point], float], step: Callable[[Point], Point], start: Point) -> Point:
    """Find it by Newton's method, with steps halved until they gain something: full ones can overshoot.

    Args:
        loss: convex.
        step: Newton's at a point, the inverse curvature times the gradient, downhill.
        start: where the search begins.

    """
    at = start
    for _ in range(_ROUNDS):
        move = step(at)
        reached = loss(at)
        while np.abs(move).max() >= _STILL and loss(at + move) > reached:
            move = move / 2
        at = at + move
        if np.abs(move).max() < _STILL:
            break
    return at
