"""Predictions + references -> scores per example and overall."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64

from qa import metrics
from qa.decoding.platt import UNCHANGED, Platt
from qa.decoding.predictions import Predictions
from qa.metrics import Scores

Flags = Bool[np.ndarray, "example"]
Shares = Float64[np.ndarray, "example"]


@dataclass(frozen=True, eq=False, kw_only=True)
class GradedPredictions:
    """Predictions compared with their references."""

    predictions: Predictions
    exact: Shares
    """Exact match of every example's best span, 0 or 1, whatever the null score."""
    f1: Shares
    answerable: Flags

    def right(self, threshold: float) -> Flags:
        """Return which examples are answered rightly at that threshold."""
        return np.where(self.is_null(threshold), ~self.answerable, self.exact == 1.0)

    def mean_f1(self, threshold: float, among: Flags) -> float:
        """Return the F1 at that threshold over some examples, in percent."""
        return float(100.0 * np.where(self.is_null(threshold), ~self.answerable, self.f1)[among].mean())

    def confidence(self, threshold: float, temperature: float, platt: Platt = UNCHANGED) -> Shares:
        """Return how likely what is answered at that threshold is right; 0 for an example without any valid span."""
        scored = self.predictions.calibrated(temperature=temperature, threshold=threshold)
        best = np.zeros(len(scored))
        has_span = np.diff(scored.bounds) > 0
        best[has_span] = scored.probability[scored.bounds[:-1][has_span]]
        return np.where(self.is_null(threshold), scored.null_probability, platt.likelihood(best))

    def best_threshold(self, among: Flags, *, otherwise: float) -> float:
        """Return the threshold with the best F1 over some examples; `otherwise` where all are to be answered."""
        if not self.predictions.null_possible or self.answerable[among].all():
            return otherwise
        found, _ = metrics.best_threshold(self.f1[among], self.predictions.null_odds[among], self.answerable[among])
        return found

    def is_null(self, threshold: float) -> Flags:
        """Return which examples are answered by "no answer" at that threshold."""
        return (self.predictions.null_odds > threshold) & self.predictions.null_possible


def grade(predictions: Predictions, references: Sequence[Sequence[str]], *, language: str = "en") -> GradedPredictions:
    """Compare every example's best span with its references, by the rules of v2.0."""
    by_id = dict(zip(predictions.ids, references, strict=True))
    raw = metrics.raw_scores(dict(zip(predictions.ids, predictions.best_texts, strict=True)), by_id, language=language)
    answerable = np.array([bool(texts) for texts in references])
    return GradedPredictions(predictions=predictions, exact=raw.exact, f1=raw.f1, answerable=answerable)


def score_predictions(
    predictions: Predictions, references: Sequence[Sequence[str]], *, threshold: float, language: str
) -> Scores:
    """Score predictions by the official method: of v1.1, or of v2.0 if some example has no reference.

    Those of v2.0 are joined by the threshold they were made with and by the one with the best F1.

    Args:
        predictions: of all examples.
        references: right texts of every example, in the same order.
        threshold: null odds above which the answer is "no answer".
        language: whose rules decide what counts.

    """
    by_id = dict(zip(predictions.ids, references, strict=True))
    # v1.1's scores take texts as they are answered; v2.0's take the best spans and the odds that others are better.
    answered = predictions.texts(threshold) if all(references) else predictions.best_texts
    texts = dict(zip(predictions.ids, answered, strict=True))
    odds = predictions.null_odds if predictions.null_possible else np.full(len(predictions), threshold)
    null_odds = dict(zip(predictions.ids, odds.tolist(), strict=True))
    scores = metrics.score(texts, by_id, null_odds=null_odds, threshold=threshold, language=language)
    if all(references):
        return scores
    graded = grade(predictions, references, language=language)
    fitted, fitted_f1 = metrics.best_threshold(graded.f1, odds, graded.answerable)
    if not predictions.null_possible:
        fitted, fitted_f1 = threshold, scores["f1"]
    return scores | {"no_answer_threshold": threshold, "fitted_threshold": fitted, "fitted_f1": fitted_f1}


def score_names(*, answerable: bool, impossible: bool) -> list[str]:
    """Return the names of the scores of data that has such examples."""
    references = {name: texts for name, texts, there in (("a", ["x"], answerable), ("b", [], impossible)) if there}
    scores = metrics.score(
        dict.fromkeys(references, "x"), references, null_odds=dict.fromkeys(references, 0.0), threshold=0.0
    )
    return [*scores, *(["no_answer_threshold", "fitted_threshold", "fitted_f1"] if impossible else [])]
