"""Batches are decoded together where that changes nothing."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from qa.config import DecodingConfig, FeaturesConfig
from qa.decoding import spans as decoding
from qa.decoding.predictions import check_complete
from qa.decoding.spans import find_spans
from qa.errors import IncompleteError
from qa.features.collation import collate
from qa.features.windows import build_features
from tests.support import tiny

WINDOWS = FeaturesConfig(max_length=60, doc_stride=8, max_question_length=16)


@pytest.fixture(scope="module")
def features():
    return build_features(tiny.small(24), tiny.tokenizer(), WINDOWS)


class Said(torch.nn.Module):
    """Logits that depend on nothing but the token and its column; few values, so that many spans score the same."""

    def forward(self, input_ids):
        column = torch.arange(input_ids.shape[1])
        return SimpleNamespace(start_logits=(input_ids + column) % 3, end_logits=(input_ids * 7 + column) % 4)


def batches_of(features, size, pad_multiple=64):
    """Of like lengths, as evaluation makes them; by default all rows are as wide, whatever the size."""
    order = np.argsort(-features.lengths, kind="stable")
    parts = [order[begin : begin + size] for begin in range(0, len(order), size)]
    return [collate(features, part, input_names=("input_ids",), pad_multiple=pad_multiple) for part in parts]


def found_in(batches, config):
    return find_spans(Said(), batches, config, features=sum(map(len, batches)))


@pytest.mark.parametrize("search", ["exact", "hf_parity"])
def test_spans_are_the_same_decoded_together_and_batch_by_batch(search, features, monkeypatch):
    config = DecodingConfig(n_best=4, max_answer_tokens=6, search=search)
    apart = [found_in([batch], config) for batch in batches_of(features, 2)]
    for size, tokens in ((2, 10_000), (2, 100), (5, 300), (3, 1)):
        monkeypatch.setattr(decoding, "TOKENS_AT_ONCE", tokens)
        together = found_in(batches_of(features, size), config)
        for name, column in vars(together).items():
            np.testing.assert_array_equal(column, np.concatenate([getattr(one, name) for one in apart]))


def test_batches_of_unlike_widths_are_decoded_apart(features):
    batches = batches_of(features, 2, pad_multiple=4)
    assert len({batch.shape[1] for batch in batches}) > 2
    together = found_in(batches, DecodingConfig())
    apart = [found_in([batch], DecodingConfig()) for batch in batches]
    for name, column in vars(together).items():
        np.testing.assert_array_equal(column, np.concatenate([getattr(one, name) for one in apart]))


def test_no_more_batches_are_held_than_are_decoded_at_once(features, monkeypatch):
    decoded = []
    search = decoding.best_spans
    monkeypatch.setattr(decoding, "TOKENS_AT_ONCE", 64 * 4)
    monkeypatch.setattr(decoding, "best_spans", lambda *given, **how: decoded.append(given[0]) or search(*given, **how))
    found_in(batches_of(features, 2), DecodingConfig())
    assert len(features) > 8
    assert {logits.shape for logits in decoded[:-1]} == {(4, 64)}


def test_no_batches_give_no_spans():
    spans = found_in([], DecodingConfig(n_best=4))
    assert len(spans.feature) == 0
    assert spans.first.shape == (0, 4)


def test_what_was_not_in_a_batch_is_not_made_up(features):
    batches = batches_of(features, 5)
    spans = find_spans(Said(), batches[:2], DecodingConfig(), features=len(features))
    assert spans.feature.tolist() == [index for batch in batches[:2] for index in batch.feature.tolist()]
    with pytest.raises(IncompleteError, match="came 0 times"):
        check_complete(spans.feature, len(features))


@pytest.mark.parametrize("told", [5, 9])
def test_more_features_than_were_told_are_not_lost_without_a_word(told, features):
    batches = batches_of(features, 5)[:2]
    with pytest.raises((ValueError, IncompleteError)):
        check_complete(find_spans(Said(), batches, DecodingConfig(), features=told).feature, 10)
