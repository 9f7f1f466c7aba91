"""Log odds of tokens -> answers, against loops over all spans of a text; then one test per pitfall."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from qa.config import DecodingConfig
from qa.decoding.kept import FeatureTokens
from qa.decoding.tokens import join_windows, keep_tokens, token_predictions
from qa.errors import IncompleteError, NotFiniteError
from qa.features.collation import collate
from qa.features.windows import build_features
from tests.support import tiny
from tests.support.windows import config

TEXT = "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen"


def found_of(features, seed):
    random = np.random.default_rng(seed)
    width = int(features.size.max())
    logits = random.normal(scale=3.0, size=(len(features), width, 2)).astype(np.float32)
    for row, size in enumerate(features.size):
        logits[row, size:] = 0.0
    return FeatureTokens(feature=np.arange(len(features)), logits=logits)


def plain_join(found, features, example):
    """The logits of every token of a context, of the window that shows most around it."""
    whole = features.context_ids.lengths[features.context_of[example]]
    rows = [row for row in range(len(features)) if features.example[row] == example]
    joined = []
    for token in range(whole):
        best, shown = None, -1
        for row in rows:
            first, size = int(features.first[row]), int(features.size[row])
            if first <= token < first + size:
                left = token - first if first > 0 else math.inf
                right = first + size - 1 - token if first + size < whole else math.inf
                if min(left, right) > shown:
                    best, shown = found.logits[row, token - first].tolist(), min(left, right)
        joined.append(best)
    return joined


def plain_answers(joined, max_tokens, n_best):
    """Spans as (first, last, score), of all that begin at a token the best, and none that overlaps a better.

    "No answer" is one of the n best where it is the better one, but not in place of the best span.
    """
    best = []
    for first in range(len(joined)):
        spans = []
        for last in range(first, min(first + max_tokens, len(joined))):
            between = [begin for begin, _ in joined[first + 1 : last + 1]] + [end for _, end in joined[first:last]]
            lost = sum(math.log(1 + math.exp(odds)) for odds in between)
            spans.append((joined[first][0] + joined[last][1] - lost, first, last))
        best.append(max(spans))
    kept = []
    for score, first, last in sorted(best, reverse=True):
        if len(kept) < n_best and all(last < other or first > end for other, end, _ in kept):
            kept.append((first, last, score))
    return [one for rank, one in enumerate(kept) if rank == 0 or rank + (one[2] < 0) < n_best]


@settings(deadline=None, max_examples=40)
@given(
    st.lists(st.integers(1, 15), min_size=1, max_size=3),
    st.sampled_from([(16, 0), (16, 4), (20, 8), (64, 8)]),
    st.integers(1, 5),
    st.integers(1, 20),
    st.integers(0, 2**20),
)
def test_answers_equal_the_loop_over_all_spans(words, sizes, max_tokens, n_best, seed):
    texts = [" ".join(TEXT.split()[:count]) for count in words]
    rows = tiny.examples(*(tiny.example("Which?", text) for text in texts))
    features = build_features(rows, tiny.tokenizer(), config(*sizes, 4))
    found = found_of(features, seed)
    shuffled = found.at(np.random.default_rng(seed).permutation(len(features)))
    made = token_predictions(
        shuffled,
        features,
        ids=[f"q{at}" for at in range(len(texts))],
        contexts=texts,
        config=DecodingConfig(max_answer_tokens=max_tokens, n_best=n_best),
        null_possible=False,
    )
    for example, text in enumerate(texts):
        wanted = plain_answers(plain_join(found, features, example), max_tokens, n_best)
        origin = features.context_ids.bounds[features.context_of[example]]
        own = range(made.bounds[example], made.bounds[example + 1])
        places = [
            (int(features.token_start[origin + first]), int(features.token_end[origin + last]))
            for first, last, _ in wanted
        ]
        assert sorted((made.start[row], made.end[row]) for row in own) == sorted(places)
        assert [made.text[row] for row in own] == [text[made.start[row] : made.end[row]] for row in own]
        shares = [1 / (1 + math.exp(-score)) for *_, score in wanted]
        np.testing.assert_allclose(made.own_null_odds[own], [-score for *_, score in wanted], rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose([made.probability[row] for row in own], shares, rtol=1e-4, atol=1e-7)
        assert made.null_probability[example] == pytest.approx(1 - max(shares), abs=1e-6)


def test_every_token_of_every_context_is_judged_once():
    rows = tiny.examples(tiny.example("Which?", TEXT * 3), tiny.example("Which?", TEXT))
    features = build_features(rows, tiny.tokenizer(), config(20, 8, 4))
    joined = join_windows(found_of(features, 0), features)
    wanted = [(at, token) for at in (0, 1) for token in range(features.context_ids.lengths[features.context_of[at]])]
    assert list(zip(joined.example.tolist(), joined.place.tolist(), strict=True)) == wanted


@pytest.mark.parametrize("family", ["bert", "xlnet"])
def test_log_odds_are_against_the_null_position_whatever_batch_they_are_in(family):
    rows = tiny.small(7)
    features = build_features(rows, tiny.tokenizer(family), config(40, 4, 8))

    def said(input_ids):
        return SimpleNamespace(start_logits=input_ids.float(), end_logits=-input_ids.float())

    width = int(features.size.max())
    for size in (1, 3, len(features)):
        parts = np.split(np.arange(len(features)), range(size, len(features), size))
        batches = [collate(features, part, input_names=("input_ids",), pad_multiple=8) for part in parts]
        found = keep_tokens([(one, said(**one.inputs)) for one in batches], features=len(features), width=width)
        assert found.feature.tolist() == list(range(len(features)))
        for row in range(len(features)):
            ids, _, begin = features.row(row)
            null = features.template.null_position  # the first token, or the last
            here = ids[begin : begin + features.size[row]] - ids[null]
            assert found.logits[row, : len(here), 0].tolist() == here.tolist()
            assert found.logits[row, : len(here), 1].tolist() == (-here).tolist()
            assert not found.logits[row, len(here) :].any()


def predictions_of(found, features, **decoding):
    return token_predictions(
        found, features, ids=["q0"], contexts=[TEXT], config=DecodingConfig(**decoding), null_possible=True
    )


@pytest.fixture
def features():
    return build_features(tiny.examples(tiny.example("Which?", TEXT)), tiny.tokenizer(), config(20, 4, 4))


def test_an_answer_that_no_window_holds_whole_is_found_whole(features):
    assert len(features) > 2
    logits = np.full((len(features), int(features.size.max()), 2), -20.0, dtype=np.float32)
    whole = features.context_ids.lengths[0]
    for row, (first, size) in enumerate(zip(features.first, features.size, strict=True)):
        if first == 0:
            logits[row, 0, 0] = 20.0
        if first + size == whole:
            logits[row, size - 1, 1] = 20.0
    made = predictions_of(
        FeatureTokens(feature=np.arange(len(features)), logits=logits), features, max_answer_tokens=99
    )
    ((row,),) = made.all_answers(0.0)
    assert made.text[row] == TEXT
    assert all(features.token_end[size - 1] < len(TEXT) for size in features.size)


def test_a_feature_that_is_missing_is_an_error(features):
    with pytest.raises(IncompleteError, match="feature 0 came 0 times"):
        predictions_of(found_of(features, 0).at(np.arange(1, len(features))), features)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_logits_that_are_no_numbers_are_an_error(value, features):
    found = found_of(features, 0)
    found.logits[1, 0, 0] = value
    with pytest.raises(NotFiniteError, match="'q0'"):
        predictions_of(found, features)


def test_a_model_whose_logits_are_infinite_is_an_error(features):
    every = np.arange(len(features))
    batch = collate(features, every, input_names=("input_ids",), pad_multiple=8)
    endless = torch.full(batch.inputs["input_ids"].shape, torch.inf)
    output = SimpleNamespace(start_logits=endless, end_logits=endless)
    found = keep_tokens([(batch, output)], features=len(features), width=int(features.size.max()))
    with pytest.raises(NotFiniteError, match="'q0'"):
        predictions_of(found, features)


def test_a_text_without_tokens_has_no_answer():
    rows = tiny.examples(tiny.example("Which?", " "), tiny.example("Which?", "one two"))
    features = build_features(rows, tiny.tokenizer(), config(20, 4, 4))
    made = token_predictions(
        found_of(features, 0),
        features,
        ids=["q0", "q1"],
        contexts=[" ", "one two"],
        config=DecodingConfig(),
        null_possible=True,
    )
    assert made.all_answers(100.0)[0] == []
    assert made.null_probability[0] == 1.0
    assert made.texts(0.0)[0] == ""
