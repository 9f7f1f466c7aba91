"""Predictions -> the dicts that a caller gets."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple, TypedDict

import numpy as np

from qa.decoding.predictions import Predictions, null_places
from qa.inference.documents import KnownOfDocument
from qa.inference.options import AnswerOptions
from qa.inference.words import word_borders


class Answer(TypedDict):
    """One answer to one question. `answer` is `context[start:end]`; "no answer" is the empty text, at 0 to 0."""

    score: float
    """How likely it is right: its share of the softmax over the n-best answers and, where that is possible, "no
    answer", or, as `qa calibrate` fits it, how often best answers with such a share are right. Several answers of a
    list can be right, so that fitted scores may sum to more than 1; their order is that of the shares, but for
    the first one of a reader that chooses by overlap."""
    start: int
    end: int
    answer: str
    no_answer_score: float
    """Probability of "no answer"; 0 where that is not possible."""
    place_score: float
    """Probability that the answer is at this place: the sum of the shares of the n-best answers that are taken for one
    with it, at least their best `score`. Answers are one with the best answer that they overlap."""


class PassageAnswer(TypedDict):
    """One answer of a search: `answer` is `contexts[passage][start:end]`."""

    score: float
    """Its probability: the softmax over the n-best answers of all passages and, where that is possible, "no answer",
    as it is: what `qa calibrate` fits beyond the temperature is for answers from one text."""
    passage: int
    start: int
    end: int
    answer: str
    log_odds: float
    """Score of the span less that of "not in this window", in the model's units, less what its passage loses for words
    that it does not share with the question: what the ranking goes by."""
    place_score: float
    """Probability that the answer is at this place, as that of an `Answer`."""


class DocumentAnswer(PassageAnswer, KnownOfDocument):
    """One answer of a search, and what is known of the passage where that is more than a text."""


class Span(NamedTuple):
    """Characters of one of several texts."""

    text: int
    start: int
    end: int


class PassageSpan(NamedTuple):
    """A span of one of many passages; sorts from the best to the worst, of equal ones by place."""

    negative_score: float
    passage: int
    start: int
    end: int
    text: str


def answers_of(predictions: Predictions, contexts: Sequence[str], options: AnswerOptions) -> Iterator[list[Answer]]:
    """Yield the best answers of every example, at least one and at most `top_k`.

    "No answer" comes after the last span whose null odds are not above the threshold, so that it is first exactly where
    evaluation predicts it. Of answers that have more than the share `overlap` in common only the best is listed.
    """
    columns = (predictions.start, predictions.end, predictions.probability, predictions.counted)
    starts, ends, probabilities, counted = (column.tolist() for column in columns)
    before_null = null_places(predictions, options.threshold).tolist()
    bounds = predictions.bounds.tolist()
    likelihood = options.platt.likelihood(predictions.probability).tolist()
    for at, (context, null) in enumerate(zip(contexts, predictions.null_probability.tolist(), strict=True)):
        rows = slice(bounds[at], bounds[at + 1])
        spans = [Span(0, start, end) for start, end in zip(starts[rows], ends[rows], strict=True)]
        if options.align_to_words:
            spans = [Span(0, *word_borders(context, start, end)) for _, start, end in spans]
        scores = likelihood[rows]
        places = place_shares(spans, probabilities[rows], counted[rows], scores)
        listed = listed_spans(spans, most=options.top_k, overlap=options.overlap, once=options.align_to_words)
        found = [
            Answer(
                score=scores[row],
                start=spans[row].start,
                end=spans[row].end,
                answer=context[spans[row].start : spans[row].end],
                no_answer_score=null,
                place_score=places[row],
            )
            for row in listed
        ]
        if predictions.null_possible or not found:
            # Of the spans before "no answer", those that are listed.
            found.insert(sum(row < before_null[at] for row in listed), _no_answer(null))
        yield found[: options.top_k]


def spans_of(
    predictions: Predictions, contexts: Sequence[str], *, first_passage: int, align_to_words: bool
) -> Iterator[PassageSpan]:
    """Yield the spans of passages, each as if they were one example, with the scores that the predictions have."""
    score = predictions.start_logit.astype(np.float64) + predictions.end_logit
    columns = (score, predictions.example, predictions.start, predictions.end)
    seen: set[tuple[int, int, int]] = set()
    for value, at, start, end in zip(*(column.tolist() for column in columns), strict=True):
        begin, stop = word_borders(contexts[at], start, end) if align_to_words else (start, end)
        if (at, begin, stop) not in seen:
            seen.add((at, begin, stop))
            yield PassageSpan(-value, first_passage + at, begin, stop, contexts[at][begin:stop])


def passage_answers(
    ranked: Sequence[PassageSpan],
    *,
    null_score: float,
    temperature: float,
    n_best: int,
    top_k: int,
    overlap: float = 1.0,
) -> list[PassageAnswer]:
    """Turn the best spans of all passages, best first, into answers.

    Args:
        ranked: the spans.
        null_score: that of "no answer"; −inf if impossible.
        temperature: what scores are divided by.
        n_best: spans that share the probability.
        top_k: most answers.
        overlap: largest share that two listed answers of a passage have in common.

    """
    if not ranked:
        return []
    scores = np.array([-span.negative_score for span in ranked])
    weights = np.exp((np.append(scores, null_score) - max(scores.max(), null_score)) / temperature)
    shares = (weights[:-1] / (weights[:-1][:n_best].sum() + weights[-1])).tolist()
    spans = [Span(span.passage, span.start, span.end) for span in ranked]
    places = place_shares(spans, shares, [at < n_best for at in range(len(spans))], shares)
    return [
        PassageAnswer(
            score=shares[row],
            passage=ranked[row].passage,
            start=ranked[row].start,
            end=ranked[row].end,
            answer=ranked[row].text,
            log_odds=-ranked[row].negative_score,
            place_score=places[row],
        )
        for row in listed_spans(spans, most=top_k, overlap=overlap)
    ]


# --- overlap ---


def listed_spans(ranked: Sequence[Span], *, most: int, overlap: float, once: bool = False) -> list[int]:
    """Return which of ranked spans are listed: none that overlaps a better listed one too much.

    Args:
        ranked: best first.
        most: how many, at most.
        overlap: largest share of the shorter of two spans that both may have in common.
        once: leave out a span that is the same as a better one.

    """
    rows = {span: row for row, span in reversed(list(enumerate(ranked)))}.values() if once else range(len(ranked))
    kept: list[int] = []
    for row in sorted(rows):
        if len(kept) == most:
            break
        if overlap == 1.0 or all(_shared(ranked[row], ranked[other]) <= overlap for other in kept):
            kept.append(row)
    return kept


def place_shares(
    ranked: Sequence[Span], shares: Sequence[float], counted: Sequence[bool], scores: Sequence[float]
) -> list[float]:
    """Return, for each of ranked spans, the sum of the shares of the counted spans that are one place with it.

    A span is one place with the best span that it overlaps and that is itself one with no better. A place has at least
    the best score of its spans. A sum is at most 1, which rounding can exceed.
    """
    heads: list[int] = []
    place_of: list[int] = []
    for row, span in enumerate(ranked):
        head = next((head for head in heads if _shared(span, ranked[head]) > 0.0), row)
        if head == row:
            heads.append(row)
        place_of.append(head)
    sums = dict.fromkeys(heads, 0.0)
    for head, share, counts in zip(place_of, shares, counted, strict=True):
        sums[head] += share if counts else 0.0
    for head, score in zip(place_of, scores, strict=True):
        sums[head] = max(min(sums[head], 1.0), score)
    return [sums[head] for head in place_of]


def _shared(one: Span, other: Span) -> float:
    """Return what two spans have in common, as a share of the shorter one."""
    if one.text != other.text:
        return 0.0
    common = min(one.end, other.end) - max(one.start, other.start)
    return common / min(one.end - one.start, other.end - other.start) if common > 0 else 0.0


def _no_answer(score: float) -> Answer:
    return Answer(score=score, start=0, end=0, answer="", no_answer_score=score, place_score=score)
