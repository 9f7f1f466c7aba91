"""What shared words count beside a reader in a search: fitted on one half of the questions, measured on the other.

Pure functions of arrays.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float64

from qa.evaluation.calibration import first_half
from qa.evaluation.newton import least

LEAST = 50
"""Questions from which on a weight is changed: the share found first, of half of fewer, is off by ten points."""
_RIDGE = 1e-3  # keeps the fit finite where one passage is always first
_SMALLEST = 1e-2  # of the reader's part: a weight above a hundred is as good as words alone


@dataclass(frozen=True, kw_only=True, eq=False)
class SearchedQuestion:
    """What the passages of one question scored."""

    id: str
    log_odds: Float64[np.ndarray, "passage"]
    """The reader's, of the best span of each."""
    lexical: Float64[np.ndarray, "passage"]
    """BM25."""
    right: int
    """The passage that answers it."""


@dataclass(frozen=True, kw_only=True)
class RetrievalFit:
    """The weight of BM25 beside log odds, and how often it finds the right passages that it was not fitted to."""

    weight: float
    """The one to use: the fitted one, or the old one where that is no worse."""
    fitted_weight: float
    fitted_questions: int
    measured_questions: int
    reader: float
    """Right passages that are first by the reader alone, in percent; so are the following."""
    words: float
    before: float
    fitted: float


def fit_retrieval(questions: Sequence[SearchedQuestion], *, weight: float) -> RetrievalFit:
    """Fit on half of the questions, chosen by a hash of their ids, and measure on the other half.

    Args:
        questions: each with two passages or more.
        weight: the old one, which is kept where the fitted one finds no more, and with fewer than `LEAST` questions.

    """
    halves = first_half([question.id for question in questions])
    seen = [question for question, is_seen in zip(questions, halves, strict=True) if is_seen]
    unseen = [question for question, is_seen in zip(questions, halves, strict=True) if not is_seen]
    found = best_weight(seen)
    before, fitted = share_found(unseen, weight), share_found(unseen, found)
    return RetrievalFit(
        weight=found if fitted > before and len(questions) >= LEAST else weight,
        fitted_weight=found,
        fitted_questions=len(seen),
        measured_questions=len(unseen),
        reader=share_found(unseen, 0.0),
        words=share_found(unseen, np.inf),
        before=before,
        fitted=fitted,
    )


def share_found(questions: Sequence[SearchedQuestion], weight: float) -> float:
    """Return how often the right passage is first, in percent; an infinite weight is words alone; NaN of none."""
    first = [
        int(np.argmax(one.lexical if np.isinf(weight) else one.log_odds + weight * one.lexical)) for one in questions
    ]
    right = [at == one.right for at, one in zip(first, questions, strict=True)]
    return 100 * float(np.mean(right)) if right else float("nan")


def best_weight(questions: Sequence[SearchedQuestion]) -> float:
    """Return the weight of BM25 beside log odds by which the right passages are likeliest.

    The likelihood is that of a conditional logit with two coefficients (McFadden, 1974). The weight is their ratio.
    """
    features = [np.stack([_finite(one.log_odds), one.lexical], axis=1) for one in questions]
    rights = [one.right for one in questions]
    coefficients = least(
        lambda at: -_log_likelihood(features, rights, at), lambda at: _newton_step(features, rights, at), np.zeros(2)
    )
    return max(0.0, float(coefficients[1] / max(coefficients[0], _SMALLEST)))


def _log_likelihood(
    features: Sequence[Float64[np.ndarray, "passage 2"]], rights: Sequence[int], coefficients: Float64[np.ndarray, "2"]
) -> float:
    """Return the logarithm of the likelihood of the right passages, less the ridge."""
    scores = [rows @ coefficients for rows in features]
    logs = [one[right] - np.logaddexp.reduce(one) for one, right in zip(scores, rights, strict=True)]
    return float(np.sum(logs) - _RIDGE / 2 * coefficients @ coefficients)


def _newton_step(
    features: Sequence[Float64[np.ndarray, "passage 2"]], rights: Sequence[int], coefficients: Float64[np.ndarray, "2"]
) -> Float64[np.ndarray, "2"]:
    slope, curvature = -_RIDGE * coefficients, -_RIDGE * np.eye(2)
    for rows, right in zip(features, rights, strict=True):
        shares = _softmax(rows @ coefficients)
        mean = shares @ rows
        slope = slope + rows[right] - mean
        curvature -= (rows - mean).T @ ((rows - mean) * shares[:, None])
    return -np.linalg.solve(curvature, slope)


def _finite(values: Float[np.ndarray, "passage"]) -> Float[np.ndarray, "passage"]:
    """Return values with the smallest one in place of −inf, which a passage without a span has."""
    known = values[np.isfinite(values)]
    return np.where(np.isfinite(values), values, known.min() if len(known) else 0.0)


def _softmax(values: Float[np.ndarray, "passage"]) -> Float[np.ndarray, "passage"]:
    weights: Float[np.ndarray, "passage"] = np.exp(values - values.max())
    return np.asarray(weights / weights.sum())
