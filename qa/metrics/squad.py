"""The official scores of SQuAD v1.1 and v2.0.

Every number equals, to the last digit, that of the published evaluation on CPython 3.11: Rajpurkar et al. 2016
(arXiv:1606.05250) for data in which every example has a reference, Rajpurkar et al. 2018 (arXiv:1806.03822) for data
with unanswerable examples. Scores of one example are shares of 1, scores of a data set percentages.
"""

import math
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, Literal, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Float64

from qa.errors import MetricError
from qa.metrics.inputs import (
    Odds,
    References,
    Texts,
    of_examples,
    require_missing,
    require_same_ids,
    require_texts,
)
from qa.metrics.normalization import LanguageRules, language_rules

MetricName = Literal["squad", "squad_v2"]
Scores = dict[str, float | int]
Shares = Float64[np.ndarray, "example"]

# Totals of shares that differ by less than this differ by the order of the summation only.
_SAME_TOTAL = 1e-9


def exact_match(prediction: Any, references: Any, language: str = "en") -> float:  # noqa: ANN401  # checked below
    """Return 1 when the normalised prediction is one of the normalised references, else 0, by the rules of v2.0.

    Raises:
        MetricError, ConfigError: as `raw_scores`.
    """
    return float(raw_scores({"": prediction}, {"": references}, language=language).exact[0])


def f1(prediction: Any, references: Any, language: str = "en") -> float:  # noqa: ANN401  # checked below
    """Return the F1 of the prediction's words against its best reference, 0 to 1, by the rules of v2.0.

    Raises:
        MetricError, ConfigError: as `raw_scores`.
    """
    return float(raw_scores({"": prediction}, {"": references}, language=language).f1[0])


def main_score(scores: Mapping[str, Any]) -> str:
    """Return the name of the score that models are compared by, unless another is asked for."""
    return next((name for name in ("fitted_overlap_f1", "best_f1") if name in scores), "f1")


class RawScores(NamedTuple):
    """Exact match and F1 of every example, 0 to 1, in the order of the references."""

    exact: Shares
    f1: Shares


def raw_scores(
    texts: Texts,
    references: References,
    *,
    metric: MetricName = "squad_v2",
    language: str = "en",
    missing: str = "error",
) -> RawScores:
    """Score the predicted text of every example id against its references, whatever its null odds are.

    Two texts that normalise to nothing match, but have no F1 in v1.1. In v2.0 such references do not count, and where
    none is left, or there was none, the right answer is the empty one. With `missing="zero"` an example without a
    prediction has a score of 0, and predictions without an example do not count.

    Raises:
        MetricError: no examples, ids that are not the same, for v1.1 an example without a reference, a prediction
            or reference that is not a text, or another `missing`.
        ConfigError: not the code of a language.
    """
    require_texts(texts, references)
    require_missing(missing)
    references = {example_id: list(answers) for example_id, answers in references.items()}
    if missing == "zero":
        texts = of_examples(texts, references)
    else:
        require_same_ids("prediction", texts, references)
    rules = language_rules(language)
    normalize = cache(rules.normalize)
    if metric == "squad" and not all(references.values()):
        example_id = next(example_id for example_id, answers in references.items() if not answers)
        raise MetricError(f"example {example_id!r} has no reference; wanted one or more, or the metric squad_v2")
    rows = [
        _example_scores(normalize(texts[example_id]), {normalize(answer) for answer in answers}, metric, rules)
        if example_id in texts
        else (0.0, 0.0)
        for example_id, answers in references.items()
    ]
    exact, overlap = np.array(rows, dtype=np.float64).T
    return RawScores(exact, overlap)


def best_threshold(scores: Shares, null_odds: Shares, answerable: Bool[np.ndarray, "example"]) -> tuple[float, float]:
    """Find the null odds above which "no answer" is best predicted, and the score with it, in percent.

    `scores` are those of the non-null texts (exact match or F1), 0 to 1. Examples of equal null odds are answered
    together or not at all, unlike in the official sweep: the threshold really has that score. Every
    threshold between two neighbouring null odds does the same; it is 0 if 0 lies there, else their middle, and one
    unit away beyond the outermost. Of equally good ones the nearest to 0 is taken, of two the negative one. Null odds
    of +inf are never answered.

    Raises:
        MetricError: no examples, or null odds that are NaN or -inf.
    """
    if len(scores) == 0 or not np.all(null_odds > -np.inf):
        raise MetricError(f"cannot fit a threshold to the null odds {null_odds}; wanted one or more, no NaN, no -inf")
    finite = null_odds < np.inf
    distinct, group = np.unique(null_odds[finite], return_inverse=True)
    gains = np.bincount(group, weights=(scores - ~answerable)[finite], minlength=len(distinct))
    totals = np.sum(~answerable) + np.cumsum([0.0, *gains])
    thresholds = _between(np.array([-np.inf, *distinct]), np.array([*distinct, np.inf]))
    (best,) = np.nonzero(totals > totals.max() - _SAME_TOTAL)
    chosen = best[np.argmin(np.abs(thresholds[best]))]
    return float(thresholds[chosen]), float(100.0 * totals[chosen] / len(scores))


def score(
    texts: Texts,
    references: References,
    *,
    null_odds: Odds | None = None,
    threshold: float = 0.0,
    language: str = "en",
    missing: str = "error",
) -> Scores:
    """Score the best non-null text of every example id; the keys are those of the official scripts.

    v1.1's where every example has a reference (null odds do not count there), else v2.0's: an example is predicted
    to have no answer when its null odds are above `threshold`. Equal to `load(...).compute(...)` with the null odds
    as `no_answer_probability`, except that compute, as the hub's, rounds those to float32. `missing="zero"` does
    with ids that are on one side only what the official scripts do: an example without a prediction counts 0 (the
    script of v2.0 says so and then fails), a prediction without an example does not count.

    Raises:
        MetricError: no examples, ids that are not the same, unanswerable examples without usable null odds, a
            prediction or reference that is not a text, a threshold that is no number, or another `missing`.
        ConfigError: not the code of a language.
    """
    require_texts(texts, references)
    require_missing(missing)
    if all(len(answers) for answers in references.values()):
        return squad_scores(texts, references, language, missing)
    if null_odds is None:
        raise MetricError("some examples have no reference: wanted the null odds of all examples, found none")
    if missing == "zero":
        texts = of_examples(texts, references)
        null_odds = of_examples(null_odds, texts)
    return squad_v2_scores(texts, references, null_odds, threshold, language, missing)


def squad_scores(texts: Texts, references: References, language: str, missing: str = "error") -> Scores:
    """Score as v1.1 does, by the names of its script; see `score`."""
    exact, overlap = raw_scores(texts, references, metric="squad", language=language, missing=missing)
    return {"exact_match": _percent(exact), "f1": _percent(overlap)}


def squad_v2_scores(
    texts: Texts,
    references: References,
    null_odds: Odds,
    threshold: float,
    language: str,
    missing: str = "error",
) -> Scores:
    """Score as v2.0 does, by the names of its script; see `score`."""
    if math.isnan(threshold):
        raise MetricError("threshold is nan; wanted a number")
    raw = raw_scores(texts, references, language=language, missing=missing)
    if missing == "zero":  # an example without a prediction is never "no answer"
        null_odds = dict.fromkeys(references.keys() - texts.keys(), -np.inf) | dict(null_odds)
    odds = _in_order(null_odds, references)
    answerable = np.array([len(answers) > 0 for answers in references.values()])
    exact, overlap = (np.where(odds > threshold, ~answerable, shares) for shares in raw)
    scores: Scores = {"exact": _percent(exact), "f1": _percent(overlap), "total": len(exact)}
    for part, members in (("HasAns", answerable), ("NoAns", ~answerable)):
        if members.any():
            scores[f"{part}_exact"], scores[f"{part}_f1"] = _percent(exact[members]), _percent(overlap[members])
            scores[f"{part}_total"] = int(members.sum())
    place = {example_id: i for i, example_id in enumerate(references)}
    as_predicted = np.array([place[example_id] for example_id in null_odds if example_id in texts], dtype=np.int64)
    not_empty = np.array([bool(texts.get(example_id)) for example_id in references])
    unanswerable = np.sum(~answerable[as_predicted])
    for name, shares in raw._asdict().items():
        gains = np.where(answerable, shares, -1.0 * not_empty)
        best, best_at = _official_best(gains[as_predicted], odds[as_predicted], unanswerable, total=len(gains))
        scores |= {f"best_{name}": best, f"best_{name}_thresh": best_at}
    return scores


def _in_order(null_odds: Odds, references: References) -> Shares:
    require_same_ids("null odds", null_odds, references)
    for example_id, value in null_odds.items():
        if not isinstance(value, int | float | np.number):
            raise MetricError(f"example {example_id!r} has {value!r} as null odds; wanted a number")
    odds = np.array([null_odds[example_id] for example_id in references], dtype=np.float64)
    for bad in np.flatnonzero(np.isnan(odds)):
        raise MetricError(f"example {list(references)[bad]!r} has null odds that are not a number")
    return odds


def _official_best(
    gains: Shares, null_odds: Shares, unanswerable: np.integer[Any], *, total: int
) -> tuple[float, float]:
    """Answer one example more at a time, by null odds: the first best score in percent, and the null odds it stands at.

    As published: equal null odds are not kept together but come in the order of the predictions, a text other than
    the empty one is always wrong for an unanswerable example, and the threshold is 0 where nothing is answered.
    """
    order = np.argsort(null_odds, kind="stable")
    totals = np.cumsum([unanswerable, *gains[order]])
    best = int(np.argmax(totals))
    return float(100.0 * totals[best] / total), float(null_odds[order[best - 1]]) if best else 0.0


def _percent(shares: Float[np.ndarray, "example"]) -> float:
    # cumsum adds from left to right, as Python 3.11's sum; np.sum adds in pairs, with other last digits.
    return float(100.0 * np.cumsum(shares)[-1] / len(shares))


def _between(lower: Float64[np.ndarray, "gap"], upper: Float64[np.ndarray, "gap"]) -> Float64[np.ndarray, "gap"]:
    """Return the threshold to use in every gap lower <= threshold < upper; the outermost two have no end."""
    with np.errstate(invalid="ignore"):  # -inf + inf, where there is nothing to answer
        middle = lower / 2 + upper / 2
    return np.select(
        [(lower <= 0) & (upper > 0), np.isinf(lower), np.isinf(upper), middle < upper],
        [np.zeros_like(lower), upper - 1.0, lower + 1.0, middle],
        default=lower,  # the middle of adjacent floats was rounded up to the upper one, which is outside
    )


def _example_scores(
    prediction: str, references: set[str], metric: MetricName, rules: LanguageRules
) -> tuple[float, float]:
    """Return exact match and F1 of normalised texts."""
    if metric == "squad_v2":
        references = references - {""} or {""}
    predicted = rules.units(prediction)
    if prediction in references:
        return 1.0, 1.0 if predicted or metric == "squad_v2" else 0.0
    return 0.0, max(_unit_f1(predicted, rules.units(reference), rules) for reference in references)


def _unit_f1(predicted: Sequence[str], wanted: Sequence[str], rules: LanguageRules) -> float:
    same = rules.shared(predicted, wanted)
    if same == 0:
        return 0.0
    precision, recall = same / len(predicted), same / len(wanted)
    return 2 * precision * recall / (precision + recall)
