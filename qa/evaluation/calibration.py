"""Threshold and temperature, fitted on one half of held-out examples, measured on the other.

An answer is right if it is an exact match of a reference, or "no answer" where there is none; its confidence is its
probability. Pure functions of arrays.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from qa.errors import DataError
from qa.evaluation.grading import Flags, GradedPredictions, Shares
from qa.metrics import best_threshold

BINS = 15  # of confidence, as Guo et al., 2017
CURVE_POINTS = 20
UNTUNED = (0.0, 1.0)  # threshold and temperature of a model that nothing was fitted for
_SMALLEST = 1e-12  # probability that a certain and wrong answer is taken to have left to others
_TEMPERATURES = (0.05, 20.0)
_GRID = 121


@dataclass(frozen=True, kw_only=True)
class Reliability:
    """How far the confidence of answers can be trusted, on examples that nothing was fitted to."""

    exact: float
    """Right answers, in percent."""
    f1: float
    """In percent."""
    confidence: float
    """Mean confidence, in percent: that of a calibrated model is `exact`."""
    log_loss: float
    """Mean negative log likelihood of right or wrong, in nats."""
    calibration_error: float
    """Expected calibration error in 15 bins, in percent."""
    area: float
    """Area under the risk-coverage curve, in percent: mean share of wrong answers over all coverages."""
    risk_at_coverage: tuple[tuple[float, float], ...]
    """Points of that curve: share of examples answered, the most confident first, and wrong ones of these; percent."""


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """What was fitted on one half of the examples, and how the other half is answered without and with it."""

    threshold: float
    temperature: float
    fitted_examples: int
    measured_examples: int
    untuned: Reliability
    fitted: Reliability


def calibrate(graded: GradedPredictions, *, threshold: float) -> Calibration:
    """Fit on half of the examples, chosen by a hash of their ids, and measure on the other half.

    The threshold is the one with the best F1; without unanswerable examples it stays as it is. The temperature is then
    the one with the best log loss of right or wrong.

    Raises:
        DataError: too few examples for two halves.

    """
    fit = first_half(graded.predictions.ids)
    if not fit.any() or fit.all():
        raise DataError(f"{len(fit)} examples do not make two halves, to fit on one and measure on the other")
    if graded.predictions.null_possible and not graded.answerable[fit].all():
        threshold, _ = best_threshold(graded.f1[fit], graded.predictions.null_odds[fit], graded.answerable[fit])
    right = graded.right(threshold)[fit]
    temperature = best_temperature(lambda value: log_loss(graded.confidence(threshold, value)[fit], right))
    return Calibration(
        threshold=threshold,
        temperature=temperature,
        fitted_examples=int(fit.sum()),
        measured_examples=int((~fit).sum()),
        untuned=reliability(graded, ~fit, *UNTUNED),
        fitted=reliability(graded, ~fit, threshold, temperature),
    )


def first_half(ids: Sequence[str]) -> Flags:
    """Choose about half of the examples by their ids alone, so that order and other examples do not matter."""
    return np.array([hashlib.sha256(key.encode(errors="surrogatepass")).digest()[0] < 128 for key in ids], dtype=bool)


def best_temperature(loss: Callable[[float], float]) -> float:
    """Find the temperature with the smallest loss: the best of a logarithmic grid, refined by golden sections.

    The loss may have several minima; the grid is fine enough to tell them apart (steps of 5 %).
    """
    grid = np.geomspace(*_TEMPERATURES, _GRID)
    best = int(np.argmin([loss(float(value)) for value in grid]))
    low, high = (float(np.log(grid[at])) for at in (max(best - 1, 0), min(best + 1, _GRID - 1)))
    ratio = (5**0.5 - 1) / 2
    while high - low > 1e-4:
        left, right = high - ratio * (high - low), low + ratio * (high - low)
        if loss(float(np.exp(left))) <= loss(float(np.exp(right))):
            high = right
        else:
            low = left
    return float(np.exp((low + high) / 2))


def reliability(graded: GradedPredictions, among: Flags, threshold: float, temperature: float) -> Reliability:
    """Measure the confidence of some examples' answers at a threshold and a temperature."""
    confidence, right = graded.confidence(threshold, temperature)[among], graded.right(threshold)[among]
    risk = risks(confidence, right)
    counts = np.unique(np.ceil(np.arange(1, CURVE_POINTS + 1) * len(risk) / CURVE_POINTS).astype(np.int64))
    return Reliability(
        exact=float(100.0 * right.mean()),
        f1=graded.mean_f1(threshold, among),
        confidence=float(100.0 * confidence.mean()),
        log_loss=log_loss(confidence, right),
        calibration_error=100.0 * expected_calibration_error(confidence, right),
        area=float(100.0 * risk.mean()),
        risk_at_coverage=tuple((100.0 * n / len(risk), float(100.0 * risk[n - 1])) for n in counts.tolist()),
    )


def log_loss(confidence: Shares, right: Flags) -> float:
    """Return the mean negative log likelihood of answers being right or wrong as their confidence says.

    A proper score: on average it is least at the temperature of the true probabilities. The likelihood of
    the right one among the n-best would leave out the examples where none is right, and overrate the others.
    """
    likelihood = np.where(right, confidence, 1.0 - confidence)
    return float(-np.log(np.maximum(likelihood, _SMALLEST)).mean())


def expected_calibration_error(confidence: Shares, right: Flags, bins: int = BINS) -> float:
    """Return the mean distance of confidence and accuracy over bins of equal width, weighted by their examples.

    Source: Guo et al., 2017 (arXiv:1706.04599): bins are open on the left and closed on the right.
    """
    which = np.clip(np.ceil(confidence * bins).astype(np.int64) - 1, 0, bins - 1)
    gaps = np.bincount(which, weights=confidence - right, minlength=bins)
    return float(np.abs(gaps).sum() / len(confidence))


def risks(confidence: Shares, right: Flags) -> Shares:
    """Return the share of wrong answers among the 1, 2, …, n most confident: risk over coverage.

    Source: El-Yaniv and Wiener, 2010. Equally confident answers come in no order: each is as wrong as their mean.
    """
    _, level, counts = np.unique(-confidence, return_inverse=True, return_counts=True)
    wrong = np.bincount(level, weights=~right) / counts
    found: Shares = np.cumsum(np.repeat(wrong, counts)) / np.arange(1, len(confidence) + 1)
    return found
