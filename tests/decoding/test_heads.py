"""Either head by one call: what is kept, and what becomes of it."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from qa.config import DecodingConfig
from qa.decoding.heads import longest_context, predictions_of
from qa.decoding.kept import FeatureSpans, FeatureTokens
from qa.decoding.spans import decode
from qa.features.collation import collate
from qa.features.windows import build_features
from tests.support import tiny
from tests.support.windows import config

ROWS = tiny.small(6)


class Said(torch.nn.Module):
    """Logits that say of every token but the first how large its id is."""

    def forward(self, input_ids):
        return SimpleNamespace(start_logits=(input_ids % 7 - 3.0), end_logits=(input_ids % 5 - 3.0))


@pytest.fixture(scope="module")
def features():
    return build_features(ROWS, tiny.tokenizer(), config(40, 4, 12))


@pytest.mark.parametrize(("head", "kind"), [("spans", FeatureSpans), ("tokens", FeatureTokens)])
def test_what_is_kept_of_features_is_the_same_in_any_parts_and_becomes_predictions(head, kind, features):
    def kept(parts):
        batches = [collate(features, part, input_names=("input_ids",), pad_multiple=64) for part in parts]
        return decode(head, Said(), batches, DecodingConfig(), features, count=sum(map(len, parts)))

    every = np.arange(len(features))
    together = kept([every])
    assert isinstance(together, kind)
    apart = [kept([part]) for part in np.array_split(every, 3)]
    for name, column in vars(together).items():
        np.testing.assert_array_equal(column, np.concatenate([getattr(one, name) for one in apart]))
    options = {"ids": ROWS["id"][:], "contexts": ROWS["context"][:], "config": DecodingConfig()}
    made = predictions_of(together, features, null_possible=True, **options)
    assert len(made) == len(ROWS)
    assert made.independent == (head == "tokens")


def test_the_longest_context_is_counted_in_tokens(features):
    assert longest_context(features) == max(features.size)
