"""Spans of all features → one prediction per example: n-best answers, probabilities, null score.

Pure functions of arrays. Everything is a column over all examples at once; Python objects appear only in the texts and
in the records that are written to files.
"""

import itertools
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from qa.decoding import NO_SPAN
from qa.features import Features


@dataclass(frozen=True, eq=False, kw_only=True)
class FeatureSpans:
    """What decoding kept of every feature: k candidates and the null logits.

    `first` and `last` count tokens of the window's context; they are `NO_SPAN` where there is no candidate.
    `null_logits` are the start and the end logit of "not in this window".
    """

    feature: Int[np.ndarray, "feature"]
    first: Int[np.ndarray, "feature k"]
    last: Int[np.ndarray, "feature k"]
    start_logit: Float[np.ndarray, "feature k"]
    end_logit: Float[np.ndarray, "feature k"]
    null_logits: Float[np.ndarray, "feature 2"]


@dataclass(frozen=True, eq=False, kw_only=True)
class Predictions:
    """The answers of all examples, best first: those of example `i` are rows `bounds[i]:bounds[i + 1]`.

    `start` and `end` are half-open and counted in characters of the example's context; `text` is that substring.
    `null_logits` are, of the example's features, those with the smallest sum: "no answer" must win in every window.
    Probabilities are the softmax over the scores of an example's answers, and of "no answer" where it is possible.
    """

    ids: Sequence[str]
    bounds: Int[np.ndarray, "example_and_one"]
    text: Sequence[str]
    start: Int[np.ndarray, "answer"]
    end: Int[np.ndarray, "answer"]
    start_logit: Float[np.ndarray, "answer"]
    end_logit: Float[np.ndarray, "answer"]
    probability: Float[np.ndarray, "answer"]
    null_logits: Float[np.ndarray, "example 2"]
    null_probability: Float[np.ndarray, "example"]
    null_possible: bool

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def _example(self) -> Int[np.ndarray, "answer"]:
        """Of every answer, the row of its example."""
        return np.repeat(np.arange(len(self)), np.diff(self.bounds))

    @property
    def null_odds(self) -> Float[np.ndarray, "example"]:
        """Null score minus the best span's score, in log odds; the largest float where there is no valid span."""
        any_span = np.diff(self.bounds) > 0
        best = self.bounds[:-1][any_span]
        odds = np.full(len(self), sys.float_info.max)
        odds[any_span] = _score(self.null_logits)[any_span] - (self.start_logit + self.end_logit)[best]
        return odds

    @property
    def best_texts(self) -> list[str]:
        """Every example's best span, whatever the null score; empty where there is no valid span."""
        bounds = self.bounds.tolist()
        return [self.text[a] if a < b else "" for a, b in itertools.pairwise(bounds)]

    def texts(self, threshold: float) -> list[str]:
        """Return every example's answer: "" where "no answer" is possible and the null odds are above `threshold`."""
        if not self.null_possible:
            return self.best_texts
        null_wins = (self.null_odds > threshold).tolist()
        return ["" if null else text for null, text in zip(null_wins, self.best_texts, strict=True)]

    def calibrated(self, *, temperature: float, threshold: float) -> "Predictions":
        """Return the same answers with the probabilities of fitted scores.

        All scores are divided by `temperature`; from that of "no answer" `threshold` is taken off before, so that it is
        the most probable exactly where `texts(threshold)` is empty.
        """
        score = (self.start_logit + self.end_logit).astype(np.float64)
        null = _score(self.null_logits).astype(np.float64) if self.null_possible else np.full(len(self), -np.inf)
        probability, null_probability = _probabilities(
            score / temperature, self._example, (null - threshold) / temperature
        )
        return replace(self, probability=probability, null_probability=null_probability)

    def n_best(self) -> dict[str, list[dict[str, Any]]]:
        """Return the n-best records by example id, best first; `start` and `end` are None for "no answer"."""
        columns = (self.start, self.end, self.start_logit, self.end_logit, self.probability)
        answers = _records(self.text, *(column.tolist() for column in columns))
        bounds = itertools.pairwise(self.bounds.tolist())
        records = {key: answers[begin:end] for key, (begin, end) in zip(self.ids, bounds, strict=True)}
        if self.null_possible:
            nothing = [""] * len(self), [None] * len(self), [None] * len(self)
            nulls = _records(*nothing, *self.null_logits.T.tolist(), self.null_probability.tolist())
            above_null = self.start_logit + self.end_logit >= _score(self.null_logits)[self._example]
            places = np.bincount(self._example[above_null], minlength=len(self)).tolist()
            for listed, place, null in zip(records.values(), places, nulls, strict=True):
                listed.insert(place, null)
        return records


def _records(*columns: Sequence[Any]) -> list[dict[str, Any]]:
    """Return a record an answer, of columns in the order of its names."""
    return [
        {
            "text": text,
            "start": start,
            "end": end,
            "start_logit": start_logit,
            "end_logit": end_logit,
            "probability": probability,
        }
        for text, start, end, start_logit, end_logit, probability in zip(*columns, strict=True)
    ]


class _Answers(NamedTuple):
    """Columns over answers: the example, the characters and the logits of each."""

    example: Int[np.ndarray, "answer"]
    start: Int[np.ndarray, "answer"]
    end: Int[np.ndarray, "answer"]
    logits: Float[np.ndarray, "answer 2"]

    def at(self, rows: Int[np.ndarray, "some"] | Bool[np.ndarray, "answer"]) -> "_Answers":
        return _Answers(*(column[rows] for column in self))

    def texts(self, contexts: Sequence[str]) -> list[str]:
        spans = zip(self.example.tolist(), self.start.tolist(), self.end.tolist(), strict=True)
        return [contexts[example][start:end] for example, start, end in spans]


def predict(
    spans: FeatureSpans,
    features: Features,
    *,
    ids: Sequence[str],
    contexts: Sequence[str],
    n_best: int,
    null_possible: bool,
    merge: bool = True,
) -> Predictions:
    """Join the candidates of each example's features into its n-best answers.

    Args:
        spans: candidates of all features, in any order.
        features: the features they belong to.
        ids: of the examples.
        contexts: of the examples.
        n_best: answers kept per example, "no answer" included where it comes among them; the best span always is kept.
        null_possible: whether "no answer" takes part.
        merge: cut white space off the borders of spans, drop spans that hold nothing else, and count a span that
            overlapping windows share once, with its best score. Without, lists are those of the well-known scripts.

    """
    spans = _in_order(spans)
    answers = _answers(spans, features)
    if merge:
        answers = _merged(_trimmed(answers, contexts))
    null = _null_logits(spans, features, len(ids))
    null_score = _score(null) if null_possible else np.full(len(ids), -np.inf)
    answers = _best(answers, n_best, null_score)
    probability, null_probability = _probabilities(_score(answers.logits), answers.example, null_score)
    return Predictions(
        ids=ids,
        bounds=np.searchsorted(answers.example, np.arange(len(ids) + 1)),
        text=answers.texts(contexts),
        start=answers.start,
        end=answers.end,
        start_logit=answers.logits[:, 0],
        end_logit=answers.logits[:, 1],
        probability=probability,
        null_logits=null,
        null_probability=null_probability,
        null_possible=null_possible,
    )


def _in_order(spans: FeatureSpans) -> FeatureSpans:
    """Sort by feature, so that ties fall alike whatever process each feature was decoded by."""
    order = np.argsort(spans.feature, kind="stable")
    return FeatureSpans(**{name: column[order] for name, column in vars(spans).items()})


def _answers(spans: FeatureSpans, features: Features) -> _Answers:
    """Flatten the candidates and translate them to characters."""
    row, at = np.nonzero(spans.first != NO_SPAN)
    feature = spans.feature[row]
    start, end = features.char_spans(feature, spans.first[row, at], spans.last[row, at])
    logits = np.stack([spans.start_logit[row, at], spans.end_logit[row, at]], axis=1)
    return _Answers(features.example[feature], start, end, logits)


def _trimmed(answers: _Answers, contexts: Sequence[str]) -> _Answers:
    """Move the borders of each answer to its first and last character that is not white space; drop those without."""
    texts = answers.texts(contexts)
    kept = np.array([len(text.strip()) for text in texts], dtype=np.int64)
    leading = np.array([len(text) - len(text.lstrip()) for text in texts], dtype=np.int64)
    start = answers.start + leading
    return answers._replace(start=start, end=start + kept).at(kept > 0)


def _merged(answers: _Answers) -> _Answers:
    """Keep the best of the answers that are the same characters of the same example."""
    same = np.lexsort((-_score(answers.logits), answers.end, answers.start, answers.example))
    answers = answers.at(same)
    key = np.stack([answers.example, answers.start, answers.end])
    fresh = np.ones(len(answers.example), dtype=bool)
    fresh[1:] = (key[:, 1:] != key[:, :-1]).any(axis=0)
    return answers.at(fresh)


def _null_logits(spans: FeatureSpans, features: Features, examples: int) -> Float[np.ndarray, "example 2"]:
    """Take, of every example's features, the null logits with the smallest sum."""
    example = features.example[spans.feature]
    order = np.lexsort((_score(spans.null_logits), example))
    return spans.null_logits[order[np.searchsorted(example[order], np.arange(examples))]]


def _best(answers: _Answers, n_best: int, null_score: Float[np.ndarray, "example"]) -> _Answers:
    """Sort answers by example and score and keep `n_best` of each, one of which the null score may be."""
    score = _score(answers.logits)
    order = np.lexsort((answers.end, answers.start, -score, answers.example))
    answers, score = answers.at(order), score[order]
    begin = np.searchsorted(answers.example, answers.example)
    rank = np.arange(len(score)) - begin
    with_null = rank + (null_score[answers.example] > score)
    return answers.at((with_null < n_best) | (rank == 0))  # the null odds need the best span


def _probabilities(
    score: Float[np.ndarray, "answer"], example: Int[np.ndarray, "answer"], null_score: Float[np.ndarray, "example"]
) -> tuple[Float[np.ndarray, "answer"], Float[np.ndarray, "example"]]:
    """Return the softmax over each example's answers and "no answer": of answers, of "no answer"."""
    score, null_score = score.astype(np.float64), null_score.astype(np.float64)
    best = null_score.copy()
    np.maximum.at(best, example, score)
    best[best == -np.inf] = 0.0  # no span and no null: there is nothing to weigh
    weight, null_weight = np.exp(score - best[example]), np.exp(null_score - best)
    total = np.bincount(example, weights=weight, minlength=len(null_score)) + null_weight
    total[total == 0.0] = 1.0
    return weight / total[example], null_weight / total


def _score(logits: Float[np.ndarray, "row 2"]) -> Float[np.ndarray, "row"]:
    """Add start and end logit, in their own precision."""
    score: Float[np.ndarray, "row"] = logits[:, 0] + logits[:, 1]
    return score
