"""Whether labels translate back to their references."""

from dataclasses import replace

import numpy as np
import pytest

from qa.errors import LabelError
from qa.features.labels import build_labels
from qa.features.round_trip import label_round_trip
from qa.features.windows import build_features
from tests.support import tiny
from tests.support.windows import config, same_features


def trip_of(*rows, family="bert"):
    examples = tiny.examples(*rows)
    features = build_features(examples, tiny.tokenizer(family), config())
    return label_round_trip(features, build_labels(examples, features), examples)


def moved(example, first, last):
    examples = tiny.examples(example)
    features = build_features(examples, tiny.tokenizer(), config())
    labels = replace(build_labels(examples, features), first=np.array([first]), last=np.array([last]))
    return label_round_trip(features, labels, examples)


def test_round_trip_tells_exact_labels_from_wider_ones():
    trip = trip_of(tiny.example("q", "the Loire flows", "Loire"), tiny.example("q", "the Loire flows", "oir"))
    assert (trip.labelled, trip.exact, trip.wider, trip.narrower, trip.rate) == (2, 1, 1, 0, 50.0)
    assert [reference for reference, _ in trip.exceptions] == ["oir"]
    assert all(reference in decoded for reference, decoded in trip.exceptions)


@pytest.mark.parametrize(("first", "last", "decoded"), [(0, 0, "the"), (1, 1, "Loire"), (2, 2, "flows")])
def test_labels_that_lack_some_of_their_reference_are_narrower(first, last, decoded):
    row = tiny.example("q", "the Loire flows", "Loire flows")
    whole = tiny.tokenizer()("the Loire flows", add_special_tokens=False).word_ids()
    trip = moved(row, whole.index(first), len(whole) - 1 - whole[::-1].index(last))
    assert (trip.labelled, trip.exact, trip.wider, trip.narrower, trip.rate) == (1, 0, 0, 1, 0.0)
    assert trip.exceptions == (("Loire flows", decoded),)


@pytest.mark.parametrize("family", tiny.FAMILIES)
@pytest.mark.parametrize("reference", ["Loire", " Loire", "Loire ", " Loire\u200b"])
def test_what_cannot_be_seen_at_the_ends_makes_no_label_wider_or_narrower(family, reference):
    trip = trip_of(tiny.example("q", f"a {reference} b", reference), family=family)
    assert (trip.exact, trip.wider, trip.narrower) == (trip.labelled, 0, 0)


def test_a_reference_that_cuts_a_character_is_not_exact():
    trip = trip_of(tiny.example("q", "the Cafe\u0301 is", "Cafe"))
    assert (trip.labelled, trip.wider, trip.exceptions) == (1, 1, (("Cafe", "Cafe\u0301"),))


def test_every_label_is_compared_with_its_own_reference():
    long = "far " * 60
    rows = tiny.examples(tiny.example("q", f"one {long}two {long}one", "one", "two", ("one", 488)))
    features = build_features(rows, tiny.tokenizer(), config(64, 8, 16))
    for every, references in ((False, [0, 1, 2]), (True, [0, 1, 2])):
        labels = build_labels(rows, features, every=every)
        assert sorted(set(labels.reference.tolist())) == references
        trip = label_round_trip(features, labels, rows)
        assert (trip.exact, trip.unlabelled_examples) == (trip.labelled, 0)


def test_a_trip_that_is_not_good_enough_says_how_many_and_which():
    trip = trip_of(*(tiny.example("q", "the Loire flows", text) for text in ("Loire", "oir", "low", "the")))
    trip.require(50.0)
    with pytest.raises(
        LabelError, match=r"50.00 % of 4 labels[^\n]*2 are wider, 0 narrower[^\n]*wanted 51 %"
    ) as raised:
        trip.require(51.0)
    assert "label 'Loire' for the reference 'oir'" in str(raised.value)
    assert trip_of(tiny.example("q", "nothing")).rate == 100.0


def test_rows_that_were_selected_or_shuffled_keep_their_labels():
    rows = tiny.sample("validation").shuffle(seed=1).select(range(5, 40))
    features = build_features(rows, tiny.tokenizer(), config())
    assert same_features(features, build_features(tiny.examples(*rows), tiny.tokenizer(), config()))
    assert label_round_trip(features, build_labels(rows, features), rows).rate == 100.0


@pytest.mark.parametrize("family", tiny.FAMILIES)
@pytest.mark.parametrize("language", ["", "ar", "zh"])
def test_no_embedded_set_loses_a_reference(language, family):
    """In Chinese and Arabic references end inside tokens and words; their labels are then wider, never narrower."""
    rows = tiny.sample("validation", language)
    features = build_features(rows, tiny.tokenizer(family), config())
    trip = label_round_trip(features, build_labels(rows, features), rows)
    assert trip.narrower == 0
    assert trip.unlabelled_examples == 0
