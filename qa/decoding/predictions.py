"""Spans of all features -> one prediction per example: n-best candidates, probabilities, null score.

Everything is a column over all examples at once; Python objects appear only in the texts and in the records that are
written to files.
"""

import itertools
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from qa.config import DecodingConfig
from qa.decoding.candidates import Candidates, disjoint_rows
from qa.decoding.kept import FeatureSpans
from qa.errors import IncompleteError, NotFiniteError
from qa.features.windows import Features

OF_CANDIDATES = ("start", "end", "start_logit", "end_logit", "probability", "counted")
"""The columns of `Predictions` that have a row for every candidate; its texts are one more."""
_CERTAIN = 700.0  # log odds: exp(710) is more than a float


@dataclass(frozen=True, eq=False, kw_only=True)
class Predictions:
    """The candidates of all examples, best first: those of example `i` are rows `bounds[i]:bounds[i + 1]`.

    They are ranked by their scores, but for the first, which may be chosen otherwise (`qa.decoding.choice`).

    `start` and `end` are half-open and count characters of the example's context; `text` is that substring. What an
    answer's length costs is taken off its `end_logit`.
    `null_logits` are, of the example's features, those with the smallest sum: "no answer" must win in every window.
    Probabilities are the softmax over the scores of an example's `counted` candidates, and of "no answer" where it is
    possible; candidates beyond these are weighed against the same sum. Where they are `independent`, since several may
    be right, each is weighed against "no answer" alone, whose probability is then what the best one leaves.
    """

    ids: Sequence[str]
    bounds: Int[np.ndarray, "example_and_one"]
    text: Sequence[str]
    start: Int[np.ndarray, "candidate"]
    end: Int[np.ndarray, "candidate"]
    start_logit: Float[np.ndarray, "candidate"]
    end_logit: Float[np.ndarray, "candidate"]
    probability: Float[np.ndarray, "candidate"]
    counted: Bool[np.ndarray, "candidate"]
    null_logits: Float[np.ndarray, "example 2"]
    null_probability: Float[np.ndarray, "example"]
    null_possible: bool
    independent: bool = False

    @classmethod
    def from_spans(
        cls,
        spans: FeatureSpans,
        features: Features,
        *,
        ids: Sequence[str],
        contexts: Sequence[str],
        config: DecodingConfig,
        null_possible: bool,
        counted: int | None = None,
    ) -> "Predictions":
        """Join the candidates of each example's features into its n best.

        With exact search, what nobody sees is cut off the borders of spans, those of nothing else are dropped, and a
        span that overlapping windows share counts once, with its best score. Otherwise lists are those of the
        well-known scripts.

        Args:
            spans: candidates of all features, in any order.
            features: the features they belong to.
            ids: of the examples.
            contexts: of the examples.
            config: `n_best` candidates are kept per example, "no answer" included where it comes among them; the best
                span always is kept.
            null_possible: whether "no answer" takes part.
            counted: candidates of an example, "no answer" included, that share the probability; None: all that are
                kept. So probabilities do not depend on how many are asked for.

        Raises:
            IncompleteError: a feature is missing or there twice.
            NotFiniteError: logits that are NaN or +inf.

        """
        check_complete(spans.feature, len(features))
        check_numbers(spans, features, ids)
        spans = spans.at(np.argsort(spans.feature))  # ties fall alike whatever process each feature was decoded by
        found = Candidates.of(spans, features, contexts)
        ranked = found.trimmed().ranked().merged() if config.search == "exact" else found.ranked()
        null = _null_logits(spans, features, len(ids))
        return cls.of_ranked(ranked, null, ids=ids, n_best=config.n_best, null_possible=null_possible, counted=counted)

    @classmethod
    def of_ranked(
        cls,
        candidates: Candidates,
        null: Float[np.ndarray, "example 2"],
        *,
        ids: Sequence[str],
        n_best: int,
        null_possible: bool,
        counted: int | None = None,
        independent: bool = False,
    ) -> "Predictions":
        """Take ranked candidates, and keep `n_best` of each example; see `from_spans`."""
        null_score = _score(null) if null_possible or independent else np.full(len(ids), -np.inf)
        candidates = candidates.at(candidates.among_best(n_best, null_score))
        all_count = np.ones(len(candidates.example), dtype=bool)
        shares = all_count if counted is None else candidates.among_best(counted, null_score)
        shared = _certainties if independent else _probabilities
        probability, null_probability = shared(candidates.score, candidates.example, null_score, shares)
        return cls(
            ids=ids,
            bounds=np.searchsorted(candidates.example, np.arange(len(ids) + 1)),
            text=candidates.text.tolist(),
            **{name: getattr(candidates, name) for name in ("start", "end", "start_logit", "end_logit")},
            probability=probability,
            counted=shares,
            null_logits=null,
            null_probability=null_probability,
            null_possible=null_possible,
            independent=independent,
        )

    @classmethod
    def concatenate(cls, parts: Sequence["Predictions"], *, ids: Sequence[str]) -> "Predictions":
        """Put the predictions of chunks of examples one after the other, under the given ids."""
        arrays = (*OF_CANDIDATES, "null_logits", "null_probability")
        columns = {name: np.concatenate([getattr(part, name) for part in parts]) for name in arrays}
        sizes = np.concatenate([np.zeros(1, dtype=np.int64), *(np.diff(part.bounds) for part in parts)])
        return cls(
            ids=ids,
            bounds=np.cumsum(sizes),
            text=[text for part in parts for text in part.text],
            null_possible=parts[0].null_possible,
            independent=parts[0].independent,
            **columns,
        )

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def example(self) -> Int[np.ndarray, "candidate"]:
        """The row of every candidate's example."""
        return np.repeat(np.arange(len(self)), np.diff(self.bounds))

    @property
    def null_odds(self) -> Float[np.ndarray, "example"]:
        """Null score minus the best score of a span, in log odds; the largest float where there is no valid span."""
        any_span = np.diff(self.bounds) > 0
        odds = np.full(len(self), sys.float_info.max)
        if any_span.any():
            best = np.maximum.reduceat(self.start_logit + self.end_logit, self.bounds[:-1][any_span])
            odds[any_span] = _score(self.null_logits)[any_span] - best
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

    def disjoint(self) -> list[list[int]]:
        """Return every example's candidates, best first, without those that overlap a better one."""
        starts, ends = self.start.tolist(), self.end.tolist()
        bounds = itertools.pairwise(self.bounds.tolist())
        return [disjoint_rows(range(begin, stop), starts, ends) for begin, stop in bounds]

    def all_answers(self, threshold: float) -> list[list[int]]:
        """Return every example's answers, best first: disjoint candidates with own null odds up to `threshold`.

        Where "no answer" is impossible, an example's best candidate always is one.
        """
        fits = self.own_null_odds <= threshold
        if not self.null_possible:
            fits[self.bounds[:-1][np.diff(self.bounds) > 0]] = True
        return [[row for row in rows if fits[row]] for rows in self.disjoint()]

    @property
    def own_null_odds(self) -> Float[np.ndarray, "candidate"]:
        """Null score of the example minus the candidate's, in log odds: of an example's best its null odds."""
        odds = _score(self.null_logits)[self.example] - (self.start_logit + self.end_logit)
        return np.asarray(odds, dtype=np.float64)

    def calibrated(self, *, temperature: float, threshold: float) -> "Predictions":
        """Return the same candidates with the probabilities of fitted scores.

        All scores are divided by `temperature`; from that of "no answer" `threshold` is taken off before, so that it is
        the most probable exactly where `texts(threshold)` is empty.
        """
        score = (self.start_logit + self.end_logit).astype(np.float64)
        weighed = self.null_possible or self.independent
        null = _score(self.null_logits).astype(np.float64) if weighed else np.full(len(self), -np.inf)
        shared = _certainties if self.independent else _probabilities
        probability, null_probability = shared(
            score / temperature, self.example, (null - threshold) / temperature, self.counted
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
            for listed, place, null in zip(records.values(), null_places(self, 0.0).tolist(), nulls, strict=True):
                listed.insert(place, null)
        return records


def null_places(predictions: Predictions, threshold: float) -> Int[np.ndarray, "example"]:
    """Return how many of every example's spans come before "no answer": up to the last that stands against it."""
    stands = predictions.own_null_odds <= threshold
    places = np.bincount(predictions.example[stands], minlength=len(predictions))
    any_stands = places > 0
    chosen_falls = ~stands[predictions.bounds[:-1][any_stands]]  # and is first for what it has in common with others
    places[any_stands] += chosen_falls
    return places


def _records(*columns: Sequence[Any]) -> list[dict[str, Any]]:
    """Return a record per candidate, of columns in the order of its names."""
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


def _null_logits(spans: FeatureSpans, features: Features, examples: int) -> Float[np.ndarray, "example 2"]:
    """Take, of every example's features, the null logits with the smallest sum."""
    example = features.example[spans.feature]
    order = np.lexsort((_score(spans.null_logits), example))
    return spans.null_logits[order[np.searchsorted(example[order], np.arange(examples))]]


def _probabilities(
    score: Float[np.ndarray, "candidate"],
    example: Int[np.ndarray, "candidate"],
    null_score: Float[np.ndarray, "example"],
    counted: Bool[np.ndarray, "candidate"],
) -> tuple[Float[np.ndarray, "candidate"], Float[np.ndarray, "example"]]:
    """Return the softmax over each example's counted candidates and "no answer": of candidates, of "no answer"."""
    score, null_score = score.astype(np.float64), null_score.astype(np.float64)
    best = null_score.copy()
    np.maximum.at(best, example, score)
    best[best == -np.inf] = 0.0  # no span and no null: there is nothing to weigh
    weight, null_weight = np.exp(score - best[example]), np.exp(null_score - best)
    total = np.bincount(example, weights=weight * counted, minlength=len(null_score)) + null_weight
    total[total == 0.0] = 1.0
    return weight / total[example], null_weight / total


def _certainties(
    score: Float[np.ndarray, "candidate"],
    example: Int[np.ndarray, "candidate"],
    null_score: Float[np.ndarray, "example"],
    counted: Bool[np.ndarray, "candidate"],
) -> tuple[Float[np.ndarray, "candidate"], Float[np.ndarray, "example"]]:
    """Return the share of every candidate beside "no answer" alone, and what the best one of an example leaves."""
    del counted  # each counts for itself
    odds = score.astype(np.float64) - null_score.astype(np.float64)[example]
    share = 1.0 / (1.0 + np.exp(-np.clip(odds, -_CERTAIN, _CERTAIN)))
    null = np.ones(len(null_score))
    np.minimum.at(null, example, 1.0 - share)
    return share, null


def _score(logits: Float[np.ndarray, "row 2"]) -> Float[np.ndarray, "row"]:
    """Add start and end logit, in their own precision."""
    score: Float[np.ndarray, "row"] = logits[:, 0] + logits[:, 1]
    return score


def check_complete(found: Int[np.ndarray, "found"], features: int) -> None:
    """Check that every feature came back exactly once.

    Raises:
        IncompleteError: naming the first features that are missing or there more than once.

    """
    counts = np.bincount(found, minlength=features)
    if len(counts) != features or (counts != 1).any():
        wrong = np.flatnonzero(counts != 1)[:5]
        detail = ", ".join(f"feature {at} came {counts[at]} times" for at in wrong)
        raise IncompleteError(f"{len(found)} features came back; wanted each of {features} once: {detail}")


def check_numbers(spans: FeatureSpans, features: Features, ids: Sequence[str]) -> None:
    """Check that no logit is not a number, or +inf.

    Raises:
        NotFiniteError: naming the first examples with such logits.

    """
    broken = np.isnan(spans.null_logits).any(axis=1)  # which says so of all logits of a feature
    if broken.any():
        named = dict.fromkeys(features.example[spans.feature[broken]].tolist())
        first = ", ".join(repr(ids[row]) for row in list(named)[:5])
        raise NotFiniteError(f"logits of {int(broken.sum())} features are not numbers; the first examples: {first}")
