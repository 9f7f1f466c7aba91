"""How far a mean over examples can be trusted."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float64, Int

_Z = 1.959963984540054  # of the normal distribution, for 95 %
_RESAMPLES = 1000
_AT_ONCE = 50  # resamples in memory together: each is as long as the groups


class Interval(NamedTuple):
    """A mean and its 95 % confidence interval."""

    mean: float
    low: float
    high: float


def share_interval(right: int, total: int) -> Interval:
    """Return the share of right ones with Wilson's interval (1927), which is good for few examples and for 0 and 1."""
    share = right / total
    centre = (share + _Z**2 / (2 * total)) / (1 + _Z**2 / total)
    half = _Z / (1 + _Z**2 / total) * np.sqrt(share * (1 - share) / total + (_Z / (2 * total)) ** 2)
    return Interval(share, max(float(centre - half), 0.0), min(float(centre + half), 1.0))


def mean_interval(
    values: Float64[np.ndarray, "example"], groups: Int[np.ndarray, "example"] | None = None, *, seed: int = 0
) -> Interval:
    """Return the mean with the percentile interval of 1,000 bootstrap samples (Efron, 1979).

    Args:
        values: of the examples, at least one.
        groups: number of each example's group, such as its context: groups are drawn whole, since examples of one are
            alike. None: every example by itself.
        seed: of the draw.

    """
    _, group = np.unique(np.arange(len(values)) if groups is None else groups, return_inverse=True)
    sizes, sums = np.bincount(group), np.bincount(group, weights=values)
    random = np.random.default_rng(seed)
    means = np.empty(_RESAMPLES)
    for begin in range(0, _RESAMPLES, _AT_ONCE):
        drawn = random.multinomial(len(sizes), np.full(len(sizes), 1 / len(sizes)), size=_AT_ONCE)
        means[begin : begin + _AT_ONCE] = (drawn @ sums) / (drawn @ sizes)
    low, high = np.percentile(means, [2.5, 97.5]).tolist()
    return Interval(float(values.mean()), low, high)
