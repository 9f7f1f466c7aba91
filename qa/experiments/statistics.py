"""Means with intervals, paired differences, McNemar's test. Pure functions of arrays."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64
from scipy import stats

CONFIDENCE = 0.95
RESAMPLES = 9999
_AT_ONCE = 100  # resamples in memory together: each is as long as the examples

Values = Float64[np.ndarray, "value"]
Flags = Bool[np.ndarray, "example"]


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A mean with its confidence interval, in the unit of the values; no interval where too few values tell one."""

    mean: float
    low: float | None = None
    high: float | None = None

    @property
    def excludes_zero(self) -> bool:
        """Whether the whole interval lies on one side of zero."""
        return self.low is not None and self.high is not None and (self.low > 0 or self.high < 0)


@dataclass(frozen=True, kw_only=True)
class McNemar:
    """Right answers that only one of two has, and how likely so uneven a split is by chance."""

    only_first: int
    only_second: int
    p: float
    """Of the exact two-sided test."""


def mean_estimate(values: Sequence[float], confidence: float = CONFIDENCE) -> Estimate:
    """Return the mean of independent values, such as the scores of seeds, with Student's interval; one has none."""
    found = np.asarray(values, dtype=np.float64)
    mean = float(found.mean())
    if len(found) < 2:
        return Estimate(mean=mean)
    half = float(stats.t.ppf((1 + confidence) / 2, len(found) - 1) * found.std(ddof=1) / np.sqrt(len(found)))
    return Estimate(mean=mean, low=mean - half, high=mean + half)


def difference_of_means(first: Sequence[float], second: Sequence[float], *, paired: bool) -> Estimate:
    """Return the mean of `second` minus that of `first` with Student's interval, or Welch's where nothing pairs them.

    Fewer than two values on a side leave no interval.
    """
    one, other = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    if paired:
        return mean_estimate((other - one).tolist())
    mean = float(other.mean() - one.mean())
    if min(len(one), len(other)) < 2:
        return Estimate(mean=mean)
    parts = [values.var(ddof=1) / len(values) for values in (one, other)]
    variance = sum(parts)
    if variance == 0:
        return Estimate(mean=mean, low=mean, high=mean)
    freedom = variance**2 / sum(
        part**2 / (len(values) - 1) for part, values in zip(parts, (one, other), strict=True)
    )  # Welch-Satterthwaite
    half = float(stats.t.ppf((1 + CONFIDENCE) / 2, freedom) * np.sqrt(variance))
    return Estimate(mean=mean, low=mean - half, high=mean + half)


def paired_difference(
    first: Values, second: Values, *, confidence: float = CONFIDENCE, resamples: int = RESAMPLES, seed: int = 0
) -> Estimate:
    """Return the mean of `second` minus `first` over the same examples, with the bootstrap's BCa interval.

    Examples are drawn with replacement, both sides of each together. Source: Efron, 1987 (bias-corrected and
    accelerated). Where all differences are equal, the interval is that difference; one example leaves none.
    """
    differences = second - first
    mean = float(differences.mean())
    if len(differences) < 2:
        return Estimate(mean=mean)
    if np.ptp(differences) == 0:
        return Estimate(mean=mean, low=mean, high=mean)
    found = stats.bootstrap(
        (differences,),
        np.mean,
        confidence_level=confidence,
        n_resamples=resamples,
        batch=_AT_ONCE,
        method="BCa",
        rng=np.random.default_rng(seed),
    ).confidence_interval
    return Estimate(mean=mean, low=float(found.low), high=float(found.high))


def mcnemar(first: Flags, second: Flags) -> McNemar:
    """Test whether two are right equally often on the same examples: the exact test of McNemar, 1947.

    Only examples on which they differ count; without any, p is 1.
    """
    only_first, only_second = int((first & ~second).sum()), int((second & ~first).sum())
    differing = only_first + only_second
    p = float(stats.binomtest(only_first, differing).pvalue) if differing else 1.0
    return McNemar(only_first=only_first, only_second=only_second, p=p)
