"""Short windows hold what they are cut round, at any place; windows without a label are drawn."""

import numpy as np
import pytest

from qa.features.labels import build_labels
from qa.features.sampling import fewer_unlabelled, short_windows
from qa.features.windows import build_features
from tests.support import tiny
from tests.support.windows import config

LONG = "one " * 60 + "answer " + "two " * 60


def built(rows, *sizes):
    examples = tiny.examples(*rows)
    features = build_features(examples, tiny.tokenizer(), config(*sizes))
    return features, build_labels(examples, features)


def texts(features, labels, rows):
    feature = labels.feature
    start, end = features.char_spans(feature, labels.first, labels.last)
    return [rows[features.example[at]]["context"][a:b] for at, a, b in zip(feature, start, end, strict=True)]


def places(features, labels):
    start, end = features.char_spans(labels.feature, labels.first, labels.last)
    return set(zip(labels.feature.tolist(), labels.reference.tolist(), start.tolist(), end.tolist(), strict=True))


@pytest.mark.parametrize("epoch", [0, 1])
def test_labels_of_short_windows_are_those_of_the_long_ones(epoch):
    rows = tiny.sample_rows("validation")
    features, labels = built(rows, 192, 48, 48)
    short, cut = short_windows(features, labels, max_length=80, seed=1, epoch=epoch)
    assert len(short) == len(features)
    assert (short.lengths <= np.maximum(80, short.question_ids.lengths[short.example] + 3 + 8)).all()
    assert (short.size <= features.size).all()
    assert (short.first >= features.first).all()
    assert (short.first + short.size <= features.first + features.size).all()
    assert cut.is_labelled.sum() > 0.99 * labels.is_labelled.sum()
    assert not (cut.is_labelled & ~labels.is_labelled).any()
    assert places(short, cut) <= places(features, labels)


def test_the_place_of_the_answer_says_nothing():
    """Evenly among all places, whatever the place in the context."""
    rows = [tiny.example("q", LONG, "answer", id=f"q{at}") for at in range(2000)]
    features, labels = built(rows, 384, 128, 64)
    short, cut = short_windows(features, labels, max_length=40, seed=0, epoch=0)
    assert set(short.size.tolist()) == {40 - 3 - 1}
    found, counts = np.unique(cut.first, return_counts=True)
    assert found.tolist() == list(range(36 - int(cut.last[0] - cut.first[0])))
    expected = 2000 / len(found)
    chi_square = float(((counts - expected) ** 2 / expected).sum())
    assert chi_square < 2 * len(found)


def test_cuts_are_a_function_of_seed_and_epoch():
    features, labels = built(tiny.sample_rows("validation")[:40], 192, 48, 48)
    first = [
        short_windows(features, labels, max_length=64, seed=seed, epoch=epoch)[0].first.tolist()
        for seed, epoch in ((0, 0), (0, 0), (0, 1), (1, 0))
    ]
    assert first[0] == first[1]
    assert first[0] != first[2]
    assert first[0] != first[3]


def test_a_label_longer_than_the_room_becomes_none():
    features, labels = built([tiny.example("q", LONG, LONG.strip())], 384, 128, 64)
    assert labels.is_labelled.tolist() == [True]
    short, cut = short_windows(features, labels, max_length=40, seed=0, epoch=0)
    assert cut.is_labelled.tolist() == [False]
    assert short.size.tolist() == [36]


def test_windows_that_are_short_already_stay():
    features, labels = built(tiny.small(5), 384, 128, 64)
    short, cut = short_windows(features, labels, max_length=300, seed=0, epoch=0)
    assert short.first.tolist() == features.first.tolist()
    assert short.size.tolist() == features.size.tolist()
    assert cut.first.tolist() == labels.first.tolist()


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_a_share_of_the_windows_without_a_label_is_kept_and_of_every_example_one(share):
    rows = [*tiny.sample_rows("validation"), *tiny.small(3)]
    features, labels = built(rows, 96, 24, 48)
    kept, cut = fewer_unlabelled(features, labels, share=share, seed=2)
    unlabelled = int((~labels.is_labelled).sum())
    assert texts(kept, cut, rows) == texts(features, labels, rows)
    assert set(kept.example.tolist()) == set(features.example.tolist())
    assert len(kept) >= labels.is_labelled.sum()
    if share == 1.0:
        assert kept is features
    else:
        assert (~cut.is_labelled).sum() < unlabelled * (share + 0.4)
    again, _ = fewer_unlabelled(features, labels, share=share, seed=2)
    assert again.first.tolist() == kept.first.tolist()


def test_further_labels_stay_where_their_window_still_holds_them():
    row = tiny.example("q", f"two three {LONG} two", "two", ("two", len(f"two three {LONG} ")), "three")
    examples = tiny.examples(row)
    features = build_features(examples, tiny.tokenizer(), config(384, 128, 64))
    labels = build_labels(examples, features, every=True)
    assert labels.reference.tolist() == [0, 1, 2]
    short, cut = short_windows(features, labels, max_length=40, seed=0, epoch=0)
    assert cut.reference.tolist() in ([0], [0, 2])
    assert places(short, cut) < places(features, labels)
    kept, all_labels = fewer_unlabelled(features, labels, share=0.5, seed=0)
    assert places(kept, all_labels) == places(features, labels)
