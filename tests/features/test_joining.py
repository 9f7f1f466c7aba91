"""Rows of arrays; what is in them is tested where they are tensors, in `test_collation`."""

import numpy as np

from qa.features.collation import collate
from qa.features.joining import INPUTS, PAD_MULTIPLE, join
from qa.features.windows import build_features
from tests.support import tiny
from tests.support.windows import config


def test_rows_are_what_the_tensors_hold_and_padded():
    features = build_features(
        tiny.examples(*tiny.sample_rows("validation")[:4]), tiny.fresh_tokenizer(), config(64, 16, 24)
    )
    indices = np.arange(len(features))
    rows = join(features, indices, input_names=INPUTS, pad_multiple=PAD_MULTIPLE)
    batch = collate(features, indices, input_names=INPUTS, pad_multiple=PAD_MULTIPLE)
    assert rows.in_context.shape[1] % PAD_MULTIPLE == 0
    assert rows.tokens == batch.tokens == features.lengths.sum()
    assert set(rows.inputs) == set(INPUTS)
    for name in INPUTS:
        np.testing.assert_array_equal(rows.inputs[name], batch.inputs[name].numpy())
    for name in ("feature", "in_context", "context_begin", "null_position"):
        np.testing.assert_array_equal(getattr(rows, name), getattr(batch, name).numpy())
