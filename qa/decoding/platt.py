"""Shares of the probability -> how likely answers are right."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float64


class Platt(NamedTuple):
    """A line of log odds, fitted to examples' best answers, which were right or wrong (Platt, 1999).

    A softmax lets one candidate be right. Of people's answers several are, with an article and without, so that the
    best one is right more often than its share says. No temperature makes up for that; a shift does.
    """

    slope: float = 1.0
    """Above 0, so that the order of answers stays."""
    shift: float = 0.0
    """In log odds."""

    def likelihood(self, share: Float64[np.ndarray, "*any"]) -> Float64[np.ndarray, "*any"]:
        """Return how likely answers with such shares are right; 0 and 1 stay."""
        if self == UNCHANGED:
            return share
        with np.errstate(divide="ignore", over="ignore"):  # by infinite odds 0 stays 0, and 1 stays 1
            return np.asarray(1.0 / (1.0 + np.exp(-(self.slope * log_odds(share) + self.shift))), dtype=np.float64)


UNCHANGED = Platt()
"""The line by which shares are what they are."""


def log_odds(share: Float64[np.ndarray, "*any"]) -> Float64[np.ndarray, "*any"]:
    """Return the log odds of probabilities."""
    return np.asarray(np.log(share) - np.log1p(-share), dtype=np.float64)
