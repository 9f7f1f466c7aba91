"""Whether labels translate back to their references."""

import numpy as np

from qa.features.labels import Labels, build_labels
from qa.features.round_trip import label_round_trip
from qa.features.windows import build_features
from tests.support import tiny
from tests.support.windows import (
    config,
    same_features,
)


def test_round_trip_tells_exact_labels_from_wider_ones():
    rows = [tiny.example("q", "the Loire flows", "Loire"), tiny.example("q", "the Loire flows", "oir")]
    examples = tiny.examples(*rows)
    features = build_features(examples, tiny.tokenizer(), config())
    trip = label_round_trip(features, build_labels(examples, features), examples)
    assert (trip.labelled, trip.exact, trip.wider, trip.rate) == (2, 1, 1, 100.0)
    assert [reference for reference, _ in trip.exceptions] == ["oir"]
    assert all(reference in decoded for reference, decoded in trip.exceptions)


def test_a_label_that_is_neither_exact_nor_wider_lowers_the_rate():
    examples = tiny.examples(tiny.example("q", "the Loire flows", "Loire"))
    features = build_features(examples, tiny.tokenizer(), config())
    moved = Labels(first=np.zeros(1, dtype=np.int32), last=np.zeros(1, dtype=np.int32))
    trip = label_round_trip(features, moved, examples)
    assert (trip.labelled, trip.rate, trip.exceptions) == (1, 0.0, (("Loire", "the"),))


def test_rows_that_were_selected_or_shuffled_keep_their_labels():
    rows = tiny.sample("validation").shuffle(seed=1).select(range(5, 40))
    features = build_features(rows, tiny.tokenizer(), config())
    assert same_features(features, build_features(tiny.examples(*rows), tiny.tokenizer(), config()))
    assert label_round_trip(features, build_labels(rows, features), rows).rate == 100.0
