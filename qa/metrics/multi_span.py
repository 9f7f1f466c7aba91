"""The scores of MultiSpanQA: how many of all answers are found, exactly or in part.

Every number equals that of the published evaluation: Li et al. 2022 (NAACL, "MultiSpanQA: A Dataset for Multi-Span
Question Answering"). Of an example's predicted and right texts each counts once, as normalised; where there are none,
"no answer" counts as one. What a text shares with another is their longest common run of characters: a prediction is as
precise as the share of it that the best right text holds, and a right text is recalled as far as the best prediction
holds it.
"""

from collections.abc import Iterable, Mapping
from difflib import SequenceMatcher
from functools import lru_cache
from math import fsum
from typing import Any, NamedTuple

from qa.metrics.inputs import require_lists, require_same_ids
from qa.metrics.normalization import language_rules
from qa.metrics.squad import Scores


class Counts(NamedTuple):
    """What of one example, or of some, was found."""

    predicted: float = 0.0
    right: float = 0.0
    exact: float = 0.0
    """Predictions that are right texts."""
    precise: float = 0.0
    """Sum over the predictions of the shares that right texts hold."""
    recalled: float = 0.0
    """Sum over the right texts of the shares that predictions hold."""

    def plus(self, other: "Counts") -> "Counts":
        """Return the counts of both."""
        return Counts(*(one + more for one, more in zip(self, other, strict=True)))


def multi_span_score(predictions: Mapping[str, Any], references: Mapping[str, Any], *, language: str = "en") -> Scores:
    """Score the predicted texts of every example id, in percent: precision, recall and F1, exact and of overlap.

    Raises:
        MetricError: no examples, ids that are not the same, or not a list of texts.
        ConfigError: not the code of a language.

    """
    require_lists("references", references)
    require_lists("predictions", predictions)
    require_same_ids("prediction", predictions, references)
    total = Counts()
    for example_id, right in references.items():
        total = total.plus(counts_of(normalised(predictions[example_id], language), normalised(right, language)))
    return scores_of(total)


def normalised(texts: Iterable[str], language: str) -> frozenset[str]:
    """Return the distinct texts as they are compared."""
    return frozenset(map(language_rules(language).normalize, texts))


def counts_of(predicted: Iterable[str], right: Iterable[str]) -> Counts:
    """Count what of one example was found; texts are normalised.

    Sums are exact, since the order of a set is another one in every process.
    """
    found, wanted = set(predicted), set(right)
    sizes = float(max(len(found), 1)), float(max(len(wanted), 1))
    if not found and not wanted:
        return Counts(*sizes, exact=1.0, precise=1.0, recalled=1.0)
    if not found or not wanted:
        return Counts(*sizes)
    runs = {(one, other): _longest_run(other, one) for one in found for other in wanted}
    return Counts(
        *sizes,
        exact=float(len(found & wanted)),
        precise=fsum(max(_share(runs[one, other], one) for other in wanted) for one in found),
        recalled=fsum(max(_share(runs[one, other], other) for one in found) for other in wanted),
    )


def scores_of(counts: Counts) -> Scores:
    """Return precision, recall and F1, in percent."""
    exact = counts.exact / counts.predicted, counts.exact / counts.right
    overlap = counts.precise / counts.predicted, counts.recalled / counts.right
    return {
        f"{kind}_{name}": 100.0 * value
        for kind, (precision, recall) in (("exact", exact), ("overlap", overlap))
        for name, value in (("precision", precision), ("recall", recall), ("f1", harmonic_mean(precision, recall)))
    }


def harmonic_mean(precision: float, recall: float) -> float:
    """Return F1 of precision and recall."""
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


@lru_cache(maxsize=1 << 16)
def _longest_run(right: str, predicted: str) -> int:
    """Return the longest common run, as the published evaluation finds it: from 200 characters on not always."""
    return SequenceMatcher(None, right, predicted).find_longest_match(0, len(right), 0, len(predicted)).size


def _share(run: int, text: str) -> float:
    return run / len(text) if run else 0.0
