"""Threshold, temperature and Platt's line: fitted on one half of held-out examples, used if the other half agrees.

An answer is right if it is an exact match of a reference, or "no answer" where there is none; its confidence is how
likely it is said to be right. Pure functions of arrays.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from qa.decoding.platt import UNCHANGED, Platt, log_odds
from qa.errors import DataError
from qa.evaluation.grading import Flags, GradedPredictions, Shares
from qa.evaluation.newton import Point, least

BINS = 15  # of confidence, as Guo et al., 2017
CURVE_POINTS = 20
_SMALLEST = 1e-12  # probability that a certain and wrong answer is taken to have left to others
_TEMPERATURES = (0.05, 20.0)
_GRID = 121
LEAST = 50
"""Examples from which on values are changed: a share measured on half of fewer is off by ten points and more."""
_PRIOR = 0.5  # standard deviation of the temperature's logarithm before anything is seen: 0.6 to 1.6 is what is usual
_LINE_PRIOR = np.array([0.25, 0.5])  # those of the slope and of the shift
_STEEPEST = 10.0  # log odds beyond which a share steers a line no more: a certain and wrong one would turn it over
_AT_BOUND = 1.01  # factor
_LEAST_ANSWERED = 0.05  # a reader that answers less is no reader of such examples


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


class Values(NamedTuple):
    """What answers and their confidence depend on; by default what a model has that nothing was fitted for."""

    threshold: float = 0.0
    """Null odds above which the answer is "no answer"."""
    temperature: float = 1.0
    """What scores are divided by."""
    platt: Platt = UNCHANGED
    """From shares to how likely answers other than "no answer" are right."""


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """What was fitted on one half of the examples, and how the other half is answered without and with it."""

    threshold: float
    """The one to use: the fitted one, or the old one where that does not stand the test."""
    temperature: float
    """The one to use."""
    slope: float
    """The one to use, of the line of log odds."""
    shift: float
    """The one to use, in log odds."""
    kept: tuple[str, ...]
    """Why old values are to be used; empty where all are new."""
    fitted_threshold: float
    fitted_temperature: float
    fitted_slope: float
    fitted_shift: float
    fitted_examples: int
    measured_examples: int
    untuned: Reliability
    before: Reliability
    """With the old values."""
    fitted: Reliability

    @property
    def used(self) -> Values:
        """The values to use."""
        return Values(self.threshold, self.temperature, Platt(self.slope, self.shift))


def calibrate(graded: GradedPredictions, old: Values) -> Calibration:
    """Fit on half of the examples, chosen by a hash of their ids, and measure on the other half.

    The threshold is the one with the best F1; without unanswerable examples it stays as it is. The temperature, and the
    line for answers other than "no answer", are then those with the best log loss of right or wrong, with priors that
    count where examples are few. New values are to be used only where they do better on the other half.

    Args:
        graded: the examples' answers.
        old: the values that were fitted before.

    Raises:
        DataError: too few examples for two halves.

    """
    fit = first_half(graded.predictions.ids)
    if not fit.any() or fit.all():
        raise DataError(f"{len(fit)} examples do not make two halves, to fit on one and measure on the other")
    fitted = _fitted(graded, fit, graded.best_threshold(fit, otherwise=old.threshold))
    chosen, kept = _chosen(graded, fit, old, fitted)
    return Calibration(
        threshold=chosen.threshold,
        temperature=chosen.temperature,
        slope=chosen.platt.slope,
        shift=chosen.platt.shift,
        kept=kept,
        fitted_threshold=fitted.threshold,
        fitted_temperature=fitted.temperature,
        fitted_slope=fitted.platt.slope,
        fitted_shift=fitted.platt.shift,
        fitted_examples=int(fit.sum()),
        measured_examples=int((~fit).sum()),
        untuned=reliability(graded, ~fit, Values()),
        before=reliability(graded, ~fit, old),
        fitted=reliability(graded, ~fit, fitted),
    )


def _fitted(graded: GradedPredictions, fit: Flags, threshold: float) -> Values:
    """Fit the confidence of what is answered at a threshold: each temperature is tried with the best line for it."""
    right, is_span = graded.right(threshold)[fit], ~graded.is_null(threshold)[fit]

    def share_and_line(temperature: float) -> tuple[Shares, Platt]:
        share = graded.confidence(threshold, temperature)[fit]
        line = best_line(share[is_span], right[is_span])
        return share, line if line.slope > 0.0 else UNCHANGED

    def loss(temperature: float) -> float:
        share, line = share_and_line(temperature)
        prior = (float(np.log(temperature)) / _PRIOR) ** 2 / 2 + _line_prior(np.array(line))
        return log_loss(np.where(is_span, line.likelihood(share), share), right) + prior / len(right)

    temperature = best_temperature(loss)
    return Values(threshold, temperature, share_and_line(temperature)[1])


def _chosen(graded: GradedPredictions, fit: Flags, old: Values, fitted: Values) -> tuple[Values, tuple[str, ...]]:
    """Return the values to use, and why they are not all new."""
    if len(fit) < LEAST:
        few = (
            f"found {len(fit)} examples; wanted {LEAST} or more: a share measured on half of fewer is off by 10 points"
        )
        return old, (few,)
    against = _objections(graded, ~fit, old, fitted)
    if not against:
        return fitted, ()
    if fitted.threshold == old.threshold:
        return old, against
    with_old = _fitted(graded, fit, old.threshold)
    more = _objections(graded, ~fit, old, with_old)
    return (old, (*against, *more)) if more else (with_old, against)


def _objections(graded: GradedPredictions, among: Flags, old: Values, new: Values) -> tuple[str, ...]:
    """Return what some examples that nothing was fitted to say against new values."""
    said = []
    if not _TEMPERATURES[0] * _AT_BOUND < new.temperature < _TEMPERATURES[1] / _AT_BOUND:
        said.append(
            f"temperature {new.temperature:.3g} is the last that is tried: scores say nothing of these examples"
        )
    if new.threshold != old.threshold:
        answered = 1.0 - float(graded.is_null(new.threshold)[among].mean())
        if answered < _LEAST_ANSWERED:
            said.append(f"with threshold {new.threshold:.3g} {answered:.0%} of the questions are answered")
        before, after = (graded.mean_f1(values.threshold, among) for values in (old, new))
        if after <= before:
            said.append(f"F1 with threshold {new.threshold:.3g} is {after:.2f}, not above {before:.2f} as it is")
    before, after = (
        log_loss(graded.confidence(*values)[among], graded.right(values.threshold)[among]) for values in (old, new)
    )
    if after >= before:
        said.append(
            f"log loss with temperature {new.temperature:.3g}, slope {new.platt.slope:.3g} and shift "
            f"{new.platt.shift:.3g} is {after:.4f}, not below {before:.4f} as it is"
        )
    return tuple(said)


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


def best_line(share: Shares, right: Flags) -> Platt:
    """Find the line of log odds with the smallest log loss of answers being right or wrong.

    A prior keeps the line finite where all answers are right. Shares of 0 and 1, which no line changes, do not count.
    """
    between = (share > 0.0) & (share < 1.0)
    odds, right = np.clip(log_odds(share[between]), -_STEEPEST, _STEEPEST), right[between]
    columns = np.stack([odds, np.ones(len(odds))], axis=1)

    def loss(line: Point) -> float:
        return float(np.logaddexp(0.0, np.where(right, -1.0, 1.0) * (columns @ line)).sum()) + _line_prior(line)

    def step(line: Point) -> Point:
        likelihood = np.exp(-np.logaddexp(0.0, -(columns @ line)))
        gradient = columns.T @ (likelihood - right) + (line - UNCHANGED) / _LINE_PRIOR**2
        curvature = columns.T @ (columns * (likelihood * (1.0 - likelihood))[:, None]) + np.diag(1 / _LINE_PRIOR**2)
        return -np.linalg.solve(curvature, gradient)

    return Platt(*least(loss, step, np.array(UNCHANGED)).tolist())


def _line_prior(line: Point) -> float:
    """Return the negative logarithm of the prior of a line, a normal distribution around one that changes nothing."""
    return float(((line - UNCHANGED) ** 2 / _LINE_PRIOR**2).sum() / 2)


def reliability(graded: GradedPredictions, among: Flags, values: Values) -> Reliability:
    """Measure some examples' answers and their confidence."""
    threshold = values.threshold
    confidence, right = graded.confidence(*values)[among], graded.right(threshold)[among]
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
