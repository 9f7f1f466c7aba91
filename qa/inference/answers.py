"""Predictions -> the dicts that a caller gets; word borders."""

import unicodedata
from collections.abc import Iterator, Sequence
from typing import NamedTuple, TypedDict

import numpy as np

from qa.decoding.predictions import Predictions

# Scripts that are written without spaces between words: han, kana, hangul-free CJK, Thai, Lao, Burmese, Khmer.
_WITHOUT_SPACES = (
    (0x0E00, 0x0EFF),
    (0x1000, 0x109F),
    (0x1780, 0x17FF),
    (0x3005, 0x30FF),
    (0x31F0, 0x31FF),
    (0x3400, 0x4DBF),
    (0x4E00, 0x9FFF),
    (0xF900, 0xFAFF),
    (0xFF66, 0xFF9F),
    (0x20000, 0x3FFFF),
)


class Answer(TypedDict):
    """One answer to one question. `answer` is `context[start:end]`; "no answer" is the empty text, at 0 to 0."""

    score: float
    """Its probability: the softmax over the n-best answers and, where that is possible, "no answer"."""
    start: int
    end: int
    answer: str
    no_answer_score: float
    """Probability of "no answer"; 0 where that is not possible."""


class PassageAnswer(TypedDict):
    """One answer of a search: `answer` is `contexts[passage][start:end]`."""

    score: float
    """Its probability: the softmax over the n-best answers of all passages and, where that is possible, "no answer"."""
    passage: int
    start: int
    end: int
    answer: str
    log_odds: float
    """Score of the span less that of "not in this window", in the model's units: what the ranking goes by."""


class PassageSpan(NamedTuple):
    """A span of one of many passages; sorts from the best to the worst, of equal ones by place."""

    negative_score: float
    passage: int
    start: int
    end: int
    text: str


def answers_of(
    predictions: Predictions, contexts: Sequence[str], *, threshold: float, top_k: int, align_to_words: bool
) -> Iterator[list[Answer]]:
    """Give the best answers of every example, at least one and at most `top_k`.

    "No answer" comes before the first span whose null odds are above `threshold`, so that it is first exactly where
    evaluation predicts it.
    """
    columns = (predictions.start, predictions.end, predictions.probability)
    starts, ends, probabilities = (column.tolist() for column in columns)
    null_place = _null_places(predictions, threshold).tolist()
    bounds = predictions.bounds.tolist()
    for at, (context, null) in enumerate(zip(contexts, predictions.null_probability.tolist(), strict=True)):
        rows = range(bounds[at], bounds[at + 1])
        found = [_answer(probabilities[row], context, starts[row], ends[row], null) for row in rows]
        if predictions.null_possible or not found:
            found.insert(null_place[at], _answer(null, context, 0, 0, null))
        yield (_aligned(found, context) if align_to_words else found)[:top_k]


def spans_of(
    predictions: Predictions, contexts: Sequence[str], *, first_passage: int, align_to_words: bool
) -> Iterator[PassageSpan]:
    """Give the spans of passages, each as if they were one example, with the scores that the predictions have."""
    score = predictions.start_logit.astype(np.float64) + predictions.end_logit
    example = np.repeat(np.arange(len(predictions)), np.diff(predictions.bounds))
    columns = (score, example, predictions.start, predictions.end)
    seen: set[tuple[int, int, int]] = set()
    for value, at, start, end in zip(*(column.tolist() for column in columns), strict=True):
        begin, stop = word_borders(contexts[at], start, end) if align_to_words else (start, end)
        if (at, begin, stop) not in seen:
            seen.add((at, begin, stop))
            yield PassageSpan(-value, first_passage + at, begin, stop, contexts[at][begin:stop])


def passage_answers(
    spans: Sequence[PassageSpan], *, null_score: float, temperature: float, top_k: int
) -> list[PassageAnswer]:
    """Turn the best spans of all passages into answers; `null_score` is that of "no answer", −inf if impossible."""
    scores = np.array([-span.negative_score for span in spans])
    weights = np.exp((np.append(scores, null_score) - max(scores.max(initial=-np.inf), null_score)) / temperature)
    shares = (weights / weights.sum()).tolist() if spans else []
    return [
        PassageAnswer(
            score=share,
            passage=span.passage,
            start=span.start,
            end=span.end,
            answer=span.text,
            log_odds=-span.negative_score,
        )
        for span, share in zip(spans[:top_k], shares, strict=False)
    ]


def word_borders(text: str, start: int, end: int) -> tuple[int, int]:
    """Grow a span whose border lies inside a word to that word's border.

    A word is letters, digits and marks without anything between; where script has no spaces, a character is a word.
    """
    while 0 < start < len(text) and _in_word(text[start - 1]) and _in_word(text[start]):
        start -= 1
    while 0 < end < len(text) and _in_word(text[end - 1]) and _in_word(text[end]):
        end += 1
    return start, end


def _in_word(character: str) -> bool:
    if character.isascii():
        return character.isalnum()
    code = ord(character)
    return unicodedata.category(character)[0] in "LMN" and not any(low <= code <= high for low, high in _WITHOUT_SPACES)


def _null_places(predictions: Predictions, threshold: float) -> np.ndarray:
    """Count the spans of every example whose null odds are not above `threshold`, by the arithmetic of `null_odds`."""
    example = np.repeat(np.arange(len(predictions)), np.diff(predictions.bounds))
    null = predictions.null_logits[:, 0] + predictions.null_logits[:, 1]
    odds = (null[example] - (predictions.start_logit + predictions.end_logit)).astype(np.float64)
    return np.bincount(example[odds <= threshold], minlength=len(predictions))


def _answer(score: float, context: str, start: int, end: int, null: float) -> Answer:
    return Answer(score=score, start=start, end=end, answer=context[start:end], no_answer_score=null)


def _aligned(answers: list[Answer], context: str) -> list[Answer]:
    """Align every answer; of those that become the same, keep the best."""
    kept: dict[tuple[int, int], Answer] = {}
    for answer in answers:
        start, end = word_borders(context, answer["start"], answer["end"]) if answer["answer"] else (0, 0)
        kept.setdefault((start, end), _answer(answer["score"], context, start, end, answer["no_answer_score"]))
    return list(kept.values())
