"""The answers of the pipeline that transformers had until 5.2, from a search over each window by itself.

A window's candidates score the product of two softmaxes over its tokens. Where candidates become the same text, in any
case of letters and at any place, their scores are added up; that of "no answer" is the smallest of all windows.
Source: `pipelines/question_answering.py` of transformers 5.2.0. `tests/benchmarks/removed_pipeline.py` compares.
"""

from collections.abc import Iterator, Sequence

import numpy as np
from tokenizers import Tokenizer

from qa.decoding.kept import NO_SPAN, FeatureSpans
from qa.decoding.predictions import check_complete, check_numbers
from qa.features.windows import Features
from qa.inference.answers import Answer, Span, listed_spans, place_shares
from qa.inference.options import AnswerOptions

WordIds = Sequence[Sequence[int | None]]
"""Of every distinct context of some features: the word that each token belongs to, as the tokenizer counts words."""


def word_ids(contexts: Sequence[str], features: Features, backend: Tokenizer) -> WordIds:
    """Find the words of every distinct context; the answers of aligned calls end at their borders."""
    _, first = np.unique(features.context_of, return_index=True)
    encodings = backend.encode_batch([contexts[at] for at in first.tolist()], add_special_tokens=False)
    return [encoding.word_ids for encoding in encodings]


def window_answers(
    spans: FeatureSpans,
    features: Features,
    *,
    ids: Sequence[str],
    contexts: Sequence[str],
    words: WordIds | None,
    options: AnswerOptions,
) -> Iterator[list[Answer]]:
    """Yield the best answers of every example, at least one and at most `options.top_k`.

    Args:
        spans: the best of every window, in logarithms of shares.
        features: the windows they are in.
        ids: of the examples.
        contexts: of the examples.
        words: of the contexts, for answers that end at their borders; None: they end where tokens do.
        options: the call's.

    Raises:
        IncompleteError: a feature is missing or there twice.
        NotFiniteError: logits that are NaN or +inf.

    """
    check_complete(spans.feature, len(features))
    check_numbers(spans, features, ids)
    spans = spans.at(np.argsort(spans.feature))
    bounds = np.searchsorted(features.example, np.arange(len(ids) + 1)).tolist()
    null_scores = np.exp(spans.null_logits.sum(axis=1, dtype=np.float64)).tolist()
    scores = np.exp(spans.start_logit.astype(np.float64) + spans.end_logit)
    for at, context in enumerate(contexts):
        windows = range(bounds[at], bounds[at + 1])
        places = [
            (scores[window, rank].item(), *_characters(features, window, spans, rank, words))
            for window in windows
            for rank in range(spans.first.shape[1])
            if spans.first[window, rank] != NO_SPAN
        ]
        null = min(null_scores[window] for window in windows) if options.null_possible else 0.0
        yield _answers(_added_up(places, context), context, null, options)


def _characters(
    features: Features, window: int, spans: FeatureSpans, rank: int, words: WordIds | None
) -> tuple[int, int]:
    """Return the characters of a candidate, grown to whole words where these are known."""
    row = int(features.context_of[features.example[window]])
    begin = int(features.first[window])
    first, last = begin + int(spans.first[window, rank]), begin + int(spans.last[window, rank])
    if words is not None and words[row][first] is not None and words[row][last] is not None:
        known, end = words[row], begin + int(features.size[window])
        while first > begin and known[first - 1] == known[first]:
            first -= 1
        while last + 1 < end and known[last + 1] == known[last]:
            last += 1
    origin = int(features.context_ids.bounds[row])
    return int(features.token_start[origin + first]), int(features.token_end[origin + last])


def _added_up(places: Sequence[tuple[float, int, int]], context: str) -> list[tuple[float, int, int]]:
    """Add up the scores of candidates of the same text, at the place of the first, and sort them; best first."""
    found: dict[str, tuple[float, int, int]] = {}
    for score, start, end in places:
        text = context[start:end].lower()
        before = found.get(text)
        found[text] = (score, start, end) if before is None else (before[0] + score, *before[1:])
    return sorted(found.values(), key=lambda one: -one[0])


def _answers(
    ranked: Sequence[tuple[float, int, int]], context: str, null: float, options: AnswerOptions
) -> list[Answer]:
    spans = [Span(0, start, end) for _, start, end in ranked]
    shares = [score for score, _, _ in ranked]
    places = place_shares(spans, shares, [True] * len(spans), shares)
    listed = listed_spans(spans, most=options.top_k, overlap=options.overlap)
    found = [
        Answer(
            score=shares[row],
            start=spans[row].start,
            end=spans[row].end,
            answer=context[spans[row].start : spans[row].end],
            no_answer_score=null,
            place_score=places[row],
        )
        for row in listed
    ]
    if options.null_possible or not found:
        weight = null * np.exp(-options.threshold)
        at = sum(answer["score"] >= weight for answer in found)
        found.insert(at, Answer(score=null, start=0, end=0, answer="", no_answer_score=null, place_score=null))
    return found[: options.top_k]
