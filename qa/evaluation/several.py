"""Predictions + references, all of which are wanted -> scores, and the threshold that is best for them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Int

from qa.decoding.predictions import OF_CANDIDATES, Predictions
from qa.evaluation.grading import Flags, GradedPredictions
from qa.metrics import Scores
from qa.metrics.multi_span import Counts, counts_of, harmonic_mean, multi_span_score, normalised

_KINDS = tuple(f"{kind}_{name}" for kind in ("exact", "overlap") for name in ("precision", "recall", "f1"))
SEVERAL_SCORES = [*_KINDS, "no_answer_threshold", "fitted_threshold", "fitted_exact_f1", "fitted_overlap_f1"]
"""Names of the scores."""


def score_several(
    predictions: Predictions, references: Sequence[Sequence[str]], *, threshold: float, language: str
) -> Scores:
    """Score all answers of every example by the method of MultiSpanQA, and fit the threshold for answers.

    The fitted threshold is the one with the best F1 of overlap.

    Args:
        predictions: of all examples.
        references: all right texts of every example, in the same order.
        threshold: own null odds above which a span is no answer.
        language: whose rules decide what counts.

    """
    by_id = dict(zip(predictions.ids, references, strict=True))

    def scored(at: float) -> Scores:
        answers = zip(predictions.ids, predictions.all_answers(at), strict=True)
        texts = {key: [predictions.text[row] for row in rows] for key, rows in answers}
        return multi_span_score(texts, by_id, language=language)

    fitted = fit_threshold(predictions, references, language=language)
    best = scored(fitted)
    return scored(threshold) | {
        "no_answer_threshold": threshold,
        "fitted_threshold": fitted,
        "fitted_exact_f1": best["exact_f1"],
        "fitted_overlap_f1": best["overlap_f1"],
    }


@dataclass(frozen=True, eq=False, kw_only=True)
class GradedAnswers(GradedPredictions):
    """Spans that may be answers, each compared with all references of its example as if it were an example itself.

    A span is answerable if it is a right text. F1 is that of overlap over whole examples.
    """

    whole: Predictions
    """The predictions that the spans are of."""
    example: Int[np.ndarray, "answer"]
    """The example of every span."""
    references: Sequence[Sequence[str]]
    """Of the examples."""
    language: str

    def mean_f1(self, threshold: float, among: Flags) -> float:
        """Return the F1 of overlap at that threshold over the examples of some spans, in percent."""
        total, kept, answers = Counts(), self._examples(among), self.whole.all_answers(threshold)
        for at in np.flatnonzero(kept).tolist():
            texts = normalised([self.whole.text[row] for row in answers[at]], self.language)
            total = total.plus(counts_of(texts, normalised(self.references[at], self.language)))
        return 100.0 * _overlap_f1(total)

    def best_threshold(self, among: Flags, *, otherwise: float) -> float:
        """Return the threshold with the best F1 of overlap over the examples of some spans."""
        del otherwise  # there always is one: it also decides how many answers there are
        return fit_threshold(self.whole, self.references, language=self.language, among=self._examples(among))

    def _examples(self, among: Flags) -> Bool[np.ndarray, "whole"]:
        """Return the examples that none of the other spans is of; those without a span always are among them."""
        examples = np.ones(len(self.whole), dtype=bool)
        examples[self.example[~among]] = False
        return examples


def grade_answers(
    predictions: Predictions, references: Sequence[Sequence[str]], *, language: str = "en"
) -> GradedAnswers:
    """Compare every disjoint span of every example with all its references."""
    rows = np.array([row for own in predictions.disjoint() for row in own], dtype=np.int64)
    example = predictions.example[rows]
    right = [normalised(texts, language) for texts in references]
    exact = np.array(
        [normalised([predictions.text[row]], language) <= right[at] for row, at in zip(rows, example, strict=True)],
        dtype=bool,
    )
    alone = replace(
        predictions,
        ids=[predictions.ids[at] for at in example],
        bounds=np.arange(len(rows) + 1),
        text=[predictions.text[row] for row in rows],
        null_logits=predictions.null_logits[example],
        null_probability=1.0 - predictions.probability[rows],
        null_possible=True,
        independent=True,
        **{name: getattr(predictions, name)[rows] for name in OF_CANDIDATES},
    )
    return GradedAnswers(
        predictions=alone,
        exact=exact.astype(np.float64),
        f1=exact.astype(np.float64),
        answerable=exact,
        whole=predictions,
        example=example,
        references=references,
        language=language,
    )


class _Change(NamedTuple):
    """What changes in the counts when a further span of an example becomes an answer."""

    odds: float
    counts: Counts


def fit_threshold(
    predictions: Predictions, references: Sequence[Sequence[str]], *, language: str, among: Flags | None = None
) -> float:
    """Find the own null odds above which a span is best taken for no answer: that with the best F1 of overlap.

    Of the examples `among` all; None: of all.

    Spans of equal odds become answers together. Every threshold between two neighbouring odds does the same; it is 0 if
    0 lies there, else their middle, and one unit away beyond the outermost. Of equally good ones the nearest to 0 is
    taken, of two the negative one.
    """
    kept = np.ones(len(predictions), dtype=bool) if among is None else among
    total, changes = _course(predictions, references, language, np.flatnonzero(kept).tolist())
    changes.sort(key=lambda change: change.odds)
    odds = np.array([change.odds for change in changes])
    steps = np.array([change.counts for change in changes]).reshape(len(changes), len(Counts._fields))
    totals = np.array(total) + np.cumsum(np.vstack([np.zeros((1, steps.shape[1])), steps]), axis=0)
    borders = np.flatnonzero(np.append(np.diff(odds, prepend=-np.inf), np.inf) > 0)  # after all of equal odds
    scores = np.array([_overlap_f1(Counts(*row)) for row in totals[borders]])
    edges = [None, *odds.tolist(), None]
    thresholds = np.array([_between(edges[at], edges[at + 1]) for at in borders.tolist()])
    best = np.flatnonzero(scores > scores.max() - 1e-12)
    return float(min(thresholds[best], key=lambda value: (abs(value), value)))


def _course(
    predictions: Predictions, references: Sequence[Sequence[str]], language: str, among: Sequence[int]
) -> tuple[Counts, list[_Change]]:
    """Return the counts without any answer that need not be one, and every change from there, by example and rank."""
    total, changes = Counts(), []
    odds, least = predictions.own_null_odds.tolist(), 0 if predictions.null_possible else 1
    spans = predictions.disjoint()
    for at in among:
        rows, wanted = spans[at], normalised(references[at], language)
        before = counts_of(normalised([predictions.text[row] for row in rows[:least]], language), wanted)
        total = total.plus(before)
        for rank in range(least, len(rows)):
            texts = normalised([predictions.text[row] for row in rows[: rank + 1]], language)
            after = counts_of(texts, wanted)
            change = Counts(*(one - other for one, other in zip(after, before, strict=True)))
            changes.append(_Change(max(odds[row] for row in rows[: rank + 1]), change))
            before = after
    return total, changes


def _overlap_f1(counts: Counts) -> float:
    if not counts.predicted:
        return 0.0
    return harmonic_mean(counts.precise / counts.predicted, counts.recalled / counts.right)


def _between(low: float | None, high: float | None) -> float:
    if low is None or high is None:
        known = high if low is None else low
        inside = known is None or (known > 0 if low is None else known <= 0)
        return 0.0 if inside or known is None else known + (-1.0 if low is None else 1.0)
    return 0.0 if low <= 0 < high else (low + high) / 2
