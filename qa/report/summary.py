"""Judged answers -> the numbers of a report."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from qa.evaluation.calibration import expected_calibration_error, risks
from qa.evaluation.intervals import Interval, mean_interval, share_interval
from qa.evaluation.mistakes import JudgedAnswer, Mistake
from qa.evaluation.slices import slices

BINS = 10
"""Of confidence, in the reliability diagram."""
_CURVE_POINTS = 200


class SliceScores(NamedTuple):
    """How a group of examples was answered."""

    kind: str
    group: str
    exact: Interval
    """Shares of 1, with Wilson's interval."""
    f1: Interval
    """The same, with the bootstrap's interval over contexts."""
    examples: int


class ReliabilityBin(NamedTuple):
    """Answers of like confidence."""

    confidence: float
    """Their mean."""
    right: Interval
    examples: int


@dataclass(frozen=True, kw_only=True)
class Summary:
    """What a set of answers is like."""

    examples: int
    exact: Interval
    f1: Interval
    mistakes: Mapping[Mistake | None, int]
    slices: Sequence[SliceScores]
    bins: Sequence[ReliabilityBin]
    """Empty where the confidence of some answers is not known, and so are the next two."""
    calibration_error: float | None
    risk_at_coverage: Sequence[tuple[float, float]]
    """Share of the examples answered, the most confident first, and share of wrong ones among these."""


def summarise(judged: Sequence[JudgedAnswer], *, language: str) -> Summary:
    """Count mistakes, and score all answers and each slice of them.

    Args:
        judged: at least one.
        language: decides what a word is, as in the scores.

    """
    rows = [answer.row for answer in judged]
    exact, f1 = (np.array([getattr(answer, name) for answer in judged]) for name in ("exact", "f1"))
    context = np.unique([row["context"] for row in rows], return_inverse=True)[1]
    confidence = np.array([answer.given.probability for answer in judged], dtype=np.float64)  # None becomes NaN
    right = exact == 1.0
    groups = slices(rows, language=language)
    known = not np.isnan(confidence).any()
    return Summary(
        examples=len(judged),
        exact=share_interval(int(right.sum()), len(judged)),
        f1=mean_interval(f1, context),
        mistakes=Counter(answer.mistake for answer in judged),
        slices=[
            SliceScores(
                kind=name.partition(": ")[0],
                group=name.partition(": ")[2],
                exact=share_interval(int(right[members].sum()), int(members.sum())),
                f1=mean_interval(f1[members], context[members]),
                examples=int(members.sum()),
            )
            for name, members in groups.items()
        ],
        bins=_bins(confidence, right) if known else (),
        calibration_error=expected_calibration_error(confidence, right) if known else None,
        risk_at_coverage=_thinned(risks(confidence, right)) if known else (),
    )


def _bins(confidence: np.ndarray, right: np.ndarray) -> list[ReliabilityBin]:
    """Group answers by confidence into bins of equal width, open on the left as those of the calibration error."""
    which = np.clip(np.ceil(confidence * BINS).astype(np.int64) - 1, 0, BINS - 1)
    return [
        ReliabilityBin(
            float(confidence[members].mean()),
            share_interval(int(right[members].sum()), int(members.sum())),
            int(members.sum()),
        )
        for members in (which == at for at in range(BINS))
        if members.any()
    ]


def _thinned(risk: np.ndarray) -> list[tuple[float, float]]:
    kept = np.unique(np.linspace(0, len(risk) - 1, _CURVE_POINTS).round().astype(np.int64))
    return [((at + 1) / len(risk), float(risk[at])) for at in kept.tolist()]
