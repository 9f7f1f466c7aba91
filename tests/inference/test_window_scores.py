"""Answers window by window: scores of the same text are added up, that of "no answer" is the least of all windows."""

from dataclasses import replace

import numpy as np
import pytest

from qa.decoding.kept import NO_SPAN, FeatureSpans
from qa.errors import IncompleteError, NotFiniteError
from qa.features.windows import Encoder, build_features
from qa.inference.options import answer_options
from qa.inference.window_scores import window_answers, word_ids
from tests.support import tiny
from tests.support.predictors import SETTINGS
from tests.support.trainers import WINDOWS

ROWS = tiny.examples(
    tiny.example("What sat?", "The cat saw the cat and THE CAT sat. " * 5, id="cats"),
    tiny.example("Who?", "Ragna Lund drew the lighthouse.", id="lund"),
)
CONTEXTS = ROWS["context"][:]


@pytest.fixture(scope="module")
def features():
    return build_features(ROWS, tiny.tokenizer(), replace(WINDOWS, max_length=32))


@pytest.fixture(scope="module")
def spans(features):
    """Three candidates of every window, drawn at random, and now and then none."""
    rng = np.random.default_rng(4)
    size = features.size
    first = np.stack([rng.integers(0, size) for _ in range(3)], axis=1).astype(np.int32)
    last = np.minimum(first + rng.integers(0, 3, first.shape), size[:, None] - 1).astype(np.int32)
    gone = rng.random(first.shape) < 0.1
    first[gone] = last[gone] = NO_SPAN
    shares = np.log(rng.uniform(0.05, 0.5, (2, *first.shape))).astype(np.float32)
    nulls = np.log(rng.uniform(0.1, 0.9, (len(features), 2))).astype(np.float32)
    return FeatureSpans(
        feature=np.arange(len(features)),
        first=first,
        last=last,
        start_logit=shares[0],
        end_logit=shares[1],
        null_logits=nulls,
    )


def options(**given):
    return answer_options(given, SETTINGS, longest=512, special_tokens=3)


def answers(spans, features, *, words=None, **given):
    asked = {"contexts": CONTEXTS, "ids": ["cats", "lund"], "words": words, "options": options(**given)}
    return list(window_answers(spans, features, **asked))


def plain(spans, features, example):
    """Scores by text, and the null score, one candidate after the other."""
    found, nulls = {}, []
    for window in np.flatnonzero(features.example == example):
        nulls.append(np.exp(spans.null_logits[window].astype(float).sum()))
        origin = features.context_ids.bounds[features.context_of[example]] + features.first[window]
        for rank in range(spans.first.shape[1]):
            first, last = spans.first[window, rank], spans.last[window, rank]
            if first != NO_SPAN:
                text = CONTEXTS[example][features.token_start[origin + first] : features.token_end[origin + last]]
                score = np.exp(float(spans.start_logit[window, rank]) + float(spans.end_logit[window, rank]))
                found[text.lower()] = found.get(text.lower(), 0.0) + score
    return found, min(nulls)


def test_scores_are_those_of_a_loop_over_all_candidates(spans, features):
    assert (features.example == 0).sum() > 2
    for example, found in enumerate(answers(spans, features, top_k=99, no_answer=True)):
        wanted, null = plain(spans, features, example)
        by_text = {one["answer"].lower(): one["score"] for one in found if one["answer"]}
        assert by_text == pytest.approx(wanted, rel=1e-6)
        (none,) = [one for one in found if not one["answer"]]
        assert none["score"] == none["no_answer_score"] == pytest.approx(null, rel=1e-6)
        scores = [one["score"] for one in found]
        assert scores == sorted(scores, reverse=True)
        assert all(CONTEXTS[example][one["start"] : one["end"]] == one["answer"] for one in found)


def test_no_more_are_listed_than_asked_and_none_that_is_impossible(spans, features):
    every = answers(spans, features, top_k=99, no_answer=False)
    assert all(one["answer"] and one["no_answer_score"] == 0.0 for found in every for one in found)
    assert answers(spans, features, top_k=2, no_answer=False) == [found[:2] for found in every]


def test_a_threshold_moves_no_answer_among_the_others(spans, features):
    def place(threshold):
        (found, _) = answers(spans, features, top_k=99, no_answer=threshold)
        return [one["answer"] for one in found].index("")

    assert place(-50.0) == 0
    assert place(50.0) == len(answers(spans, features, top_k=99, no_answer=50.0)[0]) - 1
    assert place(50.0) > place(0.0)


def test_order_of_features_does_not_matter_but_each_must_be_there(spans, features):
    turned = spans.at(np.arange(len(features))[::-1])
    assert answers(turned, features, top_k=9) == answers(spans, features, top_k=9)
    with pytest.raises(IncompleteError):
        answers(spans.at(slice(1, None)), features)
    broken = replace(spans, null_logits=np.full_like(spans.null_logits, np.nan))
    with pytest.raises(NotFiniteError, match="cats"):
        answers(broken, features)


def test_an_example_without_any_candidate_is_not_answered(spans, features):
    nothing = np.full_like(spans.first, NO_SPAN)
    for found in answers(replace(spans, first=nothing, last=nothing), features, no_answer=False):
        assert [(one["answer"], one["start"], one["end"]) for one in found] == [("", 0, 0)]


def test_aligned_answers_end_at_the_borders_of_the_tokenizers_words(spans, features):
    words = word_ids(CONTEXTS, features, Encoder.of(tiny.tokenizer()).backend)
    assert [len(one) for one in words] == features.context_ids.lengths.tolist()
    for context, found in zip(CONTEXTS, answers(spans, features, words=words, top_k=99, no_answer=False), strict=True):
        for one in found:
            assert not context[one["start"] - 1 : one["start"] + 1].isalnum() or one["start"] == 0
            assert not context[one["end"] - 1 : one["end"] + 1].isalnum() or one["end"] == len(context)
