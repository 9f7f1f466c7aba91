"""What decoding keeps: columns of one length, and parts of them."""

import numpy as np

from qa.decoding.kept import room_for


def test_there_is_room_for_every_feature_and_candidate():
    spans = room_for(3, 5)
    assert {name: column.shape for name, column in vars(spans).items()} == {
        "feature": (3,),
        "first": (3, 5),
        "last": (3, 5),
        "start_logit": (3, 5),
        "end_logit": (3, 5),
        "null_logits": (3, 2),
    }


def test_some_features_are_the_same_rows_of_every_column():
    spans = room_for(4, 2)
    spans.feature[:], spans.first[:] = range(4), np.arange(8).reshape(4, 2)
    assert spans.at(slice(2)).feature.tolist() == [0, 1]
    some = spans.at(np.array([3, 1]))
    assert (some.feature.tolist(), some.first.tolist()) == ([3, 1], [[6, 7], [2, 3]])
